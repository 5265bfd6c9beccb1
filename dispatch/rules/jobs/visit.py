"""From the award to the door: a call that never came, another time, and the way there.

None of these is a state of the booking: they are marks on the award, and a new appointment takes
back that he is on his way and that another time was asked for.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from data.enums import BookingState, Wish
from dispatch.rules.jobs.draft import Case, Draft, Verdict
from dispatch.rules.jobs.refusals import NotInThisState


def report_no_call(case: Case) -> Verdict:
    """The customer says that nobody has called; a repeat changes nothing.

    Once before the friend has claimed contact, which reminds him, and once after it: then the desk
    looks into it.
    """
    draft = Draft(case)
    draft.require_state(BookingState.AWARDED, BookingState.CONTACTED, BookingState.UNDER_WAY)
    if draft.held.appointment is not None:
        state = draft.booking.state
        raise NotInThisState(f"it is {state} with an appointment; ask to move that, or cancel")
    if draft.held.disputed_at is not None:
        return None
    claimed = draft.held.contacted_at is not None
    # A clock that was set back must not keep a customer from saying so.
    draft.amend_award(disputed_at=max(case.now, draft.held.contacted_at or draft.held.awarded_at))
    draft.add_event("contact.disputed", friend=str(draft.held.friend_id), claimed=claimed)
    return draft.changes()


def request_move(case: Case, wishes: tuple[Wish, ...], note: str | None) -> Verdict:
    """The customer asks for another time; the friend is told and answers with an appointment.

    Asked again with the same wishes, nobody is told twice: only the note is replaced.
    """
    draft = Draft(case)
    draft.require_state(BookingState.CONTACTED, BookingState.SCHEDULED)
    if draft.held.appointment is None:
        raise NotInThisState(f"it is {draft.booking.state} without an appointment; agree on one")
    again = draft.held.move_asked_at is not None and draft.held.move_wishes == wishes
    if again and note is None:
        return None
    draft.move_note = note or ""
    if again:
        return draft.changes()
    draft.amend_award(move_asked_at=case.now, move_wishes=wishes)
    draft.add_event(
        "appointment.move_asked",
        friend=str(draft.held.friend_id),
        wishes=[str(wish) for wish in wishes],
        revision=draft.held.appointment.revision,
    )
    return draft.changes()


def mark_on_the_way(case: Case) -> Verdict:
    """The friend has set out; the customer is told. A repeat changes nothing."""
    draft = Draft(case)
    if case.job.award and case.job.award.on_the_way_at:
        return None
    draft.require_state(BookingState.CONTACTED, BookingState.SCHEDULED)
    # A clock that was set back must not keep a friend from setting out.
    draft.amend_award(on_the_way_at=max(case.now, draft.held.contacted_at or case.now))
    draft.add_event("booking.on_the_way", friend=str(draft.held.friend_id))
    return draft.changes()


def delay(case: Case, minutes: int) -> Verdict:
    """Record that the friend will be `minutes` late for the appointment.

    The same delay reported again changes nothing; a new appointment clears it.
    """
    draft = Draft(case)
    draft.require_state(BookingState.SCHEDULED)
    if draft.held.marks.get("delayed_minutes") == minutes:
        return None
    draft.amend_award(marks={**draft.held.marks, "delayed_minutes": minutes})
    draft.add_event("booking.delayed", friend=str(draft.held.friend_id), minutes=minutes)
    return draft.changes()


def appointment_end(starts_at: datetime, minutes: int) -> datetime:
    """When an appointment ends if nobody says otherwise: after the package's own minutes."""
    return starts_at + timedelta(minutes=minutes)
