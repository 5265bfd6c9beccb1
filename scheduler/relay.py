"""The relay: delivers messages after their commit, at least once, in order per booking and reader.

At each tick one short transaction records the outcomes of finished deliveries and claims as many
messages as there are free slots. Sending happens outside any transaction; a slow recipient occupies
one slot and delays nobody else. A claim is a lease: if this process dies, the message is due again
when the lease ends, with the same id.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from uuid import UUID

from data.db import DatabaseError, transaction
from data.enums import Channel
from data.records.ids import MessageId
from data.store import mail_context, outbox
from data.store.outbox import ClaimedMessage, DeliveryOutcome, MessageState
from dispatch.runtime import Runtime
from scheduler.senders import Delivery, GiveUp, Obsolete, Result, Retry, Sender, Sent

log = logging.getLogger(__name__)

EVERY_S = 1.0
# Long enough for deliveries that end together to be settled in one transaction.
DEBOUNCE_S = 0.03
CONCURRENCY = 20
SEND_TIMEOUT_S = 45.0
LEASE_S = 120.0
BACK_OFF_S = (5.0, 30.0, 120.0, 600.0, 3600.0, 21_600.0, 21_600.0, 21_600.0)


class Relay:
    """Delivers messages through `senders`; `request_tick` asks for a tick soon."""

    def __init__(
        self,
        rt: Runtime,
        senders: Mapping[Channel, Sender],
        *,
        request_tick: Callable[[], None],
        send_timeout_s: float = SEND_TIMEOUT_S,
    ) -> None:
        self._rt = rt
        self._senders = senders
        self._request_tick = request_tick
        self._send_timeout_s = send_timeout_s
        self._under_way: dict[asyncio.Task[None], UUID] = {}
        self._outcomes: list[DeliveryOutcome] = []

    async def tick(self) -> None:
        """Settle finished deliveries, claim due messages, and start to deliver them."""
        free = CONCURRENCY - len(self._under_way)
        claimed, about = await self._settle_and_claim(free)
        for one in claimed:
            self._start_delivery(one, about.get(one.message.id))
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
            log.warning("%d messages may be sent again: %s", len(self._outcomes), error)

    async def _settle_and_claim(
        self, free: int
    ) -> tuple[list[ClaimedMessage], Mapping[MessageId, mail_context.MessageContext]]:
        outcomes, self._outcomes = self._outcomes, []
        try:
            async with transaction(self._rt.pool) as tx:
                await outbox.settle(tx, outcomes)
                busy = set(self._under_way.values())
                claimed = await outbox.claim(tx, free, lease_s=LEASE_S, busy=busy)
                about = await mail_context.message_contexts(
                    tx, [c.message.id for c in claimed if not c.is_expired]
                )
        except BaseException:
            self._outcomes = [*outcomes, *self._outcomes]
            raise
        return claimed, about

    def _start_delivery(
        self, claimed: ClaimedMessage, about: mail_context.MessageContext | None
    ) -> None:
        if claimed.is_expired or about is None:
            self._settle(claimed, Obsolete())
            return
        delivery = Delivery(message=claimed.message, context=about)
        task = asyncio.create_task(self._deliver(claimed, delivery))
        self._under_way[task] = claimed.message.recipient_id
        task.add_done_callback(self._on_delivered)

    def _on_delivered(self, task: asyncio.Task[None]) -> None:
        del self._under_way[task]
        self._request_tick()

    async def _deliver(self, claimed: ClaimedMessage, delivery: Delivery) -> None:
        self._settle(claimed, await self._result(delivery))

    async def _result(self, delivery: Delivery) -> Result:
        sender = self._senders.get(delivery.message.channel)
        if sender is None:
            return GiveUp(f"there is no sender for the channel {delivery.message.channel}")
        try:
            async with asyncio.timeout(self._send_timeout_s):
                return await sender.send(delivery)
        except TimeoutError:
            return Retry(f"it took longer than {self._send_timeout_s:g} s")
        except Exception as error:
            # Its text may contain an address, so only the kind and the place are logged.
            kind, place = type(error).__name__, _place(error)
            log.error("message %s failed with %s at %s", delivery.message.id, kind, place)
            return Retry(f"{kind} at {place}")

    def _settle(self, claimed: ClaimedMessage, result: Result) -> None:
        self._outcomes.append(outcome(claimed, result))


def outcome(claimed: ClaimedMessage, result: Result) -> DeliveryOutcome:
    """The new state of a message: sent, expired, parked, or pending after a back-off."""
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
            if claimed.tries <= len(BACK_OFF_S):
                state = MessageState.PENDING
                # Capped at our own last back-off, whatever the remote side asks for.
                requested_s = min(result.after_s or 0.0, BACK_OFF_S[-1])
                retry_after_s = max(BACK_OFF_S[claimed.tries - 1], requested_s)
                retry_after_s = min(retry_after_s, result.within_s)
    if state is MessageState.PARKED:
        log.error("message %s is parked: %s", claimed.message.id, problem)
    return DeliveryOutcome(
        id=claimed.message.id,
        tries=claimed.tries,
        state=state,
        problem=problem,
        retry_after_s=retry_after_s,
    )


def _place(error: BaseException) -> str:
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None:
        return "an unknown place"
    return f"{last.tb_frame.f_code.co_name}:{last.tb_lineno}"
