"""Login links and sessions; only hashes of their tokens are stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from data import sql_loader
from data.db import Connection
from data.enums import OperatorRole
from data.markets import HOME, Language, Market
from data.records.ids import CompanyId, CustomerKey, PersonId, customer_key
from data.store import accounts

sql = sql_loader.load("sessions")

CUSTOMER: Final = "customer"
"""The kind of person that a booking has and no session."""


class Login(StrEnum):
    """The kinds of accounts that sign in; `account` is a customer's."""

    FRIEND = "friend"
    OPERATOR = "operator"
    ACCOUNT = "account"
    DISPATCHER = "dispatcher"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account that may sign in, with its mail address."""

    id: PersonId
    email: str
    language: Language
    market: Market


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOwner:
    """The owner of a session; `role` is an operator's, `customer_key` an account's.

    A dispatcher has a `company`.
    """

    id: PersonId
    kind: Login
    language: Language
    role: OperatorRole | None
    customer_key: CustomerKey | None
    company: CompanyId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorAccount:
    """An operator who may sign in."""

    id: PersonId
    name: str
    email: str
    role: OperatorRole
    created_at: datetime


async def find_login(tx: Connection, kind: Login, email: str) -> Account | None:
    """Find the account with this address, or the customer of a booking who may open one."""
    if kind is Login.ACCOUNT:
        row = await accounts.find_customer(tx, customer_key(email))
    else:
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
    tx: Connection, token_sha256: bytes, person_id: PersonId, lifetime: timedelta
) -> datetime | None:
    """Store a login link; return its expiry, or None if nobody has this id."""
    expires_at: datetime | None = await tx.fetchval(
        sql.insert_link, token_sha256, person_id, lifetime
    )
    return expires_at


async def use_link(tx: Connection, token_sha256: bytes, new_id: PersonId) -> PersonId | None:
    """Use a link up; return its owner, or None if it is unknown, used or expired.

    The owner of the link to a customer without an account gets one, with `new_id`.
    """
    row = await tx.fetchrow(sql.use_link, token_sha256)
    if row is None or row["kind"] != CUSTOMER:
        return PersonId(row["person_id"]) if row else None
    return await accounts.open_account(tx, new_id, PersonId(row["person_id"]))


async def lock_people(tx: Connection, people: Collection[PersonId]) -> None:
    """Lock the rows of people, so that nobody signs in while access is revoked, or the reverse."""
    await tx.execute(sql.lock_people, people)


async def insert(
    tx: Connection, token_sha256: bytes, person_id: PersonId, lifetime: timedelta
) -> tuple[datetime, Login] | None:
    """Start a session; return its expiry, or None if this person may not sign in."""
    row = await tx.fetchrow(sql.insert, token_sha256, person_id, lifetime)
    return (row["expires_at"], Login(row["kind"])) if row else None


async def session_owners(
    tx: Connection, tokens_sha256: Sequence[bytes]
) -> dict[bytes, SessionOwner]:
    """Return the owners of these sessions by hash; invalid sessions are left out."""
    return {
        row["token_sha256"]: SessionOwner(
            id=PersonId(row["id"]),
            kind=Login(row["kind"]),
            language=Language(row["language"]),
            role=OperatorRole(row["role"]) if row["role"] else None,
            customer_key=row["customer_key"],
            company=row["company_id"],
        )
        for row in await tx.fetch(sql.session_owners, tokens_sha256)
    }


async def session_expiry(
    tx: Connection, token_sha256: bytes
) -> tuple[datetime, datetime, str] | None:
    """Return the expiry of a valid session, the current time and the owner's name."""
    row = await tx.fetchrow(sql.session_expiry, token_sha256)
    return (row["expires_at"], row["now"], row["name"]) if row else None


async def revoke(tx: Connection, token_sha256: bytes) -> None:
    """Revoke a session. Idempotent."""
    await tx.execute(sql.revoke, token_sha256)


async def revoke_all(tx: Connection, people: Collection[PersonId]) -> Counter[PersonId]:
    """Revoke all sessions and login links of people; return how many sessions of each."""
    return Counter(row["person_id"] for row in await tx.fetch(sql.revoke_all, people))


async def insert_operator(
    tx: Connection,
    person_id: PersonId,
    *,
    name: str,
    email: str,
    language: Language,
    role: OperatorRole,
) -> PersonId | None:
    """Add an operator; one with this address is left unchanged and the id returned."""
    found: UUID | None = await tx.fetchval(
        sql.insert_operator, person_id, name, email, language, role
    )
    return PersonId(found) if found else None


async def operators(tx: Connection) -> list[OperatorAccount]:
    """Return all operators by address."""
    return [
        OperatorAccount(
            id=PersonId(row["id"]),
            name=row["name"],
            email=row["email"],
            role=OperatorRole(row["role"]),
            created_at=row["created_at"],
        )
        for row in await tx.fetch(sql.operators)
    ]


async def set_role(tx: Connection, person_id: PersonId, role: OperatorRole) -> bool:
    """Give an operator a role; False if it is unchanged."""
    return await tx.fetchval(sql.set_role, person_id, role) is not None


async def close_operator(tx: Connection, person_id: PersonId) -> bool:
    """Close an operator's account, which keeps its name; False if there is none."""
    return await tx.fetchval(sql.close_operator, person_id) is not None


async def delete_old(tx: Connection) -> None:
    """Delete at most a thousand links and sessions that expired a day ago."""
    await tx.execute(sql.delete_old)
