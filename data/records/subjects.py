"""What messages, timers, the journal and the audit are about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from data.enums import SubjectKind


@dataclass(frozen=True, slots=True)
class Subject:
    """A booking, a person or a partner."""

    kind: SubjectKind
    id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What happened to a subject, numbered from 1 without gaps; `data` holds ids and codes only."""

    subject: Subject
    seq: int
    kind: str
    data: Mapping[str, Any]


def booking(id_: UUID) -> Subject:
    """A booking as a subject."""
    return Subject(SubjectKind.BOOKING, id_)


def person(id_: UUID) -> Subject:
    """A friend, an operator or a customer as a subject."""
    return Subject(SubjectKind.PERSON, id_)


def partner(id_: UUID) -> Subject:
    """A partner as a subject."""
    return Subject(SubjectKind.PARTNER, id_)
