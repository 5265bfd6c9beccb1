"""Evidence of contact, by the friend and by the customer."""

from __future__ import annotations

from datetime import datetime

from data.records.ids import BookingId, FriendId
from dispatch.flows.execute import CommandResult
from dispatch.flows.jobs.callers import by_holder, by_permitted
from dispatch.rules.jobs import contact
from dispatch.runtime import Runtime


async def answer_contest(
    rt: Runtime, booking_id: BookingId, friend_id: FriendId, called_at: datetime
) -> CommandResult:
    """Record the friend's evidence of a call. Raises EvidenceUnfit."""
    return await by_holder(
        rt, booking_id, friend_id, lambda case, facts: contact.answer(case, called_at)
    )


async def confirm_reached(rt: Runtime, booking_id: BookingId) -> CommandResult:
    """Record the customer's word that the friend has been in touch."""
    return await by_permitted(rt, booking_id, "customer", lambda job: True, contact.confirm)
