"""Customers and friends who send requests, retry until the answer is definite, and record it."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Coroutine
from random import Random
from typing import Any

from tests.builders import SIGNATURE
from tests.proof.chaos.history import History, Operation
from tests.proof.connection import Connection, Reply, Unanswered
from tests.proof.deployment import Deployment, Friend, booking_body, link_token

TIMEOUT_S = 4.0
RETRY_PAUSE_S = (0.05, 0.4)
WORK_S = (0.1, 0.6)
# At 600 times real speed about three hours. Otherwise bookings that nobody can serve would pile
# up, each retried every second and a half.
GIVE_UP_AFTER_S = (15.0, 25.0)


class Clients:
    """All clients of a run; `stop` lets each finish its current operation."""

    def __init__(self, deployment: Deployment, chance: Random, *, pause_s: float) -> None:
        self.history = History()
        self._deployment = deployment
        self._chance = chance
        self._pause_s = pause_s
        self._stopped = asyncio.Event()
        self._numbers = itertools.count()
        self._tasks: list[asyncio.Task[None]] = []
        self._clients: list[Client] = []
        self._waiting: set[asyncio.Task[None]] = set()

    def start(self, customers: int) -> None:
        """Start all clients."""
        people: list[Coroutine[Any, Any, None]] = [self._customer() for _ in range(customers)]
        people += [self._friend(friend) for friend in self._deployment.friends]
        self._tasks = [asyncio.create_task(one) for one in people]

    async def stop(self, within_s: float = 30.0) -> None:
        """Start nothing new; operations without a definite answer by then stay unknown."""
        self._stopped.set()
        tasks = [*self._tasks, *self._waiting]
        _, late = await asyncio.wait(tasks, timeout=within_s)
        for task in late:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result
        for client in self._clients:
            client.close()

    def connect(self) -> "Client":
        """A client of all APIs."""
        client = Client(self._deployment, self.history, self._chance)
        self._clients.append(client)
        return client

    async def _customer(self) -> None:
        client = self.connect()
        while not self._stopped.is_set():
            await self._pause(self._pause_s)
            number = next(self._numbers)
            key = f"chaos-{number}"
            body = booking_body(number, away_m=self._chance.uniform(-2_000, 2_000))
            made = await client.submit("book", "customer", key, "/v1/bookings", key=key, body=body)
            if made is None or not made.is_ok:
                continue
            if self._chance.random() < 0.2:
                again = await client.submit(
                    "book again", "customer", key, "/v1/bookings", key=key, body=body
                )
                if again is not None and again.body != made.body:
                    self.history.errors.append(f"{key} was answered in two different ways")
            if self._chance.random() < 0.1:
                await self._pause(self._pause_s)
                await self._cancel(client, made.json)
            else:
                self.give_up_later(made.json)

    def give_up_later(self, booking: Any) -> None:
        """Cancel the booking when it has waited for hours without a friend."""
        task = asyncio.create_task(self._give_up(booking))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _give_up(self, booking: Any) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), self._chance.uniform(*GIVE_UP_AFTER_S))
        if self._stopped.is_set():
            return
        client = self.connect()
        try:
            path, token = f"/v1/bookings/{booking['id']}", link_token(booking)
            if (await client.read(path, token)).get("state") in {"open", "unfilled"}:
                await self._cancel(client, booking)
        finally:
            client.close()
            self._clients.remove(client)

    async def _cancel(self, client: "Client", booking: Any) -> None:
        path, token = f"/v1/bookings/{booking['id']}/cancel", link_token(booking)
        await client.submit("cancel", "customer", booking["id"], path, token=token, body={})

    async def _friend(self, friend: Friend) -> None:
        client = self.connect()
        working: set[asyncio.Task[None]] = set()
        while not self._stopped.is_set():
            await self._pause(self._pause_s)
            offers = await client.read("/v1/me/offers", friend.token)
            for offer in offers.get("items", ()):
                if self._chance.random() < 0.15:
                    await self._on_offer(client, friend, offer["id"], "decline")
                    continue
                won = await self._on_offer(client, friend, offer["id"], "accept")
                if won is not None and won.is_ok:
                    booking = str(offer["booking_id"])
                    task = asyncio.create_task(self._work(friend, booking))
                    working.add(task)
                    task.add_done_callback(working.discard)
        if working:
            await asyncio.gather(*working)

    async def _on_offer(
        self, client: "Client", friend: Friend, offer: str, verb: str
    ) -> Reply | None:
        path = f"/v1/offers/{offer}/{verb}"
        return await client.submit(verb, friend.ref, offer, path, token=friend.token)

    async def _work(self, friend: Friend, booking: str) -> None:
        """Contact the customer and finish, hand the job back, or miss the deadline."""
        drawn = self._chance.random()
        if drawn < 0.45:
            return
        client = self.connect()
        try:
            await self._pause(self._chance.uniform(*WORK_S))
            await self._finish(client, friend, booking, drawn)
        finally:
            client.close()
            self._clients.remove(client)

    async def _finish(self, client: "Client", friend: Friend, booking: str, drawn: float) -> None:
        async def do(verb: str, body: Any = None) -> Reply | None:
            path = f"/v1/bookings/{booking}/{verb}"
            return await client.submit(
                verb, friend.ref, booking, path, token=friend.token, body=body
            )

        if drawn < 0.55:
            await do("hand-back", {"reason": "no_time"})
            return
        reached = await do("contacted")
        if reached is not None and reached.is_ok and drawn < 0.95:
            await do(
                "complete", {"summary": "It works again.", "minutes": 20, "signature": SIGNATURE}
            )

    async def _pause(self, about_s: float) -> None:
        await asyncio.sleep(about_s * self._chance.uniform(0.5, 1.5))


class Client:
    """One client: sends a request to any API until the answer is definite."""

    def __init__(self, deployment: Deployment, history: History, chance: Random) -> None:
        self._ledger = history
        self._chance = chance
        self._connections = [Connection(api.port, timeout_s=TIMEOUT_S) for api in deployment.apis]

    def close(self) -> None:
        """Close all connections."""
        for connection in self._connections:
            connection.close()

    async def submit(
        self, verb: str, who: str, subject: str, path: str, **request: Any
    ) -> Reply | None:
        """Send until the answer is definite and record the operation; None when cancelled."""
        began_s = time.monotonic()
        reply: Reply | None = None
        tries = 0
        try:
            while reply is None or not reply.is_definite:
                if tries:
                    await asyncio.sleep(self._chance.uniform(*RETRY_PAUSE_S))
                tries += 1
                reply = await self._once("POST", path, **request)
        finally:
            definite = reply is not None and reply.is_definite
            self._ledger.operations.append(
                Operation(
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

    async def read(self, path: str, token: str) -> dict[str, Any]:
        """The JSON at a path; empty when there is no answer."""
        reply = await self._once("GET", path, token=token)
        return dict(reply.json) if reply is not None and reply.is_ok else {}

    async def _once(self, method: str, path: str, **request: Any) -> Reply | None:
        try:
            reply = await self._chance.choice(self._connections).request(method, path, **request)
        except Unanswered:
            self._ledger.unanswered += 1
            return None
        self._ledger.record(reply)
        return reply
