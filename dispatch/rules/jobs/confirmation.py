"""Confirmation of a customer's mail address, before anybody is asked.

A booking that nobody vouches for is `unconfirmed`: the customer gets a letter with a code of six
digits and a link, and nobody else learns of the booking. The code is entered on the booking's page;
wrong ones are counted. Unconfirmed by the deadline, it is cancelled without another letter.
"""

from __future__ import annotations

from data.enums import BookingState, TimerKind
from dispatch.rules.jobs import fan_out
from dispatch.rules.jobs.draft import Case, Draft, Verdict
from dispatch.rules.jobs.reasons import SystemReason
from dispatch.rules.jobs.refusals import TooManyCodes
from dispatch.rules.trust.mailed_secrets import Proof


def hold(case: Case, booked_before: int = 0) -> Verdict:
    """Create a booking that nobody vouches for; nobody is asked until it is confirmed."""
    draft = Draft(case)
    draft.change(round_limit=draft.policy.rounds, booked_before=booked_before)
    draft.change(state=BookingState.UNCONFIRMED)
    draft.set_timer(TimerKind.CONFIRMATION_DUE, case.now + draft.policy.confirm_within)
    draft.add_event("booking.created", package=draft.booking.package, unconfirmed=True)
    return draft.changes()


def confirm(case: Case, given: Proof) -> Verdict:
    """Confirm a booking and ask the nearest friends; a wrong code is counted.

    Once confirmed, a repeat changes nothing. Raises TooManyCodes: then only the link confirms.
    """
    draft = Draft(case)
    if draft.booking.state not in (BookingState.UNCONFIRMED, BookingState.CANCELLED):
        return None
    draft.require_state(BookingState.UNCONFIRMED)
    if given is not Proof.LINK and draft.booking.wrong_codes >= draft.policy.wrong_codes_max:
        raise TooManyCodes
    if given is Proof.NONE:
        draft.change(wrong_codes=draft.booking.wrong_codes + 1)
        return draft.changes()
    draft.confirmed_at = case.now
    draft.set_timer(TimerKind.CONFIRMATION_DUE, None)
    draft.add_event("booking.confirmed")
    return fan_out.begin(draft)


def expire(case: Case) -> Verdict:
    """Cancel a booking that was not confirmed in time."""
    draft = Draft(case)
    draft.set_timer(TimerKind.CONFIRMATION_DUE, None)
    if draft.booking.state is BookingState.UNCONFIRMED:
        draft.move(BookingState.CANCELLED)
        draft.add_event("booking.cancelled", reason=SystemReason.UNCONFIRMED, unconfirmed=True)
    return draft.changes()
