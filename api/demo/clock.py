"""The time of the demo: the test clock of its database."""

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
FIRST_HOUR: Final = 9


@dataclass(slots=True)
class SimulatedTime:
    """The test clock in this process: `at` is its time when the event loop's clock was `at_s`.

    It is paused until `started`; sleepers wait for that first.
    """

    at: datetime
    at_s: float = 0.0
    speed: float = 0.0
    started: asyncio.Event = field(default_factory=asyncio.Event)

    def now(self) -> datetime:
        """The simulated time in UTC."""
        elapsed_s = asyncio.get_running_loop().time() - self.at_s
        return self.at + timedelta(seconds=elapsed_s * self.speed)

    async def sleep(self, span: timedelta) -> None:
        """Sleep for a span of simulated time."""
        await self.started.wait()
        await asyncio.sleep(max(0.0, span.total_seconds() / self.speed))

    async def sleep_until(self, at: datetime) -> None:
        """Sleep until a simulated time."""
        await self.started.wait()
        await self.sleep(at - self.now())

    def is_night(self) -> bool:
        """Whether it is night in the towns."""
        return not MORNING <= self.now().astimezone(HOME).hour < EVENING


async def install_paused(owner_dsn: str) -> SimulatedTime:
    """Install the clock paused, by day and after the newest event of an earlier run."""
    async with test_clock.owner_connection(owner_dsn) as connection:
        wall = (await test_clock.read(connection)).wall
        newest = await test_clock.newest_event_at(connection)
        at = max(daytime(wall), newest + timedelta(seconds=1)) if newest else daytime(wall)
        await test_clock.set_clock(connection, at, 0.0)
        return SimulatedTime(at)


async def start(owner_dsn: str, time: SimulatedTime, speed: float) -> None:
    """Run the clock from its present time."""
    async with test_clock.owner_connection(owner_dsn) as connection:
        await test_clock.set_clock(connection, time.at, speed)
        time.at_s, time.speed = asyncio.get_running_loop().time(), speed
        time.started.set()


async def pause(owner_dsn: str) -> None:
    """Pause the clock until the next run."""
    async with test_clock.owner_connection(owner_dsn) as connection:
        now = await test_clock.read(connection)
        await test_clock.set_clock(connection, now.at, 0.0)


def daytime(wall: datetime) -> datetime:
    """`wall`, or nine in the morning of that day if it is night."""
    local = wall.astimezone(HOME)
    if MORNING <= local.hour < EVENING - 2:
        return wall
    return local.replace(hour=FIRST_HOUR, minute=0, second=0, microsecond=0).astimezone(wall.tzinfo)
