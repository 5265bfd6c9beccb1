"""Far more callers than can be served: are they told so at once, and all served again after?"""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.proof.chaos.ledger import Entry, Ledger
from tests.proof.house import House, order
from tests.proof.line import Line, Reply, Unanswered

AGAIN_S = 0.2
SHED = frozenset({429, 503})


@dataclass
class Flood:
    """Many who book at the same time, and again at once; who is turned away waits a little.

    `booked` hears of every booking that was made.
    """

    house: House
    ledger: Ledger
    booked: Callable[[Any], None]
    callers: int = 300
    lasts_s: float = 2.0
    served: list[float] = field(default_factory=list)
    shed: list[float] = field(default_factory=list)
    unanswered: int = 0
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(10_000_000))

    async def strike(self) -> bool:
        """Let them all in, and return when they have gone."""
        alive = [api for api in self.house.apis if not api.dead and api.at_work()]
        if not alive:
            return False
        until_s = time.monotonic() + self.lasts_s
        lines = [Line(alive[n % len(alive)].port, patience_s=5) for n in range(self.callers)]
        await asyncio.gather(*(self._call(line, until_s) for line in lines))
        return True

    async def _call(self, line: Line, until_s: float) -> None:
        try:
            while time.monotonic() < until_s:
                await self._book(line)
        finally:
            line.close()

    async def _book(self, line: Line) -> None:
        number = next(self._numbers)
        key = f"flood-{number}"
        began_s = time.monotonic()
        reply: Reply | None = None
        try:
            reply = await line.ask("POST", "/v1/bookings", key=key, body=order(number))
        except Unanswered:
            self.unanswered += 1
        else:
            self.ledger.seen(reply)
            took_s = reply.ended_s - reply.began_s
            (self.shed if reply.status in SHED else self.served).append(took_s)
            if reply.status in SHED:
                await asyncio.sleep(AGAIN_S)
            if reply.ok:
                self.booked(reply.said)
        known = reply is not None and reply.definite
        code = reply.code if known and reply is not None else None
        body = reply.body if known and reply is not None else b""
        now_s = time.monotonic()
        self.ledger.entries.append(Entry("book", "flood", key, began_s, now_s, code, body))
