"""Reviews of a booking: what the customer says of the friend, and the friend of the customer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from data.records.ids import PersonId


class HideReason(StrEnum):
    """Why an operator hides a review."""

    INSULT = "insult"
    PERSONAL_DATA = "personal_data"
    OFF_TOPIC = "off_topic"
    UNTRUE = "untrue"
    DISCRIMINATION = "discrimination"


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One side's review, since when others may see it, and what followed.

    `hidden` is why an operator hid it.
    """

    no: int
    by_friend: bool
    stars: int
    comment: str | None
    at: datetime
    shown_at: datetime
    reply: str | None
    replied_at: datetime | None
    reported_at: datetime | None
    report: str | None
    decided_at: datetime | None
    hidden: HideReason | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewDecision:
    """What an operator decides about a reported review: hidden for a reason, or kept."""

    no: int
    by_friend: bool
    hidden: HideReason | None
    operator: PersonId
