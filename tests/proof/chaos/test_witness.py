"""What counts as lateness after recovery, and what the witness keeps."""

from collections import Counter

import pytest

from tests.proof.chaos.ledger import Ledger
from tests.proof.chaos.witness import Ability, Witness


def looks(text: str) -> Ability:
    """One look a second from 0 on: + somebody could act, - nobody could."""
    ability = Ability()
    for at_s, sign in enumerate(text):
        ability.saw(float(at_s), sign == "+")
    return ability


@pytest.mark.parametrize(
    ("seen", "due_s", "rung_s", "able_s"),
    [
        ("++++++++", 3.5, 5.0, 1.5),
        ("++----++", 3.5, 5.0, 0.0),
        ("++----++", 3.5, 7.0, 2.0),
        ("++----++", 1.5, 1.75, 0.25),
        ("++----++", 0.5, 7.0, 3.5),
        ("+---+---+", 0.0, 8.0, 4.0),
        ("------", 2.5, 4.0, 0.0),
        ("++", 7.0, 9.0, 2.0),
        ("--", 7.0, 9.0, 2.0),
    ],
)
def test_a_deadline_is_late_for_as_long_as_somebody_could_have_acted(seen, due_s, rung_s, able_s):
    assert looks(seen).able_s(due_s, rung_s) == able_s


def test_the_share_of_the_time_is_that_of_its_looks():
    assert looks("++++-").share() == 0.75
    assert looks("+").share() == 1.0


def test_long_calm_takes_no_room():
    assert len(looks("+" * 1000 + "-" * 1000).able) == 4


async def test_the_witness_keeps_an_answer_and_sees_it_change():
    said = [{"key": "k", "id": "b"}]

    class Owner:
        async def fetch(self, question):
            return list(said)

        async def __aenter__(self):
            return self

        async def __aexit__(self, *_):
            pass

    class Somewhere:
        def owner(self):
            return Owner()

    witness = Witness(Somewhere(), Ledger(), Counter(), list)
    await witness.remember()
    said.clear()
    await witness.remember()
    assert witness.keys == {"k": "b"}
    assert not witness.wrong
    said.append({"key": "k", "id": "another"})
    await witness.remember()
    assert list(witness.wrong) == ["the answer to k has changed"]
