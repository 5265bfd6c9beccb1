"""Compiled routes: requests are served as FastAPI would."""

import asyncio
import re
from typing import Annotated, Any
from uuid import UUID

import pytest
from fastapi import Depends, FastAPI, Header, Query
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field

from api.http import problems
from api.http.routing import CompiledRoute, RouteTable
from api.server.app import ROUTERS


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=2)]
    many: int = 1


async def endpoint(
    *,
    number: UUID,
    body_model: Body,
    limit: Annotated[int, Query(ge=1, le=9)] = 5,
    word: Annotated[str | None, Query(max_length=3)] = None,
    key: Annotated[str | None, Header(alias="Some-Key", pattern="^[a-z]+$")] = None,
    must: Annotated[str, Header(alias="Must-Be")],
) -> dict[str, Any]:
    return {"number": number, "name": body_model.name, "limit": limit, "word": word, "key": key}


def call(kind, *, path, query=b"", headers=(), body=b'{"name":"ana"}'):
    """The status, headers and body of a response by a route of this kind."""
    app = FastAPI()
    problems.install_handlers(app)
    app.router.routes.append(kind("/x/{number}", endpoint, methods=["POST"]))
    messages = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        messages.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": f"/x/{path}",
        "query_string": query,
        "headers": [(b"content-type", b"application/json"), *headers],
    }
    asyncio.run(app(scope, receive, send))
    return (
        messages[0]["status"],
        dict(messages[0]["headers"]),
        b"".join(one["body"] for one in messages[1:]),
    )


GOOD = "0197f0a0-0000-7000-8000-000000000001"
MUST = ((b"must-be", b"x"),)
REQUESTS = [
    {"path": GOOD, "headers": MUST},
    {"path": GOOD},
    {"path": "none", "headers": MUST},
    {"path": GOOD, "headers": MUST, "query": b"limit=0"},
    {"path": GOOD, "headers": MUST, "query": b"limit=x&word=abcd"},
    {"path": GOOD, "headers": MUST, "query": b"limit=3&word="},
    {"path": GOOD, "headers": (*MUST, (b"some-key", b"A1"))},
    {"path": GOOD, "headers": MUST, "body": b""},
    {"path": GOOD, "headers": MUST, "body": b"[]"},
    {"path": GOOD, "headers": MUST, "body": b"null"},
    {"path": GOOD, "headers": MUST, "body": b"{"},
    {"path": GOOD, "headers": MUST, "body": b"\xff"},
    {"path": GOOD, "headers": MUST, "body": b"[" * 100_000},
    {"path": GOOD, "headers": MUST, "body": b'{"name":"a","many":"x","more":1}'},
    {"path": "none", "query": b"limit=99", "body": b"{}"},
]


@pytest.mark.parametrize("request_", REQUESTS, ids=str)
def test_a_request_is_answered_as_fastapi_answers_it(request_):
    assert call(CompiledRoute, **request_) == call(APIRoute, **request_)


def test_every_route_is_compiled_and_found_by_its_path():
    routes = [route for router in ROUTERS for route in router.routes]
    table = RouteTable(None, routes=routes)
    for route in routes:
        assert isinstance(route, CompiledRoute), route
        for method in route.methods:
            path = re.sub("{[a-z_]+}", GOOD, route.path)
            found, values = table._find(path)
            assert found[method] is route
            assert values == [GOOD] * len(route.param_convertors)


@pytest.mark.parametrize(
    "path", ["/", "", "//", "/v1", "/v1/", "/v1/bookings/", "/v1/offers//accept", "/v1/x/y/z"]
)
def test_an_unknown_path_is_not_found(path):
    table = RouteTable(None, routes=[route for router in ROUTERS for route in router.routes])
    assert table._find(path) is None


async def yields():
    yield 1


async def wants(limit: int = 5) -> int:
    return limit


def test_an_unsupported_signature_is_refused_when_the_route_is_created():
    for dependency in (yields, wants):

        async def asks(found: Annotated[int, Depends(dependency)]) -> None: ...

        with pytest.raises(TypeError):
            CompiledRoute("/x", asks)

    def waits() -> None: ...

    with pytest.raises(TypeError):
        CompiledRoute("/x", waits)
