"""The supply of helpers by steps of time, for quotes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from data.enums import PackageTier
from data.markets import Market
from data.records.catalogue import Package
from data.records.people import Friend
from dispatch.rules.jobs import matching
from dispatch.rules.jobs.supply import Supply, count_supply
from dispatch.runtime import Runtime

Key = tuple[frozenset[str], PackageTier, Market]
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class SupplySteps:
    """The friends of this process's index as they were when the present step was first asked for.

    Within a step nothing changes, whatever happens to the friends meanwhile.
    """

    rt: Runtime
    step: int = -1
    friends: Sequence[Friend] = ()
    counted: dict[Key, Supply] = field(default_factory=dict)

    async def supply(self, package: Package, market: Market, now: datetime) -> Supply:
        """The helpers for a package in a market."""
        step = (now - BEGINNING) // self.rt.policy.supply_step
        if step != self.step:
            self.step, self.friends, self.counted = step, list(self.rt.index), {}
        key = package.certificates, package.tier, market
        counted = self.counted
        if key not in counted:
            needs = matching.quote_needs(package, market, now, self.rt.policy)
            counted[key] = await asyncio.to_thread(
                count_supply, self.friends, needs, self.rt.policy
            )
        return counted[key]


def supply_steps(rt: Runtime) -> SupplySteps:
    """The supply of this runtime, created at the first call."""
    if not isinstance(rt.supply, SupplySteps) or rt.supply.rt is not rt:
        rt.supply = SupplySteps(rt)
    return rt.supply
