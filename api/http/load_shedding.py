"""The door: whoever cannot be served in reasonable time is told so at once, not kept waiting."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from api.http import problems
from dispatch.flows.group_commit import Overloaded

CROWD: Final = 32
PATIENCE_S: Final = 1.0
# A stream is meant to last, and whoever asks how we are must hear it when we are not well.
ALWAYS_OPEN: Final = frozenset({"/v1/live", "/healthz", "/readyz", "/metrics"})


class Door:
    """Lets nobody in while a crowd is inside and whoever came first has waited for a second.

    How many are too many depends on how fast they are served, so time is measured and not only
    heads. A database that does not answer closes the door too.
    """

    def __init__(self, app: ASGIApp, *, clock: Callable[[], float] = monotonic) -> None:
        self.app = app
        self._clock = clock
        self._inside: dict[object, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in ALWAYS_OPEN:
            await self.app(scope, receive, send)
            return
        if self._full():
            await problems.answer(Overloaded())(scope, receive, send)
            return
        visit = object()
        self._inside[visit] = self._clock()
        try:
            await self.app(scope, receive, send)
        finally:
            del self._inside[visit]

    def _full(self) -> bool:
        if len(self._inside) < CROWD:
            return False
        first_s = next(iter(self._inside.values()))
        return self._clock() - first_s > PATIENCE_S
