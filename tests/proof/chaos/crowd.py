"""Customers and friends: they ask, repeat until the answer is definite, and write it all down."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Coroutine
from random import Random
from typing import Any

from tests.proof.chaos.ledger import Entry, Ledger
from tests.proof.house import Friend, House, link_token, order
from tests.proof.line import Line, Reply, Unanswered

PATIENCE_S = 4.0
WHILE_S = (0.05, 0.4)
WORK_S = (0.1, 0.6)
# At 600 times the speed of time about three hours. Without it those nobody can serve would pile up
# for days, each asked for again every second and a half.
GIVES_UP_S = (15.0, 25.0)


class Crowd:
    """Everybody who asks; `stop` lets them finish the wish they are at."""

    def __init__(self, house: House, chance: Random, *, pause_s: float) -> None:
        self.ledger = Ledger()
        self._house = house
        self._chance = chance
        self._pause_s = pause_s
        self._stopped = asyncio.Event()
        self._numbers = itertools.count()
        self._tasks: list[asyncio.Task[None]] = []
        self._callers: list[Caller] = []
        self._impatient: set[asyncio.Task[None]] = set()

    def begin(self, customers: int) -> None:
        """Begin to ask."""
        people: list[Coroutine[Any, Any, None]] = [self._customer() for _ in range(customers)]
        people += [self._friend(friend) for friend in self._house.friends]
        self._tasks = [asyncio.create_task(one) for one in people]

    async def stop(self, within_s: float = 30.0) -> None:
        """Ask nothing new; what has no definite answer by then stays unknown."""
        self._stopped.set()
        tasks = [*self._tasks, *self._impatient]
        _, late = await asyncio.wait(tasks, timeout=within_s)
        for task in late:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended
        for caller in self._callers:
            caller.close()

    def line(self) -> "Caller":
        """A caller of any of the APIs."""
        caller = Caller(self._house, self.ledger, self._chance)
        self._callers.append(caller)
        return caller

    async def _customer(self) -> None:
        caller = self.line()
        while not self._stopped.is_set():
            await self._pause(self._pause_s)
            number = next(self._numbers)
            key = f"chaos-{number}"
            asked = order(number, away_m=self._chance.uniform(-2_000, 2_000))
            made = await caller.wish("book", "customer", key, "/v1/bookings", key=key, body=asked)
            if made is None or not made.ok:
                continue
            if self._chance.random() < 0.2:
                again = await caller.wish(
                    "book again", "customer", key, "/v1/bookings", key=key, body=asked
                )
                if again is not None and again.body != made.body:
                    self.ledger.bad.append(f"{key} was answered in two ways")
            if self._chance.random() < 0.1:
                await self._pause(self._pause_s)
                await self._cancel(caller, made.said)
            else:
                self.may_give_up(made.said)

    def may_give_up(self, booking: Any) -> None:
        """Whoever has waited for hours and has nobody cancels."""
        task = asyncio.create_task(self._give_up(booking))
        self._impatient.add(task)
        task.add_done_callback(self._impatient.discard)

    async def _give_up(self, booking: Any) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), self._chance.uniform(*GIVES_UP_S))
        if self._stopped.is_set():
            return
        caller = self.line()
        try:
            path, token = f"/v1/bookings/{booking['id']}", link_token(booking)
            if (await caller.look(path, token)).get("state") in {"open", "unfilled"}:
                await self._cancel(caller, booking)
        finally:
            caller.close()
            self._callers.remove(caller)

    async def _cancel(self, caller: "Caller", booking: Any) -> None:
        path, token = f"/v1/bookings/{booking['id']}/cancel", link_token(booking)
        await caller.wish("cancel", "customer", booking["id"], path, token=token, body={})

    async def _friend(self, friend: Friend) -> None:
        caller = self.line()
        working: set[asyncio.Task[None]] = set()
        while not self._stopped.is_set():
            await self._pause(self._pause_s)
            offers = await caller.look("/v1/me/offers", friend.token)
            for offer in offers.get("items", ()):
                if self._chance.random() < 0.15:
                    await self._on_offer(caller, friend, offer["id"], "decline")
                    continue
                won = await self._on_offer(caller, friend, offer["id"], "accept")
                if won is not None and won.ok:
                    booking = str(offer["booking_id"])
                    task = asyncio.create_task(self._work(friend, booking))
                    working.add(task)
                    task.add_done_callback(working.discard)
        if working:
            await asyncio.gather(*working)

    async def _on_offer(
        self, caller: "Caller", friend: Friend, offer: str, verb: str
    ) -> Reply | None:
        path = f"/v1/offers/{offer}/{verb}"
        return await caller.wish(verb, friend.ref, offer, path, token=friend.token)

    async def _work(self, friend: Friend, booking: str) -> None:
        """Call her and finish, or give it back, or forget her until the deadline."""
        fate = self._chance.random()
        if fate < 0.45:
            return
        caller = self.line()
        try:
            await self._pause(self._chance.uniform(*WORK_S))
            await self._finish(caller, friend, booking, fate)
        finally:
            caller.close()
            self._callers.remove(caller)

    async def _finish(self, caller: "Caller", friend: Friend, booking: str, fate: float) -> None:
        async def do(verb: str, body: Any = None) -> Reply | None:
            path = f"/v1/bookings/{booking}/{verb}"
            return await caller.wish(verb, friend.ref, booking, path, token=friend.token, body=body)

        if fate < 0.55:
            await do("hand-back", {"reason": "no_time"})
            return
        reached = await do("contacted")
        if reached is not None and reached.ok and fate < 0.95:
            await do("complete", {"summary": "It works again.", "minutes": 20})

    async def _pause(self, about_s: float) -> None:
        await asyncio.sleep(about_s * self._chance.uniform(0.5, 1.5))


class Caller:
    """One caller: to whichever API answers, the same request until the answer is definite."""

    def __init__(self, house: House, ledger: Ledger, chance: Random) -> None:
        self._ledger = ledger
        self._chance = chance
        self._lines = [Line(api.port, patience_s=PATIENCE_S) for api in house.apis]

    def close(self) -> None:
        """Hang up."""
        for line in self._lines:
            line.close()

    async def wish(
        self, verb: str, who: str, subject: str, path: str, **request: Any
    ) -> Reply | None:
        """Ask until the answer is definite and keep it; None when cut short."""
        began_s = time.monotonic()
        reply: Reply | None = None
        tries = 0
        try:
            while reply is None or not reply.definite:
                if tries:
                    await asyncio.sleep(self._chance.uniform(*WHILE_S))
                tries += 1
                reply = await self._once("POST", path, **request)
        finally:
            definite = reply is not None and reply.definite
            self._ledger.entries.append(
                Entry(
                    verb=verb,
                    who=who,
                    subject=subject,
                    invoked_s=began_s,
                    returned_s=time.monotonic(),
                    code=reply.code if reply is not None and definite else None,
                    body=reply.body if reply is not None and definite else b"",
                    tries=tries,
                )
            )
        return reply

    async def look(self, path: str, token: str) -> dict[str, Any]:
        """What is shown there, nothing when nobody answers."""
        reply = await self._once("GET", path, token=token)
        return dict(reply.said) if reply is not None and reply.ok else {}

    async def _once(self, method: str, path: str, **request: Any) -> Reply | None:
        try:
            reply = await self._chance.choice(self._lines).ask(method, path, **request)
        except Unanswered:
            self._ledger.unanswered += 1
            return None
        self._ledger.seen(reply)
        return reply
