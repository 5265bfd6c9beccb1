"""Which outcome of a decision a friend may see: friends who collude must not find an address."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from data.enums import Outcome


class Nearness(StrEnum):
    """What stands for every outcome that depends on distance.

    Others were nearer or asked first, or the job lay outside the friend's radius: knowing which
    would make the radius a ruler.
    """

    NOT_NEAR_ENOUGH = "NOT_NEAR_ENOUGH"


class Suitability(StrEnum):
    """What stands for an outcome that would reveal the age of a friend."""

    NOT_SUITABLE = "NOT_SUITABLE"


FAR: Final = frozenset(
    {
        Outcome.RANKED_BELOW_K,
        Outcome.FAVOURITE_FIRST,
        Outcome.COMPANY_ASKED,
        Outcome.OUT_OF_RADIUS,
    }
)
HIDDEN: Final = frozenset({Outcome.BLOCKED})
"""Never shown to the friend, who would otherwise know who has booked."""


def friend_outcome(outcome: Outcome) -> Outcome | Nearness | Suitability:
    """What a friend sees of their outcome in a decision; never asked of a HIDDEN one."""
    if outcome is Outcome.TOO_YOUNG:
        return Suitability.NOT_SUITABLE
    return Nearness.NOT_NEAR_ENOUGH if outcome in FAR else outcome


FRIEND_OUTCOMES: Final = sorted({friend_outcome(one) for one in Outcome if one not in HIDDEN})
