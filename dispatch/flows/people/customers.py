"""Accounts of customers: details, favourites, and the rights over all bookings of one person."""

from __future__ import annotations

from collections.abc import Sequence

from data.db import transaction
from data.records.ids import BookingId, CustomerKey, PersonId
from data.store import accounts
from data.store.accounts import Details, Favourite
from dispatch.flows.read_only import read_connection
from dispatch.rules.jobs.refusals import NotInThisState
from dispatch.rules.refusals import NotFound
from dispatch.runtime import Runtime


async def details(rt: Runtime, account_id: PersonId) -> Details:
    """What a customer keeps in the account. Raises NotFound for an erased one."""
    async with read_connection(rt) as tx:
        found = await accounts.details(tx, account_id)
    if found is None:
        raise NotFound
    return found


async def change(rt: Runtime, account_id: PersonId, wanted: Details) -> None:
    """Replace the details of an account. Raises NotFound for an erased one."""
    async with transaction(rt.pool) as tx:
        if not await accounts.change(tx, account_id, wanted):
            raise NotFound


async def favourites(rt: Runtime, key: CustomerKey) -> Sequence[Favourite]:
    """The friends that a customer wants to ask first again."""
    async with read_connection(rt) as tx:
        return await accounts.favourites(tx, key)


async def add_favourite(rt: Runtime, booking_id: BookingId) -> None:
    """Make the friend of a completed booking a favourite. Raises NotInThisState."""
    async with transaction(rt.pool) as tx:
        if not await accounts.add_favourite(tx, booking_id):
            raise NotInThisState("the friend must have completed it")


async def remove_favourite(rt: Runtime, booking_id: BookingId) -> None:
    """Remove the friend of a booking from the favourites; repeating it changes nothing."""
    async with transaction(rt.pool) as tx:
        await accounts.remove_favourite(tx, booking_id)
