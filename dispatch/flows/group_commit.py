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

from data.db import Connection, ConstraintBroken, DatabaseError, repeat
from data.enums import OfferState
from data.records.jobs import Changes
from dispatch.flows.execute import (
    Command,
    Done,
    Later,
    ReferenceTaken,
    Repeated,
    Result,
    decide_all,
)
from dispatch.rules.jobs import states
from dispatch.rules.jobs.refusals import AppointmentOverlaps, AtCapacity
from dispatch.rules.refusals import Refused
from dispatch.runtime import Runtime

WRITERS = 2
BATCH = 64
HELD_UP_S = 0.25
WAITING_MAX = 2000
REFUSALS: dict[str, Callable[[], Refused]] = {
    "award_no_double_appointment": AppointmentOverlaps,
    "friend_capacity": AtCapacity,
    "booking_partner_reference": lambda: ReferenceTaken("another request took it just now"),
}


class Overloaded(Exception):
    """More requests wait than can be carried out in reasonable time; try again in a moment."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    command: Command
    answer: asyncio.Future[Done | Repeated]


@dataclass(slots=True)
class Together:
    """The queue of one process."""

    rt: Runtime
    waiting: deque[_Waiting] = field(default_factory=deque)
    writers: set[asyncio.Task[None]] = field(default_factory=set)
    held_up: set[int] = field(default_factory=set)

    async def do(self, command: Command) -> Done | Repeated:
        """Carry out a command and return after its commit; raises what the rules refuse."""
        if len(self.waiting) >= WAITING_MAX:
            raise Overloaded
        answer: asyncio.Future[Done | Repeated] = asyncio.get_running_loop().create_future()
        self.waiting.append(_Waiting(command, answer))
        if not self.writers or self.held_up or len(self.waiting) >= BATCH:
            self._begin()
        return await answer

    async def close(self) -> None:
        """Finish what has been begun."""
        while self.writers:
            await asyncio.gather(*self.writers)

    def _begin(self) -> None:
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

    async def _write_batch(self, batch: Sequence[_Waiting]) -> None:
        late = asyncio.get_running_loop().call_later(HELD_UP_S, self._help, batch)
        try:
            results = await self._settle([one.command for one in batch])
        finally:
            late.cancel()
            self.held_up.discard(id(batch))
        later = []
        for one, result in zip(batch, results, strict=True):
            if isinstance(result, Later):
                later.append(one)
            else:
                _reply(one.answer, result)
        self.waiting.extendleft(reversed(later))

    def _help(self, batch: Sequence[_Waiting]) -> None:
        self.held_up.add(id(batch))
        self._begin()

    async def _settle(self, commands: Sequence[Command]) -> Sequence[Result]:
        try:
            return await self._commit(commands)
        except Exception as error:
            if len(commands) == 1:
                return [_refusal(error)]
            if isinstance(error, DatabaseError) and not isinstance(error, ConstraintBroken):
                return [error] * len(commands)
        return [result for one in commands for result in await self._settle([one])]

    def _jitter_s(self, attempt: int) -> float:
        return self.rt.chance.uniform(0, 0.02 * attempt)

    async def _commit(self, commands: Sequence[Command]) -> Sequence[Result]:
        async def work(tx: Connection) -> tuple[list[Result], list[Changes]]:
            return await decide_all(self.rt, tx, commands)

        results, changes = await repeat(self.rt.pool, work, jitter_s=self._jitter_s)
        publish(self.rt, changes)
        return results


def together(rt: Runtime) -> Together:
    """The queue of this process, made at the first call."""
    if not isinstance(rt.gathering, Together):
        rt.gathering = Together(rt)
    return rt.gathering


def publish(rt: Runtime, changes: Sequence[Changes]) -> None:
    """After a commit: keep this process's index up with it, and hint to whoever listens."""
    for change in changes:
        for friend_id, by in change.open_jobs.items():
            rt.count(friend_id, open_jobs=by)
        for offer in change.offers:
            if offer.state is OfferState.LIVE:
                rt.count(offer.friend_id, live_offers=+1)
            elif offer.state in states.OFFER[OfferState.LIVE]:
                rt.count(offer.friend_id, live_offers=-1)
    if changes:
        rt.tell(changes)


def _refusal(error: Exception) -> Exception:
    if isinstance(error, ConstraintBroken) and error.constraint in REFUSALS:
        return REFUSALS[error.constraint]()
    return error


def _reply(answer: asyncio.Future[Done | Repeated], result: Result) -> None:
    if answer.done():
        return
    if isinstance(result, Done | Repeated):
        answer.set_result(result)
    elif isinstance(result, Exception):
        answer.set_exception(result)
