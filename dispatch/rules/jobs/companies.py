"""Jobs of a company of pros: its dispatchers answer its offers and choose the technician.

A company is asked once about a job, by an offer that stands with its nearest technician who
qualifies. Accepting gives the job to any technician of the company who qualifies; until the visit
begins, the dispatchers may give it to another. The contact deadline stays as it was.
"""

from __future__ import annotations

from datetime import datetime

from data.enums import BookingState, FriendState, OfferState, Outcome
from data.records.ids import CompanyId, OfferId
from data.records.jobs import Appointment, Award, Job, Offer
from data.records.people import Friend
from data.replace import replace
from dispatch.rules.jobs import contact, job, matching
from dispatch.rules.jobs.draft import Case, Draft, Verdict
from dispatch.rules.jobs.refusals import (
    AppointmentOverlaps,
    ContactDeadlinePassed,
    OfferGone,
    TechnicianBusy,
    TechnicianUnfit,
)
from dispatch.rules.policy import Policy
from dispatch.rules.refusals import NotFound
from dispatch.rules.trust import limits

REASSIGNABLE = (BookingState.AWARDED, BookingState.CONTACTED, BookingState.SCHEDULED)


def own_offer(job: Job, offer_id: OfferId, company: CompanyId) -> Offer:
    """An offer to this company. Raises NotFound."""
    for offer in job.offers:
        if offer.id == offer_id and offer.company == company:
            return offer
    raise NotFound("there is no such offer, or it is not your company's")


def own_award(job: Job, company: CompanyId) -> Award:
    """The award that this company holds. Raises NotFound."""
    if job.award is None or job.award.company != company:
        raise NotFound("there is no such booking, or your company does not hold it")
    return job.award


def require_answerable(job: Job, offer_id: OfferId) -> None:
    """Raise NotFound for an offer that the dispatchers of a company answer, not its friend."""
    if any(offer.id == offer_id and offer.company is not None for offer in job.offers):
        raise NotFound("there is no such offer, or it is not yours")


def accept(case: Case, offer_id: OfferId, company: CompanyId, technician: Friend) -> Verdict:
    """Award the job to a technician of the company; the other live offers are lost.

    A repeat with the same technician changes nothing; with another one the offer is gone. Raises
    OfferExpired, OfferGone, TechnicianBusy, TechnicianUnfit, TooManyToday or NotFound.
    """
    offer = own_offer(case.job, offer_id, company)
    _require_member(technician, company)
    if offer.state is OfferState.ACCEPTED:
        if own_award(case.job, company).friend_id != technician.id:
            raise OfferGone
        return None
    job.check_live(case.now, offer)
    _require_free(technician, case)
    if any(o.friend_id == technician.id and o.id != offer_id for o in case.job.live):
        raise TechnicianUnfit("they have an offer of their own for this job")
    draft = Draft(case)
    draft.pass_offer(offer, technician.id)
    return job.award_to(draft, technician, offer_id)


def decline(case: Case, offer_id: OfferId, company: CompanyId) -> Verdict:
    """Decline for the whole company, and ask the next nearest at once."""
    own_offer(case.job, offer_id, company)
    return job.decline(case, offer_id)


def reassign(
    case: Case, company: CompanyId, technician: Friend, taken: tuple[Appointment, ...]
) -> Verdict:
    """Give the job to another technician before the visit; the same one again changes nothing.

    Deadline, contact and appointment stay. `taken` are the technician's other appointments. Raises
    NotInThisState, ContactDeadlinePassed, TechnicianBusy, TechnicianUnfit or AppointmentOverlaps.
    """
    award = own_award(case.job, company)
    _require_member(technician, company)
    if award.friend_id == technician.id:
        return None
    draft = Draft(case)
    draft.require_state(*REASSIGNABLE)
    contact.require_unpaused(draft)
    if case.job.booking.state is BookingState.AWARDED and case.now >= award.contact_due_at:
        raise ContactDeadlinePassed
    _require_free(technician, case)
    met = award.appointment
    if met and any(met.starts_at < o.ends_at and o.starts_at < met.ends_at for o in taken):
        raise AppointmentOverlaps
    draft.pass_award(technician.id)
    draft.amend_award(on_the_way_at=None)
    draft.add_event(
        "booking.reassigned",
        friend=str(technician.id),
        before=str(award.friend_id),
        award=str(award.id),
    )
    return draft.changes()


def hand_back(
    case: Case, company: CompanyId, reason: str, note: str | None, holder: Friend
) -> Verdict:
    """Take the job back from the company, keep the reason, and ask others."""
    own_award(case.job, company)
    return job.hand_back(case, reason, note, holder)


def unfit(friend: Friend, job: Job, now: datetime, policy: Policy) -> Outcome | None:
    """Why a technician may not be given the job, how near and how busy they are aside; or None."""
    if friend.state is not FriendState.ACTIVE:
        return Outcome.INACTIVE
    # With an offer live, the only need is that of the tier that is asked now.
    search = replace(matching.search_of(job), live=1)
    (need,) = matching.needs_of(
        search,
        customer_key=job.booking.customer_key,
        excluded=frozenset(job.former),
        now=now,
        policy=policy,
    )
    return matching.unfit(friend, need)


def _require_member(technician: Friend, company: CompanyId) -> None:
    if technician.company != company:
        raise NotFound("there is no such technician of your company")


def _require_free(technician: Friend, case: Case) -> None:
    why = unfit(technician, case.job, case.now, case.policy)
    if why is not None:
        raise TechnicianUnfit(f"the reason is {why}; choose another technician, or decline")
    if technician.open_jobs >= technician.capacity:
        raise TechnicianBusy(f"they have {technician.open_jobs} open jobs; choose another one")
    limits.check_may_take(technician, case.policy)
