"""Cursors: where a page ended, in a form nobody needs to understand."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Query

from api.http.problems import InvalidField

PAGE_DEFAULT, PAGE_MAX = 50, 100

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description="How many at most.")]
Cursor = Annotated[
    str | None, Query(max_length=200, description="`next_cursor` of the page before.")
]


def of_moment(at: datetime, last: UUID) -> str:
    """The cursor after a row sorted by moment and id."""
    return _packed(at.isoformat(), str(last))


def to_moment(cursor: str | None) -> tuple[datetime, UUID] | None:
    """Where the page before ended; Unfit when the cursor is none of ours."""
    try:
        if not (parts := _unpacked(cursor)):
            return None
        at, last = parts
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None:
            raise ValueError(at)
        return moment.astimezone(UTC), UUID(last)
    except (ValueError, OverflowError):
        raise _unfit() from None


def of_number(last: UUID, number: int) -> str:
    """The cursor after a row sorted by id and number."""
    return _packed(str(last), str(number))


def to_number(cursor: str | None) -> tuple[UUID, int] | None:
    """Where the page before ended; Unfit when the cursor is none of ours."""
    try:
        if not (parts := _unpacked(cursor)):
            return None
        last, number = parts
        if not 0 <= int(number) < 2**31:
            raise ValueError(number)
        return UUID(last), int(number)
    except ValueError:
        raise _unfit() from None


def of_word(last: str) -> str:
    """The cursor after a row sorted by a word."""
    return urlsafe_b64encode(last.encode()).decode().rstrip("=")


def to_word(cursor: str | None) -> str:
    """Where the page before ended, the empty word at first; Unfit when it is none of ours."""
    if cursor is None:
        return ""
    try:
        word = _decoded(cursor)
    except ValueError:
        raise _unfit() from None
    if not word or "\0" in word:
        raise _unfit()
    return word


def _packed(*parts: str) -> str:
    return urlsafe_b64encode(" ".join(parts).encode()).decode().rstrip("=")


def _unpacked(cursor: str | None) -> list[str]:
    if cursor is None:
        return []
    return _decoded(cursor).split(" ", 1)


def _decoded(cursor: str) -> str:
    return urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()


def _unfit() -> InvalidField:
    return InvalidField(
        "cursor", "is not one of ours", "give next_cursor of the page before, unchanged"
    )
