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

A process that starts has nothing to compare with, and asks what it can know. Two clocks that do not
know of each other, the database's and this host's, must agree; the event written last must not lie
in the future; and on a machine that has not been started anew, what a process before it trusted
still holds. A machine that was off for a week passes all three. Where one of the first two fails
nothing is rung until they agree or somebody says with `tekkie clock confirm` that the database is
right: to ring late can be mended, to take jobs from those who have time left cannot.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dispatch.flows import maintenance
from dispatch.flows.jobs import commands
from dispatch.runtime import Runtime

log = logging.getLogger(__name__)

EVERY_S = 1.0
BATCH = 100
BATCHES_MAX = 50
SOONEST_S = 0.02
STUCK_S = 0.25
TOLERANCE_S = 30.0
DISTRUST_S = 300.0
OFFSET_FILE = "clock"
BOOT = Path("/proc/sys/kernel/random/boot_id")


def since_boot_s() -> float:
    """Seconds in a clock that nobody can set and that runs on while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def host_s() -> float:
    """This host's wall clock, which the trade never asks: only whether the database's agrees."""
    return time.time()  # noqa: TID251


def boot_id() -> str:
    """A name for the time since this machine was started; empty where the system gives none."""
    with suppress(OSError):
        return BOOT.read_text("ascii").strip()
    return ""


@dataclass(slots=True)
class TrustedOffset:
    """How far the database's clock was ahead of the steady one when it was last trusted.

    Kept in a file, for the next process; it holds until the machine is started anew.
    """

    file: Path
    boot: str
    kept_s: float | None = None

    def load(self) -> float | None:
        """What a process before this one kept; None when there is nothing."""
        with suppress(OSError, ValueError):
            boot, ahead_s = self.file.read_text("ascii").split()
            if boot == self.boot:
                self.kept_s = float(ahead_s)
        return self.kept_s

    def save(self, ahead_s: float) -> None:
        """Remember, where there is something new."""
        if not self.boot or (self.kept_s is not None and abs(ahead_s - self.kept_s) < 1.0):
            return
        self.kept_s = ahead_s
        with suppress(OSError):
            fresh = self.file.with_name(f"{self.file.name}.{os.getpid()}")
            fresh.write_text(f"{self.boot} {ahead_s!r}\n", "ascii")
            fresh.replace(self.file)


class ClockSentinel:
    """Tells whether the wall clock may be believed: asks at the beginning, then compares."""

    def __init__(
        self,
        steady_s: Callable[[], float] = since_boot_s,
        *,
        host_s: Callable[[], float] = host_s,
        memory: TrustedOffset | None = None,
    ) -> None:
        self._steady_s = steady_s
        self._host_s = host_s
        self._memory = memory
        self._trusted_s: float | None = None
        self._doubted: tuple[float, float] | None = None
        self._confirmed = False
        self.doubt = ""

    @property
    def trusted(self) -> bool:
        """What the last look found."""
        return self._doubted is None and not self.doubt

    @property
    def started(self) -> bool:
        """Whether it has something to compare with."""
        return self._trusted_s is not None

    def start(self, wall: datetime, last_written: datetime | None, *, confirmed: bool) -> bool:
        """The first look, and every one until it is believed; then it is as `look`."""
        doubt = "" if confirmed or self._confirmed else "; ".join(self._doubts(wall, last_written))
        if doubt:
            if not self.doubt:
                log.critical(
                    "%s: no deadline is acted on until that is mended, or `tekkie clock confirm` "
                    "says that the database's clock is right",
                    doubt,
                )
            self.doubt = doubt
            return False
        if self.doubt:
            log.warning("the database's clock is believed: deadlines are acted on")
        self.doubt = ""
        if self._memory is not None and not (confirmed or self._confirmed):
            self._trusted_s = self._memory.load()
        return self.check(wall)

    def _doubts(self, wall: datetime, last_written: datetime | None) -> Iterator[str]:
        ahead_s = wall.timestamp() - self._host_s()
        if abs(ahead_s) > TOLERANCE_S:
            yield f"the database's clock and this host's are {ahead_s:+.0f} s apart"
        if last_written is not None:
            early_s = (last_written - wall).total_seconds()
            if early_s > TOLERANCE_S:
                yield f"the last event lies {early_s:.0f} s in the future of the database's clock"

    def check(self, wall: datetime) -> bool:
        """Compare `wall`, just read, with the steady clock; False while it is not believed."""
        steady_s = self._steady_s()
        ahead_s = wall.timestamp() - steady_s
        if self._trusted_s is None or _is_close(ahead_s, self._trusted_s):
            self._trust(ahead_s, "agrees again")
        elif self._doubted is None or not _is_close(ahead_s, self._doubted[0]):
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
        self._trusted_s, self._confirmed = None, True

    def _trust(self, ahead_s: float, why: str) -> None:
        if self._doubted is not None:
            log.warning("the database's clock %s: deadlines are acted on again", why)
        self._trusted_s, self._doubted, self._confirmed = ahead_s, None, False
        if self._memory is not None:
            self._memory.save(ahead_s)


class Deadlines:
    """Sweeps at every tick, and asks for the next tick when the next timer is due."""

    def __init__(
        self, rt: Runtime, *, sooner: Callable[[float], None], sentinel: ClockSentinel | None = None
    ) -> None:
        self._rt = rt
        self._sooner = sooner
        self.sentinel = sentinel or ClockSentinel(
            memory=TrustedOffset(rt.settings.data_dir / OFFSET_FILE, boot_id())
        )

    async def tick(self) -> None:
        """Act on what is due; DatabaseError when the database is away."""
        wall = await maintenance.wall_clock(self._rt)
        if wall is not None and not await self._is_clock_trusted(wall):
            return
        acted = await sweep(self._rt)
        due_s = await maintenance.next_due_s(self._rt)
        if due_s is not None and due_s < EVERY_S:
            # What is due and was not acted on lies in another's hands: no reason to hurry.
            self._sooner(max(due_s, SOONEST_S if acted or due_s > 0 else STUCK_S))

    async def _is_clock_trusted(self, wall: datetime) -> bool:
        if self.sentinel.started:
            return self.sentinel.check(wall)
        return self.sentinel.start(
            wall,
            await maintenance.last_event_at(self._rt),
            confirmed=await maintenance.is_clock_confirmed(self._rt),
        )


async def sweep(rt: Runtime) -> int:
    """Act on all due timers, five thousand bookings at most; returns on how many."""
    acted = 0
    for _ in range(BATCHES_MAX):
        rung = await commands.fire_due_timers(rt, BATCH)
        acted += rung
        if rung == 0:
            break
    return acted


def _is_close(one_s: float, other_s: float) -> bool:
    return abs(one_s - other_s) <= TOLERANCE_S
