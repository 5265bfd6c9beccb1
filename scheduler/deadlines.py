"""Deadlines: what happens at its moment although nobody asks.

Theory of operation. Every deadline is a row in `timers`: the end of an offer's life, a reminder,
the twelve hours for contact, the next attempt for an unfilled booking. A sweep asks the flow `ring`
to act on those that are due, a hundred bookings at a time, until none is left. `ring` takes the
bookings' locks, passes over those that another process holds, and changes timer and booking in one
transaction. So any number of processes may sweep, and each timer fires once: whoever comes second
finds the timer gone or moved. A process killed in the middle has done nothing, and the next sweep
of any other does it again.

Nothing is remembered between two sweeps. apscheduler ticks once a second; after each sweep the
database is asked when the next timer is due, and if that is sooner the next tick is moved there.
A tick that comes late or twice does no harm, one that fails is followed by the next. Sweeping has
a tick of its own, in which nothing else is done, and no mail, no feed and no page delays it.

What time it is says the database alone, read after the locks. Should its clock jump, deadlines
would pass that nobody has missed, so a sentinel compares it with a clock that cannot be set. While
the two disagree nothing is rung, for five minutes at most: whoever set the clock on purpose need
not do anything, whoever did not has the time to set it right.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime

from dispatch.flows import jobs, upkeep
from dispatch.runtime import Runtime

log = logging.getLogger(__name__)

EVERY_S = 1.0
BATCH = 100
BATCHES_MAX = 50
SOONEST_S = 0.02
STUCK_S = 0.25
TOLERANCE_S = 30.0
DISTRUST_S = 300.0


def since_boot_s() -> float:
    """Seconds in a clock that nobody can set and that runs on while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class ClockSentinel:
    """Tells whether the wall clock may be believed; trusts the first look, then compares."""

    def __init__(self, steady_s: Callable[[], float] = since_boot_s) -> None:
        self._steady_s = steady_s
        self._trusted_s: float | None = None
        self._doubted: tuple[float, float] | None = None

    @property
    def trusted(self) -> bool:
        """What the last look found."""
        return self._doubted is None

    def look(self, wall: datetime) -> bool:
        """Compare `wall`, just read, with the steady clock; False while it is not believed."""
        steady_s = self._steady_s()
        ahead_s = wall.timestamp() - steady_s
        if self._trusted_s is None or _alike(ahead_s, self._trusted_s):
            self._trust(ahead_s, "agrees again")
        elif self._doubted is None or not _alike(ahead_s, self._doubted[0]):
            log.critical(
                "the database's clock jumped by %+.0f s: no deadline is acted on for %.0f s; "
                "set it right, or wait",
                ahead_s - self._trusted_s,
                DISTRUST_S,
            )
            self._doubted = (ahead_s, steady_s)
        elif steady_s - self._doubted[1] >= DISTRUST_S:
            self._trust(ahead_s, "has stayed where it is and is believed")
        return self.trusted

    def confirm(self) -> None:
        """Somebody says that the clock is right as it is: the next look believes it."""
        self._trusted_s = None

    def _trust(self, ahead_s: float, why: str) -> None:
        if self._doubted is not None:
            log.warning("the database's clock %s: deadlines are acted on again", why)
        self._trusted_s, self._doubted = ahead_s, None


class Deadlines:
    """Sweeps at every tick, and asks for the next tick when the next timer is due."""

    def __init__(
        self, rt: Runtime, *, sooner: Callable[[float], None], sentinel: ClockSentinel | None = None
    ) -> None:
        self._rt = rt
        self._sooner = sooner
        self.sentinel = sentinel or ClockSentinel()

    async def tick(self) -> None:
        """Act on what is due; DatabaseError when the database is away."""
        wall = await upkeep.wall(self._rt)
        if wall is not None and not self.sentinel.look(wall):
            return
        acted = await sweep(self._rt)
        due_s = await upkeep.next_due_s(self._rt)
        if due_s is not None and due_s < EVERY_S:
            # What is due and was not acted on lies in another's hands: no reason to hurry.
            self._sooner(max(due_s, SOONEST_S if acted or due_s > 0 else STUCK_S))


async def sweep(rt: Runtime) -> int:
    """Act on all due timers, five thousand bookings at most; returns on how many."""
    acted = 0
    for _ in range(BATCHES_MAX):
        rung = await jobs.ring(rt, BATCH)
        acted += rung
        if rung == 0:
            break
    return acted


def _alike(one_s: float, other_s: float) -> bool:
    return abs(one_s - other_s) <= TOLERANCE_S
