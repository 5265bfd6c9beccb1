"""Requests for human review and correction: asked, due by a timer, answered with reasons."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from data.db import Connection, ConstraintViolation, DatabaseError, moment, transaction
from data.enums import OperatorRole
from data.records import subjects
from data.records.ids import FriendId, PersonId
from data.records.review_requests import (
    ReviewOutcome,
    ReviewRequest,
    ReviewSubject,
    WaitingRequest,
)
from data.store import desk, friend_admin
from data.store import review_requests as store
from dispatch.flows import journal
from dispatch.rules.jobs.draft import SYSTEM
from dispatch.rules.journal import Happening
from dispatch.rules.people import review_requests as rules
from dispatch.rules.refusals import NotFound
from dispatch.runtime import Runtime

log = logging.getLogger(__name__)

SHOWN: Final = 50
ANSWERERS: Final = tuple(role for role in OperatorRole if role.includes(OperatorRole.COMMUNITY))


async def ask(
    rt: Runtime, friend_id: FriendId, about: ReviewSubject, text: str, *, actor: str
) -> ReviewRequest:
    """Ask for a friend that a person looks again. Raises NotFound, ReviewAskedAlready."""
    async with transaction(rt.pool) as tx:
        if await friend_admin.lock_friend(tx, friend_id) is None:
            raise NotFound("there is no such friend")
        asked = await store.insert(
            tx,
            _draft(rt.new_id(), friend_id, about, text, await moment(tx)),
            rt.policy.review_answered_within,
            rules.DECISIONS.get(about, ()),
        )
        if asked is None:
            raise rules.ReviewAskedAlready
        await _set_timer(rt, tx, friend_id)
        data = {"about": about, "until": asked.due_at.isoformat()}
        await _record(tx, friend_id, "review.asked", data, actor)
        return asked


def _draft(
    id_: UUID, friend_id: FriendId, about: ReviewSubject, text: str, now: datetime
) -> ReviewRequest:
    return ReviewRequest(
        id=id_,
        friend_id=friend_id,
        about=about,
        text=text,
        asked_at=now,
        due_at=now,
        reminded_at=None,
        decided_by=None,
        answered_at=None,
        outcome=None,
        reasons=None,
    )


async def own(rt: Runtime, friend_id: FriendId) -> list[ReviewRequest]:
    """The last requests of a friend with their answers, the newest first."""
    async with transaction(rt.pool) as tx:
        return await store.of_friend(tx, friend_id, SHOWN)


async def waiting(
    rt: Runtime, *, after: tuple[datetime, UUID] | None, limit: int, actor: str
) -> Sequence[WaitingRequest]:
    """A page of requests to answer, the first due first; the look is recorded."""
    async with transaction(rt.pool) as tx:
        found = await store.waiting(tx, after, limit)
        await desk.record_access(tx, actor=actor, act="review_requests.listed", subject="desk")
        return found


async def answer(
    rt: Runtime, id_: UUID, outcome: ReviewOutcome, reasons: str, *, operator: PersonId
) -> None:
    """Answer a request with reasons. Raises NotFound, ReviewAnswered, ReviewByAnother.

    What the answer promises is done by the desk's own commands.
    """
    async with transaction(rt.pool) as tx:
        friend_id = await store.friend_of(tx, id_)
        if friend_id is None:
            raise NotFound("there is no such request")
        await friend_admin.lock_friend(tx, friend_id)
        request = await store.lock(tx, id_)
        rules.check_may_answer(request, operator)
        await store.answer(tx, id_, operator, outcome, reasons)
        await _set_timer(rt, tx, friend_id)
        data = {"about": request.about, "outcome": outcome, "request": str(id_)}
        await _record(tx, friend_id, "review.answered", data, f"operator:{operator}")


async def fire_due_timers(rt: Runtime, limit: int) -> int:
    """Remind the desk of what `limit` friends at most asked; returns how many were acted on.

    A friend whose timer fails is postponed and does not block the others.
    """
    async with transaction(rt.pool) as tx:
        due = await store.due(tx, limit)
    for friend_id in due:
        try:
            async with transaction(rt.pool) as tx:
                await friend_admin.lock_friend(tx, friend_id)
                await _set_timer(rt, tx, friend_id)
        except Exception as error:
            if isinstance(error, DatabaseError) and not isinstance(error, ConstraintViolation):
                raise
            log.exception("the reminder of friend %s failed; it is postponed", friend_id)
            async with transaction(rt.pool) as tx:
                await store.postpone_timer(tx, friend_id)
    return len(due)


async def _set_timer(rt: Runtime, tx: Connection, friend_id: FriendId) -> None:
    """Remind of what is due now, and set the timer for what is due next."""
    found = await store.open_of(tx, friend_id)
    due, following = rules.remind(found, await moment(tx), rt.policy)
    await store.set_timer(tx, friend_id, following)
    if not due:
        return
    await store.mark_reminded(tx, [one.id for one in due])
    until = {"until": due[0].due_at.isoformat()}
    told = await store.answerers(tx, ANSWERERS)
    entries = [Happening(subjects.person(one), "review.due", until) for one in told]
    await journal.record(tx, *entries, actor=SYSTEM)


async def _record(
    tx: Connection, friend_id: FriendId, kind: str, data: Mapping[str, Any], actor: str
) -> None:
    await journal.record(tx, Happening(subjects.person(friend_id), kind, data), actor=actor)
