"""Group commit: commands queue, and a writer executes all queued ones in one transaction.

While one batch commits, the next one queues; a lone command is executed at once. A second writer
starts when a whole batch is queued or the first writer is stalled: two at all times would halve the
batches, and a batch costs the same round trips whatever its size. A caller gets its result only
after the commit. A batch that fails, except because the database is unavailable or busy, is
executed again one by one, so that only the command that broke a constraint or met a bug fails.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field

from data.db import Connection, ConstraintViolation, DatabaseError, DatabaseFull, run_with_retries
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
FULL_FOR_S = 10.0
REFUSALS: dict[str, Callable[[], Refused]] = {
    "award_no_double_appointment": AppointmentOverlaps,
    "friend_capacity": AtCapacity,
    "booking_partner_reference": lambda: ReferenceTaken("another request took it just now"),
}


class Overloaded(Exception):
    """Too many commands are queued; try again in a moment."""


@dataclass(frozen=True, slots=True, eq=False)
class _QueuedCommand:
    command: Command
    future: asyncio.Future[CommandResult | StoredResponse]


@dataclass(slots=True)
class GroupCommit:
    """The command queue of one process; `stalled` are batches that take too long.

    `full_at_s` is when the database was last full, on the clock of the event loop.
    """

    rt: Runtime
    waiting: deque[_QueuedCommand] = field(default_factory=deque)
    writers: set[asyncio.Task[None]] = field(default_factory=set)
    stalled: set[int] = field(default_factory=set)
    full_at_s: float = -math.inf

    def is_database_full(self) -> bool:
        """Whether the last commit failed for that, a moment ago: later another may try."""
        return asyncio.get_running_loop().time() < self.full_at_s + FULL_FOR_S

    async def execute(self, command: Command) -> CommandResult | StoredResponse:
        """Execute a command; returns after its commit. Raises Overloaded, or what rules refuse."""
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
        """Wait until all queued commands are executed."""
        while self.writers:
            await asyncio.gather(*self.writers)

    def _start_writer(self) -> None:
        if self.waiting and len(self.writers) < WRITERS:
            # It serves many callers, so it runs in no caller's context (such as a request id).
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
            # Not in a done callback: a caller in between would rely on a writer that has ended.
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

        try:
            results, changes = await run_with_retries(self.rt.pool, work, jitter_s=self._jitter_s)
        except DatabaseFull:
            self.full_at_s = asyncio.get_running_loop().time()
            raise
        self.full_at_s = -math.inf
        publish_changes(self.rt, changes)
        return results


def group_commit(rt: Runtime) -> GroupCommit:
    """The queue of this runtime, created at the first call."""
    if not isinstance(rt.group_commit, GroupCommit):
        rt.group_commit = GroupCommit(rt)
    return rt.group_commit


def publish_changes(rt: Runtime, changes: Sequence[Changes]) -> None:
    """After a commit: update this process's index and what it knows, and notify its listeners."""
    for change in changes:
        rt.kept_policies.update(d.policy_id for d in change.decisions if d.policy_id)
        for friend_id, by in change.open_jobs.items():
            rt.adjust_counters(friend_id, open_jobs=by)
        for offer in change.offers:
            if offer.state is OfferState.LIVE:
                rt.adjust_counters(offer.friend_id, live_offers=+1)
            elif offer.state in states.OFFER[OfferState.LIVE]:
                holder = change.passed.get(offer.id, offer.friend_id)
                rt.adjust_counters(holder, live_offers=-1)
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
