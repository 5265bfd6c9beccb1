"""The friends near a booking at this moment: whether each could be awarded it, or why not."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from data.enums import Outcome
from data.records.ids import FriendId
from data.records.jobs import Job
from data.replace import replace
from dispatch.rules.jobs import matching
from dispatch.rules.jobs.matching import Nearby, Need
from dispatch.rules.policy import Policy


class DeskOutcome(StrEnum):
    """Outcomes that no fan-out has: the friend holds the job, or could be asked now."""

    HOLDS_IT = "HOLDS_IT"
    FITS = "FITS"


NearbyOutcome: TypeAlias = Outcome | DeskOutcome


class NearbyFriend(NamedTuple):
    """A friend near a booking, the distance in metres, and the outcome now.

    An `awardable` friend could be given the job by hand, whatever the outcome.
    """

    friend_id: FriendId
    distance_m: int
    outcome: NearbyOutcome
    awardable: bool


def classify_nearby(
    job: Job, nearby: Iterable[Nearby], now: datetime, policy: Policy
) -> list[NearbyFriend]:
    """Each friend nearby with one outcome as of `now`, nearest first, ties by id."""
    needs = _needs(job, now, policy)
    by_tier = {need.tier: need for need in needs}
    asked = {offer.friend_id for offer in job.live if offer.expires_at > now}
    holder = job.award.friend_id if job.award else None
    found = []
    for one in nearby:
        friend = one.friend
        outcome: NearbyOutcome
        if friend.id == holder:
            outcome = DeskOutcome.HOLDS_IT
        elif friend.id in asked:
            outcome = Outcome.OFFERED
        else:
            need = by_tier.get(friend.tier, needs[-1])
            outcome = matching.reason(friend, one.distance_m, need) or DeskOutcome.FITS
        awardable = friend.id != holder and matching.may_be_awarded(friend, job, now)
        found.append(NearbyFriend(friend.id, int(one.distance_m), outcome, awardable))
    return sorted(found, key=lambda one: (one.distance_m, one.friend_id))


def _needs(job: Job, now: datetime, policy: Policy) -> tuple[Need, ...]:
    """What another round would look for, even after the last one: the desk can begin one."""
    again = replace(job.booking, round_limit=job.booking.round + 1)
    return matching.needs(replace(job, booking=again), now, policy)
