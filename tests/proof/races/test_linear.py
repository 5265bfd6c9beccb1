"""The checkers are checked: they let good histories pass and catch each way to be wrong."""

import pytest

from tests.proof.races.linear import Accept, Call, Said, check_round, explains

WON, LOST, UNKNOWN = Said.WON, Said.LOST, Said.UNKNOWN


@pytest.mark.parametrize(
    ("accepts", "winner"),
    [
        ([], None),
        ([Accept("a", 0, 9, WON), Accept("b", 0, 9, LOST)], "a"),
        ([Accept("a", 0, 5, WON), Accept("a", 6, 7, WON), Accept("b", 8, 9, LOST)], "a"),
        # The loser heard of it before the winner did.
        ([Accept("a", 0, 9, WON), Accept("b", 1, 2, LOST)], "a"),
        ([Accept("a", 0, 1, UNKNOWN), Accept("b", 2, 3, LOST)], "a"),
        ([Accept("a", 0, 1, UNKNOWN), Accept("b", 2, 3, WON)], "b"),
        ([Accept("a", 0, 1, UNKNOWN)], None),
        ([Accept("a", 0, 1, UNKNOWN), Accept("a", 2, 3, WON)], "a"),
    ],
)
def test_what_an_order_explains_passes(accepts, winner):
    assert check_round(accepts, winner) == []


@pytest.mark.parametrize(
    ("accepts", "winner", "word"),
    [
        ([Accept("a", 0, 1, WON), Accept("b", 0, 1, WON)], "a", "2 friends"),
        ([Accept("a", 0, 1, WON)], None, "database says None"),
        ([Accept("a", 0, 1, WON)], "b", "database says b"),
        ([Accept("b", 0, 1, LOST)], "a", "never asked"),
        ([Accept("b", 0, 1, LOST), Accept("a", 2, 3, WON)], "a", "before anybody"),
        ([Accept("b", 0, 1, LOST), Accept("a", 2, 3, UNKNOWN)], "a", "before anybody"),
        ([Accept("b", 0, 1, LOST)], None, "before anybody"),
        ([Accept("a", 0, 1, WON), Accept("a", 2, 3, LOST)], "a", "was told that he had lost"),
        ([Accept("a", 0, 1, UNKNOWN), Accept("b", 2, 3, LOST)], None, "before anybody"),
    ],
)
def test_what_no_order_explains_is_caught(accepts, winner, word):
    assert word in " ".join(check_round(accepts, winner))


def test_a_cancelled_round_is_lost_by_all_and_not_before_it_was_cancelled():
    accepts = [Accept("a", 2, 3, LOST)]
    assert check_round(accepts, None, closed_s=1) == []
    assert check_round(accepts, None, closed_s=4) != []


def register(state: str, verb: str) -> tuple[str, str]:
    """A word that is written once."""
    if verb == "read":
        return state, state
    return (verb, "ok") if state in ("", verb) else (state, "taken")


@pytest.mark.parametrize(
    "calls",
    [
        [Call("a", "ok", 0, 3), Call("b", "taken", 1, 2)],
        [Call("a", "ok", 0, 3), Call("b", "taken", 1, 2), Call("read", "a", 4, 5)],
        [Call("a", None, 0, 9), Call("b", "ok", 1, 2), Call("read", "b", 3, 4)],
        [Call("a", None, 0, 1), Call("read", "", 2, 3), Call("read", "a", 4, 5)],
        [Call("a", "ok", 0, 3), Call("read", "", 0, 3), Call("read", "a", 1, 2)],
    ],
)
def test_the_search_finds_an_order_where_there_is_one(calls):
    assert explains(calls, register, "")


@pytest.mark.parametrize(
    "calls",
    [
        [Call("a", "ok", 0, 3), Call("b", "ok", 1, 2)],
        [Call("b", "taken", 0, 1), Call("a", "ok", 2, 3)],
        [Call("a", "ok", 0, 1), Call("read", "", 2, 3)],
        [Call("a", None, 0, 1), Call("read", "a", 2, 3), Call("read", "", 4, 5)],
        [Call("a", None, 2, 3), Call("read", "a", 0, 1)],
        [Call("read", "a", 0, 1)],
    ],
)
def test_the_search_finds_none_where_there_is_none(calls):
    assert not explains(calls, register, "")


def test_the_search_looks_at_the_end_too():
    calls = [Call("a", None, 0, 1)]
    assert explains(calls, register, "", end="a")
    assert explains(calls, register, "", end="")
    assert not explains(calls, register, "", end="b")
