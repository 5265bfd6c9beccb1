"""Uploaded files, as rows say of them; the content is elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from data.enums import FileKind
from data.records.ids import BookingId, FileId, FriendId, PersonId


class Document(StrEnum):
    """What a person shows as evidence of who they are."""

    IDENTITY_CARD = "identity_card"
    PASSPORT = "passport"
    RESIDENCE_PERMIT = "residence_permit"
    DRIVING_LICENCE = "driving_licence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """What a file is, whose it is, and of which job."""

    kind: FileKind
    person_id: PersonId
    booking_id: BookingId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """One file: whose it is, and of which job; `stored` names the place of its content."""

    id: FileId
    kind: FileKind
    person_id: PersonId
    booking_id: BookingId | None
    name: str
    bytes: int
    stored: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FileView(StoredFile):
    """A file with the friend who has the job in question, and until when the friend had it."""

    holder_id: FriendId | None
    ended_at: datetime | None
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What an operator saw of the evidence of a person."""

    document: Document
    valid_until: date
    seen_at: datetime
    seen_by: PersonId
