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

WITHIN_S = 60


class Server(uvicorn.Server):
    """Uvicorn without signal handlers."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serve_app(app: Any) -> AsyncIterator[str]:
    """Serve `app`; yields its URL."""
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
class StreamEvent:
    """One event of a stream; `id` is the cursor, `data` the JSON."""

    name: str
    data: dict[str, Any]
    id: str | None


@dataclass
class StreamReader:
    """A reader of one stream."""

    response: httpx2.Response
    lines: AsyncIterator[str]
    seen: list[str] = field(default_factory=list)
    comments: int = 0
    cursor: str | None = None
    fields: dict[str, str] = field(default_factory=dict)

    async def next(self) -> StreamEvent | None:
        """The next event; None at the end of the stream."""
        async with asyncio.timeout(WITHIN_S):
            return await self._next()

    async def until(self, name: str) -> StreamEvent:
        """The next event of this name."""
        while (event := await self.next()) is not None:
            if event.name == name:
                return event
        raise AssertionError(f"the stream ended before {name}: {self.seen}")

    async def comment(self) -> None:
        """Read up to the end of a comment."""
        before = self.comments
        async with asyncio.timeout(WITHIN_S):
            while self.comments == before or self.seen[-1] != "":
                self._read(await anext(self.lines), self.fields)

    async def _next(self) -> StreamEvent | None:
        async for line in self.lines:
            self._read(line, self.fields)
            if line == "":
                fields, self.fields = self.fields, {}
                if "data" in fields:
                    return StreamEvent(
                        fields["event"], json.loads(fields["data"]), fields.get("id")
                    )
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
async def open_stream(
    url: str, token: str | None, cursor: str | None = None, **headers: str
) -> AsyncIterator[StreamReader]:
    """Open a stream with this token and cursor."""
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
        yield StreamReader(response, response.aiter_lines())


@asynccontextmanager
async def open_ready(
    url: str, token: str, cursor: str | None = None
) -> AsyncIterator[StreamReader]:
    """Open a stream, and continue after its `ready` event."""
    async with open_stream(url, token, cursor) as reader:
        event = await reader.next()
        assert event is not None
        assert event.name == "ready", event
        yield reader
