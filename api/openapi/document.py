"""The OpenAPI document: every status and every kind of problem of every operation, and no more.

A route names the refusals of its own rules with `problems(…)`. Problems that follow from its shape
(malformed body, invalid credential, database not available) are added here for all routes alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
    Stopping,
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
    "description": "What is wrong with one field, and how to correct it.",
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
    "description": "Why a request failed (RFC 9457); `code` and `type` are stable.",
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
            "description": "With `fee-changed`: the present fee for cancelling.",
        },
        "possible_at": {
            "type": "string",
            "format": "date-time",
            "description": "With `completed-too-early`: from when it is possible.",
        },
        "challenge": {
            "type": "object",
            "description": "With `proof-required`: what to solve (ALTCHA, version 2).",
        },
    },
    "additionalProperties": False,
}
REPLAY: Final[dict[str, Any]] = {
    "headers": {
        REPLAYED: {
            "description": "`true` for a repeat of the first response to this Idempotency-Key.",
            "schema": {"type": "string", "enum": ["true"]},
        }
    }
}
CALENDAR: Final[dict[str, Any]] = {
    "description": "An iCalendar file (RFC 5545).",
    "content": {"text/calendar": {"schema": TEXT}},
}
TABLE: Final[dict[str, Any]] = {
    "description": "A table in CSV (RFC 4180).",
    "content": {"text/csv": {"schema": TEXT}},
}
PICTURE: Final[dict[str, Any]] = {
    "description": "A picture.",
    "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}},
}
TAGS: Final = [
    {"name": "catalogue", "description": "Packages, prices and coverage."},
    {"name": "bookings", "description": "For customers and partners."},
    {"name": "account", "description": "All bookings of a customer who is signed in."},
    {"name": "friends", "description": "Offers, jobs and profile of a friend."},
    {"name": "messages", "description": "Messages between a customer and the friend with the job."},
    {"name": "joining", "description": "Applications to become a friend, and their guardians."},
    {"name": "companies", "description": "The board of a company and its dispatchers."},
    {"name": "exams", "description": "Exams of a friend, and their certificates."},
    {"name": "desk", "description": "For the operators of the desk."},
    {"name": "providers", "description": "Events of those who act for this service."},
    {"name": "sessions", "description": "Sign in and out."},
    {"name": "live", "description": "Live events."},
]
DESCRIPTION: Final = """\
Book a package, and the nearest qualified friends get offers; the first to accept gets the job and
contacts the customer within the hours that the booking states.

Money is in minor units, times are RFC 3339 in UTC, lists are pages. A request repeated with the
same `Idempotency-Key` gets the first response again. Every response that is not a success is
`application/problem+json`."""


def problems(*refusals: type[Exception]) -> Responses:
    """The `responses` of a route for the refusals of its rules."""
    found: Responses = {}
    for refusal in refusals:
        _add(found, refusal, key=int)
    return found


def allows_anonymous() -> dict[str, Any]:
    """The `openapi_extra` of a route with optional authentication."""
    return {"security": [{}]}


def with_status_codes(router: APIRouter) -> APIRouter:
    """The router with an explicit status on every route, which FastAPI cannot infer for streams."""
    for route in router.routes:
        if isinstance(route, APIRoute):
            route.status_code = route.status_code or 200
    return router


class Api(FastAPI):
    """FastAPI with this document instead of its own, and without its layers around requests.

    Those layers record unused telemetry, limit bodies (api.http.middleware does), and hold what
    FastAPI's way of serving a route needs (replaced by api.http.routing).
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        await Starlette.__call__(self, scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        """The middleware around the router, without FastAPI's own."""
        app: ASGIApp = ExceptionMiddleware(self.router, handlers=self.exception_handlers)
        for layer, arguments, options in reversed(self.user_middleware):
            app = layer(app, *arguments, **options)
        return app

    def openapi(self) -> dict[str, Any]:
        """The document, built once."""
        if self.openapi_schema is None:
            self.openapi_schema = document(self)
        return self.openapi_schema


def document(app: FastAPI) -> dict[str, Any]:
    """Build the OpenAPI document of an app."""
    built = get_openapi(
        title="tekkie",
        version=app.version,
        summary="The nearest friend who can help with technology.",
        description=DESCRIPTION,
        routes=app.routes,
        tags=TAGS,
    )
    schemas = built.setdefault("components", {}).setdefault("schemas", {})
    operations = list(_operations(built))
    for operation in operations:
        _complete(operation)
        _add_example(operation, schemas)
        _add_links(operation, {one["operationId"]: one for one in operations})
    schemas |= {"Problem": dict(PROBLEM), "FieldProblem": dict(FIELD_PROBLEM)}
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return built


def _operations(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document.get("paths", {}).values():
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


def _add_links(operation: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]) -> None:
    success = next(status for status in operation["responses"] if str(status).startswith("2"))
    if found := links(operation["operationId"], known):
        operation["responses"][success]["links"] = found


def _add_example(operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> None:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return
    # An optional body may be null.
    schemas_of_body = [content["schema"], *content["schema"].get("anyOf", ())]
    named = next((one["$ref"] for one in schemas_of_body if "$ref" in one), None)
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
    yield from (*DATABASE, Stopping, Internal)


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
        texts = [response["description"], f"`{kind.code}`: {kind.title}."]
        response["description"] = " ".join(filter(None, texts))
    if kind.headers:
        response["headers"] = {name: {"schema": TEXT} for name in kind.headers}
