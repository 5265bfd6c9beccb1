"""A short slice of `python -m tests.proof.races`."""

from random import Random

import pytest

from tests.flows.invariants import violations
from tests.proof.house import groups, house
from tests.proof.races import duels, rounds


@pytest.mark.timeout(300)
@pytest.mark.xdist_group("proof")
async def test_of_eight_accepts_at_once_one_wins_and_every_duel_has_one_outcome():
    chance = Random(1)
    async with house(groups(4), apis=2, workers=1) as made:
        played = await rounds.run(made, 100, chance, within_s=6)
        assert len(played) >= 4
        assert [text for one in played for text in one.wrong] == []
        scores = await duels.run(made, 4, chance, timed=("together",))
        assert [text for score in scores.values() for text in score.wrong] == []
        async with made.owner() as owner:
            assert await violations(owner) == []
        assert await rounds.deadlocks(made) == 0
