"""Exams: questions, the terms of an exam, sittings and what was answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from data.markets import Language

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
