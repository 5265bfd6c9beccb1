"""The areas of a friend beside the base, as given, made into what is searched."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from data.db import Connection, moment
from data.enums import AreaKind
from data.markets import Market
from data.records.ids import FriendId
from data.records.people import Area
from data.replace import replace
from data.store import friend_admin, friends
from dispatch.rules.jobs.matching import metres_in
from dispatch.rules.refusals import Refused
from dispatch.rules.trust import base_moves
from dispatch.runtime import Runtime
from geo.gazetteer.addresses import AddressRefused
from geo.outlines import OutlineInvalid, check_outline
from geo.point import Point
from geo.routing import RoutingFailed


class AreaInvalid(Refused):
    """An area is not valid; `name` is its field, `cure` what to do."""

    code = "area-invalid"

    def __init__(self, name: str, problem: str, cure: str) -> None:
        super().__init__(f"{problem}; {cure}")
        self.name, self.problem, self.cure = name, problem, cure


@dataclass(frozen=True, slots=True)
class _Rules:
    """What the areas of one friend are checked by, and those that are there."""

    rt: Runtime
    market: Market
    largest_m: int
    before: Sequence[Area]

    def check_point(self, name: str, lat: float, lon: float) -> None:
        try:
            self.rt.gazetteer.check_plausible(self.market, Point(lat, lon))
        except AddressRefused as refused:
            raise AreaInvalid(name, refused.problem, refused.cure) from None

    async def settle(self, name: str, area: Area) -> Area:
        """The area with what follows from it. Raises AreaInvalid."""
        if area.kind is AreaKind.POLYGON:
            return replace(area, ring=self._outline(f"{name}.outline", area))
        self.check_point(name, area.lat, area.lon)
        if area.kind is AreaKind.MINUTES:
            return await self._reach(f"{name}.minutes", area)
        self._check_radius(f"{name}.radius_m", area.radius_m)
        return area

    def _outline(self, name: str, area: Area) -> tuple[tuple[float, float], ...]:
        try:
            ring = check_outline(area.ring, self.largest_m)
        except OutlineInvalid as wrong:
            raise AreaInvalid(name, str(wrong), wrong.cure) from None
        for lon, lat in ring:
            self.check_point(name, lat, lon)
        return ring

    def _check_radius(self, name: str, radius_m: int) -> None:
        if radius_m > self.largest_m:
            cure = f"send {self.largest_m} at most, or ask the desk for more"
            raise AreaInvalid(name, "is more than the desk allows you", cure)

    async def _reach(self, name: str, area: Area) -> Area:
        """The area by the routing server, or a circle by the usual speed without one."""
        for one in self.before:
            if (one.kind, one.lat, one.lon, one.minutes) == _given(area):
                return one
        if self.rt.router is None:
            radius_m = metres_in(area.minutes, self.rt.policy)
            return replace(area, radius_m=min(radius_m, self.largest_m))
        try:
            ring = await self.rt.router.reach(Point(area.lat, area.lon), area.minutes)
            return replace(area, ring=check_outline(ring, 2 * self.largest_m))
        except (RoutingFailed, OutlineInvalid):
            cure = "try again later, or give a radius"
            raise AreaInvalid(name, "could not be made into an area now", cure) from None


def _given(area: Area) -> tuple[AreaKind, float, float, int]:
    return area.kind, area.lat, area.lon, area.minutes


async def settle_areas(rt: Runtime, row: Any, wanted: Sequence[Area]) -> list[Area]:
    """The areas as they are stored, of a friend's profile; asks the routing server.

    Raises AreaInvalid.
    """
    largest_m = row["radius_max_m"] or rt.policy.radius_max_m
    rules = _Rules(rt, Market(row["market"]), largest_m, friends.areas(row))
    named = [rules.settle(f"areas.{number}", area) for number, area in enumerate(wanted)]
    return list(await asyncio.gather(*named))


async def set_areas(rt: Runtime, tx: Connection, row: Any, areas: Sequence[Area]) -> None:
    """Set the areas; but for the first time an area more is a move of the base.

    Raises BaseMovedLately.
    """
    friend_id = FriendId(row["id"])
    if row["areas_since"] is not None and base_moves.adds_area(friends.areas(row), areas):
        now = await moment(tx)
        base_moves.check_move_allowed(row["base_moved_at"], now, rt.policy, field="areas")
        await friend_admin.record_base_move(tx, friend_id, now)
    await friend_admin.set_areas(tx, friend_id, areas)
