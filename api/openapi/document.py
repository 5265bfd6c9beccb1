"""The OpenAPI document: every status and every kind of problem of every operation, and no more.

A route names the refusals of its own rules with `problems(…)`. What follows from its shape (a body
may be malformed, a credential wrong, the database away) is added here for all of them alike.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.applications import Starlette
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from api.http.idempotency import REPLAYED
from api.http.problems import (
    MEDIA_TYPE,
    CrossSite,
    Forbidden,
    Internal,
    InvalidField,
    MalformedBody,
    TooLarge,
    Unauthenticated,
    WrongMediaType,
    body,
    kind_of,
)
from api.openapi.links import links
from data.db import DatabaseBusy, DatabaseConflict, DatabaseFull, DatabaseUnavailable
from dispatch.flows.group_commit import Overloaded

Responses = dict[int | str, dict[str, Any]]

METHODS: Final = ("get", "post", "put", "patch", "delete")
DATABASE: Final = (DatabaseUnavailable, DatabaseBusy, DatabaseConflict, DatabaseFull)
TEXT: Final = {"type": "string"}
FIELD_PROBLEM: Final[Mapping[str, Any]] = {
    "type": "object",
    "title": "FieldProblem",
    "description": "What is wrong with one field, and what to do about it.",
    "required": ["field", "problem", "cure"],
    "properties": {
        "field": TEXT,
        "problem": TEXT,
        "cure": TEXT,
        "suggestions": {"type": "array", "items": TEXT},
    },
    "additionalProperties": False,
}
PROBLEM: Final[Mapping[str, Any]] = {
    "type": "object",
    "title": "Problem",
    "description": "Why a request was not granted (RFC 9457); `code` and `type` never change.",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": TEXT,
        "status": {"type": "integer"},
        "detail": TEXT,
        "code": TEXT,
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/FieldProblem"}},
        "fee": {
            "allOf": [{"$ref": "#/components/schemas/Money"}],
            "description": "With `fee-changed`: what cancelling costs now.",
        },
    },
    "additionalProperties": False,
}
REPLAY: Final[dict[str, Any]] = {
    "headers": {
        REPLAYED: {
            "description": "`true` when the first answer to this Idempotency-Key is said again.",
            "schema": {"type": "string", "enum": ["true"]},
        }
    }
}
CALENDAR: Final[dict[str, Any]] = {
    "description": "An iCalendar file (RFC 5545).",
    "content": {"text/calendar": {"schema": TEXT}},
}
TAGS: Final = [
    {"name": "catalogue", "description": "What can be booked, and for how much."},
    {"name": "bookings", "description": "For customers and partners."},
    {"name": "friends", "description": "For those who are asked, and who come."},
    {"name": "desk", "description": "For the staff."},
    {"name": "sessions", "description": "Signing in and out."},
    {"name": "live", "description": "Events as they happen."},
]
DESCRIPTION: Final = """\
Book a package, and the four nearest friends who qualify are asked; the first to accept gets the
job and contacts the customer within twelve hours.

Money is in minor units, times are RFC 3339 in UTC, lists are pages. Whoever sends a request twice
with the same `Idempotency-Key` gets the first answer twice. Every answer that is not a success is
`application/problem+json`."""


def problems(*refusals: type[Exception]) -> Responses:
    """The `responses` of a route whose rules may refuse so."""
    found: Responses = {}
    for refusal in refusals:
        _add(found, refusal, key=int)
    return found


def allows_anonymous() -> dict[str, Any]:
    """The `openapi_extra` of a route that asks for no credentials but takes them."""
    return {"security": [{}]}


def with_status_codes(router: APIRouter) -> APIRouter:
    """A router whose routes all say their status: FastAPI cannot guess it of a class of streams."""
    for route in router.routes:
        if isinstance(route, APIRoute):
            route.status_code = route.status_code or 200
    return router


class Api(FastAPI):
    """FastAPI with this document instead of its own, and without what it wraps around requests.

    Its layers record telemetry that is not used, limit bodies (api.http.middleware does), and keep
    what its own way of serving a route needs (api.http.routing serves ours).
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a request."""
        await Starlette.__call__(self, scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        """Our own layers around the router."""
        app: ASGIApp = ExceptionMiddleware(self.router, handlers=self.exception_handlers)
        for layer, arguments, options in reversed(self.user_middleware):
            app = layer(app, *arguments, **options)
        return app

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = document(self)
        return self.openapi_schema


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of an app."""
    made = get_openapi(
        title="tekkie",
        version=app.version,
        summary="The nearest friend who can help with technology.",
        description=DESCRIPTION,
        routes=app.routes,
        tags=TAGS,
    )
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    operations = list(_operations(made))
    for operation in operations:
        _complete(operation)
        _exemplify(operation, schemas)
        _lead_on(operation, {one["operationId"] for one in operations})
    schemas |= {"Problem": dict(PROBLEM), "FieldProblem": dict(FIELD_PROBLEM)}
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return made


def _operations(made: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for path in made.get("paths", {}).values():
        for method in METHODS:
            if method in path:
                operation = path[method]
                operation["x-changes"] = method != "get"
                yield operation


def _complete(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    own = responses.get("422", {}).get("content", {})
    if "application/json" in own:
        del responses["422"]
    for error in _common(operation, changes=operation.pop("x-changes")):
        _add(responses, error, key=str)
    operation["responses"] = dict(sorted(responses.items(), key=lambda item: str(item[0])))


def _lead_on(operation: Mapping[str, Any], known: Collection[str]) -> None:
    granted = next(status for status in operation["responses"] if str(status).startswith("2"))
    if onward := links(operation["operationId"], known):
        operation["responses"][granted]["links"] = onward


def _exemplify(operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> None:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return
    # A body that may be left out may be null as well.
    either = [content["schema"], *content["schema"].get("anyOf", ())]
    named = next((one["$ref"] for one in either if "$ref" in one), None)
    if named is None:
        return
    schema = schemas[named.rpartition("/")[2]]
    if examples := schema.get("examples"):
        content["examples"] = {"example": {"value": examples[0]}}


def _common(operation: Mapping[str, Any], *, changes: bool) -> Iterator[type[Exception]]:
    places = {parameter["in"] for parameter in operation.get("parameters", ())}
    if "requestBody" in operation:
        yield MalformedBody
    if "requestBody" in operation or places - {"path", "cookie"}:
        yield InvalidField
    if changes:
        yield from (TooLarge, WrongMediaType, Overloaded)
    if "security" in operation:
        yield from (Unauthenticated, Forbidden)
        if changes:
            yield CrossSite
    yield from (*DATABASE, Internal)


def _add(responses: Responses, error: type[Exception], *, key: type[int] | type[str]) -> None:
    kind = kind_of(error)
    response = responses.setdefault(key(kind.status), {"description": ""})
    content = response.setdefault("content", {}).setdefault(
        MEDIA_TYPE,
        {
            "schema": {
                "allOf": [{"$ref": "#/components/schemas/Problem"}],
                "properties": {"code": {"enum": []}},
            },
            "examples": {},
        },
    )
    codes = content["schema"]["properties"]["code"]["enum"]
    if kind.code not in codes:
        codes.append(kind.code)
        content["examples"][kind.code] = {"summary": kind.title, "value": body(kind)}
        said = [response["description"], f"`{kind.code}`: {kind.title}."]
        response["description"] = " ".join(filter(None, said))
    if kind.headers:
        response["headers"] = {name: {"schema": TEXT} for name in kind.headers}
