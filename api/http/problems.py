"""Problems: one table from the class of an error to its status and its stable code.

Every response that is not a success is `application/problem+json` (RFC 9457). What the client can
correct is in `errors`: the field, the problem and the cure. Internals are never disclosed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from api.http.field_problems import FieldProblem, field_problem
from api.http.limits import BODY_MAX, HEADERS_BYTES_MAX, HEADERS_MAX, URL_BYTES_MAX, in_kb
from api.http.rate_limit import WINDOW_S, TooManyRequests
from api.http.refusals import REFUSALS
from data.db import (
    DatabaseBusy,
    DatabaseConflict,
    DatabaseError,
    DatabaseFull,
    DatabaseUnavailable,
)
from data.enums import OperatorRole
from dispatch.flows.group_commit import Overloaded
from dispatch.flows.people.push_subscriptions import PAUSE_S, TestedJustNow
from dispatch.rules.jobs.refusals import CompletedTooEarly, FeeChanged
from dispatch.rules.people.applications import ApplicationIncomplete
from dispatch.rules.refusals import NotFound, Refused
from dispatch.rules.trust.files import CONTENT_MAX, in_mb
from dispatch.rules.trust.quotas import ProofRequired
from geo.gazetteer.addresses import AddressRefused

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
URN = "urn:tekkie:problem:"
CODE = "tekkie.problem"
ERRORS_MAX = 50
DETAILS_MAX = 256
NOTHING: Mapping[str, Any] = {}


class Problem(Response):
    """A problem as a response; the metrics find its code in the `scope`."""

    def __init__(self, code: str, body: bytes, status: int, headers: Mapping[str, str]) -> None:
        self.code = code
        self.body = body
        self.status_code = status
        self.background = None
        all_headers = {"content-type": MEDIA_TYPE, "content-length": str(len(body)), **headers}
        self.raw_headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in all_headers.items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        scope[CODE] = self.code
        await super().__call__(scope, receive, send)


class Unauthenticated(Exception):
    """Authentication required."""


class Forbidden(Exception):
    """Not permitted."""


class RoleMissing(Forbidden):
    """The operator's role does not permit this."""

    def __init__(self, role: OperatorRole) -> None:
        super().__init__(
            f"This needs the role {role}; an admin can give it with `tekkie operators role`."
        )


class CrossSite(Exception):
    """A cross-site request with a session cookie."""


class WrongMediaType(Exception):
    """The body is not JSON."""


class TooLarge(Exception):
    """The body is too large."""


class MalformedBody(Exception):
    """The body is not well-formed JSON."""


class WrongMethod(Exception):
    """The method is not allowed for this path."""


class HeadersTooLarge(Exception):
    """The headers are too large or too many."""


class UrlTooLong(Exception):
    """The URL is too long."""


class RequestTimeout(Exception):
    """The request did not arrive in time."""


class MalformedRequest(Exception):
    """The request is not well-formed HTTP."""


class TooManyConnections(Exception):
    """One address has too many connections open."""


class Stopping(Exception):
    """The server stops before the request was answered."""


class Internal(Exception):
    """An unexpected error."""


@dataclass
class InvalidField(Exception):
    """One field of the request is not valid."""

    field: str
    problem: str
    cure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of problem; `detail` is the default for an occurrence without its own."""

    status: int
    code: str
    title: str
    detail: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def type(self) -> str:
        """The stable URN of this kind."""
        return URN + self.code


def _refusal(status: int, refusal: type[Refused]) -> Kind:
    title = (refusal.__doc__ or "").strip().rstrip(".")
    return Kind(status=status, code=refusal.code, title=title)


def _unavailable(code: str, title: str, detail: str, retry_after_s: int) -> Kind:
    headers = {"Retry-After": str(retry_after_s)}
    return Kind(status=503, code=code, title=title, detail=detail, headers=headers)


RETRY = "Nothing was changed; send the same request again in a moment."
KINDS: Mapping[type[Exception], Kind] = {
    **{refusal: _refusal(status, refusal) for refusal, status in REFUSALS.items()},
    TestedJustNow: Kind(
        status=429,
        code=TestedJustNow.code,
        title="Test pushes were sent a moment ago",
        headers={"Retry-After": str(PAUSE_S)},
    ),
    TooManyRequests: Kind(
        status=429,
        code=TooManyRequests.code,
        title="Too many requests",
        headers={"Retry-After": str(WINDOW_S)},
    ),
    AddressRefused: Kind(status=422, code="address-refused", title="The address cannot be located"),
    InvalidField: Kind(
        status=422,
        code="validation-failed",
        title="Validation failed",
        detail="Correct what `errors` names, and send the request again.",
    ),
    MalformedBody: Kind(
        status=400,
        code="malformed-json",
        title="The body is not well-formed JSON",
        detail="Send one JSON object in UTF-8.",
    ),
    Unauthenticated: Kind(
        status=401,
        code="unauthenticated",
        title="Authentication required",
        detail="Send a valid key, session or link token as `Authorization: Bearer …`.",
        headers={"WWW-Authenticate": 'Bearer realm="tekkie"'},
    ),
    Forbidden: Kind(
        status=403,
        code="forbidden",
        title="Not permitted",
        detail="Use credentials with permission for this operation.",
    ),
    CrossSite: Kind(
        status=403,
        code="cross-site",
        title="Cross-site request refused",
        detail="A session cookie works only for JSON from our own pages; else use a bearer token.",
    ),
    WrongMediaType: Kind(
        status=415,
        code="unsupported-media-type",
        title="The body is not declared as JSON",
        detail="Send it with `Content-Type: application/json`.",
    ),
    TooLarge: Kind(
        status=413,
        code="too-large",
        title="The body is too large",
        detail=f"Send at most {in_kb(BODY_MAX)}, and a file of friends in at most 5 MB, "
        f"a picture {in_mb(CONTENT_MAX)}.",
    ),
    WrongMethod: Kind(
        status=405,
        code="method-not-allowed",
        title="Method not allowed",
        detail="Use one of the methods in the header `Allow`.",
    ),
    HeadersTooLarge: Kind(
        status=431,
        code="headers-too-large",
        title="The headers are too large",
        detail=f"Send at most {HEADERS_MAX} headers of {in_kb(HEADERS_BYTES_MAX)} together.",
    ),
    UrlTooLong: Kind(
        status=414,
        code="url-too-long",
        title="The URL is too long",
        detail=f"Send at most {in_kb(URL_BYTES_MAX)}.",
    ),
    RequestTimeout: Kind(
        status=408,
        code="request-timeout",
        title="The request did not arrive in time",
        detail="Nothing was changed; send the same request again, without pauses.",
    ),
    MalformedRequest: Kind(
        status=400,
        code="malformed-request",
        title="The request is not well-formed HTTP",
        detail="Send HTTP/1.1 as in RFC 9112.",
    ),
    TooManyConnections: Kind(
        status=429,
        code="too-many-connections",
        title="Too many connections from this address",
        detail="Use fewer connections, each for many requests.",
        headers={"Retry-After": "1"},
    ),
    Overloaded: _unavailable("overloaded", "The server is overloaded", RETRY, 1),
    DatabaseUnavailable: _unavailable("database-away", "The database is not available", RETRY, 2),
    DatabaseBusy: _unavailable("database-busy", "The database is busy", RETRY, 1),
    DatabaseConflict: _unavailable("database-conflict", "Conflicting requests", RETRY, 1),
    DatabaseFull: _unavailable("database-full", "The database is full", RETRY, 30),
    Stopping: _unavailable(
        "stopping",
        "The server is stopping",
        "It may have been done already; send the same request again with its Idempotency-Key.",
        1,
    ),
    Internal: Kind(
        status=500,
        code="internal",
        title="Internal server error",
        detail="It is logged under the id in the header `X-Request-Id`.",
    ),
}
BY_STATUS: Mapping[int, type[Exception]] = {
    400: MalformedBody,
    403: Forbidden,
    404: NotFound,
    405: WrongMethod,
    413: TooLarge,
    415: WrongMediaType,
}
NO_SUCH = NotFound("It does not exist, or it is not yours.")


def kind_of(error: type[Exception]) -> Kind:
    """The kind of an error class, or of its nearest known ancestor."""
    return next((KINDS[ancestor] for ancestor in error.__mro__ if ancestor in KINDS), INTERNAL)


INTERNAL = KINDS[Internal]
BY_CODE: Mapping[str, Kind] = {kind.code: kind for kind in KINDS.values()}
EXPECTED = tuple(error for error in KINDS if error is not Internal)


def body(kind: Kind, detail: str = "", fields: Sequence[FieldProblem] = ()) -> dict[str, Any]:
    """The JSON of a problem."""
    content: dict[str, Any] = {
        "type": kind.type,
        "title": kind.title,
        "status": kind.status,
        "detail": detail or kind.detail or kind.title,
        "code": kind.code,
    }
    return content | {"errors": [field.to_json() for field in fields]} if fields else content


def error_response(error: Exception, headers: Mapping[str, str] | None = None) -> Response:
    """The response to an error: its kind, and the fields the client can correct."""
    kind = kind_of(type(error))
    if isinstance(error, NotFound):
        error = NO_SUCH  # what does not exist and what is another's must be indistinguishable
    detail, fields = _details(error)
    extra = NOTHING
    if isinstance(error, FeeChanged):
        extra = {"fee": {"amount": error.fee.amount, "currency": error.fee.currency}}
    if isinstance(error, CompletedTooEarly):
        extra = {"possible_at": error.possible_at.isoformat().replace("+00:00", "Z")}
    if isinstance(error, ProofRequired):
        extra = {"challenge": error.challenge}
    return _problem(kind, detail, fields, headers or {}, extra)


def _problem(
    kind: Kind,
    detail: str,
    fields: Sequence[FieldProblem],
    headers: Mapping[str, str],
    extra: Mapping[str, Any] = NOTHING,
) -> Problem:
    if fields or extra or kind.code not in BY_CODE:
        members = {**body(kind, detail, fields), **extra}
        content = json.dumps(members, ensure_ascii=True).encode()
    else:
        content = _encode_body(kind.code, detail)
    return Problem(kind.code, content, kind.status, {**kind.headers, **headers})


@lru_cache(maxsize=DETAILS_MAX)
def _encode_body(code: str, detail: str) -> bytes:
    """The JSON of a problem without fields; cached, since most accepts get the same."""
    return json.dumps(body(BY_CODE[code], detail), ensure_ascii=True).encode()


def _details(error: Exception) -> tuple[str, Sequence[FieldProblem]]:
    if isinstance(error, AddressRefused):
        problem = FieldProblem(
            field=f"address.{error.field}",
            problem=error.problem,
            cure=error.cure,
            suggestions=error.suggestions,
        )
        return str(error), [problem]
    if isinstance(error, RoleMissing):
        return str(error), []
    if isinstance(error, ApplicationIncomplete):
        missing = [
            FieldProblem(field=one, problem="is missing", cure="add it") for one in error.missing
        ]
        return str(error), missing
    if isinstance(error, InvalidField):
        return "", [FieldProblem(field=error.field, problem=error.problem, cure=error.cure)]
    if isinstance(error, Refused):
        detail = str(error)
        if error.field is None:
            return detail, []
        title = kind_of(type(error)).title
        return detail, [FieldProblem(field=error.field, problem=title, cure=detail or title)]
    return "", []


def handle_error(error: Exception) -> Response | None:
    """The response to an error raised while serving a request; None for an unexpected one."""
    if isinstance(error, RequestValidationError):
        return _validation_response(error)
    if isinstance(error, HTTPException):
        return _http_response(error)
    if not isinstance(error, EXPECTED):
        return None
    if isinstance(error, DatabaseError):
        log.warning("%s: %s", type(error).__name__, error)
    return error_response(error)


async def _respond(_: Request, error: Exception) -> Response:
    response = handle_error(error)
    assert response is not None
    return response


def _http_response(error: HTTPException) -> Response:
    known = BY_STATUS.get(error.status_code)
    if known is None:
        kind = Kind(
            status=error.status_code,
            code=f"http-{error.status_code}",
            title=HTTPStatus(error.status_code).phrase,
        )
        return _problem(kind, "", (), {})
    return error_response(NO_SUCH if known is NotFound else known(), error.headers)


def _validation_response(error: RequestValidationError) -> Response:
    found = error.errors()
    if any(one["loc"][:1] == ("path",) for one in found):
        return error_response(NO_SUCH)  # a malformed id belongs to nothing
    if any(one["type"] == "json_invalid" for one in found):
        return error_response(MalformedBody())
    fields = [field_problem(one) for one in found[:ERRORS_MAX]]
    return _problem(KINDS[InvalidField], "", fields, {})


def install_handlers(app: FastAPI) -> None:
    """Answer every known error of the app as a problem."""
    for error in (*EXPECTED, HTTPException, RequestValidationError):
        app.add_exception_handler(error, _respond)
