"""Connections: how many, how large the head of a request may be, and how long each part may take.

Theory of operation. With httptools uvicorn limits none of this, so its protocol is extended here.
A connection holds two moments: by `read_by_s` the rest of a head or body must have arrived, and by
`write_by_s` the client must have taken more of its answer. One sweep a second compares them with
the clock, so that a request costs a few assignments. The time is that of the last sweep.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address, ip_network
from time import monotonic
from typing import Any, Final

import httptools
import uvicorn
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from api.http import problems
from api.http.limits import HEADERS_BYTES_MAX, HEADERS_MAX, URL_BYTES_MAX
from api.http.middleware import HEADERS, HEALTH
from data.settings import Settings
from dispatch.flows.group_commit import Overloaded

log = logging.getLogger(__name__)

# Everything but bodies; the line of a chunk is at most 16 bytes.
FRAMING_BYTES_MAX: Final = HEADERS_BYTES_MAX + URL_BYTES_MAX + 1024
CHUNK_LINE_BYTES: Final = 16
# A second more to read or to take so many bytes.
BYTES_A_SECOND: Final = 16 * 1024
SWEEP_EVERY_S: Final = 1.0
LATE: Final = 3
# A refused client may send for so long; closing at once could lose its answer on the way.
LINGER_S: Final = 2.0
# Files of the database's connections, logs and the program itself.
OTHER_FILES: Final = 128
# Connections beyond the limit that may ask for the health of the process.
FOR_HEALTH: Final = 16
# None of them may last, as a stream does.
ANSWERED_BEYOND: Final = HEALTH | {"/metrics"}
# From this share of the limit on, idle connections are closed.
CROWDED: Final = 0.75
NEVER: Final = math.inf


class Connections:
    """The open connections of one process, and the limits for each."""

    def __init__(
        self,
        settings: Settings,
        *,
        files_max: float = math.inf,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.settings = settings
        self.most = int(min(settings.connections_max, max(files_max - OTHER_FILES, FOR_HEALTH)))
        self.is_draining = False
        self.now_s = clock()
        self._clock = clock
        self._open: set[BoundedProtocol] = set()
        self._by_peer: Counter[str] = Counter()
        self._proxies = [ip_network(one, strict=False) for one in settings.proxies.split()]

    def problem(self) -> str:
        """Why no connection is accepted; empty if one is."""
        if len(self._open) < self.most:
            return ""
        return f"{len(self._open)} connections are open; raise TEKKIE_CONNECTIONS_MAX, or add one"

    def draining(self) -> str:
        """Why requests should go elsewhere; empty if they need not."""
        return "this process is stopping" if self.is_draining else ""

    def admit(self, connection: BoundedProtocol) -> Exception | None:
        """Add a new connection; returns the error with which to close it, if any."""
        self._open.add(connection)
        peer = connection.peer = self._limited_peer(connection)
        if peer is not None:
            self._by_peer[peer] += 1
            if self._by_peer[peer] > self.settings.connections_per_peer:
                return problems.TooManyConnections()
        connection.only_health = len(self._open) > self.most
        return Overloaded() if len(self._open) > self.most + FOR_HEALTH else None

    def remove(self, connection: BoundedProtocol) -> None:
        """Forget a connection that was closed."""
        self._open.discard(connection)
        if (peer := connection.peer) is not None:
            connection.peer = None
            self._by_peer[peer] -= 1
            if not self._by_peer[peer]:
                del self._by_peer[peer]

    def sweep(self) -> None:
        """End every connection whose time is up; when there are many, the idle ones too."""
        before_s, self.now_s = self.now_s, self._clock()
        now_s = self.now_s
        if now_s - before_s > LATE * SWEEP_EVERY_S:
            return  # this process stood still; what arrived meanwhile is read first
        is_crowded = len(self._open) >= CROWDED * self.most
        for one in list(self._open):
            if one.write_by_s <= now_s:
                one.check_write()
            if one.read_by_s <= now_s:
                one.check_read()
            if is_crowded and one.is_idle:
                one.transport.close()

    async def keep_sweeping(self) -> None:
        """Sweep every second until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            self.sweep()

    def _limited_peer(self, connection: BoundedProtocol) -> str | None:
        """The peer by address, in IPv6 by its network of 64 bits; None for a proxy of ours."""
        if connection.client is None:
            return None
        address = ip_address(connection.client[0].partition("%")[0])
        address = getattr(address, "ipv4_mapped", None) or address
        if any(address in network for network in self._proxies):
            return None
        return str(address) if address.version == 4 else address.packed[:8].hex()


class UntilTheEnd:
    """Answers requests that are cancelled, which only the end of the server does."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        except asyncio.CancelledError:
            if scope["type"] != "http":
                raise
            log.warning("a request was not answered before the end; its client may repeat it")
            # What was begun cannot be answered twice; its connection is closed.
            with suppress(RuntimeError):
                await _problem(problems.Stopping())(scope, receive, send)


class BoundedConfig(uvicorn.Config):
    """The configuration of a server whose connections are bounded."""

    def __init__(self, app: Any, connections: Connections, **options: Any) -> None:
        self.connections = connections
        super().__init__(
            UntilTheEnd(app),
            http=BoundedProtocol,
            # There is no websocket here, and one would leave all limits behind.
            ws="none",
            interface="asgi3",
            timeout_keep_alive=connections.settings.idle_s,
            forwarded_allow_ips=connections.settings.proxies.split(),
            **options,
        )


class BoundedProtocol(HttpToolsProtocol):
    """One connection within its limits."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        assert isinstance(config, BoundedConfig)
        super().__init__(config, server_state, app_state, _loop)
        self.limits = config.connections
        self.peer: str | None = None
        self.only_health = False
        self.read_by_s = self.write_by_s = NEVER
        self._unsent: float = math.inf
        self._arrived = self._framing = 0
        self._has_begun = self._has_request = False
        self._in_head = self._in_body = self._is_refused = False
        self._error: Exception | None = None

    @property
    def is_idle(self) -> bool:
        """Whether it is kept open between two requests, and its last answer was taken."""
        is_kept = self.timeout_keep_alive_task is not None
        return is_kept and not self.transport.get_write_buffer_size()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Admit it, or refuse it at once."""
        super().connection_made(transport)
        self.read_by_s = self.limits.now_s + self.limits.settings.headers_s
        error = self.limits.admit(self)
        if error is not None:
            self._refuse(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self.limits.remove(self)
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, and refuse what is too large or malformed."""
        if self._is_refused:
            return
        self._unset_keepalive_if_required()
        self._arrived = len(data)
        self._framing += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # It is answered like any other request, and nothing is read after it.
            self.cycle.keep_alive = False
            self.read_by_s = NEVER
        except httptools.HttpParserError:
            self._refuse(self._error or problems.MalformedRequest())
        else:
            if self._in_head and len(self.url) > URL_BYTES_MAX:
                self._refuse(problems.UrlTooLong())
            elif self._framing > FRAMING_BYTES_MAX:
                self._refuse(problems.HeadersTooLarge())

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._has_begun = self._in_head = True
        self.read_by_s = self.limits.now_s + self.limits.settings.headers_s

    def on_headers_complete(self) -> None:
        """Start the request, once its body has begun to arrive."""
        self._in_head = False
        self._error = self._head_error()
        if self._error is not None:
            raise ValueError
        self._in_body = True
        self.read_by_s = self.limits.now_s + self.limits.settings.body_s
        super().on_headers_complete()
        self._has_request = True
        # What may follow a body in chunks is no header of the request.
        self.headers = []
        if self.limits.is_draining:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Add to the body; what arrives steadily may take longer."""
        self._framing -= len(body) + CHUNK_LINE_BYTES
        if not self.cycle.response_complete:
            self.read_by_s += len(body) / BYTES_A_SECOND
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Everything has arrived."""
        self._in_body = False
        self._framing = 0
        self.read_by_s = NEVER
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The client must now take the answer, and no longer send a body that was not awaited."""
        if self._in_body:
            self.read_by_s = self.limits.now_s + LINGER_S
        self._watch_writing()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """The client takes less than is written."""
        super().pause_writing()
        self._watch_writing()

    def resume_writing(self) -> None:
        """The client has taken what was written."""
        super().resume_writing()
        self.write_by_s = NEVER

    def shutdown(self) -> None:
        """The server stops: what has not arrived whole is not awaited."""
        if self._is_refused:
            self.transport.close()
            return
        if not self._in_head and not self._in_body:
            super().shutdown()
            return
        self._refuse(problems.Stopping())
        self.transport.close()

    def check_read(self) -> None:
        """The time for reading is up."""
        if self.flow.read_paused:
            self.read_by_s = self.limits.now_s + self.limits.settings.body_s
        elif self._is_refused:
            self.transport.abort()
        elif not self._has_begun:
            self.transport.close()
        else:
            self._refuse(problems.RequestTimeout())

    def check_write(self) -> None:
        """The time for writing is up, unless the client has taken enough meanwhile."""
        write_s = self.limits.settings.write_s
        unsent = self.transport.get_write_buffer_size()
        if not unsent:
            self.write_by_s = NEVER
        elif unsent <= self._unsent - write_s * BYTES_A_SECOND:
            self._unsent = unsent
            self.write_by_s = self.limits.now_s + write_s
        else:
            self.transport.abort()

    def _watch_writing(self) -> None:
        self._unsent = math.inf
        self.write_by_s = self.limits.now_s + self.limits.settings.write_s

    def _head_error(self) -> Exception | None:
        """What is wrong with a complete head."""
        if len(self.url) > URL_BYTES_MAX:
            return problems.UrlTooLong()
        if len(self.headers) > HEADERS_MAX:
            return problems.HeadersTooLarge()
        if self._arrived > HEADERS_BYTES_MAX or self._framing > HEADERS_BYTES_MAX:
            size = sum(len(name) + len(value) for name, value in self.headers)
            if size > HEADERS_BYTES_MAX:
                return problems.HeadersTooLarge()
        path = self.url.partition(b"?")[0].decode("latin-1")
        if self.only_health and path not in ANSWERED_BEYOND:
            return Overloaded()
        return None

    def _refuse(self, error: Exception) -> None:
        """Answer with an error where none has begun, read no more and end the connection."""
        self._is_refused = True
        is_answering = self._has_request and not self.cycle.response_complete
        if self._in_body and is_answering and not self.cycle.response_started and not self.pipeline:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        elif self._in_body or is_answering:
            self.transport.abort()
            return
        self.transport.write(_encode(error))
        self.transport.write_eof()
        self.read_by_s = self.limits.now_s + LINGER_S


def _problem(error: Exception) -> Response:
    return problems.error_response(error, {**HEADERS, "Connection": "close"})


def _encode(error: Exception) -> bytes:
    """An error as a whole HTTP response, for a request that reaches no middleware."""
    answer = _problem(error)
    lines = [b"%s: %s\r\n" % header for header in answer.raw_headers]
    return b"".join([STATUS_LINE[answer.status_code], *lines, b"\r\n", bytes(answer.body)])
