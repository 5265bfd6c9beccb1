"""Login links and sessions: only hashes of their tokens are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from data import sql_loader
from data.db import Connection
from data.markets import HOME, Language, Market
from data.records.ids import PersonId

sql = sql_loader.load("sessions")


class Login(StrEnum):
    """Who can sign in; a customer comes by the link of her booking instead."""

    FRIEND = "friend"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Somebody who may sign in, and where his link is to be sent."""

    id: PersonId
    email: str
    language: Language
    market: Market


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOwner:
    """Who a session belongs to."""

    id: PersonId
    kind: Login
    language: Language


async def find_login(tx: Connection, kind: Login, email: str) -> Account | None:
    """Who may sign in with this address."""
    row = await tx.fetchrow(sql.find_login, kind, email)
    if row is None:
        return None
    home = row["market"] or row["country"]
    return Account(
        id=PersonId(row["id"]),
        email=row["email"],
        language=Language(row["language"]),
        market=Market(home) if home in set(Market) else HOME,
    )


async def insert_link(
    tx: Connection, token_sha256: bytes, person_id: PersonId, life: timedelta
) -> datetime | None:
    """Keep a login link; returns when it expires, or None when nobody has this id."""
    expires_at: datetime | None = await tx.fetchval(sql.insert_link, token_sha256, person_id, life)
    return expires_at


async def insert_link_under_limit(
    tx: Connection, token_sha256: bytes, person_id: PersonId, life: timedelta, *, an_hour: int
) -> datetime | None:
    """Keep a login link unless he was given `an_hour` of them within the hour: then None."""
    expires_at: datetime | None = await tx.fetchval(
        sql.insert_link_under_limit, token_sha256, person_id, life, an_hour
    )
    return expires_at


async def use_link(tx: Connection, token_sha256: bytes) -> PersonId | None:
    """Use a link up; returns whose it was, or None when it is unknown, used or expired."""
    found: UUID | None = await tx.fetchval(sql.use_link, token_sha256)
    return PersonId(found) if found else None


async def insert(
    tx: Connection, token_sha256: bytes, person_id: PersonId, life: timedelta
) -> tuple[datetime, Login] | None:
    """Begin a session; returns when it expires, or None when this person may not sign in."""
    row = await tx.fetchrow(sql.insert, token_sha256, person_id, life)
    return (row["expires_at"], Login(row["kind"])) if row else None


async def session_owners(
    tx: Connection, tokens_sha256: Sequence[bytes]
) -> dict[bytes, SessionOwner]:
    """Whose sessions these are; those that are no longer good are left out."""
    return {
        row["token_sha256"]: SessionOwner(
            id=PersonId(row["id"]), kind=Login(row["kind"]), language=Language(row["language"])
        )
        for row in await tx.fetch(sql.session_owners, tokens_sha256)
    }


async def session_expiry(tx: Connection, token_sha256: bytes) -> tuple[datetime, datetime] | None:
    """When a session that is still good expires, and the moment this was read."""
    row = await tx.fetchrow(sql.session_expiry, token_sha256)
    return (row["expires_at"], row["now"]) if row else None


async def revoke(tx: Connection, token_sha256: bytes) -> None:
    """End a session; ending it twice is no fault."""
    await tx.execute(sql.revoke, token_sha256)


async def insert_operator(
    tx: Connection, person_id: PersonId, *, name: str, email: str, language: Language
) -> PersonId | None:
    """Add an operator; one with this address stays as he is, and his id is returned."""
    found: UUID | None = await tx.fetchval(sql.insert_operator, person_id, name, email, language)
    return PersonId(found) if found else None


async def delete_old(tx: Connection) -> None:
    """Drop at most a thousand links and sessions a day after they expired."""
    await tx.execute(sql.delete_old)
