"""Errands: calls to a provider whose answer decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from data.enums import ErrandState
from data.records.subjects import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """A call to be made; `id` is the idempotency key sent to the provider.

    `request` holds what the kind declares and no personal data. After `expires_at` it is of no use.
    """

    id: UUID
    kind: str
    subject: Subject
    request: Mapping[str, Any]
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """How an errand ended: done with an answer, or refused or parked with a problem."""

    state: ErrandState
    answer: Mapping[str, Any] | None = None
    problem: str | None = None
