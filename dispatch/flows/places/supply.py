"""How many helpers could come to a place, as anybody may learn it by quotes.

Quotes are free, so they could be asked until a friend's base and radius are known to the metre.
Therefore everything counts from the middle of a cell: the customer, and each friend, whose radius
is rounded up to whole steps. All bases in a cell give the same answers, wherever is asked. What
counts are the friends as they were at one moment, so that answers change in steps of time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray

from data.enums import PackageTier
from data.markets import Market
from data.records.catalogue import Package
from data.records.people import Friend
from data.replace import replace
from dispatch.rules.jobs import matching
from dispatch.rules.jobs.matching import Need
from dispatch.rules.policy import Policy
from dispatch.runtime import Runtime
from geo import cells
from geo.point import Point, ecef

COUNTED_MAX: Final = 5
BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)

Key = tuple[frozenset[str], PackageTier, Market]


@dataclass(frozen=True, slots=True, eq=False)
class Supply:
    """Helpers by cell and rounded radius: earth-centred middles, radii in metres, and counts."""

    middles: NDArray[np.float64]
    radii_m: NDArray[np.float64]
    counts: NDArray[np.int64]

    def helpers(self, address: Point) -> str:
        """How many could come to the cell of an address: `0`, `1-4` or `5+`."""
        here = np.array(ecef(cells.centre(address)))
        reach = np.linalg.norm(self.middles - here, axis=1) <= self.radii_m
        found = int(self.counts[reach].sum())
        if found >= COUNTED_MAX:
            return f"{COUNTED_MAX}+"
        return f"1-{COUNTED_MAX - 1}" if found else "0"


def count_supply(friends: Iterable[Friend], needs: Sequence[Need], policy: Policy) -> Supply:
    """Count the friends who meet one of the needs, wherever they live."""
    step_m = policy.supply_radius_step_m
    able = Counter(
        (cells.centre(base_of(friend)), ceil(friend.radius_m / step_m) * step_m)
        for friend in friends
        if any(matching.reason(friend, 0.0, need) is None for need in needs)
    )
    return Supply(
        middles=np.array([ecef(middle) for middle, _ in able]).reshape(-1, 3),
        radii_m=np.array([radius_m for _, radius_m in able], dtype=np.float64),
        counts=np.array(list(able.values()), dtype=np.int64),
    )


def base_of(friend: Friend) -> Point:
    """The base of a friend."""
    return Point(lat=friend.lat, lon=friend.lon)


def at_cell(friend: Friend) -> Friend:
    """The friend with a base in the middle of the cell."""
    middle = cells.centre(base_of(friend))
    return replace(friend, lat=middle.lat, lon=middle.lon)


@dataclass(slots=True)
class SupplySteps:
    """The friends of this process's index as they were when the present step was first asked for.

    Within a step nothing changes, whatever happens to the friends meanwhile. A count is made once,
    for all who wait for it, and again after it failed. A request from one step earlier gets that of
    the present one; further back the clock was set back, and that step is the present one.
    """

    rt: Runtime
    step: int = -1
    friends: Sequence[Friend] = ()
    counts: dict[Key, asyncio.Task[Supply]] = field(default_factory=dict)

    async def supply(self, package: Package, market: Market, now: datetime) -> Supply:
        """The helpers for a package in a market."""
        step = (now - BEGINNING) // self.rt.policy.supply_step
        if not self.step - 1 <= step <= self.step:
            self.step, self.friends, self.counts = step, list(self.rt.index), {}
        key, counts = (package.certificates, package.tier, market), self.counts
        if key not in counts:
            needs = matching.quote_needs(package, market, now, self.rt.policy)
            count = asyncio.to_thread(count_supply, self.friends, needs, self.rt.policy)
            counts[key] = asyncio.create_task(count)
            counts[key].add_done_callback(lambda done: _drop_failed(counts, key, done))
        # Who no longer waits does not end the count of the others.
        return await asyncio.shield(counts[key])


def _drop_failed(
    counts: dict[Key, asyncio.Task[Supply]], key: Key, done: asyncio.Task[Supply]
) -> None:
    if done.cancelled() or done.exception() is not None:
        del counts[key]


def supply_steps(rt: Runtime) -> SupplySteps:
    """The supply of this runtime, created at the first call."""
    if not isinstance(rt.supply, SupplySteps) or rt.supply.rt is not rt:
        rt.supply = SupplySteps(rt)
    return rt.supply
