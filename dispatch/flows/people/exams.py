"""Exams: starting, answering and ending sittings, and the certificates they lead to."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from data.db import Connection, ConstraintViolation, DatabaseError, moment, transaction
from data.records import subjects
from data.records.exams import Answered, CertificateHeld, Sitting, SittingState
from data.records.ids import FriendId
from data.store import certificates, exams, friend_admin
from data.store.exams import OfferedExam
from dispatch.flows import journal
from dispatch.flows.people import certificates as certificate_timers
from dispatch.flows.people.friends import refresh_and_retry
from dispatch.flows.read_only import read_connection
from dispatch.rules.journal import Happening
from dispatch.rules.people import exams as rules
from dispatch.rules.people.exams import (
    AnotherSitting,
    PracticalNotDue,
    SittingOver,
    Standing,
    TooManyAnswers,
)
from dispatch.rules.refusals import NotFound
from dispatch.runtime import Runtime

log = logging.getLogger(__name__)

SYSTEM: Final = "system"
ANSWERS_MAX: Final = 400
RECENT: Final = 200
PRACTICAL_MAX: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnExam:
    """An exam, what a friend can do about it, and the last sitting of it."""

    offered: OfferedExam
    standing: Standing
    held: CertificateHeld | None
    last: Sitting | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSitting:
    """A sitting with what it asks, at the moment `now`."""

    offered: OfferedExam
    sitting: Sitting
    paper: Sequence[Answered]
    now: datetime


async def own_exams(rt: Runtime, friend_id: FriendId) -> list[OwnExam]:
    """All exams with what a friend can do about each."""
    async with transaction(rt.pool) as tx:
        offered = await exams.offered(tx)
        sittings = await exams.sittings_of(tx, friend_id)
        held = await exams.held(tx, friend_id)
        now = await moment(tx)
    return [_own_exam(rt, one, sittings, held, now) for one in offered]


def _own_exam(
    rt: Runtime,
    offered: OfferedExam,
    sittings: Sequence[Sitting],
    held: Mapping[str, CertificateHeld],
    now: datetime,
) -> OwnExam:
    code = offered.exam.certificate
    own = [one for one in sittings if one.certificate == code]
    found = rules.standing(offered.exam, own, held.get(code), now, rt.policy)
    return OwnExam(
        offered=offered, standing=found, held=held.get(code), last=own[-1] if own else None
    )


async def start(
    rt: Runtime, friend_id: FriendId, certificate: str, *, more_time: bool
) -> OwnSitting:
    """Begin a sitting, or return the one that is running, in whatever tab it was begun.

    Raises NotFound, ExamNotOpen, AnotherSitting.
    """
    async with transaction(rt.pool) as tx:
        if not await friend_admin.lock_friend(tx, friend_id):
            raise NotFound("there is no such friend")
        now = await moment(tx)
        running = await exams.lock_open(tx, friend_id)
        if running is not None and now >= running.due_at:
            await _end(rt, tx, running, now)
            running = None
        if running is None:
            running = await _begin(rt, tx, friend_id, certificate, now, more_time=more_time)
        elif running.certificate != certificate:
            raise AnotherSitting
        return await _own_sitting(tx, running, now)


async def _begin(
    rt: Runtime,
    tx: Connection,
    friend_id: FriendId,
    certificate: str,
    now: datetime,
    *,
    more_time: bool,
) -> Sitting:
    found = await exams.offered(tx, certificate)
    if not found:
        raise NotFound("there is no such exam")
    exam = found[0].exam
    sittings, held = await exams.sittings_of(tx, friend_id), await exams.held(tx, friend_id)
    rules.check_may_start(_own_exam(rt, found[0], sittings, held, now).standing)
    sitting_id = rt.new_id()
    extra = rules.extra_minutes(exam, rt.policy, more_time=more_time)
    sitting = Sitting(
        id=sitting_id,
        friend_id=friend_id,
        certificate=certificate,
        pass_bp=exam.pass_bp,
        extra_minutes=extra,
        started_at=now,
        due_at=now + timedelta(minutes=exam.minutes + extra),
        state=SittingState.OPEN,
    )
    seed = _seed(sitting_id)
    bank = await exams.bank(tx, certificate, friend_id, RECENT)
    await exams.start(tx, sitting, seed, rules.draw(exam, bank, seed))
    await _record(tx, sitting, "exam.started")
    return sitting


def _seed(sitting_id: UUID) -> int:
    return int.from_bytes(sha256(sitting_id.bytes).digest()[:7], "big")


async def sitting(rt: Runtime, friend_id: FriendId, sitting_id: UUID) -> OwnSitting:
    """A friend's own sitting. Raises NotFound."""
    async with transaction(rt.pool) as tx:
        found = await exams.find(tx, sitting_id, friend_id)
        if found is None:
            raise NotFound("there is no such sitting")
        return await _own_sitting(tx, *found)


async def _own_sitting(tx: Connection, sitting: Sitting, now: datetime) -> OwnSitting:
    return OwnSitting(
        offered=await exams.exam_of(tx, sitting.certificate),
        sitting=sitting,
        paper=await exams.paper(tx, sitting.id),
        now=now,
    )


async def answer(
    rt: Runtime, friend_id: FriendId, sitting_id: UUID, position: int, choice: int
) -> None:
    """Answer a question of one's own sitting; `choice` counts the options as shown, from 1 on.

    One statement, committed by itself; the same answer again changes nothing. Raises NotFound,
    SittingOver, TooManyAnswers.
    """
    async with read_connection(rt) as connection:
        args = (sitting_id, friend_id, position, choice)
        if not await exams.answer(connection, *args, most=ANSWERS_MAX):
            await _check_answered(connection, *args)


async def _check_answered(
    tx: Connection, sitting_id: UUID, friend_id: FriendId, position: int, choice: int
) -> None:
    """Raise why an answer was not stored, unless it stands already."""
    found = await exams.find(tx, sitting_id, friend_id)
    if found is None:
        raise NotFound("there is no such sitting")
    asked = {one.position: one for one in await exams.paper(tx, sitting_id)}
    if position not in asked:
        raise NotFound("there is no such question")
    sitting, now = found
    if sitting.state is not SittingState.OPEN or now >= sitting.due_at:
        raise SittingOver
    if rules.shown_choice(asked[position]) != choice:
        raise TooManyAnswers


async def finish(rt: Runtime, friend_id: FriendId, sitting_id: UUID) -> OwnSitting:
    """End one's own sitting and return it with its result; again, it returns the same.

    Raises NotFound.
    """
    async with transaction(rt.pool) as tx:
        await friend_admin.lock_friend(tx, friend_id)
        found = await exams.lock(tx, sitting_id)
        if found is None or found.friend_id != friend_id:
            raise NotFound("there is no such sitting")
        now = await moment(tx)
        ended = await _end(rt, tx, found, now) if found.state is SittingState.OPEN else found
        result = await _own_sitting(tx, ended, now)
    if ended is not found:
        await refresh_and_retry(rt, {friend_id})
    return result


async def _end(rt: Runtime, tx: Connection, sitting: Sitting, now: datetime) -> Sitting:
    """Grade an open, locked sitting with what is there, at its due time at the latest."""
    paper = await exams.paper(tx, sitting.id)
    offered = await exams.exam_of(tx, sitting.certificate)
    correct = rules.count_right(paper)
    state = rules.verdict(correct, len(paper), sitting.pass_bp, practical=offered.practical)
    ended = await exams.end(tx, sitting, state, correct, min(now, sitting.due_at))
    await _record(tx, ended, rules.entry_kind(state))
    if state is SittingState.PASSED:
        await _certify(rt, tx, ended, actor=SYSTEM)
    return ended


async def _certify(rt: Runtime, tx: Connection, sitting: Sitting, *, actor: str) -> None:
    await certificates.give(tx, sitting.friend_id, sitting.certificate)
    await _record(tx, sitting, "friend.certified", actor=actor)
    await certificate_timers.keep_timers(rt, tx, [sitting.friend_id])


async def _record(tx: Connection, sitting: Sitting, kind: str, *, actor: str = SYSTEM) -> None:
    subject = subjects.person(sitting.friend_id)
    happening = Happening(subject, kind, {"certificate": sitting.certificate})
    await journal.record(tx, happening, actor=actor)


async def fire_due_timers(rt: Runtime, limit: int) -> int:
    """End at most `limit` sittings whose time is up; returns how many timers were acted on.

    A friend whose timer fails is postponed and does not block the others.
    """
    async with transaction(rt.pool) as tx:
        due = await exams.due(tx, limit)
    for friend_id in due:
        try:
            await _end_due(rt, friend_id)
        except Exception as error:
            if isinstance(error, DatabaseError) and not isinstance(error, ConstraintViolation):
                raise
            log.exception("the exam of friend %s could not be ended; it is postponed", friend_id)
            async with transaction(rt.pool) as tx:
                await exams.postpone_timer(tx, friend_id)
    return len(due)


async def _end_due(rt: Runtime, friend_id: FriendId) -> None:
    async with transaction(rt.pool) as tx:
        await friend_admin.lock_friend(tx, friend_id)
        running, now = await exams.lock_open(tx, friend_id), await moment(tx)
        if running is None:
            await exams.delete_timer(tx, friend_id)
            return
        if now < running.due_at:
            return
        await _end(rt, tx, running, now)
    await refresh_and_retry(rt, {friend_id})


async def practical_checks(rt: Runtime) -> Sequence[Mapping[str, Any]]:
    """The sittings whose practical check is due, the longest due first."""
    async with transaction(rt.pool) as tx:
        return await exams.practical_due(tx, PRACTICAL_MAX)


async def decide_practical(
    rt: Runtime, sitting_id: UUID, *, confirmed: bool, reason: str | None, actor: str
) -> None:
    """Confirm a practical check, which gives the certificate, or decline it with a reason.

    Raises NotFound, PracticalNotDue.
    """
    async with transaction(rt.pool) as tx:
        friend_id = await exams.friend_of(tx, sitting_id)
        if friend_id is None:
            raise NotFound("there is no such sitting")
        await friend_admin.lock_friend(tx, friend_id)
        found = await exams.lock(tx, sitting_id)
        assert found is not None
        if found.state is not SittingState.PRACTICAL_DUE:
            raise PracticalNotDue
        state = rules.practical_state(confirmed=confirmed)
        await exams.decide(tx, sitting_id, state, None if confirmed else reason)
        await _record(tx, found, rules.entry_kind(state, checked=True), actor=actor)
        if confirmed:
            await _certify(rt, tx, found, actor=actor)
    await refresh_and_retry(rt, {friend_id})
