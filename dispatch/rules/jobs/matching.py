"""Which friends may be asked, why others may not, and in which order.

Filter first, then take the nearest. `reason` alone says why a friend is not asked; it is applied to
the copy in the spatial index (to search) and to the row read inside the transaction (to decide).
`reference_point` alone says from which point distances are measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from math import ceil
from operator import attrgetter
from typing import Final, NamedTuple

from data.enums import FriendState, Outcome, PackageTier, Tier
from data.markets import Language, Market
from data.records.catalogue import Package
from data.records.decisions import DecisionLine, Search
from data.records.ids import CompanyId, CustomerKey, FriendId, PartnerId
from data.records.jobs import Booking, Job, Offer
from data.records.people import Friend
from data.replace import replace
from dispatch.rules.jobs.states import REFUSED_BY_FRIEND
from dispatch.rules.people import ages
from dispatch.rules.people.quiet_hours import is_quiet, local_minute
from dispatch.rules.people.weekly_plan import is_off
from dispatch.rules.policy import Policy, RankBy
from geo.areas import covered
from geo.point import Point, distance_m

TRAITS: Mapping[str, int] = {word: 1 << bit for bit, word in enumerate([*Market, *Tier, *Language])}
"""Properties of a friend that need no booking, one bit each; the index filters by them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one fan-out looks for; None where there is no requirement.

    `minute` and `today` are local time; `point` is where somebody is needed.
    """

    certificates: frozenset[str]
    tier: Tier
    market: Market
    language: Language | None
    community: PartnerId | None
    customer_key: CustomerKey | None
    excluded: frozenset[FriendId]
    companies_asked: frozenset[CompanyId] = frozenset()
    companies_excluded: frozenset[CompanyId] = frozenset()
    live_offers_max: int
    now: datetime
    minute: int | None
    today: date
    min_age: int
    point: Point | None = None
    least_level: int = 1

    @property
    def traits(self) -> int:
        """The traits required, as bits: necessary, but not sufficient."""
        spoken = 0 if self.language is None else TRAITS[self.language]
        return TRAITS[self.market] | TRAITS[self.tier] | spoken


Companies = tuple[frozenset[CompanyId], frozenset[CompanyId]]
NO_COMPANIES: Final[Companies] = (frozenset(), frozenset())


class Nearby(NamedTuple):
    """A friend and the geodesic distance from the reference point, in metres."""

    friend: Friend
    distance_m: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The friends to ask, nearest first, and one line for each friend considered.

    `nearby` are the friends of the lines; `tried` are the needs that were looked for, and `met` is
    the one that those chosen meet. The one chosen `alone` is the customer's favourite.
    """

    chosen: tuple[Nearby, ...] = ()
    considered: tuple[DecisionLine, ...] = ()
    nearby: tuple[Nearby, ...] = ()
    tried: tuple[Need, ...] = ()
    met: Need | None = None
    alone: bool = False


class Alike(NamedTuple):
    """So many friends who differ in nothing that a `reason` depends on, and one of them."""

    friend: Friend
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Others:
    """Those in reach of a booking who are not listed, at most `within_m` away (None: anywhere).

    When enough qualify, only those as near as everybody is listed are counted.
    """

    alike: Sequence[Alike] = ()
    within_m: int | None = None


NOT_IN_REASON: Final = frozenset(
    {"id", "ref", "lat", "lon", "radius_m", "areas", "version", "taken", "handed_back"}
    | {"jobs_per_day", "hand_backs_per_day"}
)
"""What no `reason` but the distance and an exclusion depends on."""
profile: Final = attrgetter(*(one.name for one in fields(Friend) if one.name not in NOT_IN_REASON))
"""All that a `reason` may depend on, as a tuple; exclusions and distance aside."""


def is_available(friend: Friend) -> bool:
    """Whether a friend could be awarded any job: active, reachable, below capacity."""
    return _unavailable(friend) is None and friend.open_jobs < friend.capacity


def may_be_awarded(friend: Friend, job: Job, now: datetime) -> bool:
    """Whether the desk may award this job to a friend who has agreed by telephone."""
    return (
        is_available(friend)
        and job.booking.customer_key not in friend.blocked
        and may_take(friend, job, now)
    )


def may_take(friend: Friend, job: Job, now: datetime) -> bool:
    """Whether this friend is old enough for the job, and a guardian consents where needed."""
    market = job.booking.market
    return is_old_enough(friend, ages.local_day(now, market), market, job.package.min_age)


def askable_filter(policy: Policy) -> Callable[[Friend], bool]:
    """A filter for friends who could be asked: available, and below the limit of live offers."""
    most = policy.live_offers_max
    return lambda friend: is_available(friend) and friend.live_offers < most


def traits(friend: Friend) -> int:
    """The traits of a friend, as bits."""
    return (
        TRAITS[friend.market] | TRAITS[friend.tier] | sum(TRAITS[one] for one in friend.languages)
    )


def reference_point(address: Point, cell: Point, policy: Policy) -> Point:
    """The point that radii, ranks and distances refer to: the address or its coarse cell."""
    return cell if policy.rank_by == RankBy.CELL else address


def booking_reference_point(booking: Booking, policy: Policy) -> Point:
    """The `reference_point` of a booking."""
    address = Point(lat=booking.lat, lon=booking.lon)
    return reference_point(address, Point(lat=booking.cell_lat, lon=booking.cell_lon), policy)


def needs(job: Job, now: datetime, policy: Policy) -> tuple[Need, ...]:
    """What to look for, in order: the current tier, then pros where the package allows them.

    While offers are live, only the current tier is asked; pros follow when nobody is left or the
    rounds are used up. The more often somebody has booked before, the more of a friend's room is
    left to others.
    """
    refused = [offer for offer in job.offers if offer.state in REFUSED_BY_FRIEND]
    return needs_of(
        search_of(job),
        customer_key=job.booking.customer_key,
        excluded=frozenset(offer.friend_id for offer in refused) | job.former.keys(),
        companies=(_companies(job.live), _companies(refused)),
        now=now,
        policy=policy,
        point=booking_reference_point(job.booking, policy),
    )


def _companies(offers: Iterable[Offer]) -> frozenset[CompanyId]:
    return frozenset(offer.company for offer in offers if offer.company)


def search_of(job: Job) -> Search:
    """What a fan-out for this job reads of the booking and the package."""
    booking, package = job.booking, job.package
    return Search(
        package=booking.package,
        package_tier=package.tier,
        certificates=tuple(sorted(package.certificates)),
        market=booking.market,
        language=booking.language,
        community=booking.partner_id if booking.members_only else None,
        tier=booking.tier,
        round=booking.round,
        round_limit=booking.round_limit,
        live=len(job.live),
        booked_before=booking.booked_before,
        min_age=package.min_age,
    )


def needs_of(
    search: Search,
    *,
    customer_key: CustomerKey,
    excluded: frozenset[FriendId],
    companies: Companies = NO_COMPANIES,
    now: datetime,
    policy: Policy,
    point: Point | None = None,
) -> tuple[Need, ...]:
    """The `needs` of a search, for a customer and without the friends who are `excluded`.

    Of `companies` the first are asked now, and the second are excluded.
    """
    tiers = [search.tier]
    if not search.live:
        if search.tier is Tier.FRIEND and search.package_tier is PackageTier.FRIEND_THEN_PRO:
            tiers.append(Tier.PRO)
        if search.round >= search.round_limit:
            tiers.remove(search.tier)
    return tuple(
        Need(
            certificates=frozenset(search.certificates),
            tier=tier,
            market=search.market,
            language=search.language,
            community=search.community,
            customer_key=customer_key,
            excluded=excluded,
            companies_asked=companies[0],
            companies_excluded=companies[1],
            live_offers_max=max(policy.live_offers_max - search.booked_before, 1),
            now=now,
            minute=local_minute(now, search.market),
            today=ages.local_day(now, search.market),
            min_age=search.min_age,
            point=point,
            least_level=policy.at(tier, search.package).least_level,
        )
        for tier in tiers
    )


def quote_needs(
    package: Package, market: Market, now: datetime, policy: Policy
) -> tuple[Need, ...]:
    """What to look for when quoting a price, before the customer is known."""
    tiers = [first_tier(package)]
    if package.tier is PackageTier.FRIEND_THEN_PRO:
        tiers.append(Tier.PRO)
    return tuple(
        Need(
            certificates=package.certificates,
            tier=tier,
            market=market,
            language=None,
            community=None,
            customer_key=None,
            excluded=frozenset(),
            live_offers_max=policy.live_offers_max,
            now=now,
            minute=None,
            today=ages.local_day(now, market),
            min_age=package.min_age,
            least_level=policy.at(tier, package.code).least_level,
        )
        for tier in tiers
    )


def reason(friend: Friend, distance_m: float, need: Need) -> Outcome | None:
    """The first reason why this friend may not be asked, or None.

    Distance comes last: an outcome that friends may see then reveals nothing about the address.
    """
    return (
        _unavailable(friend)
        or _unfit(friend, need)
        or _barred(friend, need)
        or _busy(friend, need)
        or _too_far(friend, distance_m, need)
    )


def _unavailable(friend: Friend) -> Outcome | None:
    if friend.state is not FriendState.ACTIVE:
        return Outcome.INACTIVE
    if not friend.channels:
        return Outcome.UNREACHABLE
    return None


def unfit(friend: Friend, need: Need) -> Outcome | None:
    """The first reason why this friend may not do such a job, be they free and near or not."""
    return _unfit(friend, need) or _barred(friend, need)


def _unfit(friend: Friend, need: Need) -> Outcome | None:
    if friend.market is not need.market:
        return Outcome.WRONG_MARKET
    if friend.tier is not need.tier:
        return Outcome.WRONG_TIER
    if friend.born and not is_old_enough(friend, need.today, need.market, need.min_age):
        return Outcome.TOO_YOUNG
    if need.certificates and not _is_certified(friend, need):
        return Outcome.NOT_CERTIFIED
    if need.language is not None and need.language not in friend.languages:
        return Outcome.NO_SHARED_LANGUAGE
    return None


def is_old_enough(friend: Friend, day: date, market: Market, min_age: int) -> bool:
    """Whether a friend is of age or has a guardian's consent, and is `min_age` on a day."""
    if friend.born is None:
        return True
    of_age = friend.guarded or ages.is_adult(friend.born, day, market)
    return of_age and ages.age_on(friend.born, day) >= min_age


def _is_certified(friend: Friend, need: Need) -> bool:
    for code in need.certificates:
        for held in friend.certificates:
            if held.code == code and held.is_valid(need.now):
                break
        else:
            return False
    return True


def _barred(friend: Friend, need: Need) -> Outcome | None:
    if need.community is not None and need.community not in friend.communities:
        return Outcome.NOT_A_MEMBER
    if friend.level < need.least_level:
        return Outcome.LEVEL_TOO_LOW
    if need.customer_key in friend.blocked:
        return Outcome.BLOCKED
    if need.excluded and friend.id in need.excluded:
        return Outcome.EXCLUDED
    if friend.company is not None:
        return _company_barred(friend.company, need)
    return None


def _company_barred(company: CompanyId, need: Need) -> Outcome | None:
    if company in need.companies_excluded:
        return Outcome.EXCLUDED
    return Outcome.COMPANY_ASKED if company in need.companies_asked else None


def _busy(friend: Friend, need: Need) -> Outcome | None:
    if friend.open_jobs >= friend.capacity:
        return Outcome.AT_CAPACITY
    if friend.live_offers >= need.live_offers_max:
        return Outcome.TOO_MANY_OFFERS
    if need.minute is not None:
        return _resting(friend, need.today, need.minute)
    return None


def _resting(friend: Friend, today: date, minute: int) -> Outcome | None:
    if friend.quiet is not None and is_quiet(friend.quiet, minute):
        return Outcome.QUIET_HOURS
    if friend.plan is not None and is_off(friend.plan, today, minute):
        return Outcome.OUTSIDE_PLAN
    return None


def _too_far(friend: Friend, distance_m: float, need: Need) -> Outcome | None:
    if distance_m > friend.radius_m and distance_m > reach_m(friend, distance_m, need.point):
        return Outcome.OUT_OF_RADIUS
    return None


def reach_m(friend: Friend, distance_m: float, point: Point | None) -> int:
    """How far from the base a friend may be asked: the radius, or up to a point in an area."""
    if distance_m > friend.radius_m and friend.areas and point and covered(friend.areas, point):
        return ceil(distance_m)
    return friend.radius_m


def rank(
    nearby: Sequence[Nearby], tried: Sequence[Need], *, asked: Iterable[FriendId], want: int
) -> Ranking:
    """The nearest `want` who meet the last need tried, and one outcome for each friend nearby.

    Ties are broken by friend id. A friend of a tier tried earlier is checked against that need.
    `asked` have a live offer: their outcome is OFFERED, and they are not asked again. A company is
    asked once, through its nearest.
    """
    already = frozenset(asked)
    by_tier = {need.tier: need for need in tried}
    chosen: list[Nearby] = []
    companies: set[CompanyId | None] = set()
    lines: list[DecisionLine] = []
    place = 0
    ordered = sorted(nearby, key=lambda near: (near.distance_m, near.friend.id))
    for near in ordered:
        friend, away_m = near
        friend_id = friend.id
        outcome = reason(friend, away_m, by_tier.get(friend.tier, tried[-1]))
        if outcome is None and friend.company is not None and friend.company in companies:
            outcome = Outcome.COMPANY_ASKED
        if already and friend_id in already:
            outcome = Outcome.OFFERED
        elif outcome is None and len(chosen) < want:
            chosen.append(near)
            companies.add(friend.company)
            outcome = Outcome.OFFERED
        elif outcome is not None:
            lines.append(DecisionLine(friend_id, outcome, int(away_m), None))
            continue
        place += 1
        lines.append(DecisionLine(friend_id, outcome or Outcome.RANKED_BELOW_K, int(away_m), place))
    return Ranking(
        chosen=tuple(chosen),
        considered=tuple(lines),
        nearby=tuple(ordered),
        tried=tuple(tried),
        met=tried[-1] if chosen else None,
    )


def choose(
    nearby: Sequence[Nearby],
    needs: Sequence[Need],
    *,
    asked: Iterable[FriendId],
    want: Callable[[Need], int],
    favourite: FriendId | None = None,
) -> Ranking:
    """The favourite alone, if they meet a need; else the `rank` by the first that somebody meets.

    When nobody meets any, it is the `rank` by the last.
    """
    if favourite is not None and (alone := _rank_alone(nearby, needs, favourite)):
        return alone
    ranking, already = Ranking(), frozenset(asked)
    for stage, need in enumerate(needs, start=1):
        ranking = rank(nearby, needs[:stage], asked=already, want=want(need))
        if ranking.met:
            break
    return ranking


def _rank_alone(
    nearby: Sequence[Nearby], needs: Sequence[Need], favourite: FriendId
) -> Ranking | None:
    """The ranking when the favourite is asked alone; None if they may not be asked now."""
    for near in nearby:
        if near.friend.id == favourite:
            met = next((need for need in needs if reason(*near, need) is None), None)
            if met is not None:
                ranking = rank(nearby, needs, asked=(favourite,), want=0)
                lines = tuple(map(_after_favourite, ranking.considered))
                return replace(ranking, chosen=(near,), considered=lines, met=met, alone=True)
    return None


def _after_favourite(line: DecisionLine) -> DecisionLine:
    later = line.outcome is Outcome.RANKED_BELOW_K
    return line._replace(outcome=Outcome.FAVOURITE_FIRST) if later else line


def first_tier(package: Package) -> Tier:
    """The tier asked first: pros for a package that needs one, else friends."""
    return Tier.PRO if package.tier is PackageTier.PRO else Tier.FRIEND


def travel_minutes(away_m: int, policy: Policy) -> int:
    """Estimated travel time by road, in minutes, rounded up to steps of five."""
    hours = away_m * policy.travel_detour_percent / 100 / (policy.travel_kmh * 1000)
    return max(ceil(hours * 60 / 5), 1) * 5


def metres_in(minutes: int, policy: Policy) -> int:
    """How far somebody comes in some minutes of `travel_minutes`, as the crow flies."""
    return int(minutes / 60 * policy.travel_kmh * 1000 * 100 / policy.travel_detour_percent)


def rounded_distance_m(booking: Booking, friend: Friend, policy: Policy) -> int:
    """Metres from a friend's base to the centre of the cell, rounded up: what offers show."""
    centre = Point(lat=booking.cell_lat, lon=booking.cell_lon)
    step = policy.shown_step_m
    return ceil(distance_m(Point(lat=friend.lat, lon=friend.lon), centre) / step) * step
