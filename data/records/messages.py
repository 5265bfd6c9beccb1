"""Events of a booking and the messages they cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from data.enums import Audience, Channel, SubjectKind
from data.records.ids import BookingId, MessageId
from data.records.subjects import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event of a booking, numbered from 1 without gaps; `data` holds ids only."""

    booking_id: BookingId
    seq: int
    kind: str
    at: datetime
    actor: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message to be delivered after the commit, in order per subject.

    `seq` is the number of the event or entry that called for it; `not_before` delays it.
    """

    id: MessageId
    subject: Subject
    seq: int
    channel: Channel
    audience: Audience
    recipient_id: UUID
    template: str
    data: Mapping[str, Any]
    expires_at: datetime | None = None
    not_before: datetime | None = None

    @property
    def booking_id(self) -> BookingId:
        """The booking that it is about: only asked of messages about one."""
        assert self.subject.kind is SubjectKind.BOOKING
        return BookingId(self.subject.id)
