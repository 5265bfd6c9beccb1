"""A load balancer as HAProxy is one: round robin, health checks, connections that are kept."""

import asyncio
import itertools
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tests.proof.connection import Connection, Reply, Unanswered

CHECK_EVERY_S = 0.05


@dataclass
class Backend:
    """One server: whether it passed the last check, and its connections that are not in use."""

    port: int
    up: asyncio.Event = field(default_factory=asyncio.Event)
    idle: list[Connection] = field(default_factory=list)

    async def check(self) -> None:
        """Ask whether it is ready, on a connection of its own as HAProxy does."""
        connection = Connection(self.port, timeout_s=1.0)
        try:
            if (await connection.request("GET", "/readyz")).status == 200:
                self.up.set()
            else:
                self.up.clear()
        except Unanswered:
            self.up.clear()
        finally:
            connection.close()

    async def request(self, *words: str, **options: Any) -> Reply:
        """Send a request once on a connection that the server has not closed. Raises Unanswered."""
        connection = self._take()
        reply = await connection.request(*words, **options)
        self.idle.append(connection)
        return reply

    def _take(self) -> Connection:
        while self.idle:
            connection = self.idle.pop()
            if not connection.is_closed:
                return connection
            connection.close()
        return Connection(self.port)


class Balancer:
    """Sends each request to the next server that is up; what a server loses is lost."""

    def __init__(self, ports: list[int]) -> None:
        self.backends = [Backend(port) for port in ports]
        self._turns = itertools.cycle(self.backends)
        self._checking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Balancer":
        self._checking = asyncio.create_task(self._check_for_ever())
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._checking is not None
        self._checking.cancel()
        with suppress(asyncio.CancelledError):
            await self._checking
        for one in (one for backend in self.backends for one in backend.idle):
            one.close()

    async def request(self, *words: str, **options: Any) -> int:
        """The status: 503 without a server that is up, 502 when one did not answer."""
        turns = itertools.islice(self._turns, len(self.backends))
        backend = next((one for one in turns if one.up.is_set()), None)
        if backend is None:
            return 503
        try:
            return (await backend.request(*words, **options)).status
        except Unanswered:
            return 502

    async def _check_for_ever(self) -> None:
        while True:
            await asyncio.gather(*(one.check() for one in self.backends))
            await asyncio.sleep(CHECK_EVERY_S)
