"""Deliveries in progress: what the relays of messages and of mails about accounts share.

At each tick one short transaction records the outcomes of finished deliveries and claims as many as
there are free slots. Sending happens outside any transaction; a slow recipient occupies one slot
and delays nobody else. A claim is a lease: if this process dies, what it claimed is due again when
the lease ends, with the same id.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, Generic, Protocol, TypeVar
from uuid import UUID

from data.db import DatabaseError
from data.store.outbox import DeliveryOutcome, MessageState
from scheduler.senders import GiveUp, Obsolete, Result, Retry, Sent

log = logging.getLogger(__name__)

EVERY_S = 1.0
# Long enough for deliveries that end together to be settled in one transaction.
DEBOUNCE_S = 0.03
CONCURRENCY = 20
SEND_TIMEOUT_S = 45.0
LEASE_S = 120.0


class Claim(Protocol):
    """What is to be delivered, claimed until its lease ends; `tries` includes this attempt."""

    @property
    def id(self) -> UUID:
        """The same on every attempt."""
        ...

    @property
    def tries(self) -> int:
        """How many attempts were begun."""
        ...


C = TypeVar("C", bound=Claim)


class Deliveries(ABC, Generic[C]):
    """Delivers what is due; `request_tick` asks for a tick soon.

    `back_off_s` are the pauses between attempts. After the last one it is parked, unless it
    `has_end`: then the last pause is repeated until it expires.
    """

    what: ClassVar[str]
    back_off_s: Sequence[float]
    has_end: ClassVar[bool]

    def __init__(
        self, *, request_tick: Callable[[], None], send_timeout_s: float = SEND_TIMEOUT_S
    ) -> None:
        self._request_tick = request_tick
        self._send_timeout_s = send_timeout_s
        self._under_way: dict[asyncio.Task[None], C] = {}
        self._outcomes: list[DeliveryOutcome] = []

    @abstractmethod
    async def _exchange(self, outcomes: Sequence[DeliveryOutcome], free: int) -> Sequence[C]:
        """Record outcomes and claim at most `free`, in one transaction."""

    @abstractmethod
    async def _send(self, claimed: C) -> Result:
        """Deliver once; an exception counts as Retry."""

    async def tick(self) -> None:
        """Settle finished deliveries, claim what is due, and start to deliver it."""
        free = CONCURRENCY - len(self._under_way)
        claimed = await self._settle_and_claim(free)
        for one in claimed:
            task = asyncio.create_task(self._deliver(one))
            self._under_way[task] = one
            task.add_done_callback(self._on_delivered)
        if self._outcomes or 0 < free == len(claimed):
            self._request_tick()

    async def finish(self, within_s: float) -> None:
        """Await deliveries in progress, cancel those over `within_s`, and record the outcomes."""
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=within_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        try:
            await self._settle_and_claim(0)
        except DatabaseError as error:
            log.warning("%s: %d may be sent again: %s", self.what, len(self._outcomes), error)

    async def _settle_and_claim(self, free: int) -> Sequence[C]:
        outcomes, self._outcomes = self._outcomes, []
        try:
            return await self._exchange(outcomes, free)
        except BaseException:
            self._outcomes = [*outcomes, *self._outcomes]
            raise

    def _on_delivered(self, task: asyncio.Task[None]) -> None:
        del self._under_way[task]
        self._request_tick()

    async def _deliver(self, claimed: C) -> None:
        self._settle(claimed, await self._result(claimed))

    async def _result(self, claimed: C) -> Result:
        try:
            async with asyncio.timeout(self._send_timeout_s):
                return await self._send(claimed)
        except TimeoutError:
            return Retry(f"it took longer than {self._send_timeout_s:g} s")
        except Exception as error:
            # Its text may contain an address, so only the kind and the place are logged.
            kind, place = type(error).__name__, _place(error)
            log.error("%s %s failed with %s at %s", self.what, claimed.id, kind, place)
            return Retry(f"{kind} at {place}")

    def _settle(self, claimed: C, result: Result) -> None:
        self._outcomes.append(self._outcome(claimed, result))

    def _outcome(self, claimed: C, result: Result) -> DeliveryOutcome:
        """The new state: sent, expired, parked, or pending after a back-off."""
        state, problem, retry_after_s = MessageState.SENT, None, 0.0
        match result:
            case Sent():
                pass
            case Obsolete():
                state = MessageState.EXPIRED
            case GiveUp():
                state, problem = MessageState.PARKED, result.problem
            case Retry():
                state, problem = MessageState.PARKED, result.problem
                if self.has_end or claimed.tries <= len(self.back_off_s):
                    state, retry_after_s = MessageState.PENDING, self._pause_s(claimed, result)
        if state is MessageState.PARKED:
            log.error("%s %s is parked: %s", self.what, claimed.id, problem)
        return DeliveryOutcome(
            id=claimed.id,
            tries=claimed.tries,
            state=state,
            problem=problem,
            retry_after_s=retry_after_s,
        )

    def _pause_s(self, claimed: C, result: Retry) -> float:
        own_s = self.back_off_s[min(claimed.tries, len(self.back_off_s)) - 1]
        # Capped at our own last back-off, whatever the remote side asks for.
        requested_s = min(result.after_s or 0.0, self.back_off_s[-1])
        return min(max(own_s, requested_s), result.within_s)


def _place(error: BaseException) -> str:
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None:
        return "an unknown place"
    return f"{last.tb_frame.f_code.co_name}:{last.tb_lineno}"
