"""Load shedding: which requests are served, and which get 503."""

import asyncio

import pytest

from api.http import load_shedding
from api.http.load_shedding import CONCURRENT_MIN, LoadShedding


class SlowApp:
    """An app that answers nothing until `served` is set, behind load shedding with a fake clock."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.served = asyncio.Event()
        self.load_shedding = LoadShedding(self._app, clock=lambda: self.now_s)
        self.requests: list[asyncio.Task[list[dict]]] = []

    async def _app(self, scope, receive, send) -> None:
        await self.served.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def request(self, path: str = "/v1/bookings") -> list[dict]:
        messages = []

        async def send(message) -> None:
            messages.append(message)

        await self.load_shedding({"type": "http", "path": path, "method": "POST"}, None, send)
        return messages

    async def fill(self) -> None:
        self.requests = [asyncio.create_task(self.request()) for _ in range(CONCURRENT_MIN)]
        await asyncio.sleep(0)


@pytest.fixture
async def app():
    slow_app = SlowApp()
    yield slow_app
    slow_app.served.set()
    await asyncio.gather(*slow_app.requests)


async def test_many_slow_requests_shed_load(app):
    await app.fill()
    app.now_s = load_shedding.WAIT_MAX_S + 0.01
    [start, *_] = await app.request()
    assert start["status"] == 503
    assert (b"retry-after", b"1") in start["headers"]


async def test_many_fast_requests_shed_no_load(app):
    await app.fill()
    app.now_s = load_shedding.WAIT_MAX_S
    task = asyncio.create_task(app.request())
    await asyncio.sleep(0)
    assert not task.done()
    app.served.set()
    assert (await task)[0]["status"] == 200


async def test_load_is_not_shed_after_the_slow_requests_end(app):
    await app.fill()
    app.now_s = load_shedding.WAIT_MAX_S + 1
    app.served.set()
    await asyncio.gather(*app.requests)
    assert (await app.request())[0]["status"] == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/v1/live"])
async def test_health_checks_and_streams_are_exempt(app, path):
    await app.fill()
    app.now_s = 100.0
    task = asyncio.create_task(app.request(path))
    await asyncio.sleep(0)
    assert not task.done()
    app.served.set()
    assert (await task)[0]["status"] == 200
