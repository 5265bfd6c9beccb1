"""The cancellation fee: none until some time before the appointment, then a part of the price.

There is no fee either after the appointment's end (the friend has not come), when the customer
disputes the contact that the friend has reported, or when the desk cancels.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from data.enums import BookingState
from data.records.jobs import Appointment
from data.records.money import Charge, Money
from dispatch.rules.jobs import contact, states
from dispatch.rules.jobs.draft import Draft
from dispatch.rules.jobs.refusals import FeeChanged
from dispatch.rules.money import prices
from dispatch.rules.policy import Policy

DESK = "operator:"


@dataclass(frozen=True, slots=True, kw_only=True)
class CancellationTerms:
    """The fee of cancelling at a moment, and until when it is free."""

    fee: Money
    free_until: datetime | None


def cancellation_terms(
    state: BookingState,
    price: Money,
    appointment: Appointment | None,
    *,
    contact_disputed: bool,
    now: datetime,
    policy: Policy,
) -> CancellationTerms | None:
    """The terms of cancelling `now`; None when the booking cannot be cancelled.

    `contact_disputed` is the result of `contact.is_disputed`.
    """
    if BookingState.CANCELLED not in states.BOOKING[state]:
        return None
    if appointment is None or contact_disputed:
        return CancellationTerms(fee=Money(amount=0, currency=price.currency), free_until=None)
    free_until = appointment.starts_at - policy.cancel_free_until
    late = free_until <= now <= appointment.ends_at
    amount = price.amount * policy.cancel_late_percent // 100 if late else 0
    return CancellationTerms(
        fee=Money(amount=amount, currency=price.currency), free_until=free_until
    )


def charge_fee(draft: Draft, fee_minor_max: int) -> dict[str, Any]:
    """Charge the cancellation fee; returns the fields for the event. Raises FeeChanged."""
    fee = _fee(draft)
    if fee.amount > fee_minor_max:
        raise FeeChanged(fee)
    if not fee.amount:
        return {}
    share = prices.pay(fee, draft.policy)
    draft.change(cancel_fee_minor=fee.amount)
    draft.charge = Charge(
        booking_id=draft.booking.id,
        friend_id=draft.held.friend_id,
        price=fee,
        pay=share,
        at=draft.now,
        company=draft.held.company,
    )
    return {"fee_minor": fee.amount, "share_minor": share.amount}


def _fee(draft: Draft) -> Money:
    booking, award = draft.booking, draft.case.job.award
    free = Money(amount=0, currency=booking.price.currency)
    if award is None or draft.case.actor.startswith(DESK):
        return free
    found = cancellation_terms(
        booking.state,
        booking.price,
        award.appointment,
        contact_disputed=contact.is_disputed(award),
        now=draft.now,
        policy=draft.policy,
    )
    return found.fee if found else free
