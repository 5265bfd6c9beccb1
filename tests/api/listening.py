"""A real server on loopback in this process, and readers of its event streams."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import uvicorn

WITHIN_S = 10


class Server(uvicorn.Server):
    """Leaves the signals to the tests."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """Serve `app`; yields its address."""
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        config = uvicorn.Config(
            app, log_config=None, lifespan="off", timeout_graceful_shutdown=WITHIN_S
        )
        server = Server(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            if streams := getattr(app.state, "streams", None):
                await streams.close()
            server.should_exit = True
            await task


@dataclass
class Told:
    """One event of a stream; `id` is the cursor, `said` what stood in its data."""

    name: str
    said: dict[str, Any]
    id: str | None


@dataclass
class Reader:
    """Somebody who listens."""

    response: httpx2.Response
    lines: AsyncIterator[str]
    seen: list[str] = field(default_factory=list)
    comments: int = 0
    cursor: str | None = None
    fields: dict[str, str] = field(default_factory=dict)

    async def next(self) -> Told | None:
        """The next event; None when the stream has ended."""
        async with asyncio.timeout(WITHIN_S):
            return await self._next()

    async def until(self, name: str) -> Told:
        """The next event of this name."""
        while (told := await self.next()) is not None:
            if told.name == name:
                return told
        raise AssertionError(f"the stream ended before {name}: {self.seen}")

    async def comment(self) -> None:
        """Read up to the end of a comment."""
        before = self.comments
        async with asyncio.timeout(WITHIN_S):
            while self.comments == before or self.seen[-1] != "":
                self._read(await anext(self.lines), self.fields)

    async def _next(self) -> Told | None:
        async for line in self.lines:
            self._read(line, self.fields)
            if line == "":
                fields, self.fields = self.fields, {}
                if "data" in fields:
                    return Told(fields["event"], json.loads(fields["data"]), fields.get("id"))
        return None

    def _read(self, line: str, fields: dict[str, str]) -> None:
        self.seen.append(line)
        if line.startswith(":"):
            self.comments += 1
        elif line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
            if name == "id":
                self.cursor = fields[name]


@asynccontextmanager
async def listening(
    url: str, token: str | None, cursor: str | None = None, **headers: str
) -> AsyncIterator[Reader]:
    """Listen with this token from this cursor on."""
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if cursor:
        headers["Last-Event-ID"] = cursor
    async with (
        httpx2.AsyncClient(timeout=WITHIN_S) as http,
        http.stream("GET", f"{url}/v1/live", headers=headers) as response,
    ):
        if response.status_code != 200:
            await response.aread()
        yield Reader(response, response.aiter_lines())


@asynccontextmanager
async def ready(url: str, token: str, cursor: str | None = None) -> AsyncIterator[Reader]:
    """Listen, and go on once the server has said that it tells everything from now on."""
    async with listening(url, token, cursor) as reader:
        told = await reader.next()
        assert told is not None
        assert told.name == "ready", told
        yield reader
