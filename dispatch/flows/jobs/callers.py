"""How a caller reaches a job: by an offer, by holding it, or by a permission."""

from __future__ import annotations

from collections.abc import Callable

from data.enums import AwardState
from data.records.ids import BookingId, FriendId, OfferId
from data.records.jobs import Job
from dispatch.flows.execute import Command, CommandResult, Facts
from dispatch.flows.group_commit import group_commit
from dispatch.rules.jobs import companies
from dispatch.rules.jobs.draft import Case, Verdict
from dispatch.rules.jobs.refusals import ContactDeadlinePassed
from dispatch.rules.refusals import NotFound
from dispatch.runtime import Runtime

Permission = Callable[[Job], bool]
Decide = Callable[[Case, Facts], Verdict]
UNKNOWN = "there is no such booking, or it is not yours"


async def execute_one(rt: Runtime, command: Command) -> CommandResult:
    """Execute a command without an idempotency key."""
    result = await group_commit(rt).execute(command)
    assert isinstance(result, CommandResult)  # only a command with a claim has a stored response
    return result


async def on_offer(
    rt: Runtime, offer_id: OfferId, friend_id: FriendId, decide: Decide
) -> CommandResult:
    """Run a command of the friend who has this offer. Raises NotFound."""

    def decide_for_friend(case: Case, facts: Facts) -> Verdict:
        companies.require_answerable(case.job, offer_id)
        return decide(case, facts)

    return await execute_one(
        rt,
        Command(
            offer=(offer_id, friend_id),
            actor=f"friend:{friend_id}",
            decide=decide_for_friend,
            friend=friend_id,
        ),
    )


async def by_holder(
    rt: Runtime,
    booking_id: BookingId,
    friend_id: FriendId,
    decide: Decide,
    *,
    with_appointments: bool = False,
    with_thread: bool = False,
) -> CommandResult:
    """Run a command of the friend who holds the job. Raises NotFound, ContactDeadlinePassed."""

    def decide_for_holder(case: Case, facts: Facts) -> Verdict:
        check_holder(case.job, friend_id)
        return decide(case, facts)

    return await by_any_holder(
        rt,
        booking_id,
        friend_id,
        decide_for_holder,
        with_appointments=with_appointments,
        with_thread=with_thread,
    )


async def by_any_holder(
    rt: Runtime,
    booking_id: BookingId,
    friend_id: FriendId,
    decide: Decide,
    *,
    with_appointments: bool = False,
    with_thread: bool = False,
) -> CommandResult:
    """Run a command of a friend who holds or has held the job; for others there is none."""
    return await execute_one(
        rt,
        Command(
            booking_id=booking_id,
            actor=f"friend:{friend_id}",
            decide=decide,
            friend=friend_id,
            holder_only=True,
            with_appointments=with_appointments,
            with_thread=with_thread,
        ),
    )


async def by_permitted(
    rt: Runtime,
    booking_id: BookingId,
    actor: str,
    may_act: Permission,
    rule: Callable[[Case], Verdict],
) -> CommandResult:
    """Run a command of a caller who `may_act` on the job. Raises NotFound."""

    def decide(case: Case, facts: Facts) -> Verdict:
        if not may_act(case.job):
            raise NotFound(UNKNOWN)
        return rule(case)

    return await execute_one(rt, Command(booking_id=booking_id, actor=actor, decide=decide))


def check_holder(job: Job, friend_id: FriendId) -> None:
    """Raise NotFound unless the friend holds the job; ContactDeadlinePassed if they forfeited."""
    if is_holder(job, friend_id):
        return
    if is_former(job, friend_id, AwardState.FORFEITED):
        raise ContactDeadlinePassed
    raise NotFound(UNKNOWN)


def is_holder(job: Job, friend_id: FriendId) -> bool:
    """Whether the friend holds the job, or has completed it."""
    return job.award is not None and job.award.friend_id == friend_id


def is_former(job: Job, friend_id: FriendId, state: AwardState) -> bool:
    """Whether the last award of the friend ended in this way."""
    return job.former.get(friend_id) is state
