"""Codes by which people confirm their telephone numbers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from data import sql_loader
from data.db import Connection
from data.markets import Language
from data.records.ids import PersonId

sql = sql_loader.load("phone_codes")


class CodeDelivery(StrEnum):
    """What is known of the way of a code."""

    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERABLE = "undeliverable"


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedPerson:
    """The present number of a person, and their guardian's.

    `region` is where a number without country code belongs.
    """

    phone: str | None
    confirmed_at: datetime | None
    region: str | None
    guardian: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingCode:
    """A number to be confirmed, until when its code is valid, and how many were tried."""

    number: str
    expires_at: datetime
    tries: int
    delivery: CodeDelivery


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneState:
    """A person's number, when it was confirmed, and what is being confirmed."""

    number: str | None
    confirmed_at: datetime | None
    pending: PendingCode | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeToSend:
    """The number a code goes to, and its language."""

    number: str
    language: Language


async def lock_person(tx: Connection, person_id: PersonId) -> LockedPerson | None:
    """Lock a person who is not erased."""
    row = await tx.fetchrow(sql.lock_person, person_id)
    if row is None:
        return None
    return LockedPerson(
        phone=row["phone"],
        confirmed_at=row["phone_confirmed_at"],
        region=row["region"],
        guardian=row["guardian_phone"],
    )


async def put(
    tx: Connection, person_id: PersonId, number: str, errand_id: UUID, expires_at: datetime
) -> None:
    """Keep a number to be confirmed, by the code of this errand alone."""
    await tx.execute(sql.set_pending, person_id, number)
    await tx.execute(sql.put, person_id, errand_id, expires_at)


async def count_try(tx: Connection, person_id: PersonId, most: int) -> UUID | None:
    """Count a try; return the errand of the code, None if none is valid or tries are used up."""
    errand_id: UUID | None = await tx.fetchval(sql.count_try, person_id, most)
    return errand_id


async def confirm(tx: Connection, person_id: PersonId, errand_id: UUID) -> bool:
    """Make the pending number the present one, confirmed now; False if another code was sent."""
    if await tx.fetchval(sql.delete, person_id, errand_id) is None:
        return False
    return await tx.fetchval(sql.confirm, person_id) is not None


async def read(tx: Connection, person_id: PersonId) -> PhoneState | None:
    """Return the number of a person and what is being confirmed."""
    row = await tx.fetchrow(sql.read, person_id)
    if row is None:
        return None
    return PhoneState(
        number=row["phone"], confirmed_at=row["phone_confirmed_at"], pending=_pending(row)
    )


def _pending(row: Any) -> PendingCode | None:
    if row["pending_phone"] is None or row["expires_at"] is None:
        return None
    return PendingCode(
        number=row["pending_phone"],
        expires_at=row["expires_at"],
        tries=row["tries"],
        delivery=CodeDelivery(row["delivery"]),
    )


async def to_send(tx: Connection, errands: Collection[UUID]) -> dict[UUID, CodeToSend]:
    """Return where the codes of these errands go; those of no more use are left out."""
    return {
        row["errand_id"]: CodeToSend(number=row["number"], language=Language(row["language"]))
        for row in await tx.fetch(sql.to_send, list(errands))
    }


async def set_delivery(tx: Connection, errand_id: UUID, delivery: CodeDelivery) -> None:
    """Record what is known of the way of a code, unless it is known to have ended."""
    await tx.execute(sql.set_delivery, errand_id, delivery)


async def delete_old(tx: Connection) -> None:
    """Forget at most a thousand numbers that were never confirmed."""
    await tx.execute(sql.forget_over)
