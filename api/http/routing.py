"""How a request meets its endpoint: FastAPI describes the routes, and this serves them.

Theory of operation. FastAPI works out at every request which route a path means, what a signature
asks for and whether an answer is of the declared kind: more work than a booking is. All of it is
known when the application is made. So a `Direct` route has its plan from then on: the dependencies
in order, each called once, then the fields of path, query, header and body, each checked as FastAPI
would, with the same errors. `Ways` finds it by the segments of a path, one dictionary for each.

What a plan does not cover (a dependency with fields of its own, or one that yields) is refused
when the route is made, never met by a request. A path that is nobody's goes on to FastAPI's router,
which knows how to say so.
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
WILD: Final = "{}"

Errors = list[dict[str, Any]]


class Aside(Response):
    """What an endpoint may say beside its answer: a status, headers, cookies."""

    def __init__(self) -> None:
        self.status_code = 0
        self.raw_headers = []
        self.body = b""
        self.background = None

    @property
    def headers(self) -> MutableHeaders:
        """The headers, to be added to."""
        return MutableHeaders(raw=self.raw_headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """A dependency, and which earlier results (by their place) it takes under which names."""

    call: Callable[..., Any]
    awaited: bool
    request: str | None
    takes: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """A field of path, query or headers, and how FastAPI checks it."""

    name: str
    alias: str
    place: str
    required: bool
    default: Any
    check: Callable[..., tuple[Any, Errors]]

    def read(self, source: Mapping[str, str], errors: Errors) -> Any:
        """The checked value; what is wrong with it is added to `errors`."""
        value = source.get(self.alias)
        loc = (self.place, self.alias)
        if value is None:
            if self.required:
                errors.append(_missing(loc))
            return deepcopy(self.default)
        checked, found = self.check(value, {}, loc=loc)
        errors += found
        return checked


@dataclass(slots=True)
class _Plan:
    """All that a signature asks for, in the order in which it is worked out."""

    calls: list[_Call] = field(default_factory=list)
    places: dict[Callable[..., Any], int] = field(default_factory=dict)
    fields: list[_Field] = field(default_factory=list)

    def add(self, dependant: Dependant) -> int:
        """Plan a dependency after those it depends on; returns the place of its result."""
        call = dependant.call
        assert call is not None
        if call in self.places:
            return self.places[call]
        if _fields(dependant) or dependant.body_params:
            raise TypeError(f"{call} takes fields of its own; only an endpoint may")
        if isgeneratorfunction(call) or isasyncgenfunction(call):
            raise TypeError(f"{call} yields; nothing would end it")
        takes = tuple((one.name or "", self.add(one)) for one in dependant.dependencies)
        awaited = iscoroutinefunction(call) or iscoroutinefunction(type(call).__call__)
        request = dependant.request_param_name or dependant.http_connection_param_name
        self.calls.append(_Call(call=call, awaited=awaited, request=request, takes=takes))
        self.places[call] = len(self.calls) - 1
        return self.places[call]


class Direct(APIRoute):
    """A route that is served by what was worked out of its signature when it was made."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **about: Any) -> None:
        super().__init__(path, endpoint, **about)
        if not iscoroutinefunction(endpoint):
            raise TypeError(f"{endpoint} is not a coroutine function")
        plan, dependant = _Plan(), self.dependant
        takes = [(one.name or "", plan.add(one)) for one in dependant.dependencies]
        self._calls = tuple(plan.calls)
        self._takes = tuple(takes)
        self._fields = tuple(_fields(dependant))
        self._reads_query = any(one.place == "query" for one in self._fields)

    lets_in_first = False

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that has found this route."""
        if scope["method"] not in (self.methods or ()):
            raise HTTPException(405)
        request = Request(scope, receive, send)
        try:
            answer = await self._answer(request)
        except Exception as error:
            refusal = problems.response(error)
            if refusal is None:
                raise
            await refusal(scope, receive, send)
            return
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> ASGIApp:
        dependant = self.dependant
        body = None
        if self.body_field and not self.lets_in_first:
            body = await _body(request.receive)
        given = await self._solved(request)
        if self.body_field and self.lets_in_first:
            body = await _body(request.receive)
        self._read(request, body, given)
        aside = tasks = None
        if dependant.request_param_name:
            given[dependant.request_param_name] = request
        if dependant.response_param_name:
            given[dependant.response_param_name] = aside = Aside()
        if dependant.background_tasks_param_name:
            given[dependant.background_tasks_param_name] = tasks = BackgroundTasks()
        said = await self.endpoint(**given)
        if isinstance(said, Response):
            return said
        return _Said(
            status=(aside and aside.status_code) or self.status_code or 200,
            body=self._written(said),
            more=aside.raw_headers if aside else (),
            tasks=tasks,
        )

    def _written(self, said: Any) -> bytes:
        if isinstance(said, bytes):
            return said
        return self.response_field.serialize_json(said) if self.response_field else b""

    async def _solved(self, request: Request) -> dict[str, Any]:
        results: list[Any] = []
        for one in self._calls:
            given: dict[str, Any] = {name: results[place] for name, place in one.takes}
            if one.request is not None:
                given[one.request] = request
            result = one.call(**given)
            results.append(await result if one.awaited else result)
        return {name: results[place] for name, place in self._takes}

    def _read(self, request: Request, body: Any, given: dict[str, Any]) -> None:
        errors: Errors = []
        if self._fields:
            sources: dict[str, Mapping[str, str]] = {
                "path": request.path_params,
                "header": request.headers,
            }
            if self._reads_query:
                sources["query"] = request.query_params
            for one in self._fields:
                given[one.name] = one.read(sources[one.place], errors)
        if self.body_field:
            asked = self.dependant.body_params[0]
            name = asked.name
            if body is MISSING and not asked.field_info.is_required():
                given[name] = None
            elif body is MISSING:
                errors.append(_missing(("body",)))
            else:
                given[name], found = self.body_field.validate(body, {}, loc=("body",))
                errors += found
        if errors:
            raise RequestValidationError(errors)


class Guarded(Direct):
    """A route with large bodies: it reads nothing from whom it does not let in."""

    lets_in_first = True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """JSON that stands ready to be sent."""

    status: int
    body: bytes
    more: Iterable[tuple[bytes, bytes]]
    tasks: BackgroundTasks | None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [JSON, *self.more]
        if self.status not in NO_BODY:
            headers.append((b"content-length", b"%d" % len(self.body)))
        start = {"type": "http.response.start", "status": self.status, "headers": headers}
        await send(start)
        await send({"type": "http.response.body", "body": self.body})
        if self.tasks is not None:
            await self.tasks()


class Ways:
    """Finds the direct route of a path and method; a path that is nobody's goes on to the router.

    A segment that is written out comes before one that stands for a value, whatever the method, so
    that a path allows what the document says of it.
    """

    def __init__(self, app: ASGIApp, *, routes: Iterable[BaseRoute]) -> None:
        self.app = app
        self._tree: dict[str, Any] = {}
        for route in routes:
            if isinstance(route, Direct):
                self._add(route)

    def _add(self, route: Direct) -> None:
        node = self._tree
        for segment in route.path.split("/")[1:]:
            node = node.setdefault(WILD if segment.startswith("{") else segment, {})
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
            await problems.answer(WrongMethod(), {"Allow": allowed})(scope, receive, send)
            return
        scope["path_params"] = dict(zip(route.param_convertors, values, strict=True))
        scope["endpoint"] = route.endpoint
        scope["route"] = route
        await route.handle(scope, receive, send)

    def _find(self, path: str) -> tuple[dict[str, Direct], list[str]] | None:
        node: dict[str, Any] | None = self._tree
        values = []
        for segment in path.split("/")[1:]:
            if node is None or not segment:
                return None
            if segment in node:
                node = node[segment]
            else:
                node = node.get(WILD)
                values.append(segment)
        by_method = node.get("") if node else None
        return (by_method, values) if by_method else None


MISSING: Final = object()


async def _body(receive: Receive) -> Any:
    """The JSON of a body, MISSING when there is none; MalformedBody."""
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


def _fields(dependant: Dependant) -> list[_Field]:
    places = {
        "path": dependant.path_params,
        "query": dependant.query_params,
        "header": dependant.header_params,
    }
    if dependant.cookie_params:
        raise TypeError(f"{dependant.call} takes a cookie; that is for api.http.auth alone")
    return [
        _Field(
            name=one.name,
            alias=one.alias,
            place=place,
            required=one.field_info.is_required(),
            default=None if one.field_info.is_required() else one.get_default(),
            check=one.validate,
        )
        for place, fields in places.items()
        for one in fields
    ]
