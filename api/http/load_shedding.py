"""Load shedding: 503 at once when requests wait too long, instead of a growing queue."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http import problems
from dispatch.flows.group_commit import Overloaded

CONCURRENT_MIN: Final = 32
WAIT_MAX_S: Final = 1.0
# A stream is long-lived by design, and health checks must answer under load.
EXEMPT: Final = frozenset({"/v1/live", "/healthz", "/readyz", "/metrics"})


class Load:
    """The requests that are being worked on, each from its whole body until its answer.

    A client that sends its body slowly, or does not take its answer, is no load.
    """

    def __init__(self, *, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._started: dict[object, float] = {}

    def is_too_high(self) -> bool:
        """Whether many requests run and the oldest of them has run for over a second."""
        if len(self._started) < CONCURRENT_MIN:
            return False
        oldest_s = next(iter(self._started.values()))
        return self._clock() - oldest_s > WAIT_MAX_S

    def problem(self) -> str:
        """What is wrong with the load; empty if nothing is."""
        if not self.is_too_high():
            return ""
        return f"{len(self._started)} requests run, some for over {WAIT_MAX_S:g} s; see the log"

    def begin(self, request: object) -> None:
        """Begin to work on a request."""
        self._started.setdefault(request, self._clock())

    def end(self, request: object) -> None:
        """End the work on a request, if it had begun."""
        self._started.pop(request, None)


class LoadShedding:
    """Answers 503 while many requests run and the oldest of them has run for over a second.

    How many requests are too many depends on how fast they are served, so their age is measured
    and not only their number. A database that does not answer sheds load too.
    """

    def __init__(self, app: ASGIApp, *, load: Load) -> None:
        self.app = app
        self._load = load

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in EXEMPT:
            await self.app(scope, receive, send)
            return
        load = self._load
        if load.is_too_high():
            await problems.error_response(Overloaded())(scope, receive, send)
            return
        request = object()

        async def receive_and_begin() -> Message:
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body"):
                load.begin(request)
            return message

        async def send_and_end(message: Message) -> None:
            load.end(request)
            await send(message)

        incoming: Receive = receive_and_begin
        if not _has_body(scope):
            load.begin(request)
            incoming = receive
        try:
            await self.app(scope, incoming, send_and_end)
        finally:
            load.end(request)


def _has_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )
