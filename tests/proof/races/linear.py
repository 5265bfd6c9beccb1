"""Whether what callers saw could have happened one thing after the other.

Two checkers. `check_round` knows the one case there are many of, a round of offers as a register
that is written once, and runs in linear time. `explains` takes any small machine and searches for
an order (Wing and Gong): a call may have taken effect at any moment between its question and its
answer, and one that was never answered at any later moment, or never.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import TypeVar

S = TypeVar("S", bound=Hashable)


class Said(StrEnum):
    """What an accept was answered."""

    WON = "won"
    LOST = "lost"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Accept:
    """One accept as its caller saw it; `returned_s` of an unknown one is when he gave up."""

    friend: str
    invoked_s: float
    returned_s: float
    said: Said


def check_round(
    accepts: Sequence[Accept], winner: str | None, closed_s: float | None = None
) -> list[str]:
    """Everything about one round that no order explains; `winner` is whom the database names.

    `closed_s` is the first moment at which somebody else, who cancelled, asked to end the round.
    """
    wrong = []
    won = {call.friend for call in accepts if call.said is Said.WON}
    if len(won) > 1:
        wrong.append(f"{len(won)} friends were told that they had won: {sorted(won)}")
    if lost := won - {winner}:
        wrong.append(f"{sorted(lost)} were told that they had won, the database says {winner}")
    wins = [
        call for call in accepts if call.friend == winner and call.said in (Said.WON, Said.UNKNOWN)
    ]
    if winner is not None and not wins:
        wrong.append(f"{winner} has won and never asked to")
    began_s = min((call.invoked_s for call in wins), default=inf)
    for call in accepts:
        if call.said is not Said.LOST:
            continue
        if call.friend == winner and closed_s is None:
            wrong.append(f"{winner} has won and was told that he had lost")
        elif call.returned_s < min(began_s, inf if closed_s is None else closed_s):
            wrong.append(f"{call.friend} was told that he had lost before anybody could have won")
    return wrong


@dataclass(frozen=True, slots=True)
class Call:
    """One question, its answer (None: never answered), and when it was under way."""

    verb: str
    answer: str | None
    invoked_s: float
    returned_s: float


def explains(
    calls: Sequence[Call],
    step: Callable[[S, str], tuple[S, str]],
    begin: S,
    *,
    end: S | None = None,
) -> bool:
    """Whether some order of `calls` gives these answers and leaves the machine in `end`."""
    seen: set[tuple[S, frozenset[int]]] = set()

    def search(state: S, left: frozenset[int]) -> bool:
        if (state, left) in seen:
            return False
        seen.add((state, left))
        if all(calls[one].answer is None for one in left) and end in (None, state):
            return True
        # Nothing may be put before a call that had returned when it was invoked.
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
