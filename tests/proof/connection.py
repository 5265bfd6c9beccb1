"""A keep-alive HTTP connection to the API that records when each request began and ended."""

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass
from typing import Any

TIMEOUT_S = 10.0
# Less than TEKKIE_IDLE_S, after which the server closes a connection.
IDLE_S = 2.0
# After these answers the client cannot know whether the request had an effect.
INDEFINITE = frozenset({500, 502, 503, 504, 429})


class Unanswered(Exception):
    """The connection broke or timed out: the request may or may not have had an effect."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, with the start and end of the wait on the monotonic clock."""

    status: int
    headers: dict[str, str]
    body: bytes
    began_s: float
    ended_s: float

    @property
    def is_ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_definite(self) -> bool:
        return self.status not in INDEFINITE

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """'ok', or the code of the problem."""
        return "ok" if self.is_ok else str(self.json.get("code", self.status))


class Connection:
    """A keep-alive connection to one port, reopened after it broke."""

    def __init__(self, port: int, *, timeout_s: float = TIMEOUT_S) -> None:
        self.port = port
        self._timeout_s = timeout_s
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._used_s = 0.0

    async def request(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        key: str | None = None,
        body: Any = None,
    ) -> Reply:
        """Send a request and wait for the answer. Raises Unanswered."""
        request = _encode(method, path, token, key, body)
        began_s = time.monotonic()
        if began_s - self._used_s > IDLE_S:
            self.close()
        try:
            async with asyncio.timeout(self._timeout_s):
                status, headers, content = await self._exchange(request)
        except (OSError, EOFError, ValueError, TimeoutError) as error:
            self.close()
            raise Unanswered(f"{type(error).__name__}: {error}") from error
        except BaseException:
            self.close()
            raise
        if headers.get("connection", "").lower() == "close":
            self.close()
        self._used_s = time.monotonic()
        return Reply(status, headers, content, began_s, self._used_s)

    def close(self) -> None:
        """Abort the connection."""
        if self._writer is not None:
            with contextlib.suppress(Exception):
                self._writer.transport.abort()
        self._reader = self._writer = None

    @property
    def is_closed(self) -> bool:
        """Whether there is no connection, or the server has closed it."""
        return self._reader is None or self._reader.at_eof()

    async def open(self) -> None:
        """Connect now, so that the next request need not."""
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port)
            self._used_s = time.monotonic()

    async def _exchange(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        await self.open()
        assert self._reader is not None
        assert self._writer is not None
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split(" ", 2)[1])
        pairs = (line.partition(":") for line in head[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        return status, headers, await self._reader.readexactly(int(headers["content-length"]))


def _encode(method: str, path: str, token: str | None, key: str | None, body: Any) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: tekkie"]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    if key is not None:
        lines.append(f"Idempotency-Key: {key}")
    content = b"" if body is None else json.dumps(body).encode()
    if body is not None:
        lines.append("Content-Type: application/json")
    if method != "GET":
        lines.append(f"Content-Length: {len(content)}")
    return "\r\n".join([*lines, "", ""]).encode() + content
