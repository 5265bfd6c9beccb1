"""The API on a real socket."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import uvicorn

from api.server.app import create_app
from api.server.process import listen

BATCH = 2


@asynccontextmanager
async def served(app) -> AsyncIterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on"))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


async def test_of_four_accepts_over_the_network_exactly_one_wins(api):
    async with served(api.app) as url, httpx2.AsyncClient(base_url=url) as http:
        for _ in range(3):
            booking = await api.book()
            offers = await api.offers(booking)
            calls = []
            for ref, offer in offers.items():
                await api.friend(ref)
                headers = {"Authorization": f"Bearer {api.tokens[ref]}"}
                calls += [(f"/v1/offers/{offer}/accept", headers)] * BATCH
            answers = await asyncio.gather(
                *(http.post(path, headers=headers) for path, headers in calls)
            )
            statuses = sorted(answer.status_code for answer in answers)
            assert statuses == [200] * BATCH + [409] * 3 * BATCH
            assert len({a.content for a in answers if a.status_code == 200}) == 1


async def test_a_body_too_large_is_refused_without_being_read(api):
    async with served(api.app) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"POST /v1/bookings HTTP/1.1\r\nHost: tekkie.test\r\n"
            b"Content-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n"
        )
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), timeout=5)
        writer.close()
        await writer.wait_closed()
    assert head.startswith(b"HTTP/1.1 413")
    assert b"application/problem+json" in head


async def test_what_is_for_operations_has_a_port_of_its_own(api):
    for_operations, others = ("/metrics", "/docs", "/openapi.json"), ("/v1/packages?market=CH", "/")
    with (
        socket.create_server(("127.0.0.1", 0)) as public,
        socket.create_server(("127.0.0.1", 0)) as own,
    ):
        port = own.getsockname()[1]
        api.rt.settings = api.rt.settings.model_copy(update={"ops_port": port})
        stop, ready = asyncio.Event(), asyncio.Event()
        serving = asyncio.create_task(listen(create_app(api.rt), [public, own], stop, ready.set))
        await ready.wait()
        async with httpx2.AsyncClient() as http:

            async def statuses(listener, paths):
                url = f"http://127.0.0.1:{listener.getsockname()[1]}"
                return [(await http.get(url + path)).status_code for path in paths]

            assert await statuses(own, for_operations) == [200, 200, 200]
            assert await statuses(public, for_operations) == [404, 404, 404]
            assert await statuses(public, others) == [200, 200]
            assert await statuses(own, others) == [404, 404]
            for listener in (public, own):
                assert await statuses(listener, ("/healthz", "/readyz")) == [200, 200]
        stop.set()
        await serving
