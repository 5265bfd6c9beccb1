"""What customer and friend write to each other: one thread for each award."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from data.enums import Author
from data.records.ids import AwardId, BookingId


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """A thread in numbers: the first and last of the friend, the last of the customer, and reading.

    A letter to a reader is due, or was sent, at `letter_to_…_at`.
    """

    award_id: AwardId
    booking_id: BookingId
    first_by_friend: int = 0
    by_friend: int = 0
    by_customer: int = 0
    read_by_friend: int = 0
    read_by_customer: int = 0
    letter_to_friend_at: datetime | None = None
    letter_to_customer_at: datetime | None = None

    @property
    def length(self) -> int:
        """How many messages it has, which is the number of the last one."""
        return max(self.by_friend, self.by_customer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One message; without `text` once that was erased."""

    award_id: AwardId
    seq: int
    by: Author
    text: str | None
    at: datetime
