"""Linearizability: whether the answers could have come from one call after another.

`check_round` handles the common case, a round of offers as a register that is written once, in
linear time. `is_linearizable` searches for an order under any small state machine (Wing and Gong):
a call takes effect at some moment between its invocation and its return; an unanswered one at any
later moment, or never.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import TypeVar

S = TypeVar("S", bound=Hashable)


class Outcome(StrEnum):
    """The outcome of an accept as answered."""

    WON = "won"
    LOST = "lost"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Accept:
    """One accept as seen by its client; `returned_s` of an unknown one is when it gave up."""

    friend: str
    invoked_s: float
    returned_s: float
    outcome: Outcome


def check_round(
    accepts: Sequence[Accept], winner: str | None, closed_s: float | None = None
) -> list[str]:
    """Everything about one round that no order explains; `winner` is the database's.

    `closed_s` is when a cancellation of the round was first requested.
    """
    wrong = []
    won = {call.friend for call in accepts if call.outcome is Outcome.WON}
    if len(won) > 1:
        wrong.append(f"{len(won)} friends were answered that they won: {sorted(won)}")
    if lost := won - {winner}:
        wrong.append(f"{sorted(lost)} were answered that they won, the database has {winner}")
    wins = [
        call
        for call in accepts
        if call.friend == winner and call.outcome in (Outcome.WON, Outcome.UNKNOWN)
    ]
    if winner is not None and not wins:
        wrong.append(f"{winner} won without a request")
    began_s = min((call.invoked_s for call in wins), default=inf)
    for call in accepts:
        if call.outcome is not Outcome.LOST:
            continue
        if call.friend == winner and closed_s is None:
            wrong.append(f"{winner} won and was answered that it lost")
        elif call.returned_s < min(began_s, inf if closed_s is None else closed_s):
            wrong.append(f"{call.friend} was answered that it lost before anybody could have won")
    return wrong


@dataclass(frozen=True, slots=True)
class Call:
    """One call, its answer (None: never answered), and when it was in flight."""

    verb: str
    answer: str | None
    invoked_s: float
    returned_s: float


def is_linearizable(
    calls: Sequence[Call],
    step: Callable[[S, str], tuple[S, str]],
    begin: S,
    *,
    end: S | None = None,
) -> bool:
    """Whether some order of `calls` gives these answers and ends in state `end`."""
    seen: set[tuple[S, frozenset[int]]] = set()

    def search(state: S, left: frozenset[int]) -> bool:
        if (state, left) in seen:
            return False
        seen.add((state, left))
        if all(calls[one].answer is None for one in left) and end in (None, state):
            return True
        # A call cannot take effect before one that had returned when it was invoked.
        latest_s = min((calls[one].returned_s for one in left if calls[one].answer), default=inf)
        for one in left:
            call = calls[one]
            if call.invoked_s > latest_s:
                continue
            after, answer = step(state, call.verb)
            if call.answer in (None, answer) and search(after, left - {one}):
                return True
        return False

    return search(begin, frozenset(range(len(calls))))
