"""The demo's time: the trade's clock, run faster."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from data.store import test_clock

HOME: Final = ZoneInfo("Europe/Zurich")
MORNING: Final = 8
EVENING: Final = 20
BEGINNING: Final = 9


@dataclass(slots=True)
class Time:
    """The trade's clock as the actors reckon it: `at` when the loop's clock said `at_s`.

    It stands until `begun`; whoever sleeps before that sleeps until then first.
    """

    at: datetime
    at_s: float = 0.0
    speed: float = 0.0
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    def now(self) -> datetime:
        """What time it is in the town, in UTC."""
        gone_s = asyncio.get_running_loop().time() - self.at_s
        return self.at + timedelta(seconds=gone_s * self.speed)

    async def sleep(self, span: timedelta) -> None:
        """Let that much of the town's time pass."""
        await self.begun.wait()
        await asyncio.sleep(max(0.0, span.total_seconds() / self.speed))

    async def sleep_until(self, moment: datetime) -> None:
        """Wait until it is `moment` in the town."""
        await self.begun.wait()
        await self.sleep(moment - self.now())

    def is_night(self) -> bool:
        """Whether people sleep."""
        return not MORNING <= self.now().astimezone(HOME).hour < EVENING


async def stand(owner_dsn: str) -> Time:
    """Let the test clock stand: by day, and never before what has happened in an earlier run."""
    async with test_clock.owner_connection(owner_dsn) as connection:
        wall = (await test_clock.read(connection)).wall
        newest = await test_clock.newest_event_at(connection)
        at = max(daytime(wall), newest + timedelta(seconds=1)) if newest else daytime(wall)
        await test_clock.set_clock(connection, at, 0.0)
        return Time(at)


async def go(owner_dsn: str, time: Time, speed: float) -> None:
    """Let the clock run on from where it stands."""
    async with test_clock.owner_connection(owner_dsn) as connection:
        await test_clock.set_clock(connection, time.at, speed)
        time.at_s, time.speed = asyncio.get_running_loop().time(), speed
        time.begun.set()


async def halt(owner_dsn: str) -> None:
    """Let the clock stand until the next run."""
    async with test_clock.owner_connection(owner_dsn) as connection:
        now = await test_clock.read(connection)
        await test_clock.set_clock(connection, now.at, 0.0)


def daytime(wall: datetime) -> datetime:
    """`wall`, or nine in the morning of that day when people sleep."""
    local = wall.astimezone(HOME)
    if MORNING <= local.hour < EVENING - 2:
        return wall
    return local.replace(hour=BEGINNING, minute=0, second=0, microsecond=0).astimezone(wall.tzinfo)
