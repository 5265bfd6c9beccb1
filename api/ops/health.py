"""Health of this process for operations: liveness, readiness, metrics."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final, TypeVar

from fastapi import APIRouter, FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel

from api.http.auth import Rt
from api.http.ports import Worker
from api.http.routing import CompiledRoute
from api.ops.metrics import Metrics
from data.db import READ_ONLY_CURE, DatabaseError
from data.store import health
from data.store.health import Facts
from dispatch.flows import maintenance
from dispatch.flows.group_commit import group_commit
from dispatch.flows.read_only import read_connection
from dispatch.runtime import Runtime

ANSWER_WITHIN_S: Final = 1.0
# What PostgreSQL needs for two more segments of its log.
DISK_MIN: Final = 32 * 2**20
VERSION: Final = health.version_of_code()

T = TypeVar("T")

_late: set[asyncio.Task[Any]] = set()

router = APIRouter(include_in_schema=False, route_class=CompiledRoute)


class Check(BaseModel):
    """One check; `detail` says what is wrong and how to correct it."""

    ok: bool
    detail: str = ""


class Readiness(BaseModel):
    """Whether this process should get requests."""

    ready: bool
    checks: dict[str, Check]


class Alive(BaseModel):
    """Liveness: the event loop runs."""

    alive: bool = True


@router.api_route("/healthz", methods=["GET", "HEAD"])
async def is_alive() -> Alive:
    """Liveness of the process, without any dependency."""
    return Alive()


@router.api_route("/readyz", methods=["GET", "HEAD"])
async def is_ready(request: Request, rt: Rt, response: Response) -> Readiness:
    """200 when every check passes, else 503; all checks are listed."""
    checks = await _database(rt) | _worker(request.app.state.worker) | _conditions(request.app)
    ready = all(check.ok for check in checks.values())
    response.status_code = 200 if ready else 503
    return Readiness(ready=ready, checks=checks)


@router.get("/metrics")
async def show_metrics(request: Request, rt: Rt) -> Response:
    """Metrics in Prometheus' text format, without personal data."""
    metrics = request.app.state.metrics
    assert isinstance(metrics, Metrics)
    try:
        backlog = await _in_time(maintenance.backlog(rt))
    except (DatabaseError, TimeoutError):
        backlog = None
    return Response(metrics.text(backlog), media_type=CONTENT_TYPE_LATEST)


async def _in_time(query: Coroutine[Any, Any, T]) -> T:
    """The result of a query. Raises TimeoutError; a frozen connection is closed later."""
    task = asyncio.create_task(query)
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
        slow = f"no answer within {ANSWER_WITHIN_S:g} s; check its load and the network"
        return {"database": Check(ok=False, detail=slow)}
    except DatabaseError as error:
        return {"database": Check(ok=False, detail=f"{type(error).__name__}; see the log")}
    return {"database": _writes(facts), "schema": _schema(facts), "index": _index(rt, facts)}


def _writes(facts: Facts) -> Check:
    if facts.accepts_only_reads:
        return Check(ok=False, detail=f"it accepts only reads: {READ_ONLY_CURE}")
    return Check(ok=True)


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
    return Check(
        ok=False, detail="it has none of the friends in the database; restart this process"
    )


def disk_problem(rt: Runtime) -> str:
    """Why nothing can be written; empty if something can, as far as this process knows."""
    if group_commit(rt).is_database_full():
        return "the database server is full; make room, nothing that was stored is lost"
    if rt.settings.database_url is not None:
        return ""
    with suppress(OSError):
        if shutil.disk_usage(rt.settings.data_dir).free < DISK_MIN:
            return f"less than {DISK_MIN // 2**20} MB are free in {rt.settings.data_dir}; make room"
    return ""


def _conditions(app: FastAPI) -> dict[str, Check]:
    """The conditions of this process that fail; those that hold are not listed."""
    asked = {name: ask() for name, ask in app.state.conditions.items()}
    return {name: Check(ok=False, detail=detail) for name, detail in asked.items() if detail}


def _worker(worker: Worker | None) -> dict[str, Check]:
    if worker is None:
        return {}
    state = worker.state()
    when = "never" if state.swept_s is None else f"{state.swept_s:.0f} s ago"
    late = f"deadlines were last processed {when}; see the log"
    jumped = "the database's clock jumped, so deadlines are paused; correct it, or wait"
    if state.clock_doubt:
        jumped = f"{state.clock_doubt}; correct it, or run `tekkie clock confirm` if it is right"
    return {
        "deadlines": Check(ok=state.sweeping, detail="" if state.sweeping else late),
        "clock": Check(ok=state.clock_trusted, detail="" if state.clock_trusted else jumped),
    }
