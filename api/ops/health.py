"""How this process is, for those who look after it: alive, ready, and in figures."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel

from api.http.auth import Rt
from api.http.ports import Worker
from api.http.routing import CompiledRoute
from api.ops.metrics import Metrics
from data.db import DatabaseError
from data.store import health
from data.store.health import Facts
from dispatch.flows import maintenance
from dispatch.flows.read_only import read_connection
from dispatch.runtime import Runtime

ANSWER_WITHIN_S: Final = 1.0
VERSION: Final = health.version_of_code()

T = TypeVar("T")

_late: set[asyncio.Task[Any]] = set()

router = APIRouter(include_in_schema=False, route_class=CompiledRoute)


class Check(BaseModel):
    """One thing that must be well; `detail` says what is wrong and what to do."""

    ok: bool
    detail: str = ""


class Readiness(BaseModel):
    """Whether this process should be given work."""

    ready: bool
    checks: dict[str, Check]


class Alive(BaseModel):
    """This process runs its loop."""

    alive: bool = True


@router.get("/healthz")
async def is_alive() -> Alive:
    """Answers as long as the process does; asks nobody else."""
    return Alive()


@router.get("/readyz")
async def is_ready(request: Request, rt: Rt, response: Response) -> Readiness:
    """200 when all is well, 503 when something is not; every check is named."""
    checks = await _database(rt) | _worker(request.app.state.worker)
    ready = all(check.ok for check in checks.values())
    response.status_code = 200 if ready else 503
    return Readiness(ready=ready, checks=checks)


@router.get("/metrics")
async def show_metrics(request: Request, rt: Rt) -> Response:
    """Figures in Prometheus' text format; they name nobody."""
    metrics = request.app.state.metrics
    assert isinstance(metrics, Metrics)
    try:
        backlog = await _in_time(maintenance.backlog(rt))
    except (DatabaseError, TimeoutError):
        backlog = None
    return Response(metrics.text(backlog), media_type=CONTENT_TYPE_LATEST)


async def _in_time(asking: Coroutine[Any, Any, T]) -> T:
    """The answer of the database, or TimeoutError; a connection to a frozen one closes later."""
    task = asyncio.create_task(asking)
    _late.add(task)
    task.add_done_callback(_forget)
    done, _ = await asyncio.wait({task}, timeout=ANSWER_WITHIN_S)
    if not done:
        task.cancel()
        raise TimeoutError
    return await task


def _forget(task: asyncio.Task[Any]) -> None:
    _late.discard(task)
    if not task.cancelled():
        task.exception()


async def _facts(rt: Runtime) -> Facts:
    async with read_connection(rt) as tx:
        return await health.facts(tx)


async def _database(rt: Runtime) -> dict[str, Check]:
    try:
        facts = await _in_time(_facts(rt))
    except TimeoutError:
        away = f"it did not answer within {ANSWER_WITHIN_S:g} s; look at its load and the network"
        return {"database": Check(ok=False, detail=away)}
    except DatabaseError as error:
        return {"database": Check(ok=False, detail=f"{type(error).__name__}; see the log")}
    return {"database": Check(ok=True), "schema": _schema(facts), "index": _index(rt, facts)}


def _schema(facts: Facts) -> Check:
    if facts.version >= VERSION >= facts.works_from:
        return Check(ok=True)
    cure = "run `tekkie migrate`" if facts.version < VERSION else "start the newer tekkie"
    return Check(
        ok=False, detail=f"the database has migration {facts.version}, not {VERSION}; {cure}"
    )


def _index(rt: Runtime, facts: Facts) -> Check:
    if len(rt.index) or not facts.has_friends:
        return Check(ok=True)
    return Check(ok=False, detail="no friend of the database is in it; restart this process")


def _worker(worker: Worker | None) -> dict[str, Check]:
    if worker is None:
        return {}
    state = worker.state()
    when = "never" if state.swept_s is None else f"{state.swept_s:.0f} s ago"
    late = f"deadlines were last acted on {when}; see the log"
    jumped = "the database's clock jumped and no deadline is acted on; set it right, or wait"
    if state.clock_doubt:
        jumped = f"{state.clock_doubt}; set it right, or run `tekkie clock confirm` if it is"
    return {
        "deadlines": Check(ok=state.sweeping, detail="" if state.sweeping else late),
        "clock": Check(ok=state.clock_trusted, detail="" if state.clock_trusted else jumped),
    }
