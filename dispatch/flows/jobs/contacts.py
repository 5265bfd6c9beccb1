"""Evidence of contact, by the friend and by the customer."""

from __future__ import annotations

from datetime import datetime

from data.records.ids import BookingId, FriendId
from dispatch.flows.execute import CommandResult, Facts
from dispatch.flows.jobs.callers import by_holder, by_permitted
from dispatch.rules.jobs import contact, thread
from dispatch.rules.jobs.draft import Case, Verdict
from dispatch.runtime import Runtime


async def answer_contest(
    rt: Runtime, booking_id: BookingId, friend_id: FriendId, called_at: datetime | None
) -> CommandResult:
    """Record the friend's evidence: a call, or without its time the messages of the two.

    Raises EvidenceUnfit.
    """

    def decide(case: Case, facts: Facts) -> Verdict:
        found = facts.threads.get(booking_id)
        return thread.answer_contest(case, called_at, found[0] if found else None)

    return await by_holder(rt, booking_id, friend_id, decide, with_thread=True)


async def confirm_reached(rt: Runtime, booking_id: BookingId) -> CommandResult:
    """Record the customer's word that the friend has been in touch."""
    return await by_permitted(rt, booking_id, "customer", lambda job: True, contact.confirm)
