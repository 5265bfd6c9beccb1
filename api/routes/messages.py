"""Messages between a customer and the friend who has the job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response

from api.http import pagination
from api.http.access import visible_booking
from api.http.auth import (
    CurrentDispatcher,
    CurrentFriend,
    Customer,
    CustomerOrFriend,
    FriendCaller,
    Rt,
    actor,
)
from api.http.idempotency import REPLAYED, Key, claim
from api.http.pagination import Limit
from api.http.routing import CompiledRoute
from api.openapi.document import REPLAY, problems
from api.schemas import base, presenters, requests, threads
from data.enums import Author
from data.markets import Language
from data.records.ids import BookingId, FriendId
from data.store import threads as store
from dispatch.flows.execute import CommandResult, KeyReused, StoredResponse
from dispatch.flows.jobs import threads as flows
from dispatch.flows.read_only import read_connection
from dispatch.rules.jobs import thread as rules
from dispatch.rules.jobs.refusals import (
    ContactDeadlinePassed,
    NotInThisState,
    ThreadClosed,
    TooManyMessages,
)
from dispatch.rules.people.names import first_name
from dispatch.rules.refusals import NotFound
from dispatch.rules.trust.disclosure import may_know_customer

router = APIRouter(prefix="/v1", tags=["messages"], route_class=CompiledRoute)


@router.get(
    "/bookings/{booking_id}/messages", summary="Read messages", responses=problems(NotFound)
)
async def read_messages(
    rt: Rt,
    caller: CustomerOrFriend,
    booking_id: UUID,
    after: Annotated[int, Query(ge=0, le=2**31 - 1, description="Only messages after this.")] = 0,
    limit: Limit = pagination.PAGE_MAX,
) -> threads.ThreadResponse:
    """The thread of customer and friend; nobody else sees it, and the next friend has another."""
    view = await visible_booking(rt, caller, BookingId(booking_id))
    held = view.holder.award if view.holder else None
    if held is None:
        return threads.ThreadResponse(
            items=[],
            next_cursor=None,
            unread=0,
            is_open=False,
            open_until=None,
            server_time=view.now,
        )
    if isinstance(caller, FriendCaller) and not may_know_customer(
        held.ended_at, view.now, rt.policy
    ):
        raise NotFound
    async with read_connection(rt) as tx:
        found = await store.of_award(tx, held.id)
        notes = await store.notes(tx, held.id, after=after, limit=limit + 1)
    reader = Author.FRIEND if isinstance(caller, FriendCaller) else Author.CUSTOMER
    policy = rt.policy.at(view.tier, view.package)
    items = [threads.NoteResponse.model_validate(note) for note in notes[:limit]]
    return threads.ThreadResponse(
        items=items,
        next_cursor=str(items[-1].seq) if len(notes) > limit else None,
        unread=rules.unread(found, reader),
        is_open=rules.is_open(held, view.now, policy),
        open_until=rules.open_until(held, policy),
        server_time=view.now,
    )


@router.post(
    "/bookings/{booking_id}/messages",
    status_code=201,
    summary="Send a message",
    responses={
        201: REPLAY,
        **problems(
            NotFound,
            NotInThisState,
            ContactDeadlinePassed,
            ThreadClosed,
            TooManyMessages,
            KeyReused,
        ),
    },
)
async def send_message(
    *,
    rt: Rt,
    caller: CustomerOrFriend,
    booking_id: UUID,
    body: requests.MessageRequest,
    response: Response,
    key: Key = None,
) -> threads.SentResponse:
    """Write to the other side, who gets a push or a letter without its words if it is not read."""

    def build_response(done: CommandResult) -> Mapping[str, Any]:
        assert done.changes is not None
        assert done.changes.note is not None
        note = done.changes.note
        sent = threads.SentResponse(seq=note.seq, by=note.by, at=note.at)
        return {**sent.model_dump(mode="json"), "booking_id": str(booking_id)}

    result = await flows.write(
        rt,
        _own(caller, booking_id),
        _friend(caller),
        body.text,
        claim=claim(key, f"{actor(caller)}:{booking_id}", "POST messages", body),
        build_response=build_response,
    )
    if isinstance(result, StoredResponse):
        response.headers[REPLAYED] = "true"
    assert result.response is not None
    stored = {name: result.response[name] for name in threads.SentResponse.model_fields}
    return threads.SentResponse.model_validate(stored)


@router.post(
    "/bookings/{booking_id}/messages/read",
    status_code=204,
    summary="Mark messages as read",
    responses=problems(NotFound, NotInThisState, ContactDeadlinePassed),
)
async def mark_read(
    rt: Rt, caller: CustomerOrFriend, booking_id: UUID, body: requests.ReadRequest
) -> None:
    """Say up to which message was read; what the customer has read in time is the contact."""
    await flows.read(rt, _own(caller, booking_id), _friend(caller), body.up_to)


@router.get("/me/messages", summary="List my conversations")
async def list_my_messages(rt: Rt, caller: CurrentFriend) -> base.Page[threads.InboxItem]:
    """The threads of jobs that this friend has or has done lately, the newest message first."""
    async with read_connection(rt) as tx:
        found = await store.inbox(tx, caller.friend_id, rt.policy.privacy_after)
    items = [
        threads.InboxItem(
            booking_id=thread.booking_id,
            package=presenters.present_package_name(
                row["package"],
                row["package_version"],
                Language(row["language"]),
                rt.catalogue,
            ),
            customer=row["name"],
            last_by=row["by"],
            at=row["at"],
            unread=rules.unread(thread, Author.FRIEND),
        )
        for thread, row in found
    ]
    return base.Page(items=items, next_cursor=None)


@router.get(
    "/desk/bookings/{booking_id}/messages",
    summary="Read the messages of a booking",
    responses=problems(NotFound),
)
async def read_messages_for_desk(
    rt: Rt, caller: CurrentDispatcher, booking_id: UUID
) -> base.Page[threads.DeskNote]:
    """All messages of all threads of a booking. The access is logged."""
    found = await flows.read_for_desk(rt, BookingId(booking_id), actor=actor(caller))
    items = [
        threads.DeskNote(
            award_id=note.award_id,
            friend=first_name(name),
            seq=note.seq,
            by=note.by,
            text=note.text,
            at=note.at,
        )
        for note, name in found
    ]
    return base.Page(items=items, next_cursor=None)


def _own(caller: Customer | FriendCaller, booking_id: UUID) -> BookingId:
    """The booking; a customer has one alone. Raises NotFound."""
    if isinstance(caller, Customer) and caller.booking_id != booking_id:
        raise NotFound
    return BookingId(booking_id)


def _friend(caller: Customer | FriendCaller) -> FriendId | None:
    return caller.friend_id if isinstance(caller, FriendCaller) else None
