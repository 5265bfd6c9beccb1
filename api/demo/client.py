"""A simulated person's client of the public API: requests and live events."""

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

RETRY_S: Final = 1.0
CONCURRENT_MAX: Final = 8
TRIES: Final = 5
EXPECTED_ERRORS: Final = frozenset({404, 409})

Event = tuple[str, Mapping[str, Any]]


@dataclass(slots=True)
class Connection:
    """The HTTP client shared by all people; counts unexpected responses."""

    client: httpx2.AsyncClient
    unexpected: int = 0
    # A whole town calling at the same moment would get 503, and retry.
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CONCURRENT_MAX))


@dataclass(frozen=True, slots=True)
class ApiClient:
    """The client of one person; without a token for somebody who is not signed in."""

    connection: Connection
    token: str | None

    @property
    def headers(self) -> dict[str, str]:
        """The authentication header, if any."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    async def get(self, path: str) -> list[Mapping[str, Any]]:
        """The items of a list, empty after an error."""
        response = await self._request("GET", path, self.headers, None)
        if response.is_error:
            self._log_unexpected(path, response)
            return []
        items: list[Mapping[str, Any]] = response.json()["items"]
        return items

    async def post(
        self, path: str, body: Mapping[str, Any] | None = None, key: str | None = None
    ) -> Mapping[str, Any] | None:
        """The response, or None for an expected error."""
        return await self.send("POST", path, body, key)

    async def send(
        self, method: str, path: str, body: Mapping[str, Any] | None, key: str | None = None
    ) -> Mapping[str, Any] | None:
        """The response of any method, empty without content; None for an expected error."""
        headers = self.headers | ({"Idempotency-Key": key} if key else {})
        response = await self._request(method, path, headers, body)
        if response.is_success:
            content: Mapping[str, Any] = response.json() if response.content else {}
            return content
        if response.status_code not in EXPECTED_ERRORS:
            self._log_unexpected(path, response)
        return None

    async def _request(
        self, method: str, path: str, headers: Mapping[str, str], body: Mapping[str, Any] | None
    ) -> httpx2.Response:
        """Send a request, and retry it while the service is overloaded; all are idempotent."""
        for attempt in range(1, TRIES):
            async with self.connection.slots:
                response = await self.connection.client.request(
                    method, path, headers=headers, json=body
                )
            if response.status_code != httpx2.codes.SERVICE_UNAVAILABLE:
                return response
            await asyncio.sleep(RETRY_S * attempt / 2)
        async with self.connection.slots:
            return await self.connection.client.request(method, path, headers=headers, json=body)

    async def events(self) -> AsyncIterator[Event]:
        """Live events by kind, reconnecting until cancelled."""
        cursor = ""
        while True:
            try:
                async with self._open_stream(cursor) as response:
                    kind = ""
                    async for text in response.aiter_lines():
                        name, _, value = text.partition(": ")
                        if name == "id":
                            cursor = value
                        elif name == "event":
                            kind = value
                        elif name == "data":
                            yield kind, json.loads(value)
            except httpx2.HTTPError as error:
                log.debug("the event stream broke: %s", error)
            await asyncio.sleep(RETRY_S)

    @asynccontextmanager
    async def _open_stream(self, cursor: str) -> AsyncIterator[httpx2.Response]:
        headers = self.headers | ({"Last-Event-ID": cursor} if cursor else {})
        async with AsyncExitStack() as stack:
            async with self.connection.slots:
                stream = self.connection.client.stream(
                    "GET", "/v1/live", headers=headers, timeout=None
                )
                response = await stack.enter_async_context(stream)
            yield response

    def _log_unexpected(self, path: str, response: httpx2.Response) -> None:
        self.connection.unexpected += 1
        log.warning("%s %s: %s", response.status_code, path, response.text[:300])
