"""Server-sent events: whoever asks is told what happens to what is his, as it happens."""

from __future__ import annotations

import asyncio
from functools import partial
from hashlib import sha256
from typing import Annotated, Any, Final, assert_never

from fastapi import APIRouter, FastAPI, Header, Query, Request, Response
from starlette.types import Receive, Scope, Send

from api.http.auth import Customer, FriendCaller, Operator, Partner, Party, Shown
from api.http.routing import Direct
from api.live.broker import CURSOR_MAX, Stream, Streams, asleep, cursor_of
from api.openapi.document import problems
from dispatch.flows.group_commit import Overloaded
from dispatch.rules.jobs import visibility
from dispatch.rules.jobs.visibility import Listener

STREAMS_MAX: Final = 20_000
EVENT: Final[dict[str, Any]] = {
    "type": "object",
    "title": "ServerSentEvent",
    "description": "One of the events; `data` is JSON.",
    "required": ["event", "id", "data"],
    "properties": {name: {"type": "string"} for name in ("event", "id", "data")},
    "additionalProperties": False,
}
EVENTS: Final[dict[str, Any]] = {
    "description": "Server-sent events, one after the other.",
    "content": {"text/event-stream": {"schema": EVENT}},
}


class Answer(Response):
    """An answer that goes on until its stream ends or its reader has gone.

    Whoever waits, waits in one place for as long as the answer is open: nothing new is made for it
    that the garbage collector would have to go through. Each writing is a task of its own.
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
        """Write what the stream has, as fast as it is read."""
        stream = self._stream
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        over = asyncio.get_running_loop().create_future()
        self._streams.join(stream)
        watch = asyncio.create_task(_until_gone(receive, stream))
        try:
            await send(start)
            stream.woken = partial(self._wake, send, over)
            stream.woken()
            await over
        finally:
            stream.woken = asleep
            watch.cancel()
            if self._writer is not None:
                self._writer.cancel()
            self._streams.leave(stream)

    def _wake(self, send: Send, over: asyncio.Future[None]) -> None:
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(send, over))

    async def _write(self, send: Send, over: asyncio.Future[None]) -> None:
        stream = self._stream
        try:
            while chunk := stream.take():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            if stream.ended:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                _settle(over)
        except Exception as error:
            _settle(over, error)
        finally:
            self._writer = None


def _settle(over: asyncio.Future[None], error: Exception | None = None) -> None:
    if over.done():
        return
    if error is None:
        over.set_result(None)
    else:
        over.set_exception(error)


async def _until_gone(receive: Receive, stream: Stream) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.end()


def streams_of(app: FastAPI) -> Streams:
    """The streams of this process, made when the first of them is asked for."""
    found = getattr(app.state, "streams", None)
    if not isinstance(found, Streams):
        found = app.state.streams = Streams(app.state.rt)
    return found


router = APIRouter(prefix="/v1", tags=["live"], route_class=Direct)


@router.get(
    "/live",
    summary="What happens, as it happens",
    response_class=Answer,
    responses={200: EVENTS, **problems(Overloaded)},
)
async def follow_live(
    request: Request,
    who: Party,
    shown: Shown,
    last_event_id: Annotated[
        str | None, Query(max_length=CURSOR_MAX, description="The last `id` you were told.")
    ] = None,
    header: Annotated[
        str | None, Header(alias="Last-Event-ID", description="The same, as browsers send it.")
    ] = None,
) -> Answer:
    """Events as `text/event-stream`: the desk hears all, everybody else what is his.

    With a cursor first comes what you missed. Then `ready`: unless it says `"resumed": true`, read
    your lists now. Each event carries an `id` of its own in its data; the line `id` is the cursor
    to come back with. An event may be told twice, none is left out.
    """
    streams = streams_of(request.app)
    if streams.open >= STREAMS_MAX:
        raise Overloaded
    # A customer's link cannot be revoked; everything else is asked about again and again.
    secret = None if isinstance(who, Customer) else sha256(shown.encode()).digest()
    return Answer(streams, Stream(_listener(who), secret, cursor_of(header or last_event_id)))


def _listener(who: Customer | Partner | Operator | FriendCaller) -> Listener:
    match who:
        case Operator():
            return visibility.DESK
        case FriendCaller():
            return visibility.friend(who.friend_id)
        case Partner():
            return visibility.partner(who.partner_id)
        case Customer():
            return visibility.customer_of(who.booking_id)
        case _ as never:
            assert_never(never)
