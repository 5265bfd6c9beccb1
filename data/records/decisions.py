"""The record of a fan-out: what it read, who was considered, and the outcome of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from data.enums import Outcome, PackageTier, Tier
from data.markets import Language, Market
from data.records.ids import BookingId, FriendId, PartnerId


class DecisionLine(NamedTuple):
    """One friend's line in a decision; `rank` counts those who qualified, from 1."""

    friend_id: FriendId
    outcome: Outcome
    distance_m: int
    rank: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What a fan-out reads of its booking and package, as they were before it.

    `certificates` are in the order of the alphabet. `live` counts the offers still open,
    `booked_before` the earlier bookings of the same booker. Releases before schema 0028 stored no
    `min_age`.
    """

    package: str
    package_tier: PackageTier
    certificates: tuple[str, ...]
    market: Market
    language: Language
    community: PartnerId | None
    tier: Tier
    round: int
    round_limit: int
    live: int
    booked_before: int
    min_age: int = 18


class FriendFacts(NamedTuple):
    """What a fan-out reads of one friend.

    `flags` are those of `dispatch.rules.jobs.inputs`; quiet hours are in local minutes, -1 without
    any; `away_m` is the exact distance by which friends were ranked. `radius_m` is as far as
    `away_m` where an area of the friend covers the place.
    """

    flags: int
    open_jobs: int
    capacity: int
    live_offers: int
    quiet_from: int
    quiet_until: int
    radius_m: int
    away_m: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """All that a fan-out was decided by, with the policy: the same again gives the same outcomes.

    `friends` are in the order of the lines of the decision. `companies` numbers the company of
    each from 1, 0 for none; it is empty when all have none.
    """

    search: Search
    friends: tuple[FriendFacts, ...]
    companies: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Everybody whose own radius reaches the place, counted by outcome.

    When enough qualified only up to `within_m`, as far as everybody is listed; None: anywhere.
    """

    counts: Mapping[Outcome, int]
    within_m: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The stored record of one fan-out: the friends considered and the outcome of each.

    `policy` names the policy for people, `policy_id` is its fingerprint. `reach` is None when
    nobody was searched for; releases before schema 0020 stored neither fingerprint nor inputs.
    """

    booking_id: BookingId
    seq: int
    round: int
    tier: Tier
    at: datetime
    policy: str
    friends: tuple[DecisionLine, ...]
    policy_id: UUID | None = None
    inputs: Inputs | None = None
    reach: Reach | None = None
