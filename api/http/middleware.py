"""Middleware around every request, as plain ASGI classes that neither buffer nor detach streams."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, reset_contextvars

from api.http import problems
from api.http.limits import BODY_MAX
from dispatch.rules.refusals import NotFound
from dispatch.rules.trust.files import CONTENT_MAX

log = logging.getLogger(__name__)

REQUEST_ID = re.compile("[A-Za-z0-9._-]{8,64}")
# A file of five million characters, some of them escaped; only operators get there.
BODY_MAX_BY_PATH: Mapping[str, int] = {"/v1/desk/friends/import": 8 * 1024 * 1024}
# A picture in base64 with its name; nothing is read before the caller is known.
UPLOADS = re.compile(r"/v1/(?:me|bookings/[^/]+)/files")
UPLOAD_MAX = CONTENT_MAX * 4 // 3 + BODY_MAX
JSON_TYPE = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)
HEALTH = frozenset({"/healthz", "/readyz"})
FOR_OPERATIONS = frozenset({"/metrics", "/docs", "/openapi.json"})
HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class RequestId:
    """Gives each request an id, each response its headers, and each unexpected error a 500."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self.app = app
        headers = dict(HEADERS)
        if https:
            headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope))
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                own = message["headers"]
                names = {name for name, _ in own}
                common = [header for header in self._headers if header[0] not in names]
                message["headers"] = [*own, (b"x-request-id", request_id.encode()), *common]
            await send(message)

        bound = bind_contextvars(request_id=request_id)
        try:
            await self.app(scope, receive, send_with_headers)
        except Exception:
            log.exception("request %s failed", request_id)
            if started:
                raise
            await problems.error_response(problems.Internal())(scope, receive, send_with_headers)
        finally:
            reset_contextvars(**bound)


class OwnAddress:
    """Serves what is for operations alone at a port of its own, and nothing else there.

    The health of the process is told at both.
    """

    def __init__(self, app: ASGIApp, *, port: int) -> None:
        self.app = app
        self._port = port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in HEALTH:
            is_there = (scope.get("server") or ("", None))[1] == self._port
            if is_there != (scope["path"] in FOR_OPERATIONS):
                await problems.error_response(NotFound())(scope, receive, send)
                return
        await self.app(scope, receive, send)


class JsonOnly:
    """Refuses bodies that are not declared as JSON or are larger than the limit."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = _body_max(scope.get("path", ""))
        if scope["type"] == "http" and (error := _body_error(Headers(scope=scope), limit)):
            await problems.error_response(error)(scope, receive, send)
            return
        await self.app(scope, _limit_body(receive, limit), send)


def _body_max(path: str) -> int:
    return UPLOAD_MAX if UPLOADS.fullmatch(path) else BODY_MAX_BY_PATH.get(path, BODY_MAX)


def _limit_body(receive: Receive, limit: int) -> Receive:
    """Stop a body without a declared length as soon as it exceeds the limit."""
    left = limit

    async def receive_within_limit() -> Message:
        nonlocal left
        message = await receive()
        if message["type"] == "http.request":
            left -= len(message.get("body", b""))
            if left < 0:
                # The one error that FastAPI lets through while it reads a body.
                raise HTTPException(413)
        return message

    return receive_within_limit


def _body_error(headers: Headers, limit: int) -> Exception | None:
    length = headers.get("content-length", "0")
    if length.isdigit() and int(length) > limit:
        return problems.TooLarge()
    has_body = length != "0" or "transfer-encoding" in headers
    if has_body and not JSON_TYPE.fullmatch(headers.get("content-type", "").strip()):
        return problems.WrongMediaType()
    return None


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
