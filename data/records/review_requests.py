"""Requests that a person looks at a decision again, or that a fact is corrected."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from data.records.ids import FriendId, PersonId


class ReviewSubject(StrEnum):
    """What a request is about: a decision, or a fact that the friend cannot edit."""

    SUSPENSION = "suspension"
    BLOCK = "block"
    APPLICATION = "application"
    LIMITS = "limits"
    CERTIFICATE = "certificate"
    LEVEL = "level"
    CORRECTION = "correction"


class ReviewOutcome(StrEnum):
    """How a request ended: withdrawn is one whose friend was erased."""

    CHANGED = "changed"
    KEPT = "kept"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRequest:
    """A request; `decided_by` is the operator whose decision it is about, if one is known."""

    id: UUID
    friend_id: FriendId
    about: ReviewSubject
    text: str
    asked_at: datetime
    due_at: datetime
    reminded_at: datetime | None
    decided_by: PersonId | None
    answered_at: datetime | None
    outcome: ReviewOutcome | None
    reasons: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingRequest:
    """A request without an answer, as the desk lists it."""

    request: ReviewRequest
    friend_name: str
    ref: str
