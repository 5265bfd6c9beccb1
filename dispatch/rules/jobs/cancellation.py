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
class Cancellation:
    """What cancelling costs at a moment; `free_until` is when an appointment begins to bind."""

    fee: Money
    free_until: datetime | None


def cancellation(
    state: BookingState,
    price: Money,
    met: Appointment | None,
    *,
    disowned: bool,
    now: datetime,
    policy: Policy,
) -> Cancellation | None:
    """What it costs the customer to cancel `now`; None when it cannot be cancelled.

    `met` is the appointment agreed, `disowned` whether she says that she was never contacted.
    """
    if BookingState.CANCELLED not in states.BOOKING[state]:
        return None
    if met is None or disowned:
        return Cancellation(fee=Money(amount=0, currency=price.currency), free_until=None)
    free_until = met.starts_at - policy.cancel_free_until
    late = free_until <= now <= met.ends_at
    amount = price.amount * policy.cancel_late_percent // 100 if late else 0
    return Cancellation(fee=Money(amount=amount, currency=price.currency), free_until=free_until)


def disowned(contacted_at: datetime | None, disputed_at: datetime | None) -> bool:
    """Whether the customer said, after the friend claimed contact, that there was none."""
    return contacted_at is not None and disputed_at is not None and disputed_at >= contacted_at


def charge(draft: Draft, fee_minor_max: int) -> dict[str, Any]:
    """Fix the fee of a cancel and charge it; returns what its event says of it. FeeChanged."""
    fee = _fee(draft)
    if fee.amount > fee_minor_max:
        raise FeeChanged(fee)
    if not fee.amount:
        return {}
    share = prices.pay(fee, draft.case.policy)
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
    found = cancellation(
        booking.state,
        booking.price,
        award.appointment,
        disowned=disowned(award.contacted_at, award.disputed_at),
        now=draft.now,
        policy=draft.case.policy,
    )
    return found.fee if found else free
