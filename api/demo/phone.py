"""Somebody's phone: talks to the public API with his own token, and hears what is his."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2

log = logging.getLogger(__name__)

AGAIN_S: Final = 1.0
AT_ONCE: Final = 8
TRIES: Final = 5
GONE: Final = frozenset({404, 409})

Event = tuple[str, Mapping[str, Any]]


@dataclass(slots=True)
class Line:
    """The line to the service, shared by all phones; counts answers that nobody expects."""

    client: httpx2.AsyncClient
    surprises: int = 0
    # A whole town that calls in the same moment is put off by the service, and would call again.
    few: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))


@dataclass(frozen=True, slots=True)
class Phone:
    """One person's access; no token for whoever is not signed in."""

    line: Line
    token: str | None

    @property
    def headers(self) -> dict[str, str]:
        """Who is calling."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    async def get(self, path: str) -> list[Mapping[str, Any]]:
        """The items of a list."""
        answer = await self._ask("GET", path, self.headers, None)
        if answer.is_error:
            self._wonder(path, answer)
            return []
        items: list[Mapping[str, Any]] = answer.json()["items"]
        return items

    async def post(
        self, path: str, body: Mapping[str, Any] | None = None, key: str | None = None
    ) -> Mapping[str, Any] | None:
        """What was answered, or None when it cannot be any more."""
        headers = self.headers | ({"Idempotency-Key": key} if key else {})
        answer = await self._ask("POST", path, headers, body)
        if answer.is_success:
            said: Mapping[str, Any] = answer.json()
            return said
        if answer.status_code not in GONE:
            self._wonder(path, answer)
        return None

    async def _ask(
        self, method: str, path: str, headers: Mapping[str, str], body: Mapping[str, Any] | None
    ) -> httpx2.Response:
        """Ask, and ask again when the service is busy: every request here may be repeated."""
        for attempt in range(1, TRIES):
            async with self.line.few:
                answer = await self.line.client.request(method, path, headers=headers, json=body)
            if answer.status_code != httpx2.codes.SERVICE_UNAVAILABLE:
                return answer
            await asyncio.sleep(AGAIN_S * attempt / 2)
        async with self.line.few:
            return await self.line.client.request(method, path, headers=headers, json=body)

    async def hear(self) -> AsyncIterator[Event]:
        """What happens, kind by kind, for as long as the service is there."""
        last = ""
        while True:
            try:
                async with self._listening(last) as answer:
                    kind = ""
                    async for text in answer.aiter_lines():
                        name, _, value = text.partition(": ")
                        if name == "id":
                            last = value
                        elif name == "event":
                            kind = value
                        elif name == "data":
                            yield kind, json.loads(value)
            except httpx2.HTTPError as error:
                log.debug("the line is broken: %s", error)
            await asyncio.sleep(AGAIN_S)

    @asynccontextmanager
    async def _listening(self, last: str) -> AsyncIterator[httpx2.Response]:
        headers = self.headers | ({"Last-Event-ID": last} if last else {})
        async with AsyncExitStack() as stack:
            async with self.line.few:
                stream = self.line.client.stream("GET", "/v1/live", headers=headers, timeout=None)
                answer = await stack.enter_async_context(stream)
            yield answer

    def _wonder(self, path: str, answer: httpx2.Response) -> None:
        self.line.surprises += 1
        log.warning("%s %s: %s", answer.status_code, path, answer.text[:300])
