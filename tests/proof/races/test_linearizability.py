"""The checkers accept linearizable histories and reject each kind of violation."""

import pytest

from tests.proof.races.linearizability import (
    Accept,
    Call,
    Outcome,
    check_round,
    is_linearizable,
)

WON, LOST, UNKNOWN = Outcome.WON, Outcome.LOST, Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("accepts", "winner"),
    [
        ([], None),
        ([Accept("a", 0, 9, WON), Accept("b", 0, 9, LOST)], "a"),
        ([Accept("a", 0, 5, WON), Accept("a", 6, 7, WON), Accept("b", 8, 9, LOST)], "a"),
        # The loser was answered before the winner.
        ([Accept("a", 0, 9, WON), Accept("b", 1, 2, LOST)], "a"),
        ([Accept("a", 0, 1, UNKNOWN), Accept("b", 2, 3, LOST)], "a"),
        ([Accept("a", 0, 1, UNKNOWN), Accept("b", 2, 3, WON)], "b"),
        ([Accept("a", 0, 1, UNKNOWN)], None),
        ([Accept("a", 0, 1, UNKNOWN), Accept("a", 2, 3, WON)], "a"),
    ],
)
def test_a_linearizable_round_passes(accepts, winner):
    assert check_round(accepts, winner) == []


@pytest.mark.parametrize(
    ("accepts", "winner", "word"),
    [
        ([Accept("a", 0, 1, WON), Accept("b", 0, 1, WON)], "a", "2 friends"),
        ([Accept("a", 0, 1, WON)], None, "database has None"),
        ([Accept("a", 0, 1, WON)], "b", "database has b"),
        ([Accept("b", 0, 1, LOST)], "a", "without a request"),
        ([Accept("b", 0, 1, LOST), Accept("a", 2, 3, WON)], "a", "before anybody"),
        ([Accept("b", 0, 1, LOST), Accept("a", 2, 3, UNKNOWN)], "a", "before anybody"),
        ([Accept("b", 0, 1, LOST)], None, "before anybody"),
        ([Accept("a", 0, 1, WON), Accept("a", 2, 3, LOST)], "a", "was answered that it lost"),
        ([Accept("a", 0, 1, UNKNOWN), Accept("b", 2, 3, LOST)], None, "before anybody"),
    ],
)
def test_a_round_that_no_order_explains_is_rejected(accepts, winner, word):
    assert word in " ".join(check_round(accepts, winner))


def test_a_cancelled_round_is_lost_by_all_and_not_before_it_was_cancelled():
    accepts = [Accept("a", 2, 3, LOST)]
    assert check_round(accepts, None, closed_s=1) == []
    assert check_round(accepts, None, closed_s=4) != []


def register(state: str, verb: str) -> tuple[str, str]:
    """A register that is written once."""
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
    assert is_linearizable(calls, register, "")


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
    assert not is_linearizable(calls, register, "")


def test_the_search_checks_the_final_state_too():
    calls = [Call("a", None, 0, 1)]
    assert is_linearizable(calls, register, "", end="a")
    assert is_linearizable(calls, register, "", end="")
    assert not is_linearizable(calls, register, "", end="b")
