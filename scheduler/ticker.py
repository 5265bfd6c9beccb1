"""The clockwork: named jobs that tick every so often and carry nothing; work lies in tables.

apscheduler reckons in this host's wall clock, which somebody may set. Forwards does no harm. Set
back, every job would wait until the old time comes round again, for hours perhaps: so a second
look, in a clock that only runs forwards, calls such jobs back.
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
# apscheduler says at every tick that it ticks, and that it skipped one which was still running.
logging.getLogger("apscheduler").setLevel(logging.ERROR)


@dataclass(slots=True)
class _Job:
    """One named job; `wish_s` remembers that somebody asked for the next tick during this one."""

    tick: Tick
    every_s: float
    running: asyncio.Task[None] | None = None
    wish_s: float | None = None
    failure: type[Exception] | None = None
    succeeded_at_s: float | None = None


class Ticker:
    """Ticks named jobs, never the same one twice at a time, until it is stopped."""

    def __init__(self) -> None:
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        self._jobs: dict[str, _Job] = {}
        self._second_look: asyncio.Task[None] | None = None

    def every(self, every_s: float, name: str, tick: Tick) -> None:
        """Tick every `every_s` seconds, at once for the first time; to be called before start."""
        self._jobs[name] = _Job(tick, every_s)

    def start(self) -> None:
        """Begin to tick on the running event loop."""
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
        self._second_look = asyncio.create_task(self._look_again())

    async def stop(self, within_s: float) -> None:
        """Begin no more ticks, let those begun end; what takes longer than `within_s` is cut."""
        if self._second_look is None:
            return
        self._second_look.cancel()
        self._second_look = None
        self._scheduler.pause()
        await asyncio.sleep(0)
        running = [job.running for job in self._jobs.values() if job.running]
        if running:
            await asyncio.wait(running, timeout=within_s)
        self._scheduler.shutdown()
        cut = [task for task in running if not task.done()]
        # One turn of the loop for the scheduler, which shuts down and cancels in the next one.
        await asyncio.sleep(0)
        await asyncio.gather(*cut, return_exceptions=True)

    def sooner(self, name: str, in_s: float = 0.0) -> None:
        """Move the next tick to `in_s` seconds from now, if it would come later than that."""
        job = self._jobs[name]
        if self._second_look is None:
            return
        if job.running is not None:
            # A job that is due while it runs is skipped: ask again when it has ended.
            job.wish_s = in_s if job.wish_s is None else min(job.wish_s, in_s)
            return
        at = self._now() + timedelta(seconds=in_s)
        planned = self._scheduler.get_job(name)
        if planned is not None and planned.next_run_time > at:
            self._scheduler.modify_job(name, next_run_time=at)

    def since_s(self, name: str) -> float | None:
        """Seconds since this job last ended well; None when it never did."""
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
            wish_s, job.wish_s = job.wish_s, None
            if wish_s is not None:
                # After this task has ended: until then apscheduler takes it for running.
                asyncio.get_running_loop().call_later(wish_s, self.sooner, name)

    async def _look_again(self) -> None:
        while True:
            await asyncio.sleep(CLOCK_CHECK_S)
            for name, job in self._jobs.items():
                planned = self._scheduler.get_job(name)
                latest = self._now() + timedelta(seconds=job.every_s + CLOCK_CHECK_S)
                if planned is not None and planned.next_run_time > latest:
                    log.warning("this host's clock was set back; %s ticks on", name)
                    self._scheduler.modify_job(name, next_run_time=self._now())

    def _now(self) -> datetime:
        """This host's wall clock, which apscheduler reckons in; the trade never asks it."""
        return datetime.now(self._scheduler.timezone)  # noqa: TID251


def _log_failure(name: str, job: _Job, error: Exception) -> None:
    """Once for a row of like failures: a database that is away for an hour fills no disk."""
    if type(error) is job.failure:
        return
    job.failure = type(error)
    if isinstance(error, DatabaseError):
        log.warning("%s cannot work and tries on: %s", name, error)
    else:
        log.error("%s failed and tries on", name, exc_info=error)
