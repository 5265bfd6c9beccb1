"""The relay: delivers messages after their commit, at least once, in order per subject and reader.

While a message to a recipient is being delivered, no other to the same recipient is claimed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from data.db import Connection, transaction
from data.enums import Channel, SubjectKind
from data.records.ids import MessageId
from data.records.messages import Message
from data.store import mail_context, outbox
from data.store.outbox import DeliveryOutcome
from dispatch.runtime import Runtime
from scheduler.deliveries import LEASE_S, SEND_TIMEOUT_S, Deliveries
from scheduler.senders import Delivery, GiveUp, Obsolete, Result, Sender

BACK_OFF_S = (5.0, 30.0, 120.0, 600.0, 3600.0, 21_600.0, 21_600.0, 21_600.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedInContext:
    """A claimed message; `context` is None for one that has expired or has no more reader."""

    message: Message
    tries: int
    context: mail_context.Context | None

    @property
    def id(self) -> MessageId:
        """The message's id."""
        return self.message.id


class Relay(Deliveries[ClaimedInContext]):
    """Delivers messages through `senders`."""

    what = "message"
    back_off_s = BACK_OFF_S
    has_end = False

    def __init__(
        self,
        rt: Runtime,
        senders: Mapping[Channel, Sender],
        *,
        request_tick: Callable[[], None],
        send_timeout_s: float = SEND_TIMEOUT_S,
    ) -> None:
        super().__init__(request_tick=request_tick, send_timeout_s=send_timeout_s)
        self._rt = rt
        self._senders = senders

    async def _exchange(
        self, outcomes: Sequence[DeliveryOutcome], free: int
    ) -> list[ClaimedInContext]:
        async with transaction(self._rt.pool) as tx:
            await outbox.settle(tx, outcomes)
            busy = {one.message.recipient_id for one in self._under_way.values()}
            claimed = await outbox.claim(tx, free, lease_s=LEASE_S, busy=busy)
            about = await _contexts(tx, [one.message for one in claimed if not one.is_expired])
        return [
            ClaimedInContext(
                message=one.message, tries=one.tries, context=about.get(one.message.id)
            )
            for one in claimed
        ]

    async def _send(self, claimed: ClaimedInContext) -> Result:
        message = claimed.message
        if claimed.context is None:
            return Obsolete()
        sender = self._senders.get(message.channel)
        if sender is None:
            return GiveUp(f"there is no sender for the channel {message.channel}")
        return await sender.send(Delivery(message=message, context=claimed.context))


async def _contexts(
    tx: Connection, messages: Sequence[Message]
) -> Mapping[MessageId, mail_context.Context]:
    of_bookings = [m.id for m in messages if m.subject.kind is SubjectKind.BOOKING]
    others = [m.id for m in messages if m.subject.kind is not SubjectKind.BOOKING]
    return {
        **await mail_context.message_contexts(tx, of_bookings),
        **await mail_context.person_contexts(tx, others),
    }
