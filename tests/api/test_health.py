"""Liveness, readiness and metrics."""

import asyncio
import re
import shutil
from datetime import timedelta
from unittest.mock import AsyncMock

import httpx2
import pytest

from api.http.load_shedding import Load
from api.ops import health
from api.ops.health import DISK_MIN
from api.ops.metrics import Metrics, RequestMetrics
from api.server.app import create_app
from data.db import DatabaseFull
from data.store.outbox import Backlog
from dispatch.flows import group_commit
from dispatch.flows.jobs import commands
from scheduler.worker import State
from tests.api.conftest import BOOKING
from tests.builders import book_job, live_offers_of

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-")
QUIET = Backlog(pending=0, parked=0, pending_late_s=0.0, overdue=0, overdue_s=0.0)


def usage(*, free):
    """What shutil.disk_usage tells."""
    return shutil._ntuple_diskusage(10**12, 10**12 - free, free)


class Stub:
    """A worker with a given state."""

    def __init__(self, *, swept_s=0.5, clock_trusted=True, clock_doubt=""):
        self._state = State(
            swept_s=swept_s,
            clock_trusted=clock_trusted,
            clock_doubt=clock_doubt,
            backlog=QUIET,
            friends=0,
            fed_s=0.5,
        )

    def state(self):
        return self._state


def client(app):
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://t")


async def ready(rt, worker=None):
    async with client(create_app(rt, worker)) as http:
        answer = await http.get("/readyz")
    result = answer.json()
    assert answer.status_code == (200 if result["ready"] else 503)
    return result["ready"], result["checks"]


async def test_a_process_is_alive_without_its_database(api, rt):
    rt.pool.terminate()
    answer = await api.client().get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"alive": True})


async def test_all_checks_pass(rt):
    passed = {"ok": True, "detail": ""}
    assert await ready(rt) == (True, {"database": passed, "schema": passed, "index": passed})
    checks = {"database", "schema", "index", "deadlines", "clock"}
    assert await ready(rt, Stub()) == (True, dict.fromkeys(checks, passed))


@pytest.mark.parametrize(
    ("worker", "check", "words"),
    [
        (Stub(swept_s=None), "deadlines", "never"),
        (Stub(swept_s=16.0), "deadlines", "16 s ago"),
        (Stub(clock_trusted=False), "clock", "jumped"),
        (Stub(clock_trusted=False, clock_doubt="they are apart"), "clock", "tekkie clock confirm"),
    ],
)
async def test_a_failing_worker_is_not_ready(rt, worker, check, words):
    is_ready, checks = await ready(rt, worker)
    assert not is_ready
    assert [name for name, one in checks.items() if not one["ok"]] == [check]
    assert words in checks[check]["detail"]


async def test_an_unavailable_database_is_reported(rt):
    rt.pool.terminate()
    is_ready, checks = await ready(rt)
    assert not is_ready
    assert list(checks) == ["database"]
    assert not checks["database"]["ok"]


async def test_a_read_only_database_is_not_ready(rt):
    async with rt.pool.acquire() as connection:
        await connection.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
    is_ready, checks = await ready(rt)
    assert not is_ready
    assert "standby" in checks["database"]["detail"]


async def test_a_database_that_does_not_answer_is_reported_in_a_second(rt, owner, monkeypatch):
    monkeypatch.setattr(health, "ANSWER_WITHIN_S", 0.2)
    async with owner.transaction():
        await owner.execute("LOCK TABLE migrations IN ACCESS EXCLUSIVE MODE")
        async with asyncio.timeout(1):
            is_ready, checks = await ready(rt)
    assert not is_ready
    assert "within 0.2 s" in checks["database"]["detail"]


@pytest.mark.parametrize(("version", "cure"), [(9999, "newer tekkie"), (None, "tekkie migrate")])
async def test_another_schema_is_not_ready(rt, owner, version, cure):
    if version:
        await owner.execute(
            "INSERT INTO migrations (version, name, sha256) VALUES ($1, 'later', '')", version
        )
    else:
        await owner.execute("DELETE FROM migrations")
    is_ready, checks = await ready(rt)
    assert not is_ready
    assert cure in checks["schema"]["detail"]


async def test_a_schema_one_release_newer_keeps_the_process_ready(rt, owner):
    await owner.execute(
        "INSERT INTO migrations (version, name, sha256, works_from) VALUES ($1, 'later', '', $2)",
        health.VERSION + 3,
        health.VERSION,
    )
    assert (await ready(rt))[0]


async def test_an_index_that_was_not_loaded_is_not_ready(api, rt):
    rt.index.load([])
    is_ready, checks = await ready(rt)
    assert not is_ready
    assert "restart" in checks["index"]["detail"]


async def test_a_process_that_cannot_take_work_is_not_ready(rt):
    app = create_app(rt)
    app.state.conditions["connections"] = lambda: "400 connections are open"
    async with client(app) as http:
        answer = await http.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["connections"] == {
        "ok": False,
        "detail": "400 connections are open",
    }


async def test_an_overloaded_process_is_not_ready(rt, monkeypatch):
    monkeypatch.setattr(Load, "is_too_high", lambda load: True)
    is_ready, checks = await ready(rt)
    assert not is_ready
    assert "requests run" in checks["load"]["detail"]


async def test_a_full_disk_is_not_ready_until_something_can_be_written(api, rt, monkeypatch):
    full = AsyncMock(side_effect=DatabaseFull("53100"))
    with monkeypatch.context() as patch:
        patch.setattr(group_commit, "run_with_retries", full)
        answer = await api.client().post("/v1/bookings", BOOKING)
        assert answer.status_code == 503
    is_ready, checks = await ready(rt)
    assert not is_ready
    assert "full" in checks["disk"]["detail"]
    await api.book()
    assert (await ready(rt))[0]


async def test_a_database_that_was_full_is_tried_again_after_a_while(api, rt):
    commits = group_commit.group_commit(rt)
    commits.full_at_s = asyncio.get_running_loop().time()
    assert commits.is_database_full()
    commits.full_at_s -= group_commit.FULL_FOR_S
    assert not commits.is_database_full()


async def test_a_full_disk_of_the_bundled_database_is_not_ready(rt, monkeypatch):
    monkeypatch.setattr(health.shutil, "disk_usage", lambda folder: usage(free=DISK_MIN - 1))
    is_ready, checks = await ready(rt)
    assert not is_ready
    assert "make room" in checks["disk"]["detail"]
    monkeypatch.setattr(health.shutil, "disk_usage", lambda folder: usage(free=DISK_MIN))
    assert (await ready(rt))[0]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_is_also_asked_without_a_body(api, path):
    assert (await api.client().send("HEAD", path)).status_code == 200


async def metrics(caller):
    answer = await caller.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


async def test_bookings_accepts_and_refusals_are_counted(api, rt):
    nobody = api.client()
    booking, _ = await api.win("f1")
    lost = (await api.offers(booking))["f2"]
    await (await api.friend("f2")).post(f"/v1/offers/{lost}/accept")
    seen = await metrics(nobody)
    assert seen['tekkie_events_total{kind="booking.created"}'] == 1
    assert seen['tekkie_events_total{kind="booking.awarded"}'] == 1
    assert seen['tekkie_problems_total{code="offer-gone"}'] == 1
    assert seen["tekkie_batch_bookings_count"] == 2
    accept = 'method="POST",route="/v1/offers/{offer_id}/accept",status="%d"'
    for status in (200, 409):
        assert seen["tekkie_http_seconds_count{%s}" % (accept % status)] == 1


async def test_the_backlog_is_in_the_metrics(api, rt, clock):
    await book_job(rt)
    await clock.advance(timedelta(minutes=61))
    seen = await metrics(api.client())
    assert seen["tekkie_database_up"] == 1
    assert seen["tekkie_timers_overdue"] == 1
    assert seen["tekkie_timers_overdue_seconds"] == pytest.approx(60, abs=1)
    assert seen["tekkie_messages_pending"] == 5
    assert seen["tekkie_messages_parked"] == 0
    assert seen["tekkie_index_friends"] == 6
    assert seen["tekkie_streams_open"] == 0
    assert seen["tekkie_gathering_waiting"] == 0
    assert seen["tekkie_pool_max"] == rt.pool.get_max_size()
    await commands.fire_due_timers(rt, 10)
    assert (await metrics(api.client()))["tekkie_timers_overdue"] == 0


async def test_metrics_work_without_a_database(api, rt):
    rt.pool.terminate()
    seen = await metrics(api.client())
    assert seen["tekkie_database_up"] == 0
    assert "tekkie_timers_overdue" not in seen


async def test_no_label_contains_personal_data(api, rt):
    nobody = api.client()
    booking, offer = await api.win("f1")
    await nobody.get(f"/v1/bookings/{booking['id']}")
    await nobody.get(f"/nowhere/{offer}/vera@example.com")
    await nobody.send("WONDER", "/v1/packages")
    await commands.decline(rt, live_offers_of(await book_job(rt))[0].id, api.friends["f1"])
    text = (await nobody.get("/metrics")).text
    assert not UUID.search(text)
    assert not [word for word in ("Vera", "vera", "@", "WONDER", booking["token"]) if word in text]
    assert 'route="other",status="404"' in text


async def test_a_failure_without_a_problem_counts_as_other(rt):
    async def refuse(scope, receive, send):
        await send({"type": "http.response.start", "status": 418, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    metrics = Metrics(rt, lambda: 0)
    app = RequestMetrics(refuse, metrics=metrics)
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="https://tekkie.test") as http:
        await http.get("/")
    assert b'tekkie_problems_total{code="other"} 1.0' in metrics.text(None)
