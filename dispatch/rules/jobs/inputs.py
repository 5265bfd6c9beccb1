"""What a fan-out read of each friend, as few numbers, and friends made of these again.

A flag answers one question of the search, such as whether the friend speaks the customer's
language, so that a record holds nothing of a friend that was not asked. Flags are stored: a value
is never used for another question.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from data.enums import Channel, FriendState, Outcome, Tier
from data.markets import Market
from data.records.decisions import FriendFacts, Inputs, Search
from data.records.ids import CompanyId, CustomerKey, FriendId
from data.records.levels import LEVEL_MAX
from data.records.people import Friend, HeldCertificate, Plan, QuietHours
from dispatch.rules.jobs import matching
from dispatch.rules.jobs.matching import Nearby, Need, Ranking, is_old_enough
from dispatch.rules.people.weekly_plan import is_off

ACTIVE: Final = 1
REACHABLE: Final = 1 << 1
PRO: Final = 1 << 2
IN_MARKET: Final = 1 << 3
SPEAKS: Final = 1 << 4
MEMBER: Final = 1 << 5
BLOCKED: Final = 1 << 6
EXCLUDED: Final = 1 << 7
ASKED: Final = 1 << 8
FAVOURITE: Final = 1 << 9
TOO_YOUNG: Final = 1 << 10
"""For the package, or without the consent of a guardian: no age is stored."""
OUTSIDE_PLAN: Final = 1 << 11
COMPANY_ASKED: Final = 1 << 12
"""The company of a technician has a live offer."""
LEVEL_TOO_LOW: Final = 1 << 13
CERTIFIED: Final = 1 << 16
"""Holds the first certificate of the search; each further one has the next bit."""

NO_QUIET_HOURS: Final = (-1, -1)
NEVER: Final = Plan(week=())
CUSTOMER: Final = CustomerKey("the customer")
"""Stands for the customer when friends are made again."""


def collect(search: Search, ranking: Ranking, favourite: FriendId | None = None) -> Inputs:
    """The inputs of a ranking made for this search, with the friend to ask first."""
    if not ranking.tried:
        return Inputs(search=search, friends=())
    need = ranking.tried[0]
    by_tier = {one.tier: one for one in ranking.tried}
    chosen = [near.friend.id for near in ranking.chosen]
    found = []
    for (friend, away_m), line in zip(ranking.nearby, ranking.considered, strict=True):
        flags = _flags(friend, need, search.certificates)
        if friend.level < by_tier.get(friend.tier, need).least_level:
            flags |= LEVEL_TOO_LOW
        if line.outcome is Outcome.OFFERED and friend.id not in chosen:
            flags |= ASKED
        if friend.id == favourite:
            flags |= FAVOURITE
        hours = friend.quiet
        quiet = NO_QUIET_HOURS if hours is None else (hours.from_minute, hours.until_minute)
        counts = (friend.open_jobs, friend.capacity, friend.live_offers)
        reach_m = matching.reach_m(friend, away_m, need.point)
        found.append(FriendFacts(flags, *counts, *quiet, reach_m, away_m))
    companies = number_companies([near.friend for near in ranking.nearby])
    return Inputs(search=search, friends=tuple(found), companies=companies)


def number_companies(friends: Sequence[Friend]) -> tuple[int, ...]:
    """The number of each friend's company, from 1, 0 for none; empty when all have none."""
    numbers: dict[CompanyId, int] = {}
    found = [
        numbers.setdefault(friend.company, len(numbers) + 1) if friend.company else 0
        for friend in friends
    ]
    return tuple(found) if numbers else ()


def company_numbered(number: int) -> CompanyId | None:
    """Stands for the company with this number when friends are made again."""
    return CompanyId(UUID(int=number)) if number else None


def _flags(friend: Friend, need: Need, certificates: Sequence[str]) -> int:
    flags = ACTIVE if friend.state is FriendState.ACTIVE else 0
    if friend.channels:
        flags |= REACHABLE
    if friend.tier is Tier.PRO:
        flags |= PRO
    if friend.market is need.market:
        flags |= IN_MARKET
    if need.language in friend.languages:
        flags |= SPEAKS
    if need.community in friend.communities:
        flags |= MEMBER
    if not is_old_enough(friend, need.today, need.market, need.min_age):
        flags |= TOO_YOUNG
    return flags | _bars(friend, need) | _certified(friend, need, certificates)


def _bars(friend: Friend, need: Need) -> int:
    flags = BLOCKED if need.customer_key in friend.blocked else 0
    if need.excluded and friend.id in need.excluded:
        flags |= EXCLUDED
    if friend.plan is not None and need.minute is not None:
        flags |= OUTSIDE_PLAN if is_off(friend.plan, need.today, need.minute) else 0
    if friend.company is not None:
        if friend.company in need.companies_excluded:
            flags |= EXCLUDED
        if friend.company in need.companies_asked:
            flags |= COMPANY_ASKED
    return flags


def _certified(friend: Friend, need: Need, certificates: Sequence[str]) -> int:
    flags = 0
    for held in friend.certificates:
        if held.code in certificates and held.is_valid(need.now):
            flags |= CERTIFIED << certificates.index(held.code)
    return flags


def rebuild(
    friend_id: FriendId, facts: FriendFacts, search: Search, need: Need, company: int = 0
) -> Nearby:
    """A friend who answers every question of the search as these facts do."""
    flags = facts.flags
    quiet = (facts.quiet_from, facts.quiet_until)
    elsewhere = next(market for market in Market if market is not search.market)
    friend = Friend(
        id=friend_id,
        ref="",
        state=FriendState.ACTIVE if flags & ACTIVE else FriendState.PAUSED,
        tier=Tier.PRO if flags & PRO else Tier.FRIEND,
        market=search.market if flags & IN_MARKET else elsewhere,
        languages=frozenset({search.language} if flags & SPEAKS else ()),
        lat=0.0,
        lon=0.0,
        radius_m=facts.radius_m,
        capacity=facts.capacity,
        open_jobs=facts.open_jobs,
        live_offers=facts.live_offers,
        certificates=tuple(
            HeldCertificate(code=code, valid_from=need.now, valid_until=None)
            for bit, code in enumerate(search.certificates)
            if flags & CERTIFIED << bit
        ),
        quiet=None
        if quiet == NO_QUIET_HOURS
        else QuietHours(from_minute=facts.quiet_from, until_minute=facts.quiet_until),
        plan=NEVER if flags & OUTSIDE_PLAN else None,
        communities=frozenset({search.community} if search.community and flags & MEMBER else ()),
        blocked=frozenset({CUSTOMER} if flags & BLOCKED else ()),
        channels=frozenset({Channel.MAIL} if flags & REACHABLE else ()),
        born=need.today if flags & TOO_YOUNG else None,
        company=company_numbered(company),
        level=0 if flags & LEVEL_TOO_LOW else LEVEL_MAX,
    )
    return Nearby(friend, facts.away_m)
