"""Every way to say no: one table from the class of an error to its status and its stable name.

All answers that are not a success are `application/problem+json` (RFC 9457). What the client can
mend is in `errors`: the field, the problem and the cure. Nothing of the inside is ever said.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from data.db import (
    DatabaseAway,
    DatabaseBusy,
    DatabaseConflict,
    DatabaseError,
    DatabaseFull,
)
from dispatch.flows.execute import KeyReused, ReferenceTaken
from dispatch.flows.group_commit import Overloaded
from dispatch.flows.jobs.orders import QuoteExpired
from dispatch.flows.partners.accounts import NameTaken
from dispatch.flows.people.push_subscriptions import PAUSE_S, RungJustNow
from dispatch.flows.people.sessions import LinkUsedUp
from dispatch.rules.jobs.catalogue import UnknownPackage
from dispatch.rules.jobs.refusals import (
    AlreadyRated,
    AppointmentOverlaps,
    AppointmentUnfit,
    AtCapacity,
    ContactDeadlinePassed,
    FeeChanged,
    FriendUnfit,
    NotInThisState,
    OfferExpired,
    OfferGone,
)
from dispatch.rules.money.prices import NotSoldHere
from dispatch.rules.people.desk_notes import NotesFull
from dispatch.rules.people.push_endpoints import EndpointRefused
from dispatch.rules.refusals import NotFound, Refused
from dispatch.rules.trust.base_moves import BaseMovedLately
from geo.gazetteer.addresses import AddressRefused

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
URN = "urn:tekkie:problem:"
CODE = "tekkie.problem"
ERRORS_MAX = 50
DETAILS_MAX = 256
NOTHING: Mapping[str, Any] = {}


class Problem(Response):
    """An answer that grants nothing; `scope` remembers its code for those who count."""

    def __init__(self, code: str, body: bytes, status: int, headers: Mapping[str, str]) -> None:
        self.code = code
        self.body = body
        self.status_code = status
        self.background = None
        named = {"content-type": MEDIA_TYPE, "content-length": str(len(body)), **headers}
        self.raw_headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in named.items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        scope[CODE] = self.code
        await super().__call__(scope, receive, send)


class Unauthenticated(Exception):
    """Who are you?"""


class Forbidden(Exception):
    """This is not for you."""


class CrossSite(Exception):
    """A page of another site may not do this in your name."""


class WrongMediaType(Exception):
    """The body is not JSON."""


class TooLarge(Exception):
    """The body is too large."""


class MalformedBody(Exception):
    """The body is not well-formed JSON."""


class WrongMethod(Exception):
    """This cannot be done here."""


class Internal(Exception):
    """Something went wrong on our side."""


@dataclass
class InvalidField(Exception):
    """One field of the request cannot be taken."""

    field: str
    problem: str
    cure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldProblem:
    """What is wrong with one field, and what to do about it."""

    field: str
    problem: str
    cure: str
    suggestions: Sequence[str] = ()

    def said(self) -> dict[str, Any]:
        """As JSON; suggestions only where there are any."""
        said: dict[str, Any] = {"field": self.field, "problem": self.problem, "cure": self.cure}
        return said | {"suggestions": [*self.suggestions]} if self.suggestions else said


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of problem; without a detail of its own, `detail` is said."""

    status: int
    code: str
    title: str
    detail: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def type(self) -> str:
        """The stable name by which programs tell problems apart."""
        return URN + self.code


def _refusal(status: int, refusal: type[Refused]) -> Kind:
    title = (refusal.__doc__ or "").strip().rstrip(".")
    return Kind(status=status, code=refusal.code, title=title)


def _away(code: str, title: str, detail: str, retry_after_s: int) -> Kind:
    headers = {"Retry-After": str(retry_after_s)}
    return Kind(status=503, code=code, title=title, detail=detail, headers=headers)


AGAIN = "Nothing is lost; send the same request again in a moment."
REFUSALS: Mapping[type[Refused], int] = {
    OfferGone: 409,
    OfferExpired: 409,
    AtCapacity: 409,
    NotInThisState: 409,
    ContactDeadlinePassed: 409,
    AppointmentOverlaps: 409,
    AppointmentUnfit: 422,
    FeeChanged: 409,
    AlreadyRated: 409,
    FriendUnfit: 409,
    KeyReused: 422,
    ReferenceTaken: 409,
    NotFound: 404,
    UnknownPackage: 422,
    NotSoldHere: 422,
    QuoteExpired: 409,
    LinkUsedUp: 422,
    EndpointRefused: 422,
    BaseMovedLately: 409,
    NameTaken: 409,
    NotesFull: 409,
}
KINDS: Mapping[type[Exception], Kind] = {
    **{refusal: _refusal(status, refusal) for refusal, status in REFUSALS.items()},
    RungJustNow: Kind(
        status=429,
        code=RungJustNow.code,
        title="Your phones were rung a moment ago",
        headers={"Retry-After": str(PAUSE_S)},
    ),
    AddressRefused: Kind(status=422, code="address-refused", title="This address cannot be placed"),
    InvalidField: Kind(
        status=422,
        code="validation-failed",
        title="Part of the request cannot be taken",
        detail="Mend what `errors` names, and send it again.",
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
        title="Who are you?",
        detail="Send a good key, session or link token as `Authorization: Bearer …`.",
        headers={"WWW-Authenticate": 'Bearer realm="tekkie"'},
    ),
    Forbidden: Kind(
        status=403,
        code="forbidden",
        title="This is not for you",
        detail="Use the credentials of somebody this is meant for.",
    ),
    CrossSite: Kind(
        status=403,
        code="cross-site",
        title="A page of another site may not do this in your name",
        detail="With the cookie, send JSON from our own pages; elsewhere use a bearer token.",
    ),
    WrongMediaType: Kind(
        status=415,
        code="unsupported-media-type",
        title="The body is not JSON",
        detail="Send it with `Content-Type: application/json`.",
    ),
    TooLarge: Kind(
        status=413,
        code="too-large",
        title="The body is too large",
        detail="Send at most 64 KB, and a file of friends in at most 5 MB.",
    ),
    WrongMethod: Kind(
        status=405,
        code="method-not-allowed",
        title="This cannot be done here",
        detail="Use one of the methods in the header `Allow`.",
    ),
    Overloaded: _away("overloaded", "Too much to do at the moment", AGAIN, 1),
    DatabaseAway: _away("database-away", "The database does not answer", AGAIN, 2),
    DatabaseBusy: _away("database-busy", "The database is busy", AGAIN, 1),
    DatabaseConflict: _away("database-conflict", "Others were in the way", AGAIN, 1),
    DatabaseFull: _away("database-full", "The database is full", AGAIN, 30),
    Internal: Kind(
        status=500,
        code="internal",
        title="Something went wrong on our side",
        detail="It is noted under the number in the header `X-Request-Id`.",
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
NO_SUCH = NotFound("There is no such thing, or it is not yours.")


def kind_of(error: type[Exception]) -> Kind:
    """The kind of this class of errors or of its nearest known ancestor."""
    return next((KINDS[ancestor] for ancestor in error.__mro__ if ancestor in KINDS), INTERNAL)


INTERNAL = KINDS[Internal]
BY_CODE: Mapping[str, Kind] = {kind.code: kind for kind in KINDS.values()}
FORESEEN = tuple(error for error in KINDS if error is not Internal)


def body(kind: Kind, detail: str = "", mistakes: Sequence[FieldProblem] = ()) -> dict[str, Any]:
    """The JSON of a problem."""
    said: dict[str, Any] = {
        "type": kind.type,
        "title": kind.title,
        "status": kind.status,
        "detail": detail or kind.detail or kind.title,
        "code": kind.code,
    }
    return said | {"errors": [mistake.said() for mistake in mistakes]} if mistakes else said


def answer(error: Exception, headers: Mapping[str, str] | None = None) -> Response:
    """The answer to an error: its kind, and what of it the client can mend."""
    kind = kind_of(type(error))
    if isinstance(error, NotFound):
        error = NO_SUCH  # a booking, an offer and a stranger's booking are missing all alike
    detail, mistakes = _details(error)
    more = NOTHING
    if isinstance(error, FeeChanged):
        more = {"fee": {"amount": error.fee.amount, "currency": error.fee.currency}}
    return _problem(kind, detail, mistakes, headers or {}, more)


def _problem(
    kind: Kind,
    detail: str,
    mistakes: Sequence[FieldProblem],
    headers: Mapping[str, str],
    more: Mapping[str, Any] = NOTHING,
) -> Problem:
    if mistakes or kind.code not in BY_CODE:
        said = {**body(kind, detail, mistakes), **more}
        content = json.dumps(said, ensure_ascii=True).encode()
    else:
        content = _plain(kind.code, detail)
    return Problem(kind.code, content, kind.status, {**kind.headers, **headers})


@lru_cache(maxsize=DETAILS_MAX)
def _plain(code: str, detail: str) -> bytes:
    """The JSON of a problem that names no field: three of four who accept hear the same."""
    return json.dumps(body(BY_CODE[code], detail), ensure_ascii=True).encode()


def _details(error: Exception) -> tuple[str, Sequence[FieldProblem]]:
    if isinstance(error, AddressRefused):
        mistake = FieldProblem(
            field=f"address.{error.field}",
            problem=error.problem,
            cure=error.cure,
            suggestions=error.suggestions,
        )
        return str(error), [mistake]
    if isinstance(error, InvalidField):
        return "", [FieldProblem(field=error.field, problem=error.problem, cure=error.cure)]
    if isinstance(error, Refused):
        said = str(error)
        if error.field is None:
            return said, []
        title = kind_of(type(error)).title
        return said, [FieldProblem(field=error.field, problem=title, cure=said or title)]
    return "", []


def response(error: Exception) -> Response | None:
    """The answer to an error raised while a request was served; None when nobody foresaw it."""
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if isinstance(error, HTTPException):
        return _of_router(error)
    if not isinstance(error, FORESEEN):
        return None
    if isinstance(error, DatabaseError):
        log.warning("%s: %s", type(error).__name__, error)
    return answer(error)


async def _respond(_: Request, error: Exception) -> Response:
    said = response(error)
    assert said is not None
    return said


def _of_router(error: HTTPException) -> Response:
    known = BY_STATUS.get(error.status_code)
    if known is None:
        kind = Kind(
            status=error.status_code,
            code=f"http-{error.status_code}",
            title=HTTPStatus(error.status_code).phrase,
        )
        return _problem(kind, "", (), {})
    return answer(NO_SUCH if known is NotFound else known(), error.headers)


def _invalid(error: RequestValidationError) -> Response:
    faults = error.errors()
    if any(fault["loc"][:1] == ("path",) for fault in faults):
        return answer(NO_SUCH)  # an id that cannot be is an id that is not
    if any(fault["type"] == "json_invalid" for fault in faults):
        return answer(MalformedBody())
    kind = KINDS[InvalidField]
    mistakes = [_mistake(fault) for fault in faults[:ERRORS_MAX]]
    return _problem(kind, "", mistakes, {})


FAULTS: Mapping[str, tuple[str, str]] = {
    "missing": ("is missing", "add it"),
    "extra_forbidden": ("is not a field of this request", "remove it, or correct its spelling"),
    "string_type": ("is not text", "give a JSON string"),
    "string_unicode": ("is not well-formed Unicode", "remove lone surrogates"),
    "string_too_long": ("is longer than {max_length} characters", "shorten it"),
    "string_too_short": ("is too short", "give at least {min_length} characters"),
    "string_pattern_mismatch": ("is not of the form {pattern}", "correct it"),
    "int_type": ("is not a whole number", "give a JSON number without decimals"),
    "int_parsing": ("is not a whole number", "give a number without decimals"),
    "int_from_float": ("is not a whole number", "give a JSON number without decimals"),
    "float_type": ("is not a number", "give a JSON number"),
    "finite_number": ("is not a finite number", "give a JSON number"),
    "list_type": ("is not a list", "give a JSON array"),
    "too_long": ("has too many entries", "give at most {max_length}"),
    "enum": ("is not one of the values there are", "use one of {expected}"),
    "literal_error": ("is not one of the values there are", "use one of {expected}"),
    "greater_than_equal": ("is too small", "give at least {ge}"),
    "less_than_equal": ("is too large", "give at most {le}"),
    "greater_than": ("is too small", "give more than {gt}"),
    "less_than": ("is too large", "give less than {lt}"),
    "model_attributes_type": ("is not an object", "give a JSON object"),
    "model_type": ("is not an object", "give a JSON object"),
    "dict_type": ("is not an object", "give a JSON object"),
    "uuid_parsing": ("is not an id", "give the id as it was told"),
    "uuid_type": ("is not an id", "give the id as it was told"),
    "datetime_parsing": ("is not a time", "write it like 2026-03-02T14:30:00Z"),
    "datetime_from_date_parsing": ("is not a time", "write it like 2026-03-02T14:30:00Z"),
    "timezone_aware": ("has no time zone", "write it like 2026-03-02T14:30:00Z"),
    "unfit": ("{problem}", "{cure}"),
}


def _mistake(fault: Mapping[str, Any]) -> FieldProblem:
    context = {name: str(value) for name, value in fault.get("ctx", {}).items()}
    if limit := context.get("min_length") or context.get("max_length"):
        context = {"min_length": limit, "max_length": limit} | context
    problem, cure = FAULTS.get(fault["type"], (fault["msg"], "correct it"))
    if fault["type"] in FAULTS:
        problem, cure = problem.format(**context), cure.format(**context)
    path = [*fault["loc"], *filter(None, [context.get("field")])]
    return FieldProblem(field=".".join(_path(path)), problem=problem, cure=cure)


def _path(location: Sequence[str | int]) -> Iterator[str]:
    inside = location[1:] if location[:1] != ("header",) else [str(location[-1]).title()]
    yield from (str(step) for step in inside) if inside else ["body"]


def install(app: FastAPI) -> None:
    """Let every known error of the app be answered as a problem."""
    for error in (*FORESEEN, HTTPException, RequestValidationError):
        app.add_exception_handler(error, _respond)
