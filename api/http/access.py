"""Loads a booking for one caller, or answers as if it did not exist."""

from __future__ import annotations

from api.http.auth import (
    Caller,
    Customer,
    FriendCaller,
    Operator,
    Partner,
    must_own,
    must_see,
)
from data.records.ids import BookingId
from data.store import read_models
from data.store.read_models import BookingView
from dispatch.flows.read_only import reading
from dispatch.rules.refusals import NotFound
from dispatch.runtime import Runtime


async def visible_booking(rt: Runtime, who: Caller, booking_id: BookingId) -> BookingView:
    """A booking that this caller may see. Raises NotFound."""
    if isinstance(who, Customer) and who.booking_id != booking_id:
        raise NotFound
    async with reading(rt) as tx:
        view = await read_models.booking(
            tx,
            booking_id,
            partner_id=who.partner_id if isinstance(who, Partner) else None,
            friend_id=who.friend_id if isinstance(who, FriendCaller) else None,
        )
    if view is None:
        raise NotFound
    must_see(who, view)
    return view


async def check_owner(
    rt: Runtime, who: Customer | Partner | Operator, booking_id: BookingId
) -> None:
    """Raise NotFound unless the booking is this caller's own; before any lock is taken."""
    async with reading(rt) as tx:
        owner = await read_models.owner(tx, booking_id)
    if owner is None:
        raise NotFound
    must_own(who, *owner)
