"""Passkeys of operators and customers, and the challenges that were used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from data import sql_loader
from data.db import Connection
from data.records.ids import PersonId

sql = sql_loader.load("passkeys")


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkey:
    """A passkey as its owner sees it."""

    id: UUID
    name: str
    created_at: datetime
    used_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What is needed to check a signature of a passkey."""

    id: UUID
    person_id: PersonId
    public_key: bytes
    sign_count: int


async def insert(
    tx: Connection,
    passkey_id: UUID,
    person_id: PersonId,
    *,
    credential_id: bytes,
    public_key: bytes,
    sign_count: int,
    name: str,
    most: int,
) -> Passkey | None:
    """Store a passkey; None if it exists or its owner has `most`."""
    row = await tx.fetchrow(
        sql.insert, passkey_id, person_id, credential_id, public_key, sign_count, name, most
    )
    return _passkey(row) if row else None


async def owner(tx: Connection, person_id: PersonId) -> tuple[str, str] | None:
    """Return a person's name and address."""
    row = await tx.fetchrow(sql.owner, person_id)
    return (row["name"], row["email"]) if row else None


async def of_person(tx: Connection, person_id: PersonId) -> list[Passkey]:
    """Return the passkeys of a person, the oldest first."""
    return [_passkey(row) for row in await tx.fetch(sql.of_person, person_id)]


async def credential_ids(tx: Connection, person_id: PersonId) -> list[bytes]:
    """Return the credential ids of a person's passkeys."""
    return [row["credential_id"] for row in await tx.fetch(sql.of_person, person_id)]


async def by_credential(tx: Connection, credential_id: bytes) -> Credential | None:
    """Return what checks the signatures of a credential; None if it is unknown."""
    row = await tx.fetchrow(sql.by_credential, credential_id)
    return (
        Credential(
            id=row["id"],
            person_id=PersonId(row["person_id"]),
            public_key=row["public_key"],
            sign_count=row["sign_count"],
        )
        if row
        else None
    )


async def use(tx: Connection, passkey_id: UUID, sign_count: int) -> bool:
    """Record a use; False if the counter of signatures did not grow."""
    return await tx.fetchval(sql.use, passkey_id, sign_count) is not None


async def spend(tx: Connection, challenge: bytes) -> bool:
    """Record that a challenge was used; False if it was before."""
    return await tx.fetchval(sql.spend, challenge) is not None


async def delete(tx: Connection, passkey_id: UUID, person_id: PersonId) -> bool:
    """Delete one of a person's passkeys; False if there is none."""
    return await tx.fetchval(sql.delete, passkey_id, person_id) is not None


async def delete_old(tx: Connection) -> None:
    """Delete at most a thousand challenges that are too old to be accepted anyway."""
    await tx.execute(sql.delete_old)


def _passkey(row: asyncpg.Record) -> Passkey:
    return Passkey(
        id=row["id"], name=row["name"], created_at=row["created_at"], used_at=row["used_at"]
    )
