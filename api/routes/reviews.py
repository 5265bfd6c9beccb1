"""Reviews both ways, and the public profile of a friend."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter

from api.http.access import visible_booking
from api.http.auth import Caller, CurrentFriend, CustomerOrFriend, FriendCaller, Rt
from api.http.languages import AcceptLanguage, preferred_language
from api.http.routing import CompiledRoute
from api.openapi.document import problems
from api.schemas import presenters
from api.schemas import reviews as review_schemas
from data.markets import Language
from data.records.ids import BookingId
from data.store.read_models import BookingView
from dispatch.flows.jobs import reviews
from dispatch.rules.jobs.refusals import AlreadyRated, NotInThisState, ReviewOver
from dispatch.rules.jobs.reviews import NoReviewShown
from dispatch.rules.refusals import NotFound
from dispatch.rules.trust.disclosure import may_know_customer
from dispatch.runtime import Runtime

router = APIRouter(prefix="/v1", tags=["bookings"], route_class=CompiledRoute)
of_friends = APIRouter(prefix="/v1", tags=["friends"], route_class=CompiledRoute)


@of_friends.post(
    "/bookings/{booking_id}/customer-review",
    status_code=204,
    summary="Review the customer",
    responses=problems(NotFound, NotInThisState, AlreadyRated, ReviewOver),
)
async def review_customer(
    rt: Rt, caller: CurrentFriend, booking_id: UUID, body: review_schemas.CustomerReviewRequest
) -> None:
    """Say once how the visit was; the customer sees it when both have, or when the time is over."""
    await reviews.review_customer(
        rt, BookingId(booking_id), caller.friend_id, body.stars, body.comment
    )


@router.get(
    "/bookings/{booking_id}/reviews",
    summary="List a booking's reviews",
    responses=problems(NotFound),
)
async def list_reviews(
    rt: Rt, caller: CustomerOrFriend, booking_id: UUID
) -> review_schemas.ReviewsResponse:
    """One's own review, and the other side's once it is shown."""
    await _party(rt, caller, booking_id)
    friend = isinstance(caller, FriendCaller)
    seen, until = await reviews.seen_by(rt, BookingId(booking_id), friend=friend)
    items = list(map(presenters.present_review, seen))
    return review_schemas.ReviewsResponse(items=items, reviewable_until=until)


@router.post(
    "/bookings/{booking_id}/reviews/reply",
    status_code=204,
    summary="Reply to a review",
    responses=problems(NotFound, AlreadyRated, NoReviewShown),
)
async def reply_to_review(
    rt: Rt, caller: CustomerOrFriend, booking_id: UUID, body: review_schemas.ReplyRequest
) -> None:
    """Reply, once, to what the other side says, once it is shown."""
    await _party(rt, caller, booking_id)
    friend = isinstance(caller, FriendCaller)
    await reviews.reply(rt, BookingId(booking_id), friend=friend, text=body.text)


@router.post(
    "/bookings/{booking_id}/reviews/report",
    status_code=204,
    summary="Report a review",
    responses=problems(NotFound, NoReviewShown),
)
async def report_review(
    rt: Rt, caller: CustomerOrFriend, booking_id: UUID, body: review_schemas.ReportRequest
) -> None:
    """Ask the desk to look at what the other side says; both hear what it decides. Idempotent."""
    await _party(rt, caller, booking_id)
    friend = isinstance(caller, FriendCaller)
    await reviews.report(rt, BookingId(booking_id), friend=friend, text=body.text)


@router.get(
    "/bookings/{booking_id}/friend",
    summary="Get the profile of a booking's friend",
    responses=problems(NotFound),
)
async def show_friend_of_booking(
    rt: Rt, caller: CustomerOrFriend, booking_id: UUID, accept_language: AcceptLanguage = None
) -> review_schemas.FriendProfileResponse:
    """What the customer of a booking sees of the friend who has it; without one there is none."""
    view = await _party(rt, caller, booking_id)
    if view.holder is None:
        raise NotFound
    profile = await reviews.profile(rt, view.holder.id)
    language = preferred_language(accept_language) or view.language
    return presenters.present_friend_profile(profile, language)


@of_friends.get(
    "/me/public-profile", summary="Preview my public profile", responses=problems(NotFound)
)
async def preview_my_profile(
    rt: Rt, caller: CurrentFriend, accept_language: AcceptLanguage = None
) -> review_schemas.FriendProfileResponse:
    """What customers see of this friend once they have their job."""
    profile = await reviews.profile(rt, caller.friend_id)
    language = preferred_language(accept_language) or Language.EN
    return presenters.present_friend_profile(profile, language)


async def _party(rt: Runtime, caller: Caller, booking_id: UUID) -> BookingView:
    """The booking, for its customer, or for its friend while they may know the customer."""
    view = await visible_booking(rt, caller, BookingId(booking_id))
    if isinstance(caller, FriendCaller):
        ended_at = view.holder.award.ended_at if view.holder else view.now
        if not may_know_customer(ended_at, view.now, rt.policy):
            raise NotFound
    return view
