"""Callers queue, a writer takes whatever has gathered and commits it in one transaction.

While one batch commits, the next gathers; nobody waits for company, so that a lone caller loses
nothing. A second writer helps when a whole batch waits, or the first is held up: two at any time
would halve the batches, and a batch costs its ways to the database whatever its size. Each is
answered only after the commit. A batch that fails, for any other reason than the database being
away or busy, is carried out again one by one: then only the command that broke a constraint, or has
met a bug, hears of it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field

from data.db import Connection, ConstraintViolation, DatabaseError, run_with_retries
from data.enums import OfferState
from data.records.jobs import Changes
from dispatch.flows.execute import (
    Command,
    CommandResult,
    Deferred,
    ReferenceTaken,
    Result,
    StoredResponse,
    execute_all,
)
from dispatch.rules.jobs import states
from dispatch.rules.jobs.refusals import AppointmentOverlaps, AtCapacity
from dispatch.rules.refusals import Refused
from dispatch.runtime import Runtime

WRITERS = 2
BATCH = 64
STALLED_AFTER_S = 0.25
QUEUE_MAX = 2000
REFUSALS: dict[str, Callable[[], Refused]] = {
    "award_no_double_appointment": AppointmentOverlaps,
    "friend_capacity": AtCapacity,
    "booking_partner_reference": lambda: ReferenceTaken("another request took it just now"),
}


class Overloaded(Exception):
    """More requests wait than can be carried out in reasonable time; try again in a moment."""


@dataclass(frozen=True, slots=True, eq=False)
class _QueuedCommand:
    command: Command
    future: asyncio.Future[CommandResult | StoredResponse]


@dataclass(slots=True)
class GroupCommit:
    """The queue of one process."""

    rt: Runtime
    waiting: deque[_QueuedCommand] = field(default_factory=deque)
    writers: set[asyncio.Task[None]] = field(default_factory=set)
    stalled: set[int] = field(default_factory=set)

    async def execute(self, command: Command) -> CommandResult | StoredResponse:
        """Carry out a command and return after its commit; raises what the rules refuse."""
        if len(self.waiting) >= QUEUE_MAX:
            raise Overloaded
        future: asyncio.Future[CommandResult | StoredResponse] = (
            asyncio.get_running_loop().create_future()
        )
        self.waiting.append(_QueuedCommand(command, future))
        if not self.writers or self.stalled or len(self.waiting) >= BATCH:
            self._start_writer()
        return await future

    async def close(self) -> None:
        """Finish what has been begun."""
        while self.writers:
            await asyncio.gather(*self.writers)

    def _start_writer(self) -> None:
        if self.waiting and len(self.writers) < WRITERS:
            # It works for many callers and carries nobody's context, such as a request's number.
            self.writers.add(asyncio.create_task(self._write(), context=Context()))

    async def _write(self) -> None:
        me = asyncio.current_task()
        assert me is not None
        try:
            while self.waiting:
                await self._write_batch(
                    [self.waiting.popleft() for _ in range(min(BATCH, len(self.waiting)))]
                )
        finally:
            # In this step, not in a callback: a caller in between would count on a writer gone.
            self.writers.discard(me)

    async def _write_batch(self, batch: Sequence[_QueuedCommand]) -> None:
        late = asyncio.get_running_loop().call_later(
            STALLED_AFTER_S, self._start_second_writer, batch
        )
        try:
            results = await self._commit_or_isolate([one.command for one in batch])
        finally:
            late.cancel()
            self.stalled.discard(id(batch))
        later = []
        for one, result in zip(batch, results, strict=True):
            if isinstance(result, Deferred):
                later.append(one)
            else:
                _resolve(one.future, result)
        self.waiting.extendleft(reversed(later))

    def _start_second_writer(self, batch: Sequence[_QueuedCommand]) -> None:
        self.stalled.add(id(batch))
        self._start_writer()

    async def _commit_or_isolate(self, commands: Sequence[Command]) -> Sequence[Result]:
        try:
            return await self._commit(commands)
        except Exception as error:
            if len(commands) == 1:
                return [_refusal(error)]
            if isinstance(error, DatabaseError) and not isinstance(error, ConstraintViolation):
                return [error] * len(commands)
        return [result for one in commands for result in await self._commit_or_isolate([one])]

    def _jitter_s(self, attempt: int) -> float:
        return self.rt.chance.uniform(0, 0.02 * attempt)

    async def _commit(self, commands: Sequence[Command]) -> Sequence[Result]:
        async def work(tx: Connection) -> tuple[list[Result], list[Changes]]:
            return await execute_all(self.rt, tx, commands)

        results, changes = await run_with_retries(self.rt.pool, work, jitter_s=self._jitter_s)
        publish_changes(self.rt, changes)
        return results


def group_commit(rt: Runtime) -> GroupCommit:
    """The queue of this process, made at the first call."""
    if not isinstance(rt.group_commit, GroupCommit):
        rt.group_commit = GroupCommit(rt)
    return rt.group_commit


def publish_changes(rt: Runtime, changes: Sequence[Changes]) -> None:
    """After a commit: keep this process's index up with it, and hint to whoever listens."""
    for change in changes:
        for friend_id, by in change.open_jobs.items():
            rt.adjust_counters(friend_id, open_jobs=by)
        for offer in change.offers:
            if offer.state is OfferState.LIVE:
                rt.adjust_counters(offer.friend_id, live_offers=+1)
            elif offer.state in states.OFFER[OfferState.LIVE]:
                rt.adjust_counters(offer.friend_id, live_offers=-1)
    if changes:
        rt.notify(changes)


def _refusal(error: Exception) -> Exception:
    if isinstance(error, ConstraintViolation) and error.constraint in REFUSALS:
        return REFUSALS[error.constraint]()
    return error


def _resolve(future: asyncio.Future[CommandResult | StoredResponse], result: Result) -> None:
    if future.done():
        return
    if isinstance(result, CommandResult | StoredResponse):
        future.set_result(result)
    elif isinstance(result, Exception):
        future.set_exception(result)
