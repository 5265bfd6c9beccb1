"""What the awarded friend does: contact, appointment, work, completion, hand-back."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response

from api.http.access import visible_booking
from api.http.auth import CurrentFriend, CustomerOrFriend, FriendCaller, Rt
from api.http.ports import CurrentPorts
from api.http.routing import CompiledRoute
from api.openapi.document import CALENDAR, problems
from api.schemas import presenters, requests, responses
from api.schemas.fields import SUMMARY_MAX
from data.markets import MARKETS
from data.records.ids import BookingId
from data.records.jobs import Protocol
from data.store.read_models import BookingView, Holder
from dispatch.flows.jobs import commands, contacts
from dispatch.rules.jobs import signature
from dispatch.rules.jobs.reasons import incomplete_reason
from dispatch.rules.jobs.refusals import (
    AppointmentOverlaps,
    AppointmentUnfit,
    CompletedTooEarly,
    ContactContested,
    ContactDeadlinePassed,
    EvidenceUnfit,
    NotInThisState,
)
from dispatch.rules.refusals import NotFound
from dispatch.rules.trust.disclosure import may_know_customer
from dispatch.runtime import Runtime

router = APIRouter(prefix="/v1/bookings/{booking_id}", tags=["friends"], route_class=CompiledRoute)

ANY_STEP = problems(NotFound, NotInThisState, ContactDeadlinePassed, ContactContested)


@router.post("/contacted", summary="Confirm contact with the customer", responses=ANY_STEP)
async def report_contact(
    rt: Rt, caller: CurrentFriend, booking_id: UUID
) -> responses.ProgressResponse:
    """Confirm the contact, which ends its deadline. Idempotent."""
    done = await commands.confirm_contact(rt, BookingId(booking_id), caller.friend_id)
    return presenters.present_progress(done.job, done.job.award)


@router.post(
    "/contact-evidence",
    summary="Answer a contest of the contact",
    responses=problems(NotFound, NotInThisState, ContactDeadlinePassed, EvidenceUnfit),
)
async def answer_contest(
    rt: Rt, caller: CurrentFriend, booking_id: UUID, body: requests.EvidenceRequest
) -> responses.ProgressResponse:
    """Say when you called, or leave it out if the customer has read or answered your messages.

    The job goes on, and the desk sees both. Idempotent.
    """
    done = await contacts.answer_contest(
        rt, BookingId(booking_id), caller.friend_id, body.called_at
    )
    return presenters.present_progress(done.job, done.job.award)


@router.post(
    "/appointment",
    summary="Set the appointment",
    responses=problems(
        NotFound,
        NotInThisState,
        ContactDeadlinePassed,
        ContactContested,
        AppointmentUnfit,
        AppointmentOverlaps,
    ),
)
async def set_appointment(
    rt: Rt, caller: CurrentFriend, booking_id: UUID, body: requests.AppointmentRequest
) -> responses.ProgressResponse:
    """Set or move the appointment; the customer and the friend are notified."""
    done = await commands.schedule(
        rt, BookingId(booking_id), caller.friend_id, body.starts_at, body.ends_at
    )
    return presenters.present_progress(done.job, done.job.award)


@router.post("/on-the-way", summary="Report being on the way", responses=ANY_STEP)
async def report_on_the_way(
    rt: Rt, caller: CurrentFriend, booking_id: UUID
) -> responses.ProgressResponse:
    """Notify the customer. Idempotent; a new appointment clears it."""
    done = await commands.mark_on_the_way(rt, BookingId(booking_id), caller.friend_id)
    return presenters.present_progress(done.job, done.job.award)


@router.delete("/on-the-way", summary="Take back being on the way", responses=ANY_STEP)
async def take_back_on_the_way(
    rt: Rt, caller: CurrentFriend, booking_id: UUID
) -> responses.ProgressResponse:
    """Inform the customer that you are not on the way after all. Idempotent."""
    done = await commands.take_back_on_the_way(rt, BookingId(booking_id), caller.friend_id)
    return presenters.present_progress(done.job, done.job.award)


@router.post("/delay", summary="Report a delay", responses=ANY_STEP)
async def report_delay(
    rt: Rt, caller: CurrentFriend, booking_id: UUID, body: requests.DelayRequest
) -> responses.ProgressResponse:
    """Inform the customer that you will be late; the same delay again changes nothing."""
    done = await commands.delay(rt, BookingId(booking_id), caller.friend_id, body.minutes)
    return presenters.present_progress(done.job, done.job.award)


@router.post("/start", summary="Start the work", responses=ANY_STEP)
async def start_work(rt: Rt, caller: CurrentFriend, booking_id: UUID) -> responses.ProgressResponse:
    """Record the arrival and the start of the work. Idempotent."""
    done = await commands.start(rt, BookingId(booking_id), caller.friend_id)
    return presenters.present_progress(done.job, done.job.award)


@router.post(
    "/complete",
    summary="Complete the job",
    responses=problems(
        NotFound, NotInThisState, ContactDeadlinePassed, ContactContested, CompletedTooEarly
    ),
)
async def complete_work(
    rt: Rt, caller: CurrentFriend, booking_id: UUID, body: requests.CompleteRequest
) -> responses.ProgressResponse:
    """Complete the job, with the customer's signature if available; asks for a rating.

    Without a signature it is refused until a part of the package's minutes has passed since the
    start of the work; `possible_at` of the problem says from when it is possible.
    """
    protocol = Protocol(summary=body.summary, minutes=body.minutes)
    drawn = body.signature
    signed = signature.path(drawn.width, drawn.height, drawn.strokes) if drawn else None
    done = await commands.complete(rt, BookingId(booking_id), caller.friend_id, protocol, signed)
    return presenters.present_progress(done.job, done.job.award)


@router.post("/incomplete", summary="Report the job as incomplete", responses=ANY_STEP)
async def report_incomplete(
    rt: Rt, caller: CurrentFriend, booking_id: UUID, body: requests.IncompleteRequest
) -> responses.ProgressResponse:
    """Report that the visit did not solve the problem; the desk decides what follows."""
    reason, text = incomplete_reason(body.reason, body.summary)
    done = await commands.mark_incomplete(
        rt,
        BookingId(booking_id),
        caller.friend_id,
        reason,
        Protocol(summary=text[:SUMMARY_MAX], minutes=0) if text else None,
    )
    return presenters.present_progress(done.job, None)


@router.post("/hand-back", summary="Hand the job back", responses=ANY_STEP)
async def hand_back(
    rt: Rt, caller: CurrentFriend, booking_id: UUID, body: requests.HandBackRequest
) -> responses.ProgressResponse:
    """Give the job back; it is offered to other friends at once. Idempotent."""
    done = await commands.hand_back(
        rt, BookingId(booking_id), caller.friend_id, body.reason, body.note
    )
    return presenters.present_progress(done.job, None)


@router.get(
    "/appointment.ics",
    summary="Get the appointment as a calendar file",
    response_class=Response,
    responses={200: CALENDAR, **problems(NotFound)},
)
async def get_invitation(
    rt: Rt, caller: CustomerOrFriend, ports: CurrentPorts, booking_id: UUID
) -> Response:
    """The appointment as an .ics file, for the customer and the friend."""
    view = await visible_booking(rt, caller, BookingId(booking_id))
    holder, customer = view.holder, view.customer
    if holder is None or holder.award.appointment is None or customer is None:
        raise NotFound
    for_friend = isinstance(caller, FriendCaller)
    language = (holder.language if for_friend else None) or view.language
    text = rt.catalogue.at(view.package, view.package_version).texts[language]
    file = ports.write_invitation(
        view.id,
        holder.award.appointment,
        summary=text.name,
        description=text.description,
        location=_location(rt, view, holder),
        timezone=MARKETS[view.market].timezone,
        organizer=rt.settings.mail_from.rpartition("<")[2].rstrip("> "),
        attendee=(holder.email or "") if for_friend else customer.email,
        stamped_at=view.now,
    )
    headers = {"Content-Disposition": 'attachment; filename="appointment.ics"'}
    return Response(file, media_type="text/calendar; charset=utf-8", headers=headers)


def _location(rt: Runtime, view: BookingView, holder: Holder) -> str:
    if view.customer is None:
        return ""
    if not may_know_customer(holder.award.ended_at, view.now, rt.policy):
        return ""
    place = f"{view.customer.postcode or ''} {view.customer.city or ''}".strip()
    return ", ".join(filter(None, [view.customer.street, place]))
