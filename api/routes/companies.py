"""The board of a company of pros: its dispatchers answer offers and assign technicians."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter

from api.http.auth import CurrentCompany, Rt, actor
from api.http.routing import CompiledRoute
from api.openapi.document import problems
from api.schemas import companies as schemas
from api.schemas import presenters, requests
from data.records.ids import BookingId, FriendId, OfferId
from data.store.companies import CompanyJob, Technician
from dispatch.flows.execute import CommandResult
from dispatch.flows.jobs import companies as commands
from dispatch.flows.people import companies
from dispatch.rules.jobs.refusals import (
    AppointmentOverlaps,
    ContactContested,
    ContactDeadlinePassed,
    NotInThisState,
    OfferExpired,
    OfferGone,
    TechnicianBusy,
    TechnicianUnfit,
)
from dispatch.rules.refusals import NotFound
from dispatch.rules.trust.limits import TooManyToday
from dispatch.runtime import Runtime

router = APIRouter(prefix="/v1/company", tags=["companies"], route_class=CompiledRoute)
JOBS_SHOWN = 200


@router.get("/board", summary="Get my company's board")
async def show_board(rt: Rt, caller: CurrentCompany) -> schemas.BoardResponse:
    """Live offers to the company, its newest jobs and its technicians; the look is recorded."""
    name, offers, jobs, technicians = await companies.read_board(
        rt, caller.company, caller.person_id, JOBS_SHOWN
    )
    return schemas.BoardResponse(
        company=name,
        offers=[presenters.present_offer(view, rt.catalogue, rt.policy) for view in offers],
        jobs=[_present_job(rt, one) for one in jobs],
        technicians=[present_technician(one) for one in technicians],
    )


@router.post(
    "/offers/{offer_id}/accept",
    summary="Accept an offer for a technician",
    responses=problems(
        NotFound, OfferGone, OfferExpired, TechnicianBusy, TechnicianUnfit, TooManyToday
    ),
)
async def accept_for_technician(
    rt: Rt, caller: CurrentCompany, offer_id: UUID, body: schemas.TechnicianRequest
) -> schemas.AssignedResponse:
    """Accept and give the job to a technician; a repeat with the same one changes nothing."""
    done = await commands.accept(
        rt, OfferId(offer_id), caller.company, FriendId(body.technician), actor=actor(caller)
    )
    return _present_assigned(done)


@router.post(
    "/offers/{offer_id}/decline",
    summary="Decline an offer for the company",
    responses=problems(NotFound, OfferGone, OfferExpired),
)
async def decline_for_company(
    rt: Rt, caller: CurrentCompany, offer_id: UUID
) -> schemas.AnsweredResponse:
    """Decline for all technicians; others are asked at once. Idempotent."""
    done = await commands.decline(rt, OfferId(offer_id), caller.company, actor=actor(caller))
    return schemas.AnsweredResponse(booking_id=done.job.booking.id)


@router.post(
    "/jobs/{job_id}/reassign",
    summary="Give a job to another technician",
    responses=problems(
        NotFound,
        NotInThisState,
        ContactDeadlinePassed,
        ContactContested,
        TechnicianBusy,
        TechnicianUnfit,
        AppointmentOverlaps,
        TooManyToday,
    ),
)
async def reassign_job(
    rt: Rt, caller: CurrentCompany, job_id: UUID, body: schemas.TechnicianRequest
) -> schemas.AssignedResponse:
    """Before the visit; deadline and appointment stay, customer and both technicians are told.

    `job_id` is the booking's.
    """
    done = await commands.reassign(
        rt, BookingId(job_id), caller.company, FriendId(body.technician), actor=actor(caller)
    )
    return _present_assigned(done)


@router.post(
    "/jobs/{job_id}/hand-back",
    summary="Hand a job of the company back",
    responses=problems(NotFound, NotInThisState),
)
async def hand_back_for_company(
    rt: Rt, caller: CurrentCompany, job_id: UUID, body: requests.HandBackRequest
) -> schemas.AnsweredResponse:
    """Others are asked; the company is not asked again about this job."""
    done = await commands.hand_back(
        rt, BookingId(job_id), caller.company, body.reason, body.note, actor=actor(caller)
    )
    return schemas.AnsweredResponse(booking_id=done.job.booking.id)


def present_technician(one: Technician) -> schemas.Technician:
    """A technician as dispatchers and the desk see them."""
    return schemas.Technician.model_validate(one)


def _present_job(rt: Runtime, one: CompanyJob) -> schemas.CompanyJob:
    job = presenters.present_job(one.view, rt.catalogue, rt.policy)
    return schemas.CompanyJob(
        **dict(job), technician_id=one.technician_id, technician=one.technician
    )


def _present_assigned(done: CommandResult) -> schemas.AssignedResponse:
    award = done.job.award
    assert award is not None  # the command has made the award, or found it
    return schemas.AssignedResponse(
        booking_id=award.booking_id,
        technician_id=award.friend_id,
        contact_due_at=award.contact_due_at,
    )
