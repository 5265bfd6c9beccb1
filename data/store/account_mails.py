"""The outbox of mails about accounts: login links, and the notice of a changed address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from data import sql_loader
from data.db import Connection
from data.markets import Language, Market
from data.records.ids import PersonId, customer_key
from data.store.outbox import DeliveryOutcome, outcome_columns
from data.store.sessions import Login

sql = sql_loader.load("account_mails")

LOGIN_LINK = "login_link"
JOIN_LINK = "join_link"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountMail:
    """A claimed mail; `tries` includes this attempt.

    `language` and `market` are None for a login link, which is written as its account wants.
    """

    id: UUID
    kind: Login
    template: str
    email: str
    language: Language | None
    market: Market | None
    request_sha256: bytes | None
    name: str | None
    guardianship_id: UUID | None
    tries: int
    now: datetime
    is_expired: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressee:
    """Who gets a mail about joining: the applicant, or a guardian with the friend's name."""

    email: str
    name: str
    language: Language
    market: Market


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedAddress:
    """A friend's former address."""

    email: str
    language: Language
    market: Market


async def insert_login_link(
    tx: Connection,
    mail_id: UUID,
    *,
    kind: Login,
    email: str,
    request_sha256: bytes,
    lifetime: timedelta,
    window: timedelta,
    most: int,
) -> None:
    """Queue a login link for an address, known or not, unless it got `most` within `window`."""
    key = customer_key(email)
    await tx.execute(sql.lock_address, key)
    await tx.execute(
        sql.insert_login_link, mail_id, kind, email, request_sha256, lifetime, window, most, key
    )


async def insert_join_link(
    tx: Connection,
    mail_id: UUID,
    to: Addressee,
    *,
    request_sha256: bytes,
    lifetime: timedelta,
    window: timedelta,
    most: int,
) -> None:
    """Queue the confirmation of an address, unless it got `most` within `window`."""
    key = customer_key(to.email)
    await tx.execute(sql.lock_address, key)
    about = (mail_id, to.email, key, to.name, to.language, to.market)
    await tx.execute(sql.insert_join_link, *about, request_sha256, lifetime, window, most)


async def use_join_link(tx: Connection, request_sha256: bytes, email: str) -> bool:
    """Use a confirmation up; False if it is unknown, used, expired or of another address."""
    found = await tx.fetchval(sql.use_join_link, request_sha256, customer_key(email))
    return found is not None


async def insert_guardian_asked(
    tx: Connection, mail_id: UUID, to: Addressee, guardianship_id: UUID, lifetime: timedelta
) -> None:
    """Queue a mail that asks a guardian for consent."""
    about = (mail_id, to.email, customer_key(to.email), to.name, to.language, to.market)
    await tx.execute(sql.insert_guardian_asked, *about, guardianship_id, lifetime)


async def insert_email_changed(
    tx: Connection, ids: Sequence[UUID], changed: Sequence[ChangedAddress], lifetime: timedelta
) -> None:
    """Queue a notice to each former address."""
    await tx.execute(
        sql.insert_email_changed,
        ids,
        [one.email for one in changed],
        [one.language for one in changed],
        [one.market for one in changed],
        lifetime,
        [customer_key(one.email) for one in changed],
    )


async def claim(tx: Connection, limit: int, *, lease_s: float) -> list[AccountMail]:
    """Claim at most `limit` due mails for `lease_s`."""
    if limit < 1:
        return []
    return [
        AccountMail(
            id=row["id"],
            kind=Login(row["kind"]),
            template=row["template"],
            email=row["email"],
            language=Language(row["language"]) if row["language"] else None,
            market=Market(row["market"]) if row["market"] else None,
            request_sha256=row["request_sha256"],
            name=row["name"],
            guardianship_id=row["guardianship_id"],
            tries=row["attempts"],
            now=row["now"],
            is_expired=row["late"],
        )
        for row in await tx.fetch(sql.claim, limit, lease_s)
    ]


async def renew_link(
    tx: Connection, token_sha256: bytes, person_id: PersonId, lifetime: timedelta
) -> None:
    """Store a login link, or let an unused one live on from now."""
    await tx.execute(sql.renew_link, token_sha256, person_id, lifetime)


async def settle(tx: Connection, outcomes: Sequence[DeliveryOutcome]) -> None:
    """Write the results of claimed mails. Idempotent."""
    if outcomes:
        await tx.execute(sql.settle, *outcome_columns(outcomes))


async def count_try(tx: Connection, request_sha256: bytes, *, most: int, most_a_day: int) -> bool:
    """Count a try of a request's code; False if no more are allowed or the request is unknown."""
    return await tx.fetchval(sql.count_try, request_sha256, most, most_a_day) is not None


async def delete_old(tx: Connection) -> None:
    """Delete at most a thousand mails that are of no more use."""
    await tx.execute(sql.delete_old)
