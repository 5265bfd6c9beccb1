"""Exams: questions, the terms of an exam, sittings and what was answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from data.markets import Language
from data.records.ids import FriendId

OPTIONS: Final = ("a", "b", "c", "d")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionText:
    """A question in one language; `why` explains the right option."""

    text: str
    options: Mapping[str, str]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question of a bank; `code` is stable for ever, `key` is the right option."""

    code: str
    topic: str
    difficulty: int
    key: str
    texts: Mapping[Language, QuestionText]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exam:
    """The terms of the exam for a certificate.

    `topics` is how many questions of each topic a sitting draws, `pass_bp` the share of right
    answers that passes, in basis points.
    """

    certificate: str
    minutes: int
    pass_bp: int
    attempts: int
    cooldown_days: int
    topics: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bank:
    """An exam with the names of its topics and its questions."""

    exam: Exam
    names: Mapping[str, Mapping[Language, str]]
    questions: Sequence[Question]


class SittingState(StrEnum):
    """`practical_due` and `declined` follow a pass where the desk looks at the work too."""

    OPEN = "open"
    PASSED = "passed"
    FAILED = "failed"
    PRACTICAL_DUE = "practical_due"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentQuestion:
    """A question of a bank that may be drawn; `drawn` and `seen` count sittings of late.

    `drawn` those of everybody, `seen` those of the friend who sits.
    """

    id: int
    topic: str
    drawn: int = 0
    seen: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A question as one sitting asks it; `options` is the order of its options."""

    question_id: int
    options: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A drawn question with its key and the answer that counts; None without one."""

    position: int
    topic: str
    options: str
    key: str
    choice: str | None
    texts: Mapping[Language, QuestionText]

    @property
    def is_right(self) -> bool:
        """Whether the answer is the right one."""
        return self.choice == self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Sitting:
    """One friend's try at an exam; `correct` and `ended_at` are None while it is open.

    `pass_bp` and the times are those it began with, whatever becomes of the exam.
    """

    id: UUID
    friend_id: FriendId
    certificate: str
    pass_bp: int
    extra_minutes: int
    started_at: datetime
    due_at: datetime
    state: SittingState
    correct: int | None = None
    ended_at: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateHeld:
    """The certificate that lasts longest of one kind; None is without end."""

    until: datetime | None
