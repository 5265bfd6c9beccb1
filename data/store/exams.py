"""Exams: banks, sittings, what they drew and what was answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from data import sql_loader
from data.db import Connection
from data.markets import Language
from data.records.exams import (
    Answered,
    Bank,
    CertificateHeld,
    CurrentQuestion,
    Drawn,
    Exam,
    Question,
    QuestionText,
    Sitting,
    SittingState,
)
from data.records.ids import FriendId

sql = sql_loader.load("exams")

Names = Mapping[Language, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedExam:
    """An exam with the names of its certificate and topics.

    `practical`: whether the desk looks at the work before the certificate is given.
    """

    exam: Exam
    names: Names
    topics: Mapping[str, Names]
    practical: bool


async def put(tx: Connection, banks: Iterable[Bank]) -> None:
    """Write banks: a changed question becomes a new version, one not among them is retired."""
    banks = list(banks)
    await tx.executemany(sql.put_exam, [_exam_row(bank) for bank in banks])
    await tx.execute(sql.retire_exams, [bank.exam.certificate for bank in banks])
    rows = [_question_row(bank, question) for bank in banks for question in bank.questions]
    await tx.execute(sql.retire_questions, rows)
    await tx.execute(sql.add_questions, rows)


def _exam_row(bank: Bank) -> tuple[Any, ...]:
    exam = bank.exam
    names = {topic: _plain(names) for topic, names in bank.names.items()}
    numbers = (exam.minutes, exam.pass_bp, exam.attempts, exam.cooldown_days)
    return (exam.certificate, *numbers, dict(exam.topics), names)


def _question_row(bank: Bank, question: Question) -> dict[str, Any]:
    texts = {
        str(language): {"text": text.text, "why": text.why, **text.options}
        for language, text in question.texts.items()
    }
    return {
        "code": question.code,
        "certificate": bank.exam.certificate,
        "topic": question.topic,
        "difficulty": question.difficulty,
        "key": question.key,
        "texts": texts,
    }


def _plain(names: Names) -> dict[str, str]:
    return {str(language): name for language, name in names.items()}


def _names(plain: Mapping[str, str]) -> Names:
    return {Language(language): name for language, name in plain.items()}


async def offered(tx: Connection, certificate: str | None = None) -> list[OfferedExam]:
    """Return the exams that can be sat, all or that of one certificate."""
    return [_offered(row) for row in await tx.fetch(sql.exams, certificate)]


async def exam_of(tx: Connection, certificate: str) -> OfferedExam:
    """Return the exam of a certificate, also one that is no longer offered."""
    row = await tx.fetchrow(sql.exam_of, certificate)
    assert row is not None
    return _offered(row)


def _offered(row: asyncpg.Record) -> OfferedExam:
    exam = Exam(
        certificate=row["certificate"],
        minutes=row["minutes"],
        pass_bp=row["pass_bp"],
        attempts=row["attempts"],
        cooldown_days=row["cooldown_days"],
        topics=row["topics"],
    )
    return OfferedExam(
        exam=exam,
        names=_names(row["certificate_names"]),
        topics={topic: _names(names) for topic, names in row["names"].items()},
        practical=row["practical"],
    )


async def held(tx: Connection, friend_id: FriendId) -> dict[str, CertificateHeld]:
    """Return a friend's certificates, also those that have ended."""
    rows = await tx.fetch(sql.held, friend_id)
    return {row["certificate"]: CertificateHeld(until=row["until"]) for row in rows}


async def sittings_of(tx: Connection, friend_id: FriendId) -> list[Sitting]:
    """Return all sittings of a friend, the oldest first."""
    return [_sitting(row) for row in await tx.fetch(sql.sittings_of, friend_id)]


def _sitting(row: asyncpg.Record) -> Sitting:
    return Sitting(
        id=row["id"],
        friend_id=FriendId(row["friend_id"]),
        certificate=row["certificate"],
        pass_bp=row["pass_bp"],
        extra_minutes=row["extra_minutes"],
        started_at=row["started_at"],
        due_at=row["due_at"],
        state=SittingState(row["state"]),
        correct=row["correct"],
        ended_at=row["ended_at"],
        reason=row["reason"],
    )


async def bank(
    tx: Connection, certificate: str, friend_id: FriendId, recent: int
) -> list[CurrentQuestion]:
    """Return the questions of a certificate and how often the last `recent` sittings drew each."""
    return [
        CurrentQuestion(**row) for row in await tx.fetch(sql.bank, certificate, friend_id, recent)
    ]


async def start(tx: Connection, sitting: Sitting, seed: int, drawn: Sequence[Drawn]) -> None:
    """Store a sitting with what it drew, and its timer."""
    await tx.execute(
        sql.start,
        sitting.id,
        sitting.friend_id,
        sitting.certificate,
        seed,
        sitting.pass_bp,
        sitting.extra_minutes,
        sitting.started_at,
        sitting.due_at,
    )
    ids, options = [one.question_id for one in drawn], [one.options for one in drawn]
    await tx.execute(sql.insert_drawn, sitting.id, ids, options)
    await tx.execute(sql.set_timer, sitting.friend_id, sitting.due_at)


async def answer(
    tx: Connection,
    sitting_id: UUID,
    friend_id: FriendId,
    position: int,
    choice: int,
    *,
    most: int,
) -> bool:
    """Store an answer in one statement; False unless the sitting is open and it is a new one."""
    args = (sitting_id, friend_id, position, choice, most)
    return await tx.fetchrow(sql.answer, *args) is not None


async def find(
    tx: Connection, sitting_id: UUID, friend_id: FriendId
) -> tuple[Sitting, datetime] | None:
    """Return a friend's own sitting and the moment; None if there is none."""
    row = await tx.fetchrow(sql.find, sitting_id, friend_id)
    return (_sitting(row), row["now"]) if row else None


async def lock(tx: Connection, sitting_id: UUID) -> Sitting | None:
    """Lock a sitting: no answer is stored until the transaction ends."""
    row = await tx.fetchrow(sql.lock, sitting_id)
    return _sitting(row) if row else None


async def friend_of(tx: Connection, sitting_id: UUID) -> FriendId | None:
    """Return whose sitting this is; None if there is none."""
    found = await tx.fetchval(sql.friend_of, sitting_id)
    return FriendId(found) if found else None


async def lock_open(tx: Connection, friend_id: FriendId) -> Sitting | None:
    """Lock the sitting of a friend that is open, if any."""
    row = await tx.fetchrow(sql.lock_open, friend_id)
    return _sitting(row) if row else None


async def paper(tx: Connection, sitting_id: UUID) -> list[Answered]:
    """Return what a sitting asks, in order, with the answers that count."""
    return [
        Answered(
            position=row["position"],
            topic=row["topic"],
            options=row["options"],
            key=row["key"],
            choice=row["choice"],
            texts={Language(code): _text(text) for code, text in row["texts"].items()},
        )
        for row in await tx.fetch(sql.paper, sitting_id)
    ]


def _text(text: Mapping[str, str]) -> QuestionText:
    options = {key: words for key, words in text.items() if key not in {"text", "why"}}
    return QuestionText(text=text["text"], options=options, why=text["why"])


async def end(
    tx: Connection, sitting: Sitting, state: SittingState, correct: int, at: datetime
) -> Sitting:
    """End an open sitting and delete its timer; returns it as it is now."""
    row = await tx.fetchrow(sql.end, sitting.id, state, correct, at)
    await tx.execute(sql.delete_timer, sitting.friend_id)
    assert row is not None
    return _sitting(row)


async def decide(tx: Connection, sitting_id: UUID, state: SittingState, reason: str | None) -> None:
    """Record the desk's decision about a practical check."""
    await tx.execute(sql.decide, sitting_id, state, reason)


async def due(tx: Connection, limit: int) -> list[FriendId]:
    """Return at most `limit` friends whose sitting is due, longest due first; takes no lock."""
    return [FriendId(row["subject_id"]) for row in await tx.fetch(sql.due, limit)]


async def delete_timer(tx: Connection, friend_id: FriendId) -> None:
    """Delete the timer of a friend's sitting."""
    await tx.execute(sql.delete_timer, friend_id)


async def postpone_timer(tx: Connection, friend_id: FriendId) -> None:
    """Postpone the timer of a friend's sitting after a failure, longer each time."""
    await tx.execute(sql.postpone_timer, friend_id)


async def practical_due(tx: Connection, limit: int) -> list[dict[str, Any]]:
    """Return at most `limit` sittings whose practical check is due, the longest due first."""
    return [dict(row) for row in await tx.fetch(sql.practical_due, limit)]


async def counts(tx: Connection) -> list[dict[str, Any]]:
    """Return the numbers of questions and sittings of each exam."""
    return [dict(row) for row in await tx.fetch(sql.counts)]


async def questions(tx: Connection, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return these questions without their keys."""
    return {row["id"]: dict(row) for row in await tx.fetch(sql.questions, ids)}


async def responses(tx: Connection, certificate: str, sittings: int) -> list[dict[str, Any]]:
    """Return what was answered in the last `sittings` of an exam that have ended, newest first."""
    return [dict(row) for row in await tx.fetch(sql.responses, certificate, sittings)]


async def sitters(tx: Connection, sittings: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
    """Return who sat these."""
    return {row["id"]: dict(row) for row in await tx.fetch(sql.sitters, sittings)}
