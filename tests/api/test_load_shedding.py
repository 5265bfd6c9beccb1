"""The door in front of the API: who is let in and who is told to come again."""

import asyncio

import pytest

from api.http.load_shedding import CONCURRENT_MIN, WAIT_MAX_S, LoadShedding


class House:
    """An app that answers nobody until `served` is set, behind a door with a clock of its own."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.served = asyncio.Event()
        self.door = LoadShedding(self._app, clock=lambda: self.now_s)
        self.visitors: list[asyncio.Task[list[dict]]] = []

    async def _app(self, scope, receive, send) -> None:
        await self.served.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def visit(self, path: str = "/v1/bookings") -> list[dict]:
        said = []

        async def send(message) -> None:
            said.append(message)

        await self.door({"type": "http", "path": path, "method": "POST"}, None, send)
        return said

    async def crowd(self) -> None:
        self.visitors = [asyncio.create_task(self.visit()) for _ in range(CONCURRENT_MIN)]
        await asyncio.sleep(0)


@pytest.fixture
async def house():
    made = House()
    yield made
    made.served.set()
    await asyncio.gather(*made.visitors)


async def test_a_crowd_that_waits_too_long_closes_the_door(house):
    await house.crowd()
    house.now_s = WAIT_MAX_S + 0.01
    [start, *_] = await house.visit()
    assert start["status"] == 503
    assert (b"retry-after", b"1") in start["headers"]


async def test_a_crowd_that_is_served_in_time_closes_nothing(house):
    await house.crowd()
    house.now_s = WAIT_MAX_S
    task = asyncio.create_task(house.visit())
    await asyncio.sleep(0)
    assert not task.done()
    house.served.set()
    assert (await task)[0]["status"] == 200


async def test_the_door_opens_again_when_they_have_gone(house):
    await house.crowd()
    house.now_s = WAIT_MAX_S + 1
    house.served.set()
    await asyncio.gather(*house.visitors)
    assert (await house.visit())[0]["status"] == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/v1/live"])
async def test_how_we_are_is_said_in_any_crowd(house, path):
    await house.crowd()
    house.now_s = 100.0
    task = asyncio.create_task(house.visit(path))
    await asyncio.sleep(0)
    assert not task.done()
    house.served.set()
    assert (await task)[0]["status"] == 200
