"""Load shedding: which requests are served, and which get 503."""

import asyncio

import pytest

from api.http import load_shedding
from api.http.load_shedding import CONCURRENT_MIN, Load, LoadShedding


class SlowApp:
    """An app that answers nothing until `served` is set, behind load shedding with a fake clock."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.served = asyncio.Event()
        self.load = Load(clock=lambda: self.now_s)
        self.load_shedding = LoadShedding(self._app, load=self.load)
        self.requests: list[asyncio.Task[list[dict]]] = []

    async def _app(self, scope, receive, send) -> None:
        await self.served.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def request(self, path: str = "/v1/bookings") -> list[dict]:
        messages = []

        async def send(message) -> None:
            messages.append(message)

        scope = {"type": "http", "path": path, "method": "POST", "headers": []}
        await self.load_shedding(scope, None, send)
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


class Client:
    """A request whose body arrives, and whose answer is taken, when the test says so."""

    def __init__(self, load: Load, headers=((b"content-length", b"60000"),)) -> None:
        self.load_shedding = LoadShedding(self._app, load=load)
        self.headers = headers
        self.arrived, self.works, self.took = (asyncio.Event() for _ in range(3))
        self.task = asyncio.create_task(self._request())

    async def _app(self, scope, receive, send) -> None:
        while (await receive())["more_body"]:
            pass
        await self.works.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def _receive(self):
        if self.arrived.is_set():
            return {"type": "http.request", "body": b"a", "more_body": False}
        await asyncio.sleep(0)
        return {"type": "http.request", "body": b"a", "more_body": True}

    async def _send(self, message) -> None:
        await self.took.wait()

    async def _request(self) -> None:
        scope = {"type": "http", "path": "/v1/bookings", "method": "POST", "headers": self.headers}
        await self.load_shedding(scope, self._receive, self._send)


@pytest.mark.parametrize(
    "headers", [((b"content-length", b"60000"),), ((b"transfer-encoding", b"chunked"),)]
)
async def test_slow_uploads_and_answers_not_taken_are_no_load(headers):
    now_s = 0.0
    load = Load(clock=lambda: now_s)
    clients = [Client(load, headers) for _ in range(2 * CONCURRENT_MIN)]
    now_s = 100.0
    await asyncio.sleep(0)
    assert load.problem() == ""
    for one in clients:
        one.arrived.set()
    for _ in range(3):
        await asyncio.sleep(0)
    now_s += load_shedding.WAIT_MAX_S + 1
    assert f"{len(clients)} requests run" in load.problem()
    for one in clients:
        one.works.set()
    for _ in range(3):
        await asyncio.sleep(0)
    assert load.problem() == ""
    assert not any(one.task.done() for one in clients)
    for one in clients:
        one.took.set()
    await asyncio.gather(*(one.task for one in clients))
