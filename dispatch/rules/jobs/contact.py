"""Contact between friend and customer: its evidence, and a contact that the customer contests.

A friend who reports contact is believed until the customer contests it. The contest is a mark on
the award: `open` pauses the job's other clocks until the friend answers with evidence (a call, or
messages that the customer has read or answered), the customer confirms the contact, or the desk
decides. Unanswered, the job goes out again by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from data.enums import AwardState, BookingState, OfferState, TimerKind
from data.records.jobs import Award
from dispatch.rules.jobs import fan_out
from dispatch.rules.jobs.draft import Case, Draft, Verdict
from dispatch.rules.jobs.refusals import (
    ContactContested,
    ContactDeadlinePassed,
    EvidenceUnfit,
    NotInThisState,
)

MARK: Final = "contact_contest"
MARKS: Final = frozenset({MARK, "answer_by", "called_at"})
"""The marks of a contest, which outlive a new appointment."""


class ContactContest(StrEnum):
    """What became of a customer's report that the contact did not happen."""

    OPEN = "open"
    ANSWERED = "answered"
    SETTLED = "settled"


class Evidence(StrEnum):
    """What shows that friend and customer are in contact, beside the friend's word."""

    CALL = "call"
    MESSAGES = "messages"
    CUSTOMER = "customer"
    DESK = "desk"


UNSETTLED: Final = frozenset({ContactContest.OPEN, ContactContest.ANSWERED})


def record(draft: Draft, evidence: Evidence | None = None) -> None:
    """Record that friend and customer are in contact, and stop the contact deadline.

    It settles a report of the customer that nobody called; the customer may report it once more.
    """
    # A clock that was set back must not keep a friend from confirming the call.
    at = max(draft.now, draft.held.awarded_at)
    draft.amend_award(contacted_at=at, disputed_at=None)
    draft.set_timer(TimerKind.CONTACT_REMINDER, None)
    draft.set_timer(TimerKind.CONTACT_DEADLINE, None)
    draft.set_timer(TimerKind.AGREEMENT_DUE, draft.now + draft.policy.agree_within)
    draft.move(BookingState.CONTACTED)
    proof = {"evidence": evidence} if evidence else {}
    draft.add_event("booking.contacted", friend=str(draft.held.friend_id), **proof)


def confirm(case: Case) -> Verdict:
    """Record the customer's word that the friend has been in touch; a repeat changes nothing.

    Before the deadline it counts as the contact; later it settles the customer's own contest.
    """
    draft = Draft(case)
    if draft.booking.state is BookingState.AWARDED:
        if case.now >= draft.held.contact_due_at:
            raise ContactDeadlinePassed
        record(draft, Evidence.CUSTOMER)
        return draft.changes()
    draft.require_state(BookingState.CONTACTED, BookingState.SCHEDULED, BookingState.UNDER_WAY)
    if _state(draft.held) not in UNSETTLED:
        return None
    return _settle(draft, Evidence.CUSTOMER)


def pause(draft: Draft) -> None:
    """Pause the job that the customer contests until the friend answers."""
    due = draft.now + draft.policy.answer_contest_within
    _mark(draft, ContactContest.OPEN, answer_by=due.isoformat())
    draft.set_timer(TimerKind.AGREEMENT_DUE, None)
    draft.set_timer(TimerKind.CONTACT_CONTESTED, due)


def answer(case: Case, called_at: datetime | None, *, reached: bool = False) -> Verdict:
    """Record the friend's evidence, which ends the pause; a repeat changes nothing.

    It is a call between the award and now; or, without its time, that a message has `reached` the
    customer, who has read or answered it. Raises EvidenceUnfit.
    """
    draft = Draft(case)
    if _state(draft.held) in (ContactContest.ANSWERED, ContactContest.SETTLED):
        return None
    _require_open(draft)
    fits = reached if called_at is None else draft.held.awarded_at <= called_at <= case.now
    if not fits:
        raise EvidenceUnfit
    call = {"called_at": called_at.isoformat()} if called_at else {}
    evidence = Evidence.CALL if call else Evidence.MESSAGES
    _resume(draft, ContactContest.ANSWERED, **call)
    draft.add_event("contact.answered", friend=str(draft.held.friend_id), evidence=evidence, **call)
    return draft.changes()


def settle(case: Case) -> Verdict:
    """Decide for the desk that the contact happened; a repeat changes nothing."""
    draft = Draft(case)
    if case.job.award is not None and _state(draft.held) is ContactContest.SETTLED:
        return None
    if case.job.award is None or _state(draft.held) not in UNSETTLED:
        raise NotInThisState(f"it is {draft.booking.state}, and no objection is open")
    return _settle(draft, Evidence.DESK)


def expire(case: Case) -> Verdict:
    """Take the job from a friend who has not answered the contest, and ask others."""
    draft = Draft(case)
    draft.set_timer(TimerKind.CONTACT_CONTESTED, None)
    if case.job.award is None or not is_paused(draft.held):
        return draft.changes()
    due = datetime.fromisoformat(draft.held.marks["answer_by"])
    if case.now < due:
        draft.set_timer(TimerKind.CONTACT_CONTESTED, due)
        return draft.changes()
    award = draft.end_award(AwardState.RELEASED, OfferState.RELEASED)
    draft.add_event("contact.unanswered", friend=str(award.friend_id), award=str(award.id))
    return fan_out.restart(draft)


def is_paused(award: Award) -> bool:
    """Whether the job waits for the friend's answer to a contest."""
    return _state(award) is ContactContest.OPEN


def is_disputed(award: Award) -> bool:
    """Whether the customer contests the contact that the friend reported, and nobody settled it."""
    contacted_at, disputed_at = award.contacted_at, award.disputed_at
    if contacted_at is None or disputed_at is None or disputed_at < contacted_at:
        return False
    return _state(award) is not ContactContest.SETTLED


def require_unpaused(draft: Draft) -> None:
    """Raise ContactContested while the job waits for the friend's answer."""
    if draft.award is not None and is_paused(draft.award):
        raise ContactContested


def kept_marks(award: Award) -> Mapping[str, Any]:
    """The marks that a new appointment leaves."""
    return {name: value for name, value in award.marks.items() if name in MARKS}


def _settle(draft: Draft, evidence: Evidence) -> Verdict:
    _resume(draft, ContactContest.SETTLED)
    draft.add_event("contact.settled", friend=str(draft.held.friend_id), evidence=evidence)
    return draft.changes()


def _resume(draft: Draft, state: ContactContest, **marks: str) -> None:
    was_paused = is_paused(draft.held)
    _mark(draft, state, **marks)
    draft.set_timer(TimerKind.CONTACT_CONTESTED, None)
    if was_paused:
        draft.set_timer(TimerKind.AGREEMENT_DUE, draft.now + draft.policy.agree_within)


def _mark(draft: Draft, state: ContactContest, **marks: str) -> None:
    draft.amend_award(marks={**draft.held.marks, **marks, MARK: str(state)})


def _require_open(draft: Draft) -> None:
    if not is_paused(draft.held):
        raise NotInThisState(f"it is {draft.booking.state}, and no objection is open")


def _state(award: Award) -> ContactContest | None:
    found = award.marks.get(MARK)
    return ContactContest(found) if found else None
