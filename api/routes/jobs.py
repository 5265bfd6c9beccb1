"""What the winner does: call, agree, come, finish, or give the job back."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response

from api.http.access import visible_booking
from api.http.auth import AFriend, FriendCaller, Invited, Rt
from api.http.ports import ToOutside
from api.http.routing import Direct
from api.openapi.document import CALENDAR, problems
from api.schemas import presenters, requests, responses
from api.schemas.fields import SUMMARY_MAX
from data.markets import MARKETS
from data.records.ids import BookingId
from data.records.jobs import Protocol
from data.store.read_models import BookingView, Holder
from dispatch.flows.jobs import commands
from dispatch.rules.jobs import signature
from dispatch.rules.jobs.reasons import incomplete_reason
from dispatch.rules.jobs.refusals import (
    AppointmentOverlaps,
    AppointmentUnfit,
    ContactDeadlinePassed,
    NotInThisState,
)
from dispatch.rules.refusals import NotFound
from dispatch.rules.trust.disclosure import may_know_customer
from dispatch.runtime import Runtime

router = APIRouter(prefix="/v1/bookings/{booking_id}", tags=["friends"], route_class=Direct)

ANY_STEP = problems(NotFound, NotInThisState, ContactDeadlinePassed)


@router.post("/contacted", summary="I have reached the customer", responses=ANY_STEP)
async def report_contact(rt: Rt, who: AFriend, booking_id: UUID) -> responses.ProgressResponse:
    """Stops the clock of the twelve hours; repeating it changes nothing."""
    done = await commands.contacted(rt, BookingId(booking_id), who.friend_id)
    return presenters.progress(done.job, done.job.award)


@router.post(
    "/appointment",
    summary="We agreed on a time",
    responses=problems(
        NotFound, NotInThisState, ContactDeadlinePassed, AppointmentUnfit, AppointmentOverlaps
    ),
)
async def set_appointment(
    rt: Rt, who: AFriend, booking_id: UUID, asked: requests.AppointmentRequest
) -> responses.ProgressResponse:
    """Set or move the appointment; both are told."""
    done = await commands.agree(
        rt, BookingId(booking_id), who.friend_id, asked.starts_at, asked.ends_at
    )
    return presenters.progress(done.job, done.job.award)


@router.post("/on-the-way", summary="I have set out", responses=ANY_STEP)
async def report_on_the_way(rt: Rt, who: AFriend, booking_id: UUID) -> responses.ProgressResponse:
    """The customer is told; repeating it changes nothing, a new appointment takes it back."""
    done = await commands.on_the_way(rt, BookingId(booking_id), who.friend_id)
    return presenters.progress(done.job, done.job.award)


@router.post("/start", summary="I am at the door", responses=ANY_STEP)
async def start_work(rt: Rt, who: AFriend, booking_id: UUID) -> responses.ProgressResponse:
    """The work begins; repeating it changes nothing."""
    done = await commands.start(rt, BookingId(booking_id), who.friend_id)
    return presenters.progress(done.job, done.job.award)


@router.post("/complete", summary="It works again", responses=ANY_STEP)
async def complete_work(
    rt: Rt, who: AFriend, booking_id: UUID, asked: requests.CompleteRequest
) -> responses.ProgressResponse:
    """The job is done, signed by the customer if she could; she is asked to rate."""
    protocol = Protocol(summary=asked.summary, minutes=asked.minutes)
    drawn = asked.signature
    signed = signature.path(drawn.width, drawn.height, drawn.strokes) if drawn else None
    done = await commands.complete(rt, BookingId(booking_id), who.friend_id, protocol, signed)
    return presenters.progress(done.job, done.job.award)


@router.post("/incomplete", summary="I could not solve it", responses=ANY_STEP)
async def report_incomplete(
    rt: Rt, who: AFriend, booking_id: UUID, asked: requests.IncompleteRequest
) -> responses.ProgressResponse:
    """The visit did not solve the problem; the desk decides what follows."""
    reason, text = incomplete_reason(asked.reason, asked.summary)
    done = await commands.give_up(
        rt,
        BookingId(booking_id),
        who.friend_id,
        reason,
        Protocol(summary=text[:SUMMARY_MAX], minutes=0) if text else None,
    )
    return presenters.progress(done.job, None)


@router.post("/hand-back", summary="I give it back", responses=ANY_STEP)
async def hand_back(
    rt: Rt, who: AFriend, booking_id: UUID, asked: requests.HandBackRequest
) -> responses.ProgressResponse:
    """The job goes out again without me, at once; repeating it changes nothing."""
    done = await commands.hand_back(
        rt, BookingId(booking_id), who.friend_id, asked.reason, asked.note
    )
    return presenters.progress(done.job, None)


@router.get(
    "/appointment.ics",
    summary="The appointment for a calendar",
    response_class=Response,
    responses={200: CALENDAR, **problems(NotFound)},
)
async def get_invitation(rt: Rt, who: Invited, outside: ToOutside, booking_id: UUID) -> Response:
    """The agreed time as an .ics file, for the customer and for her friend."""
    view = await visible_booking(rt, who, BookingId(booking_id))
    holder, customer = view.holder, view.customer
    if holder is None or holder.appointment is None or customer is None:
        raise NotFound
    for_friend = isinstance(who, FriendCaller)
    language = (holder.language if for_friend else None) or view.language
    text = rt.packages[view.package].texts[language]
    file = outside.invitation(
        view.id,
        holder.appointment,
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
    if not may_know_customer(holder.ended_at, view.now, rt.policy):
        return ""
    place = f"{view.customer.postcode or ''} {view.customer.city or ''}".strip()
    return ", ".join(filter(None, [view.customer.street, place]))
