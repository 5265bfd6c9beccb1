"""Messages between customer and friend: each is a command on the job, in its order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from data.db import transaction
from data.enums import Author
from data.records import subjects
from data.records.ids import BookingId, FriendId
from data.records.threads import Note
from data.store import desk, read_models, threads
from data.store.idempotency_keys import Claim
from dispatch.flows.execute import Command, CommandResult, Facts, StoredResponse
from dispatch.flows.group_commit import group_commit
from dispatch.flows.jobs.callers import check_holder
from dispatch.rules.jobs import thread as rules
from dispatch.rules.jobs.draft import Case, Verdict
from dispatch.rules.refusals import NotFound
from dispatch.runtime import Runtime

ResponseBuilder = Callable[[CommandResult], Mapping[str, Any]]


async def write(
    rt: Runtime,
    booking_id: BookingId,
    friend_id: FriendId | None,
    text: str,
    *,
    claim: Claim | None,
    build_response: ResponseBuilder,
) -> CommandResult | StoredResponse:
    """Add a message of the friend, or of the customer without one.

    Raises NotFound, NotInThisState, ThreadClosed, TooManyMessages.
    """
    author = Author.FRIEND if friend_id else Author.CUSTOMER

    def decide(case: Case, facts: Facts) -> Verdict:
        _check(case, friend_id)
        found = facts.threads.get(booking_id)
        if found is None or case.job.award is None or found[0].award_id != case.job.award.id:
            return rules.write(case, None, author, text)
        return rules.write(case, found[0], author, text, found[1][author])

    command = _command(booking_id, friend_id, decide, claim, build_response)
    return await group_commit(rt).execute(command)


async def read(
    rt: Runtime, booking_id: BookingId, friend_id: FriendId | None, up_to: int
) -> CommandResult | StoredResponse:
    """Record up to which message the friend, or the customer, has read."""
    reader = Author.FRIEND if friend_id else Author.CUSTOMER

    def decide(case: Case, facts: Facts) -> Verdict:
        _check(case, friend_id)
        found = facts.threads.get(booking_id)
        return rules.read(case, found[0] if found else None, reader, up_to)

    return await group_commit(rt).execute(_command(booking_id, friend_id, decide))


async def read_for_desk(
    rt: Runtime, booking_id: BookingId, *, actor: str
) -> list[tuple[Note, str]]:
    """The messages of all threads of a booking; recorded in the audit. Raises NotFound."""
    async with transaction(rt.pool) as tx:
        if await read_models.owner(tx, booking_id) is None:
            raise NotFound("there is no such booking")
        await desk.record_access(
            tx, actor=actor, act="messages.read", subject=subjects.booking(booking_id)
        )
        return await threads.notes_of_booking(tx, booking_id)


def _check(case: Case, friend_id: FriendId | None) -> None:
    if friend_id is not None:
        check_holder(case.job, friend_id)


def _command(
    booking_id: BookingId,
    friend_id: FriendId | None,
    decide: Callable[[Case, Facts], Verdict],
    claim: Claim | None = None,
    build_response: ResponseBuilder | None = None,
) -> Command:
    return Command(
        booking_id=booking_id,
        actor=f"friend:{friend_id}" if friend_id else "customer",
        decide=decide,
        friend=friend_id,
        holder_only=friend_id is not None,
        with_thread=True,
        claim=claim,
        build_response=build_response,
    )
