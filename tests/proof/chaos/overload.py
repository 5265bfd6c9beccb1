"""A flood of far more clients than can be served, as one fault among others."""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.proof.chaos.history import History, Operation
from tests.proof.connection import Connection, Reply, Unanswered
from tests.proof.deployment import Deployment, booking_body

RETRY_PAUSE_S = 0.2
SHED = frozenset({429, 503})


@dataclass
class Flood:
    """Clients that book at the same time and again at once; a shed one pauses first.

    `booked` is called with every booking that was made.
    """

    deployment: Deployment
    history: History
    booked: Callable[[Any], None]
    clients: int = 300
    lasts_s: float = 2.0
    served: list[float] = field(default_factory=list)
    shed: list[float] = field(default_factory=list)
    unanswered: int = 0
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(10_000_000))

    async def inject(self) -> bool:
        """Run all clients and return when they have ended."""
        alive = [api for api in self.deployment.apis if not api.is_dead and api.is_ready()]
        if not alive:
            return False
        until_s = time.monotonic() + self.lasts_s
        connections = [
            Connection(alive[n % len(alive)].port, timeout_s=5) for n in range(self.clients)
        ]
        await asyncio.gather(*(self._call(connection, until_s) for connection in connections))
        return True

    async def _call(self, connection: Connection, until_s: float) -> None:
        try:
            while time.monotonic() < until_s:
                await self._book(connection)
        finally:
            connection.close()

    async def _book(self, connection: Connection) -> None:
        number = next(self._numbers)
        key = f"flood-{number}"
        began_s = time.monotonic()
        reply: Reply | None = None
        try:
            reply = await connection.request(
                "POST", "/v1/bookings", key=key, body=booking_body(number)
            )
        except Unanswered:
            self.unanswered += 1
        else:
            self.history.record(reply)
            took_s = reply.ended_s - reply.began_s
            (self.shed if reply.status in SHED else self.served).append(took_s)
            if reply.status in SHED:
                await asyncio.sleep(RETRY_PAUSE_S)
            if reply.is_ok:
                self.booked(reply.json)
        known = reply is not None and reply.is_definite
        code = reply.code if known and reply is not None else None
        body = reply.body if known and reply is not None else b""
        now_s = time.monotonic()
        self.history.operations.append(Operation("book", "flood", key, began_s, now_s, code, body))
