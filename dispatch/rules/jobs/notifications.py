"""From an event to the messages it calls for, as `events` declares.

Messages carry ids only. The sender looks up the rest when it delivers, so that a late message
cannot contain what its recipient may no longer know.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from data.records import subjects
from data.records.ids import MessageId, derived_id
from data.records.jobs import Booking
from data.records.messages import Event, Message
from dispatch.rules.jobs.events import CUSTOMER, EVENTS


def messages(booking: Booking, event: Event) -> Iterator[Message]:
    """The messages that `event` calls for; an undeclared event kind is a KeyError."""
    subject = subjects.booking(booking.id)
    for template, recipients in EVENTS[event.kind].messages:
        for recipient, data in recipients(event.data):
            recipient_id = booking.customer_id if recipient == CUSTOMER else recipient
            expires_at = data.get("expires_at")
            yield Message(
                id=MessageId(derived_id(booking.id, event.seq, template.name, str(recipient_id))),
                subject=subject,
                seq=event.seq,
                channel=template.channel,
                audience=template.audience,
                recipient_id=recipient_id,
                template=template.name,
                data={k: v for k, v in data.items() if k != "expires_at"},
                expires_at=datetime.fromisoformat(expires_at) if expires_at else None,
            )
