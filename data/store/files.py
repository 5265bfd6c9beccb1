"""Uploaded files as rows: whose they are, and of which job; and what was seen as evidence."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from data import sql_loader
from data.db import Connection
from data.enums import FileKind
from data.records.files import Document, FileView, Identity, Owned, StoredFile
from data.records.ids import BookingId, FileId, FriendId, PersonId

sql = sql_loader.load("files")

FIRST = FileId(UUID(int=0))


async def lock_person(tx: Connection, person: PersonId) -> bool:
    """Lock a person; returns whether there is one who is not erased."""
    return await tx.fetchval(sql.lock_person, person) is not None


async def held(tx: Connection, of: Owned) -> int:
    """Return how many of one kind a person keeps, or a job has."""
    count: int = await tx.fetchval(sql.held, of.kind, of.person_id, of.booking_id)
    return count


async def insert(
    tx: Connection, file_id: FileId, of: Owned, *, name: str, size: int, stored: str
) -> StoredFile:
    """Insert a row."""
    row = await tx.fetchrow(
        sql.insert, file_id, of.kind, of.person_id, of.booking_id, name, size, stored
    )
    assert row is not None
    return StoredFile(**_fields(row))


async def view(tx: Connection, file_id: FileId, booking: BookingId | None) -> FileView | None:
    """Return a file with the friend who has or had its job, or the job `booking`."""
    row = await tx.fetchrow(sql.view, file_id, booking)
    if row is None:
        return None
    holder = None if row["holder_id"] is None else FriendId(row["holder_id"])
    return FileView(**_fields(row), holder_id=holder, ended_at=row["ended_at"], now=row["now"])


async def of_people(tx: Connection, people: Collection[PersonId]) -> list[StoredFile]:
    """Return the photo and the evidence of these people."""
    return [StoredFile(**_fields(row)) for row in await tx.fetch(sql.of_people, people)]


async def of_booking(tx: Connection, booking: BookingId) -> list[StoredFile]:
    """Return the pictures of a job, oldest first."""
    return [StoredFile(**_fields(row)) for row in await tx.fetch(sql.of_booking, booking)]


async def delete(tx: Connection, files: Collection[FileId]) -> list[FileId]:
    """Delete the rows of these files; returns those that were there."""
    return _ids(await tx.fetch(sql.delete, files))


async def delete_of_kind(tx: Connection, person: PersonId, kind: FileKind) -> list[FileId]:
    """Delete the rows of all of one kind of a person; returns their ids."""
    return _ids(await tx.fetch(sql.delete_of_kind, person, kind))


async def delete_of(tx: Connection, people: Collection[PersonId]) -> list[FileId]:
    """Delete all rows of these people, and of the jobs of those who are customers."""
    return _ids(await tx.fetch(sql.delete_of, people))


async def delete_over(tx: Connection, kept: timedelta) -> list[FileId]:
    """Delete the rows of evidence older than `kept`, at most a thousand; returns their ids."""
    return _ids(await tx.fetch(sql.delete_over, kept))


async def known(tx: Connection, files: Collection[FileId]) -> set[FileId]:
    """Return those of `files` that have a row."""
    return set(_ids(await tx.fetch(sql.known, files)))


async def in_folder(tx: Connection, after: FileId, limit: int) -> list[FileId]:
    """Return a page of the files whose content is in the folder."""
    return _ids(await tx.fetch(sql.in_folder, after, limit))


async def without_content(tx: Connection) -> list[FileId]:
    """Return files in the database whose content is missing."""
    return _ids(await tx.fetch(sql.without_content))


async def note_identity(
    tx: Connection, person: PersonId, document: Document, valid_until: date, seen_by: PersonId
) -> None:
    """Note what an operator saw, instead of what was noted before."""
    await tx.execute(sql.note_identity, person, document, valid_until, seen_by)


async def identity(tx: Connection, person: PersonId) -> Identity | None:
    """Return what was seen of a person's evidence last."""
    row = await tx.fetchrow(sql.identity, person)
    return None if row is None else Identity(**{**row, "document": Document(row["document"])})


def _ids(rows: list[Any]) -> list[FileId]:
    return [FileId(row["id"]) for row in rows]


def _fields(row: Any) -> dict[str, Any]:
    fields = {name: row[name] for name in StoredFile.__dataclass_fields__}
    return fields | {"kind": FileKind(row["kind"])}
