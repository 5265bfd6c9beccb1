"""Rolling restarts: two servers behind a load balancer are replaced in turn under load."""

import asyncio
import socket
from collections import Counter
from itertools import count

from api.server.app import create_app
from api.server.process import listen
from tests.api.conftest import BOOKING
from tests.balancer import CHECK_EVERY_S, Balancer

CLIENTS = 4


class Server:
    """One server of this process, on a port that it keeps over restarts."""

    def __init__(self, rt) -> None:
        self.rt = rt
        with socket.create_server(("127.0.0.1", 0)) as one:
            self.port = one.getsockname()[1]
        self._stop = asyncio.Event()
        self._task = None

    async def start(self) -> None:
        self._stop.clear()
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        ready = asyncio.Event()
        self._task = asyncio.create_task(
            listen(create_app(self.rt), [listener], self._stop, ready.set)
        )
        await ready.wait()

    async def stop(self) -> None:
        """As SIGTERM does."""
        self._stop.set()
        await self._task


async def test_a_rolling_restart_loses_no_request(api):
    rt = api.rt
    rt.settings = rt.settings.model_copy(update={"drain_s": 10 * CHECK_EVERY_S})
    await api.partner()
    key = api.tokens["Radio Meier"]
    servers = [Server(rt), Server(rt)]
    statuses, numbers, is_over = Counter(), count(), asyncio.Event()

    async def book(balancer):
        while not is_over.is_set():
            number = next(numbers)
            customer = BOOKING["customer"] | {"email": f"vera{number}@example.com"}
            options = {"key": f"rolling-{number}", "body": BOOKING | {"customer": customer}}
            status = await balancer.request("POST", "/v1/bookings", token=key, **options)
            statuses[status] += 1

    for one in servers:
        await one.start()
    async with Balancer([one.port for one in servers]) as balancer:
        await asyncio.gather(*(one.up.wait() for one in balancer.backends))
        clients = [asyncio.create_task(book(balancer)) for _ in range(CLIENTS)]
        for number, one in enumerate(servers):
            await one.stop()
            await one.start()
            await balancer.backends[number].up.wait()
        is_over.set()
        await asyncio.gather(*clients)
    await asyncio.gather(*(one.stop() for one in servers))
    assert set(statuses) == {201}, statuses
