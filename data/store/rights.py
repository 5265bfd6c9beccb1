"""The rights of a person: everything kept about somebody, and its erasure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from data import sql_loader
from data.db import Connection
from data.markets import MARKETS
from data.records.ids import BookingId, FriendId, MessageId, PersonId, customer_key
from data.store.desk import parse_id

sql = sql_loader.load("rights")

RECORDS_YEARS: Final = (list(MARKETS), [facts.records_years for facts in MARKETS.values()])


class PersonKind(StrEnum):
    CUSTOMER = "customer"
    FRIEND = "friend"
    OPERATOR = "operator"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPerson:
    """A row of people: an account, or the customer of one booking."""

    id: PersonId
    kind: PersonKind
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OverdueCustomers:
    """Customers to erase on one page of bookings; `next` is None on the last page.

    `forgotten` are those whose booking, which has not ended, must be cancelled first.
    """

    customers: list[FoundPerson]
    forgotten: dict[BookingId, FoundPerson]
    next: tuple[datetime, UUID] | None


async def find(tx: Connection, word: str) -> list[FoundPerson]:
    """Find everybody with an address, or by an id or ref all of the same kind and address."""
    if "@" in word:
        return _people(await tx.fetch(sql.by_email, word, None))
    named = _people(await tx.fetch(sql.by_word, word, parse_id(word)))
    found: dict[PersonId, FoundPerson] = {}
    for one in named:
        found |= {p.id: p for p in _people(await tx.fetch(sql.by_email, one.email, one.kind))}
    return list(found.values())


def _people(rows: list[Any]) -> list[FoundPerson]:
    return [
        FoundPerson(id=PersonId(row["id"]), kind=PersonKind(row["kind"]), email=row["email"])
        for row in rows
    ]


async def by_id(tx: Connection, person_id: PersonId) -> list[FoundPerson]:
    """Return the person with this id and no other; nobody if it is erased."""
    found = await tx.fetch(sql.by_word, "", person_id)
    return [one for one in _people(found) if one.id == person_id]


async def of_account(tx: Connection, account_id: PersonId) -> list[FoundPerson]:
    """Return the account, first, and the customers of its bookings; nobody if it is erased."""
    return _people(await tx.fetch(sql.of_account, account_id))


async def accounts_left(tx: Connection, customers: Collection[PersonId]) -> list[FoundPerson]:
    """Return the accounts that have no booking but those of these customers."""
    return _people(await tx.fetch(sql.accounts_left, customers))


async def export(tx: Connection, person: FoundPerson) -> Mapping[str, Any]:
    """Return everything kept about a person."""
    whole: Mapping[str, Any] = await tx.fetchval(sql.export, person.id, customer_key(person.email))
    return whole


async def lock_not_ended(
    tx: Connection, customers: Collection[PersonId]
) -> dict[BookingId, PersonId]:
    """Lock the bookings of these customers; return those that have not ended, with the customer."""
    await tx.execute(sql.lock_bookings, customers)
    rows = await tx.fetch(sql.not_ended, customers)
    return {BookingId(row["id"]): PersonId(row["customer_id"]) for row in rows}


async def jobs_held(tx: Connection, friends: Collection[PersonId]) -> list[BookingId]:
    """Return the bookings that these friends hold or whose customer contests their work."""
    return [BookingId(row["booking_id"]) for row in await tx.fetch(sql.jobs_held, friends)]


async def paid_lately(tx: Connection, friends: Collection[PersonId]) -> set[PersonId]:
    """Return those friends whose payments the law still wants documented."""
    return {PersonId(row["id"]) for row in await tx.fetch(sql.paid_lately, friends, *RECORDS_YEARS)}


async def messages_about(tx: Connection, friends: Collection[PersonId]) -> list[MessageId]:
    """Return the messages about bookings that these friends had."""
    return [MessageId(row["id"]) for row in await tx.fetch(sql.messages_about, friends)]


async def messages_to(tx: Connection, people: Collection[PersonId]) -> list[MessageId]:
    """Return the messages to these people."""
    return [MessageId(row["id"]) for row in await tx.fetch(sql.messages_to, people)]


async def still_used(tx: Connection, addresses: Collection[str]) -> set[str]:
    """Return those of `addresses` that belong to somebody who is not erased."""
    return {row["a"] for row in await tx.fetch(sql.still_used, addresses)}


async def erase(
    tx: Connection, people: Collection[FoundPerson], *, keep_address_of: Collection[PersonId]
) -> None:
    """Empty everything that is kept about these people; repeating it changes nothing."""
    ids = [one.id for one in people]
    await tx.execute(sql.empty_bookings, ids)
    await tx.execute(sql.empty_friends, [FriendId(one) for one in ids])
    emails = [one.email for one in people]
    await tx.execute(sql.delete_access, ids, list(map(customer_key, emails)), emails)
    await tx.execute(sql.empty_people, ids, list(keep_address_of))


async def customers_over(
    tx: Connection, after: tuple[datetime, UUID], kept: timedelta, limit: int
) -> OverdueCustomers:
    """Return customers whose booking has not changed for `kept`, on the page after `after`."""
    rows = await tx.fetch(sql.customers_over, *after, kept, limit)
    over = {
        BookingId(row["booking_id"]): found
        for row, found in zip(rows, _people(rows), strict=True)
        if row["is_over"]
    }
    forgotten = {BookingId(row["booking_id"]) for row in rows if row["is_forgotten"]}
    return OverdueCustomers(
        customers=[found for id_, found in over.items() if id_ not in forgotten],
        forgotten={id_: found for id_, found in over.items() if id_ in forgotten},
        next=(rows[-1]["created_at"], rows[-1]["booking_id"]) if len(rows) == limit else None,
    )


async def documents_over(tx: Connection) -> list[PersonId]:
    """Return erased friends whose name and address the law no longer asks for."""
    return [PersonId(row["id"]) for row in await tx.fetch(sql.documents_over, *RECORDS_YEARS)]
