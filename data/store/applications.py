"""Applications to become a friend, their consents and guardians."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from data import sql_loader
from data.db import Connection
from data.enums import ApplicationState
from data.markets import Language
from data.records.ids import FriendId, PersonId
from data.store.account_mails import Addressee

sql = sql_loader.load("applications")

Row = Mapping[str, Any]
OF_PERSON = ("name", "phone", "birth_date", "postcode", "city", "lat", "lon", "notes")
OF_GUARDIAN = ("guardian_name", "guardian_email", "guardian_phone")
OF_FRIEND = ("radius_m", "languages")
OF_APPLICATION = ("education", "interests", "skills")
FIELDS = frozenset({*OF_PERSON, *OF_GUARDIAN, *OF_FRIEND, *OF_APPLICATION})
"""What an applicant may change."""


async def insert_applicant(
    tx: Connection, friend_id: FriendId, who: Addressee, *, radius_m: int, capacity: int
) -> bool:
    """Add an applicant; False when another account has the address."""
    person = (friend_id, who.name, who.email, who.language, who.market)
    if await tx.fetchval(sql.insert_person, *person) is None:
        return False
    await tx.execute(sql.insert_friend, friend_id, who.market, who.language, radius_m, capacity)
    return True


async def insert(tx: Connection, application_id: UUID, friend_id: FriendId) -> None:
    """Begin an application."""
    await tx.execute(sql.insert, application_id, friend_id)


async def find(tx: Connection, friend_id: FriendId) -> dict[str, Any] | None:
    """Return the last application of a friend with the person's data; `id` is None without one."""
    row = await tx.fetchrow(sql.find, friend_id)
    return dict(row) if row else None


async def change(tx: Connection, row: Row, changes: Row) -> None:
    """Change what `changes` names; a None stays as it is."""

    def values(names: Sequence[str]) -> list[Any]:
        return [changes.get(name) for name in names]

    await tx.execute(sql.change_person, row["friend_id"], *values([*OF_PERSON, *OF_GUARDIAN]))
    await tx.execute(sql.change_friend, row["friend_id"], *values(OF_FRIEND))
    await tx.execute(sql.change, row["id"], *values(OF_APPLICATION))


async def agree(
    tx: Connection, friend_id: FriendId, text: str, version: str, language: Language
) -> None:
    """Record that somebody agrees to a text in a version; once is enough."""
    await tx.execute(sql.agree, friend_id, text, version, language)


async def consents(tx: Connection, friend_id: FriendId) -> list[dict[str, Any]]:
    """Return the texts somebody agreed to, with version and moment."""
    return [dict(row) for row in await tx.fetch(sql.consents, friend_id)]


async def submit(tx: Connection, application_id: UUID) -> None:
    """Submit an application."""
    await tx.execute(sql.submit, application_id)


async def end(
    tx: Connection,
    application_id: UUID,
    state: ApplicationState,
    *,
    by: PersonId | None = None,
    reasons: Sequence[str] = (),
) -> None:
    """End an application as accepted, declined or withdrawn."""
    await tx.execute(sql.end_application, application_id, state, by, reasons)


async def submitted(
    tx: Connection, state: ApplicationState, after: tuple[datetime, UUID], limit: int
) -> list[dict[str, Any]]:
    """Return a page of the applications of a state that were submitted, the oldest first."""
    return [dict(row) for row in await tx.fetch(sql.submitted, state, *after, limit)]


async def is_certified(tx: Connection, friend_id: FriendId) -> bool:
    """Whether somebody holds a valid certificate."""
    found: bool = await tx.fetchval(sql.is_certified, friend_id)
    return found


async def end_guardianship(tx: Connection, friend_id: FriendId) -> bool:
    """End the guardianship that stands; False if there is none."""
    return await tx.fetchval(sql.end_guardianship, friend_id) is not None


async def guardians_asked_lately(tx: Connection, friend_id: FriendId) -> int:
    """Return how many guardians were asked within a day."""
    count: int = await tx.fetchval(sql.asked_lately, friend_id)
    return count


async def insert_guardianship(tx: Connection, id_: UUID, friend_id: FriendId) -> None:
    """Record that a guardian is asked."""
    await tx.execute(sql.insert_guardianship, id_, friend_id)


async def guardianship(tx: Connection, id_: UUID) -> dict[str, Any] | None:
    """Return a guardianship with the names of both."""
    row = await tx.fetchrow(sql.guardianship, id_)
    return dict(row) if row else None


async def confirm_guardianship(tx: Connection, id_: UUID) -> bool:
    """Confirm a guardianship; False if it is confirmed or ended already."""
    return await tx.fetchval(sql.confirm_guardianship, id_) is not None
