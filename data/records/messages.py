"""Events of a booking and the messages they cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from data.enums import Audience, Channel
from data.records.ids import BookingId, MessageId


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
    """A message to be delivered after the commit, in order per booking."""

    id: MessageId
    booking_id: BookingId
    seq: int
    channel: Channel
    audience: Audience
    recipient_id: UUID
    template: str
    data: Mapping[str, Any]
    expires_at: datetime | None = None
