"""What cancelling costs: nothing until a day before the appointment, later a part of the price.

It costs nothing either when the friend has let the customer wait beyond the appointment's end, when
she says that the contact he claims never was, or when the desk cancels.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from data.enums import BookingState
from data.records.jobs import Appointment
from data.records.money import Charge, Money
from dispatch.rules.jobs import states
from dispatch.rules.jobs.draft import Draft
from dispatch.rules.jobs.refusals import FeeChanged
from dispatch.rules.money import prices
from dispatch.rules.policy import Policy

DESK = "operator:"


@dataclass(frozen=True, slots=True, kw_only=True)
class CancellationTerms:
    """What cancelling costs at a moment; `free_until` is when an appointment begins to bind."""

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
    """What it costs the customer to cancel `now`; None when it cannot be cancelled.

    `appointment` is the appointment agreed, `contact_disputed` whether she says that she was never contacted.
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


def is_contact_disputed(contacted_at: datetime | None, disputed_at: datetime | None) -> bool:
    """Whether the customer said, after the friend claimed contact, that there was none."""
    return contacted_at is not None and disputed_at is not None and disputed_at >= contacted_at


def charge_fee(draft: Draft, fee_minor_max: int) -> dict[str, Any]:
    """Fix the fee of a cancel and charge it; returns what its event says of it. FeeChanged."""
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
        contact_disputed=is_contact_disputed(award.contacted_at, award.disputed_at),
        now=draft.now,
        policy=draft.policy,
    )
    return found.fee if found else free
