"""Load a booking for one caller; a booking they may not see does not exist for them."""

from __future__ import annotations

from api.http.auth import (
    Caller,
    Customer,
    FriendCaller,
    Operator,
    Partner,
    actor,
    require_ownership,
    require_visibility,
)
from data.records import subjects
from data.records.ids import BookingId
from data.store import read_models
from data.store.read_models import BookingView
from dispatch.flows import desk
from dispatch.flows.read_only import read_connection
from dispatch.rules.refusals import NotFound
from dispatch.runtime import Runtime


async def visible_booking(rt: Runtime, caller: Caller, booking_id: BookingId) -> BookingView:
    """The booking as stored, if this caller may see it. Raises NotFound.

    What an operator sees is recorded in the audit.
    """
    if isinstance(caller, Customer) and caller.booking_id != booking_id:
        raise NotFound
    async with read_connection(rt) as tx:
        view = await read_models.booking(
            tx,
            booking_id,
            partner_id=caller.partner_id if isinstance(caller, Partner) else None,
            friend_id=caller.friend_id if isinstance(caller, FriendCaller) else None,
        )
    if view is None:
        raise NotFound
    require_visibility(caller, view)
    if isinstance(caller, Operator):
        await desk.record_seen(
            rt, "booking.opened", actor=actor(caller), subject=subjects.booking(booking_id)
        )
    return view


async def check_owner(
    rt: Runtime, caller: Customer | Partner | Operator, booking_id: BookingId
) -> None:
    """Raise NotFound unless the booking is this caller's own; takes no lock."""
    async with read_connection(rt) as tx:
        owner = await read_models.owner(tx, booking_id)
    if owner is None:
        raise NotFound
    require_ownership(caller, *owner)
