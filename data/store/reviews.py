"""Reviews both ways, what followed them, and what customers see of a friend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from data import sql_loader
from data.db import Connection
from data.markets import Language
from data.records.ids import BookingId, FriendId
from data.records.reviews import HideReason, Review

sql = sql_loader.load("reviews")

Key = tuple[BookingId, int, bool]
"""Which review: of a booking, of which completion, and whether the friend wrote it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenReport:
    """A reported review that waits for a decision."""

    booking_id: BookingId
    package: str
    review: Review


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicProfile:
    """What customers see of a friend; `certificates` are those valid now."""

    name: str
    photo: UUID | None
    languages: tuple[Language, ...]
    certificates: tuple[str, ...]
    stars: float | None
    ratings: int
    jobs: int
    reviews: Sequence[Review]


async def lock(tx: Connection, booking_id: BookingId) -> None:
    """Lock a booking, which is the lock of its reviews."""
    await tx.execute(sql.lock, booking_id)


async def of_booking(tx: Connection, booking_id: BookingId) -> list[Review]:
    """Return the reviews of the last completion, the customer's first."""
    return [_review(row) for row in await tx.fetch(sql.of_booking, booking_id)]


async def note(
    tx: Connection, key: Key, *, reply: str | None, report: str | None, reported: bool
) -> None:
    """Note a reply or a report; what is noted stays."""
    await tx.execute(sql.note, *key, reply, report, reported)


async def open_reports(tx: Connection, limit: int) -> list[OpenReport]:
    """Return the reports without a decision, oldest first."""
    return [
        OpenReport(booking_id=row["booking_id"], package=row["package"], review=_review(row))
        for row in await tx.fetch(sql.open_reports, limit)
    ]


async def profile(tx: Connection, friend_id: FriendId, reviews: int) -> PublicProfile | None:
    """Return what customers see of a friend, with the newest shown reviews."""
    row = await tx.fetchrow(sql.profile, friend_id)
    if row is None:
        return None
    shown = [_review(one) for one in await tx.fetch(sql.shown_of_friend, friend_id, reviews)]
    languages = tuple(map(Language, row["languages"]))
    fields = {**row, "languages": languages, "certificates": tuple(row["certificates"])}
    return PublicProfile(**fields, reviews=shown)


def _review(row: Any) -> Review:
    fields = {name: row[name] for name in Review.__dataclass_fields__}
    return Review(**fields | {"hidden": row["hidden"] and HideReason(row["hidden"])})
