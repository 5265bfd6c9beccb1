"""Load shedding: 503 at once when requests wait too long, instead of a growing queue."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from api.http import problems
from dispatch.flows.group_commit import Overloaded

CONCURRENT_MIN: Final = 32
WAIT_MAX_S: Final = 1.0
# A stream is long-lived by design, and health checks must answer under load.
EXEMPT: Final = frozenset({"/v1/live", "/healthz", "/readyz", "/metrics"})


class LoadShedding:
    """Answers 503 while many requests run and the oldest of them has run for over a second.

    How many requests are too many depends on how fast they are served, so their age is measured
    and not only their number. A database that does not answer sheds load too.
    """

    def __init__(self, app: ASGIApp, *, clock: Callable[[], float] = monotonic) -> None:
        self.app = app
        self._clock = clock
        self._started: dict[object, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in EXEMPT:
            await self.app(scope, receive, send)
            return
        if self._is_overloaded():
            await problems.error_response(Overloaded())(scope, receive, send)
            return
        request = object()
        self._started[request] = self._clock()
        try:
            await self.app(scope, receive, send)
        finally:
            del self._started[request]

    def _is_overloaded(self) -> bool:
        if len(self._started) < CONCURRENT_MIN:
            return False
        oldest_s = next(iter(self._started.values()))
        return self._clock() - oldest_s > WAIT_MAX_S
