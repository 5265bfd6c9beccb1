"""Customers, friends and operators."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from data.enums import AreaKind, Channel, FriendState, Tier
from data.markets import Language, Market
from data.records.ids import CompanyId, CustomerKey, FriendId, PartnerId, PersonId


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """All personal data of a customer, friend or operator; stored in this table only."""

    id: PersonId
    name: str
    email: str
    phone: str | None
    language: Language
    street: str | None
    postcode: str | None
    city: str | None
    country: str | None
    lat: float | None
    lon: float | None
    precision: str | None
    radius_m: int | None
    notes: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCertificate:
    code: str
    valid_from: datetime
    valid_until: datetime | None

    def is_valid(self, now: datetime) -> bool:
        """Return whether it is valid at `now`: from inclusive, until exclusive."""
        return self.valid_from <= now and (self.valid_until is None or now < self.valid_until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The end of a certificate."""

    code: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """A daily span in local minutes since midnight; past midnight if `until` is not later."""

    from_minute: int
    until_minute: int


@dataclass(frozen=True, slots=True)
class Plan:
    """When a friend may be asked, in local time.

    `week` are spans of minutes since Monday 00:00, None for any time; one past the end of Sunday
    ends after minute 10,080. `holidays` are the first and the last day of each.
    """

    week: tuple[tuple[int, int], ...] | None = None
    holidays: tuple[tuple[date, date], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A place beside the base in which a friend may be asked.

    A circle has a centre and a radius, a polygon a `ring` of (longitude, latitude), each corner
    once; `minutes` of travel from the centre are the one or the other.
    """

    kind: AreaKind
    lat: float = 0.0
    lon: float = 0.0
    radius_m: int = 0
    minutes: int = 0
    ring: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Friend:
    """A neighbourhood helper with all facts that decide whether to make an offer.

    `taken` and `handed_back` count the jobs of the last day, as of the lock of the row; a copy in
    an index may be out of date. `…_per_day` are what the desk allows, None what the policy does.
    `born` is known of those who may not be of age yet; `guarded` is whether a guardian consents.
    A technician of a `company` is asked through its dispatchers.
    """

    id: FriendId
    ref: str
    state: FriendState
    tier: Tier
    market: Market
    languages: frozenset[Language]
    lat: float
    lon: float
    radius_m: int
    capacity: int
    open_jobs: int = 0
    live_offers: int = 0
    taken: int = 0
    handed_back: int = 0
    jobs_per_day: int | None = None
    hand_backs_per_day: int | None = None
    certificates: tuple[HeldCertificate, ...] = ()
    quiet: QuietHours | None = None
    plan: Plan | None = None
    areas: tuple[Area, ...] = ()
    communities: frozenset[PartnerId] = frozenset()
    blocked: frozenset[CustomerKey] = frozenset()
    channels: frozenset[Channel] = frozenset({Channel.MAIL})
    born: date | None = None
    guarded: bool = False
    company: CompanyId | None = None
    level: int = 1
    version: int = 0
