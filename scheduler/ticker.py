"""The ticker: calls named jobs at intervals. Jobs carry no data; their work is in tables.

apscheduler uses this host's wall clock, which can be set. Set forwards does no harm. Set back,
every job would wait until the old time is reached again; a check by the monotonic clock
reschedules them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from data.db import DatabaseError

log = logging.getLogger(__name__)

Tick = Callable[[], Awaitable[object]]

CLOCK_CHECK_S = 1.0
# apscheduler logs every tick, and every one it skips because a job is still running.
logging.getLogger("apscheduler").setLevel(logging.ERROR)


@dataclass(slots=True)
class _Job:
    """One named job; `requested_s` is a next tick requested while it was running."""

    tick: Tick
    every_s: float
    running: asyncio.Task[None] | None = None
    requested_s: float | None = None
    failure: type[Exception] | None = None
    succeeded_at_s: float | None = None


class Ticker:
    """Calls named jobs, each never twice at a time, until it is stopped."""

    def __init__(self) -> None:
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        self._jobs: dict[str, _Job] = {}
        self._clock_check: asyncio.Task[None] | None = None

    def every(self, every_s: float, name: str, tick: Tick) -> None:
        """Add a job that runs every `every_s` seconds, first at once; call before `start`."""
        self._jobs[name] = _Job(tick, every_s)

    def start(self) -> None:
        """Start ticking on the running event loop."""
        for name, job in self._jobs.items():
            self._scheduler.add_job(
                self._run,
                IntervalTrigger(seconds=job.every_s, timezone="UTC"),
                args=[name],
                id=name,
                next_run_time=self._now(),
                coalesce=True,
                max_instances=1,
                misfire_grace_time=None,
            )
        self._scheduler.start()
        self._clock_check = asyncio.create_task(self._check_clock())

    async def stop(self, within_s: float) -> None:
        """Start no more ticks and await running ones; those over `within_s` are cancelled."""
        if self._clock_check is None:
            return
        self._clock_check.cancel()
        self._clock_check = None
        self._scheduler.pause()
        await asyncio.sleep(0)
        running = [job.running for job in self._jobs.values() if job.running]
        if running:
            await asyncio.wait(running, timeout=within_s)
        self._scheduler.shutdown()
        cut = [task for task in running if not task.done()]
        # The scheduler shuts down and cancels in the next iteration of the event loop.
        await asyncio.sleep(0)
        await asyncio.gather(*cut, return_exceptions=True)

    def sooner(self, name: str, in_s: float = 0.0) -> None:
        """Move the next tick to `in_s` seconds from now unless it is sooner anyway."""
        job = self._jobs[name]
        if self._clock_check is None:
            return
        if job.running is not None:
            # A job that is due while it runs is skipped: request again when it has ended.
            job.requested_s = in_s if job.requested_s is None else min(job.requested_s, in_s)
            return
        at = self._now() + timedelta(seconds=in_s)
        planned = self._scheduler.get_job(name)
        if planned is not None and planned.next_run_time > at:
            self._scheduler.modify_job(name, next_run_time=at)

    def since_s(self, name: str) -> float | None:
        """Seconds since this job last succeeded; None when it never did."""
        succeeded_at_s = self._jobs[name].succeeded_at_s
        if succeeded_at_s is None:
            return None
        return asyncio.get_running_loop().time() - succeeded_at_s

    async def _run(self, name: str) -> None:
        job = self._jobs[name]
        job.running = asyncio.current_task()
        try:
            await job.tick()
        except Exception as error:
            _log_failure(name, job, error)
        else:
            job.succeeded_at_s = asyncio.get_running_loop().time()
            if job.failure is not None:
                log.warning("%s works again", name)
            job.failure = None
        finally:
            job.running = None
            requested_s, job.requested_s = job.requested_s, None
            if requested_s is not None:
                # After this task has ended: until then apscheduler counts it as running.
                asyncio.get_running_loop().call_later(requested_s, self.sooner, name)

    async def _check_clock(self) -> None:
        while True:
            await asyncio.sleep(CLOCK_CHECK_S)
            for name, job in self._jobs.items():
                planned = self._scheduler.get_job(name)
                latest = self._now() + timedelta(seconds=job.every_s + CLOCK_CHECK_S)
                if planned is not None and planned.next_run_time > latest:
                    log.warning("this host's clock was set back; %s ticks on", name)
                    self._scheduler.modify_job(name, next_run_time=self._now())

    def _now(self) -> datetime:
        """This host's wall clock, which apscheduler uses; dispatching never does."""
        return datetime.now(self._scheduler.timezone)  # noqa: TID251


def _log_failure(name: str, job: _Job, error: Exception) -> None:
    """Log once per series of equal failures, so that a long outage does not fill the disk."""
    if type(error) is job.failure:
        return
    job.failure = type(error)
    if isinstance(error, DatabaseError):
        log.warning("%s cannot work and keeps trying: %s", name, error)
    else:
        log.error("%s failed and keeps trying", name, exc_info=error)
