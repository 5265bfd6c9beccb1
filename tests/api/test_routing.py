"""Requests meet their endpoints by plans: as FastAPI would, and nothing is left to it."""

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


class Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=2)]
    many: int = 1


async def endpoint(
    *,
    number: UUID,
    asked: Asked,
    limit: Annotated[int, Query(ge=1, le=9)] = 5,
    word: Annotated[str | None, Query(max_length=3)] = None,
    key: Annotated[str | None, Header(alias="Some-Key", pattern="^[a-z]+$")] = None,
    must: Annotated[str, Header(alias="Must-Be")],
) -> dict[str, Any]:
    return {"number": number, "name": asked.name, "limit": limit, "word": word, "key": key}


def answered(kind, *, path, query=b"", headers=(), body=b'{"name":"ana"}'):
    """What a route of this kind answers: status and body."""
    app = FastAPI()
    problems.install_handlers(app)
    app.router.routes.append(kind("/x/{number}", endpoint, methods=["POST"]))
    said = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        said.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": f"/x/{path}",
        "query_string": query,
        "headers": [(b"content-type", b"application/json"), *headers],
    }
    asyncio.run(app(scope, receive, send))
    return said[0]["status"], dict(said[0]["headers"]), b"".join(one["body"] for one in said[1:])


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
    assert answered(CompiledRoute, **request_) == answered(APIRoute, **request_)


def test_every_route_is_direct_and_found_by_its_path():
    routes = [route for router in ROUTERS for route in router.routes]
    ways = RouteTable(None, routes=routes)
    for route in routes:
        assert isinstance(route, CompiledRoute), route
        for method in route.methods:
            path = re.sub("{[a-z_]+}", GOOD, route.path)
            found, values = ways._find(path)
            assert found[method] is route
            assert values == [GOOD] * len(route.param_convertors)


@pytest.mark.parametrize(
    "path", ["/", "", "//", "/v1", "/v1/", "/v1/bookings/", "/v1/offers//accept", "/v1/x/y/z"]
)
def test_a_path_that_is_nobodys_is_found_nowhere(path):
    ways = RouteTable(None, routes=[route for router in ROUTERS for route in router.routes])
    assert ways._find(path) is None


async def yields():
    yield 1


async def wants(limit: int = 5) -> int:
    return limit


def test_what_a_plan_does_not_cover_is_refused_when_the_route_is_made():
    for dependency in (yields, wants):

        async def asks(found: Annotated[int, Depends(dependency)]) -> None: ...

        with pytest.raises(TypeError):
            CompiledRoute("/x", asks)

    def waits() -> None: ...

    with pytest.raises(TypeError):
        CompiledRoute("/x", waits)
