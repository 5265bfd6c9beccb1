"""Contesting a completion: the customer says that the job is not done, and the desk decides.

It is a mark on the award, not a state of the booking: `contest` is `open` until the desk has looked
into it, then `upheld` (the completion stands) or `reopened`. A reopened booking is offered again;
its charge is reversed, and the next completion makes another one.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final

from data.enums import AwardState, BookingState, OfferState
from data.records.jobs import Award
from dispatch.rules.jobs import contact, fan_out
from dispatch.rules.jobs.draft import Case, Draft, Verdict
from dispatch.rules.jobs.reasons import ContestReason
from dispatch.rules.jobs.refusals import ContestOver, NotInThisState
from dispatch.rules.policy import Policy

MARK: Final = "contest"


class Contest(StrEnum):
    """What became of an objection to a completion."""

    OPEN = "open"
    UPHELD = "upheld"
    REOPENED = "reopened"


def contest(case: Case, reason: ContestReason) -> Verdict:
    """Record the customer's objection for the desk; while it is open a repeat changes nothing.

    Raises ContestOver once the desk has decided, or too long after the completion.
    """
    draft = Draft(case)
    draft.require_state(BookingState.COMPLETED)
    if draft.held.marks.get(MARK) == Contest.OPEN:
        return None
    until = contestable_until(draft.held, draft.policy)
    if until is None or case.now >= until:
        raise ContestOver
    _mark(draft, Contest.OPEN)
    draft.add_event("completion.contested", friend=str(draft.held.friend_id), reason=reason)
    return draft.changes()


def uphold(case: Case) -> Verdict:
    """Dismiss the objection to a completion, or before one to a contact, for the desk.

    A repeat changes nothing.
    """
    draft = Draft(case)
    if draft.booking.state is not BookingState.COMPLETED:
        return contact.settle(case)
    if draft.held.marks.get(MARK) == Contest.UPHELD:
        return None
    _require_open(draft)
    _mark(draft, Contest.UPHELD)
    draft.add_event("completion.upheld", friend=str(draft.held.friend_id))
    return draft.changes()


def reopen(case: Case) -> Verdict:
    """Reopen a contested job for the desk: reverse its charge, release its friend, ask others.

    To let the same friend finish it, the desk then awards it by hand.
    """
    draft = Draft(case)
    draft.require_state(BookingState.COMPLETED)
    _require_open(draft)
    _mark(draft, Contest.REOPENED)
    award = draft.end_award(AwardState.RELEASED, OfferState.RELEASED)
    draft.reversed_at = case.now
    draft.add_event("booking.reopened", friend=str(award.friend_id))
    return fan_out.restart(draft)


def contestable_until(award: Award, policy: Policy) -> datetime | None:
    """Until when a completion can be contested; None unless completed and never contested."""
    if award.state is not AwardState.DONE or award.ended_at is None or MARK in award.marks:
        return None
    return award.ended_at + policy.contest_within


def _mark(draft: Draft, state: Contest) -> None:
    draft.amend_award(marks={**draft.held.marks, MARK: str(state)})


def _require_open(draft: Draft) -> None:
    if draft.held.marks.get(MARK) != Contest.OPEN:
        raise NotInThisState("it is completed, and no objection is open")
