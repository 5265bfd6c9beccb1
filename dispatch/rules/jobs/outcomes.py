"""What a friend is told of himself, so that many of them together do not find where she lives."""

from __future__ import annotations

from enum import StrEnum

from data.enums import Outcome


class FriendOutcome(StrEnum):
    """An outcome as its friend may know it.

    NOT_NEAR_ENOUGH: others were nearer, or it lay outside his radius. Which of the two would make
    his radius a ruler. Of BLOCKED he is told nothing: he would know who has booked.
    """

    OFFERED = "OFFERED"
    NOT_NEAR_ENOUGH = "NOT_NEAR_ENOUGH"
    INACTIVE = "INACTIVE"
    UNREACHABLE = "UNREACHABLE"
    WRONG_MARKET = "WRONG_MARKET"
    WRONG_TIER = "WRONG_TIER"
    NOT_CERTIFIED = "NOT_CERTIFIED"
    NO_SHARED_LANGUAGE = "NO_SHARED_LANGUAGE"
    NOT_A_MEMBER = "NOT_A_MEMBER"
    EXCLUDED = "EXCLUDED"
    AT_CAPACITY = "AT_CAPACITY"
    TOO_MANY_OFFERS = "TOO_MANY_OFFERS"
    QUIET_HOURS = "QUIET_HOURS"


FAR = frozenset({Outcome.RANKED_BELOW_K, Outcome.OUT_OF_RADIUS})
SILENT = frozenset({Outcome.BLOCKED})


def friend_outcome(outcome: Outcome) -> FriendOutcome:
    """What a friend is told of his outcome in a decision; nobody asks this of a SILENT one."""
    return FriendOutcome.NOT_NEAR_ENOUGH if outcome in FAR else FriendOutcome(outcome)
