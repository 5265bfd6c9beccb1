"""Server-sent events: every caller receives the events about their own bookings."""

from __future__ import annotations

import asyncio
from functools import partial
from hashlib import sha256
from typing import Annotated, Any, Final, assert_never

from fastapi import APIRouter, FastAPI, Header, Query, Request, Response
from starlette.types import Receive, Scope, Send

from api.http.auth import (
    CompanyDispatcher,
    Credential,
    Customer,
    FriendCaller,
    Operator,
    Partner,
    StreamReader,
)
from api.http.routing import CompiledRoute
from api.live.broker import (
    CURSOR_MAX,
    STREAMS_PER_CALLER,
    CheckedCredential,
    Stream,
    Streams,
    do_nothing,
    parse_cursor,
)
from api.openapi.document import problems
from dispatch.flows.group_commit import Overloaded
from dispatch.rules.jobs import visibility
from dispatch.rules.jobs.visibility import Subscriber

STREAMS_MAX: Final = 20_000
LIVE: Final = f"""\
Events as `text/event-stream`: the desk receives all, other callers those of their bookings.

With a cursor, missed events come first. Then comes `ready`: unless it says `"resumed": true`,
read your lists now. Each event has its own `id` in its data; the line `id` is the cursor for
reconnecting. An event may be delivered twice, but none is left out. A caller has at most
{STREAMS_PER_CALLER} streams: another one ends the oldest.
"""
EVENT: Final[dict[str, Any]] = {
    "type": "object",
    "title": "ServerSentEvent",
    "description": "One of the events; `data` is JSON.",
    "required": ["event", "id", "data"],
    "properties": {name: {"type": "string"} for name in ("event", "id", "data")},
    "additionalProperties": False,
}
EVENTS: Final[dict[str, Any]] = {
    "description": "A stream of server-sent events.",
    "content": {"text/event-stream": {"schema": EVENT}},
}


class EventStreamResponse(Response):
    """A response that lasts until its stream ends or the client disconnects.

    It waits on one future for as long as it is open, so that waiting creates no objects for the
    garbage collector to scan. Each write is a task of its own.
    """

    media_type = "text/event-stream"

    def __init__(self, streams: Streams, stream: Stream) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._streams = streams
        self._stream = stream
        self._writer: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write the stream as fast as the client reads it."""
        stream = self._stream
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        done = asyncio.get_running_loop().create_future()
        self._streams.add(stream)
        watch = asyncio.create_task(_end_on_disconnect(receive, stream))
        try:
            await send(start)
            stream.notify = partial(self._start_writing, send, done)
            stream.notify()
            await done
        finally:
            stream.notify = do_nothing
            watch.cancel()
            if self._writer is not None:
                self._writer.cancel()
            self._streams.remove(stream)

    def _start_writing(self, send: Send, done: asyncio.Future[None]) -> None:
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(send, done))

    async def _write(self, send: Send, done: asyncio.Future[None]) -> None:
        stream = self._stream
        try:
            while chunk := stream.take():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            if stream.ended:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                _finish(done)
        except Exception as error:
            _finish(done, error)
        finally:
            self._writer = None


def _finish(done: asyncio.Future[None], error: Exception | None = None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)


async def _end_on_disconnect(receive: Receive, stream: Stream) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.end()


def streams_of(app: FastAPI) -> Streams:
    """The streams of this process, created at the first request."""
    found = getattr(app.state, "streams", None)
    if not isinstance(found, Streams):
        found = app.state.streams = Streams(app.state.rt)
    return found


router = APIRouter(prefix="/v1", tags=["live"], route_class=CompiledRoute)


@router.get(
    "/live",
    summary="Stream live events",
    description=LIVE,
    response_class=EventStreamResponse,
    responses={200: EVENTS, **problems(Overloaded)},
)
async def follow_live(
    request: Request,
    caller: StreamReader,
    credential: Credential,
    last_event_id: Annotated[
        str | None, Query(max_length=CURSOR_MAX, description="The last `id` you received.")
    ] = None,
    header: Annotated[
        str | None, Header(alias="Last-Event-ID", description="The same, as sent by browsers.")
    ] = None,
) -> EventStreamResponse:
    """Open a stream of events; `LIVE` describes it. Raises Overloaded."""
    streams = streams_of(request.app)
    if streams.open >= STREAMS_MAX:
        raise Overloaded
    checked: CheckedCredential = sha256(credential.encode()).digest()
    if isinstance(caller, Customer):
        checked = caller.booking_id, caller.generation
    cursor = parse_cursor(header or last_event_id)
    return EventStreamResponse(streams, Stream(_subscriber(caller), checked, cursor, caller))


def _subscriber(
    caller: Customer | Partner | Operator | FriendCaller | CompanyDispatcher,
) -> Subscriber:
    match caller:
        case Operator():
            return visibility.DESK
        case FriendCaller():
            return visibility.friend(caller.friend_id)
        case CompanyDispatcher():
            return visibility.company(caller.company)
        case Partner():
            return visibility.partner(caller.partner_id)
        case Customer():
            return visibility.customer_of(caller.booking_id)
        case _ as never:
            assert_never(never)
