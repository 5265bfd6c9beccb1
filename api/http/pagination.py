"""Pages of lists and their opaque cursors."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Query

from api.http.problems import InvalidField

PAGE_DEFAULT, PAGE_MAX = 50, 100

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description="Maximum number of items.")]
Cursor = Annotated[
    str | None, Query(max_length=200, description="`next_cursor` of the previous page.")
]


def encode_time(at: datetime, last: UUID) -> str:
    """The cursor after a row sorted by time and id."""
    return _encode(at.isoformat(), str(last))


def decode_time(cursor: str | None) -> tuple[datetime, UUID] | None:
    """The end of the previous page, None for the first. Raises InvalidField."""
    try:
        if not (parts := _parts(cursor)):
            return None
        text, last = parts
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise ValueError(text)
        return at.astimezone(UTC), UUID(last)
    except (ValueError, OverflowError):
        raise _invalid_cursor() from None


def encode_sequence(last: UUID, number: int) -> str:
    """The cursor after a row sorted by id and sequence number."""
    return _encode(str(last), str(number))


def decode_sequence(cursor: str | None, *, of: UUID | None = None) -> tuple[UUID, int] | None:
    """The end of the previous page, None for the first; `of` is whose rows all of them are.

    Raises InvalidField.
    """
    try:
        if not (parts := _parts(cursor)):
            return None
        last, number = parts
        if not 0 <= int(number) < 2**31 or (of and of != UUID(last)):
            raise ValueError(cursor)
        return UUID(last), int(number)
    except ValueError:
        raise _invalid_cursor() from None


def encode_text(last: str) -> str:
    """The cursor after a row sorted by a text."""
    return urlsafe_b64encode(last.encode()).decode().rstrip("=")


def decode_text(cursor: str | None) -> str:
    """The end of the previous page, empty for the first. Raises InvalidField."""
    if cursor is None:
        return ""
    try:
        text = _decode(cursor)
    except ValueError:
        raise _invalid_cursor() from None
    if not text or "\0" in text:
        raise _invalid_cursor()
    return text


def _encode(*parts: str) -> str:
    return urlsafe_b64encode(" ".join(parts).encode()).decode().rstrip("=")


def _parts(cursor: str | None) -> list[str]:
    if cursor is None:
        return []
    return _decode(cursor).split(" ", 1)


def _decode(cursor: str) -> str:
    return urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()


def _invalid_cursor() -> InvalidField:
    return InvalidField(
        "cursor", "is not a valid cursor", "send `next_cursor` of the previous page unchanged"
    )
