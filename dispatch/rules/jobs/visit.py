"""Between award and visit: a missing call, a request for another time, and the friend's way.

None of these is a state of the booking; they are marks on the award. A new appointment clears the
mark that the friend is on the way and the request for another time.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from data.enums import BookingState, TimerKind, Wish
from data.records.jobs import Award
from dispatch.rules.jobs import contact
from dispatch.rules.jobs.draft import Case, Draft, Verdict
from dispatch.rules.jobs.refusals import NotInThisState
from dispatch.rules.policy import Policy


def report_no_call(case: Case) -> Verdict:
    """Record the customer's report that nobody has called; a repeat changes nothing.

    It is accepted once before the friend has confirmed contact, and reminds the friend; and once
    after it: then the job is paused until the friend answers, and the desk sees it. Under way it is
    for the desk alone.
    """
    draft = Draft(case)
    draft.require_state(BookingState.AWARDED, BookingState.CONTACTED, BookingState.UNDER_WAY)
    if draft.held.appointment is not None:
        state = draft.booking.state
        raise NotInThisState(f"it is {state} with an appointment; request another time, or cancel")
    if draft.held.disputed_at is not None:
        return None
    claimed = draft.held.contacted_at is not None
    # A clock that was set back must not keep a customer from reporting it.
    draft.amend_award(disputed_at=max(case.now, draft.held.contacted_at or draft.held.awarded_at))
    until = {}
    if draft.booking.state is BookingState.CONTACTED:
        contact.pause(draft)
        until = {"answer_by": draft.held.marks["answer_by"]}
    draft.add_event("contact.disputed", friend=str(draft.held.friend_id), claimed=claimed, **until)
    return draft.changes()


def request_move(case: Case, wishes: tuple[Wish, ...], note: str | None) -> Verdict:
    """Record the customer's request for another time; the friend answers with an appointment.

    A repeat with the same wishes notifies nobody again; it only replaces the note.
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


def remind_agreement(case: Case) -> Verdict:
    """Remind both that no appointment was entered since the friend has reached the customer."""
    draft = Draft(case)
    draft.set_timer(TimerKind.AGREEMENT_DUE, None)
    if draft.booking.state is BookingState.CONTACTED and draft.held.appointment is None:
        draft.add_event("appointment.missing", friend=str(draft.held.friend_id))
    return draft.changes()


def mark_on_the_way(case: Case) -> Verdict:
    """Record that the friend has set out, and notify the customer; a repeat changes nothing."""
    draft = Draft(case)
    if case.job.award and case.job.award.on_the_way_at:
        return None
    draft.require_state(BookingState.CONTACTED, BookingState.SCHEDULED)
    contact.require_unpaused(draft)
    # A clock that was set back must not keep a friend from setting out.
    draft.amend_award(on_the_way_at=max(case.now, draft.held.contacted_at or case.now))
    draft.add_event("booking.on_the_way", friend=str(draft.held.friend_id))
    return draft.changes()


def take_back_on_the_way(case: Case) -> Verdict:
    """Record that the friend is not on the way after all; a repeat changes nothing."""
    draft = Draft(case)
    draft.require_state(BookingState.CONTACTED, BookingState.SCHEDULED)
    if draft.held.on_the_way_at is None:
        return None
    draft.amend_award(on_the_way_at=None)
    draft.add_event("booking.not_on_the_way", friend=str(draft.held.friend_id))
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
    """The default end of an appointment: after the package's minutes."""
    return starts_at + timedelta(minutes=minutes)


def leave_from(award: Award, policy: Policy) -> datetime | None:
    """From when the friend may set out without being asked whether it is a mistake.

    None without an appointment.
    """
    met = award.appointment
    return met.starts_at - policy.early_departure if met else None


def completion_possible_at(award: Award, minutes: int, policy: Policy) -> datetime:
    """From when the job can be completed without the customer's signature, as a whole second.

    Counted from the start of the work; without one, from the contact or the appointment's
    beginning, whichever is later.
    """
    began = award.started_at or max(
        award.contacted_at or award.awarded_at,
        award.appointment.starts_at if award.appointment else award.awarded_at,
    )
    least = timedelta(minutes=minutes) * policy.complete_after_percent / 100
    return (began + least).replace(microsecond=0)
