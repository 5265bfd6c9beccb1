"""Coverage maps: where a package can be served, for the desk and for the public."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from time import monotonic

from data.db import moment, transaction
from data.enums import Outcome, PackageTier
from data.markets import Market
from data.records.catalogue import Package
from data.records.ids import PartnerId
from data.records.people import Friend
from data.store import coverage as rows
from data.store import friends
from dispatch.flows.places.supply import at_cell
from dispatch.rules.jobs import matching
from dispatch.rules.jobs.catalogue import package_named
from dispatch.rules.jobs.matching import Need
from dispatch.rules.money import prices
from dispatch.runtime import Runtime
from geo.coverage import maps
from geo.coverage.maps import Area, Demand, Frame, Summary, TownIndex
from geo.gazetteer.population import towns_of

BUSY = frozenset({Outcome.AT_CAPACITY, Outcome.TOO_MANY_OFFERS})
PUBLIC_MAP_LIFE_S = 900.0

Key = tuple[frozenset[str], PackageTier, Market]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageMap:
    """A map of cells with the number of friends in each, and a summary for the country."""

    frame: Frame
    summary: Summary


async def coverage_map(
    rt: Runtime, *, package: str, market: Market, include_busy: bool
) -> CoverageMap:
    """The desk's map of friends who could come. Raises UnknownPackage, NotSoldHere.

    `include_busy` counts friends without free capacity, too.
    """
    wanted = _find_sold(rt, package, market, _owner(rt, package))
    able: list[Friend] = []
    async with transaction(rt.pool) as tx:
        now = await moment(tx)
        needs = matching.quote_needs(wanted, market, now, rt.policy)
        async for page in friends.all_friends(tx, now):
            able += filter_qualified(page, needs, include_busy=include_busy)
    return await asyncio.to_thread(_build_map, rt, able, market)


async def unmet_demand(
    rt: Runtime, *, days: int, market: Market | None, package: str | None
) -> Frame:
    """The desk's map of bookings of the last days that found nobody or too few friends."""
    if package is not None:
        package_named(rt.packages, package, _owner(rt, package))
    async with transaction(rt.pool) as tx:
        found = await rows.unmet_demand(tx, days=days, market=market, package=package)
    demands = [Demand(**asdict(row)) for row in found]
    return await asyncio.to_thread(maps.unmet_map, demands, rt.gazetteer)


def filter_qualified(
    candidates: Iterable[Friend], needs: Sequence[Need], *, include_busy: bool
) -> list[Friend]:
    """The friends who meet one of the needs, wherever in their radius."""
    acceptable = BUSY if include_busy else frozenset[Outcome]()
    return [
        friend
        for friend in candidates
        if any(
            (reason := matching.reason(friend, 0.0, need)) is None or reason in acceptable
            for need in needs
        )
    ]


class PublicMaps:
    """The public maps, from this process's index; cached, and computed one at a time.

    Busy friends are counted, so that the map does not reveal when a friend is busy. Each friend
    counts from the middle of the cell that quotes count from: two grids would reveal more than one.
    """

    def __init__(self, rt: Runtime, clock: Callable[[], float] = monotonic) -> None:
        self._rt = rt
        self._clock = clock
        self._atlas: TownIndex | None = None
        self._made: dict[Key, tuple[float, list[Area]]] = {}
        self._lock = asyncio.Lock()

    async def areas(
        self, package: str, market: Market, partner: PartnerId | None = None
    ) -> list[Area]:
        """The areas of a package in a market. Raises UnknownPackage, NotSoldHere."""
        wanted = _find_sold(self._rt, package, market, partner)
        key = wanted.certificates, wanted.tier, market
        async with self._lock:
            made_at, found = self._made.get(key, (None, []))
            if made_at is None or self._clock() - made_at > PUBLIC_MAP_LIFE_S:
                found = await self._make(wanted, market)
                self._made[key] = self._clock(), found
        return found

    async def _make(self, package: Package, market: Market) -> list[Area]:
        async with transaction(self._rt.pool) as tx:
            now = await moment(tx)
        all_friends = list(self._rt.index)
        return await asyncio.to_thread(self._areas, all_friends, package, market, now)

    def _areas(
        self, all_friends: list[Friend], package: Package, market: Market, now: datetime
    ) -> list[Area]:
        if self._atlas is None:
            self._atlas = TownIndex(self._rt.gazetteer)
        needs = matching.quote_needs(package, market, now, self._rt.policy)
        able = [at_cell(one) for one in filter_qualified(all_friends, needs, include_busy=True)]
        return maps.public_areas(able, market, self._atlas)


def _build_map(rt: Runtime, able: list[Friend], market: Market) -> CoverageMap:
    frame = maps.coverage_map(able, market, rt.gazetteer)
    return CoverageMap(frame=frame, summary=maps.summary(able, towns_of(market, rt.gazetteer)))


def _find_sold(rt: Runtime, code: str, market: Market, partner: PartnerId | None) -> Package:
    package = package_named(rt.packages, code, partner).in_market(market)
    prices.price(package, market)
    return package


def _owner(rt: Runtime, code: str) -> PartnerId | None:
    """Whose package this is; the desk sees the maps of all."""
    package = rt.packages.get(code)
    return package.owner if package else None
