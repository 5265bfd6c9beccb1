"""Deadlines: timers that are acted on when they are due.

Theory of operation. Every deadline is a row in `timers`: the expiry of an offer, a contact
reminder, the contact deadline, the next attempt for an unfilled booking. A sweep calls the flow
`fire_due_timers` for a hundred bookings at a time until none is due. It locks the bookings, skips
those that another process has locked, and changes timer and booking in one transaction. So any
number of processes may sweep, and each timer fires once: the second process finds it gone or moved.
A process killed during a sweep has changed nothing, and the next sweep of any other does the work.

No state is kept between sweeps. apscheduler ticks once a second. After each sweep the database is
asked when the next timer is due; if that is sooner, the next tick is moved forward. A tick that
comes late or twice does no harm, and one that fails is followed by the next. Sweeps have a tick of
their own, so that no mail, index update or request delays them.

The only time that counts is the database's, read after the locks. If its clock jumped, deadlines
would pass that nobody missed, so a sentinel compares it with a monotonic clock. While the two
disagree no timer fires, for five minutes at most: a jump made on purpose needs no further action,
and one made by mistake can be corrected in that time.

A starting process has nothing to compare with and checks what it can. The clocks of the database
and of this host must agree; the last event must not lie in the future; and as long as the machine
has not been rebooted, the offset trusted by an earlier process still holds. A machine that was off
for a week passes all three. If one of the first two fails, no timer fires until they agree or
`tekkie clock confirm` states that the database is right: a late timer can be made up for, a job
taken from a friend too early cannot.
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
from dispatch.flows.people import certificates, exams, review_requests
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
    """Seconds of a clock that cannot be set and that includes suspended time."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def host_s() -> float:
    """This host's wall clock; used only to check the database's clock."""
    return time.time()  # noqa: TID251


def boot_id() -> str:
    """The id of the current boot; empty where the system provides none."""
    with suppress(OSError):
        return BOOT.read_text("ascii").strip()
    return ""


@dataclass(slots=True)
class TrustedOffset:
    """The offset of the database's clock from the monotonic one, in seconds, when last trusted.

    Stored in a file for the next process; valid until the machine is rebooted.
    """

    file: Path
    boot: str
    kept_s: float | None = None

    def load(self) -> float | None:
        """The offset stored by an earlier process during this boot, or None."""
        with suppress(OSError, ValueError):
            boot, ahead_s = self.file.read_text("ascii").split()
            if boot == self.boot:
                self.kept_s = float(ahead_s)
        return self.kept_s

    def save(self, ahead_s: float) -> None:
        """Store the offset if it has changed by a second or more."""
        if not self.boot or (self.kept_s is not None and abs(ahead_s - self.kept_s) < 1.0):
            return
        self.kept_s = ahead_s
        with suppress(OSError):
            fresh = self.file.with_name(f"{self.file.name}.{os.getpid()}")
            fresh.write_text(f"{self.boot} {ahead_s!r}\n", "ascii")
            fresh.replace(self.file)


class ClockSentinel:
    """Whether the database's clock can be trusted: checked at the start, then compared."""

    def __init__(
        self,
        steady_s: Callable[[], float] = since_boot_s,
        *,
        host_s: Callable[[], float] = host_s,
        stored: TrustedOffset | None = None,
    ) -> None:
        self._steady_s = steady_s
        self._host_s = host_s
        self._stored = stored
        self._trusted_s: float | None = None
        self._doubted: tuple[float, float] | None = None
        self._confirmed = False
        self.doubt = ""

    @property
    def trusted(self) -> bool:
        """The result of the last check."""
        return self._doubted is None and not self.doubt

    @property
    def started(self) -> bool:
        """Whether there is an offset to compare with."""
        return self._trusted_s is not None

    def start(self, wall: datetime, last_written: datetime | None, *, confirmed: bool) -> bool:
        """The first check, repeated until the clock is trusted; then the same as `check`."""
        doubt = "" if confirmed or self._confirmed else "; ".join(self._doubts(wall, last_written))
        if doubt:
            if not self.doubt:
                log.critical(
                    "%s: no deadline is acted on until that is corrected, or `tekkie clock "
                    "confirm` states that the database's clock is right",
                    doubt,
                )
            self.doubt = doubt
            return False
        if self.doubt:
            log.warning("the database's clock is trusted: deadlines are acted on")
        self.doubt = ""
        if self._stored is not None and not (confirmed or self._confirmed):
            self._trusted_s = self._stored.load()
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
        """Compare `wall`, just read, with the monotonic clock; False while it is not trusted."""
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
            self._trust(ahead_s, "has been steady since and is trusted")
        return self.trusted

    def confirm(self) -> None:
        """Trust the clock as it is at the next check: an operator has confirmed it."""
        self._trusted_s, self._confirmed = None, True

    def _trust(self, ahead_s: float, why: str) -> None:
        if self._doubted is not None:
            log.warning("the database's clock %s: deadlines are acted on again", why)
        self._trusted_s, self._doubted, self._confirmed = ahead_s, None, False
        if self._stored is not None:
            self._stored.save(ahead_s)


class Deadlines:
    """Sweeps at every tick, and moves the next tick to the next due timer."""

    def __init__(
        self, rt: Runtime, *, sooner: Callable[[float], None], sentinel: ClockSentinel | None = None
    ) -> None:
        self._rt = rt
        self._sooner = sooner
        self.sentinel = sentinel or ClockSentinel(
            stored=TrustedOffset(rt.settings.data_dir / OFFSET_FILE, boot_id())
        )

    async def tick(self) -> None:
        """Act on due timers. Raises DatabaseError when the database is unavailable."""
        wall = await maintenance.wall_clock(self._rt)
        if wall is not None and not await self._is_clock_trusted(wall):
            return
        acted = await sweep(self._rt)
        due_s = await maintenance.next_due_s(self._rt)
        if due_s is not None and due_s < EVERY_S:
            # What is due and was not acted on is locked by another process: no need to hurry.
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
    """Act on all due timers, of at most five thousand bookings and friends; returns how many."""
    acted = 0
    for flow in (commands, exams, certificates, review_requests):
        for _ in range(BATCHES_MAX):
            count = await flow.fire_due_timers(rt, BATCH)
            acted += count
            if count == 0:
                break
    return acted


def _is_close(one_s: float, other_s: float) -> bool:
    return abs(one_s - other_s) <= TOLERANCE_S
