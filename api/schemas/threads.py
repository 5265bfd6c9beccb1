"""The JSON of messages between customer and friend."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from api.schemas.base import ResponseModel
from api.schemas.responses import PackageName
from data.enums import Author


class NoteResponse(ResponseModel):
    """A message, by its number in the thread; without a text once that was erased."""

    seq: int
    by: Author
    text: str | None
    at: datetime


class ThreadResponse(ResponseModel):
    """A page of the thread with the friend who has the job, the oldest messages first.

    `unread` counts those of the other side. While `is_open` both may write; after the end of the
    job until `open_until`.
    """

    items: list[NoteResponse]
    next_cursor: str | None
    unread: int
    is_open: bool
    open_until: datetime | None
    server_time: datetime


class SentResponse(ResponseModel):
    """A message that was sent."""

    seq: int
    by: Author
    at: datetime


class InboxItem(ResponseModel):
    """A thread of a friend; `last_by` wrote the last message, `at` that time."""

    booking_id: UUID
    package: PackageName
    customer: str
    last_by: Author
    at: datetime
    unread: int


class DeskNote(NoteResponse):
    """A message as the desk reads it; each award has a thread of its own."""

    award_id: UUID
    friend: str
