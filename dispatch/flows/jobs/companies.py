"""The commands of a company's dispatchers on its offers and jobs."""

from __future__ import annotations

from data.records.ids import BookingId, CompanyId, FriendId, OfferId
from data.store import companies as store
from dispatch.flows.execute import Command, CommandResult, Facts
from dispatch.flows.jobs.callers import Decide, execute_one
from dispatch.flows.read_only import read_connection
from dispatch.rules.jobs import companies as rules
from dispatch.rules.jobs.draft import Case, Verdict
from dispatch.rules.refusals import NotFound
from dispatch.runtime import Runtime


async def accept(
    rt: Runtime, offer_id: OfferId, company: CompanyId, technician: FriendId, *, actor: str
) -> CommandResult:
    """Accept an offer to the company and give the job to a technician.

    Raises OfferGone, OfferExpired, TechnicianBusy, TechnicianUnfit, TooManyToday, NotFound.
    """
    booking_id = await _booking_of_offer(rt, offer_id, company)
    return await _run(
        rt,
        booking_id,
        lambda case, facts: rules.accept(case, offer_id, company, facts.friend(technician)),
        friend=technician,
        actor=actor,
    )


async def decline(
    rt: Runtime, offer_id: OfferId, company: CompanyId, *, actor: str
) -> CommandResult:
    """Decline an offer for the whole company. Raises OfferGone, OfferExpired, NotFound."""
    booking_id = await _booking_of_offer(rt, offer_id, company)
    return await _run(
        rt, booking_id, lambda case, facts: rules.decline(case, offer_id, company), actor=actor
    )


async def reassign(
    rt: Runtime, booking_id: BookingId, company: CompanyId, technician: FriendId, *, actor: str
) -> CommandResult:
    """Give a job of the company to another technician before the visit."""

    def decide(case: Case, facts: Facts) -> Verdict:
        calendar = facts.appointments.get(technician, {})
        taken = tuple(other for id_, other in calendar.items() if id_ != booking_id)
        return rules.reassign(case, company, facts.friend(technician), taken)

    return await _run(rt, booking_id, decide, friend=technician, actor=actor)


async def hand_back(
    rt: Runtime, booking_id: BookingId, company: CompanyId, reason: str, note: str | None,
    *, actor: str,
) -> CommandResult:  # fmt: skip
    """Hand a job of the company back; others are asked."""

    def decide(case: Case, facts: Facts) -> Verdict:
        award = rules.own_award(case.job, company)
        return rules.hand_back(case, company, reason, note, facts.friend(award.friend_id))

    return await _run(rt, booking_id, decide, actor=actor)


async def _booking_of_offer(rt: Runtime, offer_id: OfferId, company: CompanyId) -> BookingId:
    async with read_connection(rt) as tx:
        found = await store.booking_of_offer(tx, offer_id, company)
    if found is None:
        raise NotFound("there is no such offer, or it is not your company's")
    return found


async def _run(
    rt: Runtime,
    booking_id: BookingId,
    decide: Decide,
    *,
    actor: str,
    friend: FriendId | None = None,
) -> CommandResult:
    return await execute_one(
        rt,
        Command(
            booking_id=booking_id,
            actor=actor,
            decide=decide,
            friend=friend,
            with_appointments=friend is not None,
        ),
    )
