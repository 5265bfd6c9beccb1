"""Routing: FastAPI describes the routes, and this module serves them.

Theory of operation. At every request FastAPI matches the path, resolves the signature and validates
the response: more work than a booking is. All of it is known when the application is created. So a
`CompiledRoute` holds a plan from then on: the dependencies in order, each called once, then the
fields of path, query, header and body, each validated as FastAPI would, with the same errors.
`RouteTable` finds a route by the segments of the path, one dictionary per segment.

What a plan does not cover (a dependency with fields of its own, or one that yields) raises
TypeError when the route is created, never at a request. An unknown path goes on to FastAPI's
router, which answers it with 404.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import Any, Final

from fastapi import BackgroundTasks
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from api.http import problems
from api.http.problems import MalformedBody, WrongMethod

JSON: Final = (b"content-type", b"application/json")
NO_BODY: Final = frozenset({204, 304})
PARAMETER: Final = "{}"

Errors = list[dict[str, Any]]


class ResponseExtras(Response):
    """What an endpoint may add to its response: a status, headers, cookies."""

    def __init__(self) -> None:
        self.status_code = 0
        self.raw_headers = []
        self.body = b""
        self.background = None

    @property
    def headers(self) -> MutableHeaders:
        """The mutable headers."""
        return MutableHeaders(raw=self.raw_headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """A dependency; `arguments` maps its parameters to earlier results by index."""

    call: Callable[..., Any]
    is_async: bool
    request: str | None
    arguments: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """A field of path, query or headers, and FastAPI's validator for it."""

    name: str
    alias: str
    place: str
    required: bool
    default: Any
    validate: Callable[..., tuple[Any, Errors]]

    def read(self, source: Mapping[str, str], errors: Errors) -> Any:
        """The validated value; its errors are added to `errors`."""
        value = source.get(self.alias)
        loc = (self.place, self.alias)
        if value is None:
            if self.required:
                errors.append(_missing(loc))
            return deepcopy(self.default)
        validated, found = self.validate(value, {}, loc=loc)
        errors += found
        return validated


@dataclass(slots=True)
class _Plan:
    """The dependencies of a signature in the order of resolution."""

    calls: list[_Call] = field(default_factory=list)
    indexes: dict[Callable[..., Any], int] = field(default_factory=dict)

    def add(self, dependant: Dependant) -> int:
        """Plan a dependency after those it depends on; returns the index of its result."""
        call = dependant.call
        assert call is not None
        if call in self.indexes:
            return self.indexes[call]
        if _plan_fields(dependant) or dependant.body_params:
            raise TypeError(f"{call} takes fields of its own; only an endpoint may")
        if isgeneratorfunction(call) or isasyncgenfunction(call):
            raise TypeError(f"{call} yields; nothing would resume it")
        arguments = tuple((one.name or "", self.add(one)) for one in dependant.dependencies)
        is_async = iscoroutinefunction(call) or iscoroutinefunction(type(call).__call__)
        request = dependant.request_param_name or dependant.http_connection_param_name
        self.calls.append(_Call(call=call, is_async=is_async, request=request, arguments=arguments))
        self.indexes[call] = len(self.calls) - 1
        return self.indexes[call]


class CompiledRoute(APIRoute):
    """A route served by a plan made from its signature when the route is created."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        if not iscoroutinefunction(endpoint):
            raise TypeError(f"{endpoint} is not a coroutine function")
        plan, dependant = _Plan(), self.dependant
        arguments = [(one.name or "", plan.add(one)) for one in dependant.dependencies]
        self._calls = tuple(plan.calls)
        self._arguments = tuple(arguments)
        self._fields = tuple(_plan_fields(dependant))
        self._reads_query = any(one.place == "query" for one in self._fields)

    authenticates_first = False

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request that matched this route."""
        if scope["method"] not in (self.methods or ()):
            raise HTTPException(405)
        request = Request(scope, receive, send)
        try:
            response = await self._respond(request)
        except Exception as error:
            problem = problems.handle_error(error)
            if problem is None:
                raise
            await problem(scope, receive, send)
            return
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> ASGIApp:
        dependant = self.dependant
        body = None
        if self.body_field and not self.authenticates_first:
            body = await _read_body(request.receive)
        arguments = await self._resolve(request)
        if self.body_field and self.authenticates_first:
            body = await _read_body(request.receive)
        self._read_fields(request, body, arguments)
        extras = tasks = None
        if dependant.request_param_name:
            arguments[dependant.request_param_name] = request
        if dependant.response_param_name:
            arguments[dependant.response_param_name] = extras = ResponseExtras()
        if dependant.background_tasks_param_name:
            arguments[dependant.background_tasks_param_name] = tasks = BackgroundTasks()
        result = await self.endpoint(**arguments)
        if isinstance(result, Response):
            return result
        return _JsonResponse(
            status=(extras and extras.status_code) or self.status_code or 200,
            body=self._serialize(result),
            headers=extras.raw_headers if extras else (),
            tasks=tasks,
        )

    def _serialize(self, result: Any) -> bytes:
        if isinstance(result, bytes):
            return result
        return self.response_field.serialize_json(result) if self.response_field else b""

    async def _resolve(self, request: Request) -> dict[str, Any]:
        results: list[Any] = []
        for one in self._calls:
            arguments: dict[str, Any] = {name: results[index] for name, index in one.arguments}
            if one.request is not None:
                arguments[one.request] = request
            result = one.call(**arguments)
            results.append(await result if one.is_async else result)
        return {name: results[index] for name, index in self._arguments}

    def _read_fields(self, request: Request, body: Any, arguments: dict[str, Any]) -> None:
        errors: Errors = []
        if self._fields:
            sources: dict[str, Mapping[str, str]] = {
                "path": request.path_params,
                "header": request.headers,
            }
            if self._reads_query:
                sources["query"] = request.query_params
            for one in self._fields:
                arguments[one.name] = one.read(sources[one.place], errors)
        if self.body_field:
            parameter = self.dependant.body_params[0]
            name = parameter.name
            if body is MISSING and not parameter.field_info.is_required():
                arguments[name] = None
            elif body is MISSING:
                errors.append(_missing(("body",)))
            else:
                arguments[name], found = self.body_field.validate(body, {}, loc=("body",))
                errors += found
        if errors:
            raise RequestValidationError(errors)


class AuthFirstRoute(CompiledRoute):
    """A route with large bodies: it authenticates the caller before it reads the body."""

    authenticates_first = True


@dataclass(frozen=True, slots=True, kw_only=True)
class _JsonResponse:
    """A response of serialized JSON."""

    status: int
    body: bytes
    headers: Iterable[tuple[bytes, bytes]]
    tasks: BackgroundTasks | None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [JSON, *self.headers]
        if self.status not in NO_BODY:
            headers.append((b"content-length", b"%d" % len(self.body)))
        start = {"type": "http.response.start", "status": self.status, "headers": headers}
        await send(start)
        await send({"type": "http.response.body", "body": self.body})
        if self.tasks is not None:
            await self.tasks()


class RouteTable:
    """Finds the compiled route of a path and method; an unknown path goes on to the router.

    A literal segment comes before a parameter, whatever the method, so that a path allows the
    methods that the OpenAPI document lists for it.
    """

    def __init__(self, app: ASGIApp, *, routes: Iterable[BaseRoute]) -> None:
        self.app = app
        self._tree: dict[str, Any] = {}
        for route in routes:
            if isinstance(route, CompiledRoute):
                self._add(route)

    def _add(self, route: CompiledRoute) -> None:
        node = self._tree
        for segment in route.path.split("/")[1:]:
            node = node.setdefault(PARAMETER if segment.startswith("{") else segment, {})
        by_method = node.setdefault("", {})
        for method in route.methods or ():
            by_method.setdefault(method, route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._find(scope["path"]) if scope["type"] == "http" else None
        if found is None:
            await self.app(scope, receive, send)
            return
        by_method, values = found
        route = by_method.get(scope["method"])
        if route is None:
            scope["route"] = next(iter(by_method.values()))
            allowed = ", ".join(sorted(by_method))
            await problems.error_response(WrongMethod(), {"Allow": allowed})(scope, receive, send)
            return
        scope["path_params"] = dict(zip(route.param_convertors, values, strict=True))
        scope["endpoint"] = route.endpoint
        scope["route"] = route
        await route.handle(scope, receive, send)

    def _find(self, path: str) -> tuple[dict[str, CompiledRoute], list[str]] | None:
        node: dict[str, Any] | None = self._tree
        values = []
        for segment in path.split("/")[1:]:
            if node is None or not segment:
                return None
            if segment in node:
                node = node[segment]
            else:
                node = node.get(PARAMETER)
                values.append(segment)
        by_method = node.get("") if node else None
        return (by_method, values) if by_method else None


MISSING: Final = object()


async def _read_body(receive: Receive) -> Any:
    """The JSON of a body, MISSING without one. Raises MalformedBody."""
    parts, more = [], True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise MalformedBody
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    whole = b"".join(parts)
    if not whole:
        return MISSING
    try:
        return json.loads(whole)
    except (ValueError, RecursionError):
        raise MalformedBody from None


def _missing(loc: tuple[str, ...]) -> dict[str, Any]:
    return {"type": "missing", "loc": loc, "msg": "Field required", "input": None}


def _plan_fields(dependant: Dependant) -> list[_Field]:
    places = {
        "path": dependant.path_params,
        "query": dependant.query_params,
        "header": dependant.header_params,
    }
    if dependant.cookie_params:
        raise TypeError(f"{dependant.call} takes a cookie; only api.http.auth may")
    return [
        _Field(
            name=one.name,
            alias=one.alias,
            place=place,
            required=one.field_info.is_required(),
            default=None if one.field_info.is_required() else one.get_default(),
            validate=one.validate,
        )
        for place, fields in places.items()
        for one in fields
    ]
