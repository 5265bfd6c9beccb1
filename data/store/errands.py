"""Errands and notices: claimed under a lease, then settled."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg

from data import sql_loader
from data.db import Connection
from data.enums import ErrandState, SubjectKind
from data.records import subjects
from data.records.errands import Errand, Heard
from data.records.subjects import Subject
from data.store.outbox import PROBLEM_LONGEST, DeliveryOutcome

sql = sql_loader.load("errands")

BEGINNING: Final = (datetime(1, 1, 1, tzinfo=UTC), UUID(int=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedErrand:
    """An errand claimed until its lease ends; `tries` includes this attempt."""

    errand: Errand
    tries: int
    is_expired: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedNotice:
    """A notice claimed until its lease ends; `reference` is what the provider calls its object."""

    id: UUID
    provider: str
    reference: str
    tries: int


def errand_row(e: Errand) -> tuple[object, ...]:
    """The columns of a new errand, in the order of `insert`."""
    is_booking = e.subject.kind is SubjectKind.BOOKING
    booking, other = (e.subject.id, None) if is_booking else (None, e.subject.id)
    return (e.id, e.kind, e.subject.kind, booking, other, dict(e.request), e.expires_at)


async def insert(tx: Connection, errands: Sequence[Errand]) -> None:
    """Queue errands."""
    if errands:
        await tx.execute(sql.insert, *map(list, zip(*map(errand_row, errands), strict=True)))


async def claim(tx: Connection, limit: int, *, lease_s: float) -> list[ClaimedErrand]:
    """Claim at most `limit` due errands for `lease_s`."""
    if limit < 1:
        return []
    return [
        ClaimedErrand(errand=_errand(row), tries=row["attempts"], is_expired=row["late"])
        for row in await tx.fetch(sql.claim, limit, lease_s)
    ]


async def lock(tx: Connection, errand_id: UUID) -> Errand | None:
    """Lock an errand whose answer is still wanted; None for one that has ended."""
    row = await tx.fetchrow(sql.lock, errand_id)
    return _errand(row) if row else None


async def end(tx: Connection, errand_id: UUID, heard: Heard) -> None:
    """Write how an errand ended, or that it is parked."""
    problem = heard.problem and heard.problem[:PROBLEM_LONGEST]
    await tx.execute(sql.end, errand_id, heard.state, heard.answer, problem)


async def postpone(tx: Connection, outcomes: Sequence[DeliveryOutcome]) -> None:
    """Let errands be tried again after their back-off."""
    if outcomes:
        await tx.execute(sql.postpone, *_pauses(outcomes))


def _pauses(outcomes: Sequence[DeliveryOutcome]) -> tuple[list[object], ...]:
    return (
        [o.id for o in outcomes],
        [o.tries for o in outcomes],
        [o.problem and o.problem[:PROBLEM_LONGEST] for o in outcomes],
        [o.retry_after_s for o in outcomes],
    )


async def by_reference(tx: Connection, reference: str, kinds: Collection[str]) -> Errand | None:
    """Lock the errand that the provider calls by this reference."""
    row = await tx.fetchrow(sql.by_reference, reference, list(kinds))
    return _errand(row) if row else None


async def parked(
    tx: Connection, *, after: tuple[datetime, UUID] | None, limit: int
) -> list[dict[str, Any]]:
    """Return a page of parked errands, the longest waiting first."""
    return [dict(row) for row in await tx.fetch(sql.parked, *(after or BEGINNING), limit)]


async def unpark(tx: Connection, errand_id: UUID) -> Subject | None:
    """Reset a parked errand to its first attempt; return its subject, None if it is not parked."""
    row = await tx.fetchrow(sql.unpark, errand_id)
    return _subject(row) if row else None


async def of_people(tx: Connection, people: Collection[UUID]) -> list[UUID]:
    """Return the errands about these people."""
    return [row["id"] for row in await tx.fetch(sql.of_people, list(people))]


async def insert_notice(
    tx: Connection, id_: UUID, *, provider: str, event_id: str, reference: str
) -> None:
    """Store an event of a provider; one that is stored already stays as it is."""
    await tx.execute(sql.insert_notice, id_, provider, event_id, reference)


async def claim_notices(tx: Connection, limit: int, *, lease_s: float) -> list[ClaimedNotice]:
    """Claim at most `limit` due notices for `lease_s`."""
    if limit < 1:
        return []
    return [
        ClaimedNotice(
            id=row["id"],
            provider=row["provider"],
            reference=row["reference"],
            tries=row["attempts"],
        )
        for row in await tx.fetch(sql.claim_notices, limit, lease_s)
    ]


async def end_notice(
    tx: Connection, notice_id: UUID, state: ErrandState, problem: str | None
) -> bool:
    """Write that a notice was dealt with; False if it was before."""
    done: str = await tx.execute(
        sql.end_notice, notice_id, state, problem and problem[:PROBLEM_LONGEST]
    )
    return done.endswith(" 1")


async def postpone_notices(tx: Connection, outcomes: Sequence[DeliveryOutcome]) -> None:
    """Let notices be tried again after their back-off."""
    if outcomes:
        await tx.execute(sql.postpone_notices, *_pauses(outcomes))


async def delete_old(tx: Connection, kept: timedelta) -> None:
    """Delete at most a thousand errands and a thousand notices that ended so long ago."""
    await tx.execute(sql.delete_old, kept)
    await tx.execute(sql.delete_old_notices, kept)


def _subject(row: asyncpg.Record) -> Subject:
    if row["booking_id"] is not None:
        return subjects.booking(row["booking_id"])
    return Subject(SubjectKind(row["subject_kind"]), row["subject_id"])


def _errand(row: asyncpg.Record) -> Errand:
    return Errand(
        id=row["id"],
        kind=row["kind"],
        subject=_subject(row),
        request=row["request"],
        expires_at=row["expires_at"],
    )
