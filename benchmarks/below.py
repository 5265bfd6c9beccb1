"""Bookings below HTTP: the flow called directly, and its rows as prepared statements."""

from __future__ import annotations

import asyncio
import gc
import math
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import asyncpg
import numpy as np

from benchmarks import customers, stage
from benchmarks.customers import Site
from benchmarks.stage import Stage, progress
from data import db, sql_loader
from data.records.jobs import Changes
from data.store import jobs as job_rows
from data.store import policies
from dispatch.flows.jobs import commands
from dispatch.flows.jobs.orders import Order
from dispatch.rules.policy import POLICY
from dispatch.runtime import Runtime

CALLERS = 64
WARM_UP = 128
RAW_BATCHES = (32, 64, 256)
RAW_CONNECTIONS = 2

checks = sql_loader.load("checks", folder=stage.SQL)


@dataclass(slots=True)
class Measurements:
    """The rows measured and the checks made so far."""

    friends: int
    rows: list[dict[str, Any]] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)

    def row(self, design: str, what: str, how: str, **figures: Any) -> dict[str, Any]:
        row = {"design": design, "what": what, "how": how, "friends": self.friends, **figures}
        self.rows.append(row)
        cost = " ".join(f"{who} {us:.0f}" for who, us in row.get("cpu_us", {}).items())
        progress(
            f"{self.friends:>7,} {design:<18}{what:<8}{how:<18}{row['per_s']:>8,.0f}/s"
            f"  p50 {row.get('p50_ms', 0):7.1f}  p99 {row.get('p99_ms', 0):7.1f} ms  CPU µs {cost}"
        )
        return row

    def check(self, of: str, found: asyncpg.Record | None, expected: int) -> None:
        """Record what the tables hold; AssertionError when it differs from what was answered."""
        assert found is not None
        counted = dict(found)
        self.checks.append({"of": of, "friends": self.friends, "answered": expected, **counted})
        counted.pop("offers", None)
        wrong = {key: n for key, n in counted.items() if n != expected}
        if wrong:
            raise AssertionError(f"{of}: {expected} were answered, but the tables hold {wrong}")


async def measure_flow(
    made: Stage, rt: Runtime, places: Sequence[Site], seconds: float, book: Measurements
) -> list[Changes]:
    """Book through the flow by 64 callers at a time; returns what it wrote."""
    written: list[Changes] = []
    rt.on_commit.append(written.extend)
    orders = [customers.create_order(site, number) for number, site in enumerate(places)]
    taken_ns: list[int] = []
    waiting = iter(orders)

    async def caller(orders: Iterator[Order], until: float = math.inf) -> None:
        while time.perf_counter() < until and (order := next(orders, None)):
            begun = time.perf_counter_ns()
            await commands.book(
                rt,
                order,
                actor="customer",
                claim=None,
                build_response=lambda done: {"id": str(done.now)},
            )
            taken_ns.append(time.perf_counter_ns() - begun)

    warm = islice(waiting, WARM_UP)
    await asyncio.gather(*(caller(warm) for _ in range(CALLERS)))
    taken_ns.clear()
    gc.collect()
    gc.freeze()  # as the product does with what it has loaded
    with _measure_usage(made) as spent:
        until = time.perf_counter() + seconds
        await asyncio.gather(*(caller(waiting, until) for _ in range(CALLERS)))
    gc.unfreeze()
    await _check_tables(made, book, "direct", "flow", len(written))
    book.row("flow", "book", f"{CALLERS} callers", **_figures(taken_ns, spent, "server"))
    return written


class StatementRecorder:
    """Records the statements that `data.store.jobs.write` would send."""

    def __init__(self) -> None:
        self.statements: list[tuple[str, bool, Any]] = []

    async def execute(self, statement: str, *values: Any) -> None:
        self.statements.append((statement, False, values))

    async def executemany(self, statement: str, rows: Any) -> None:
        self.statements.append((statement, True, list(rows)))


async def measure_raw(made: Stage, written: Sequence[Changes], book: Measurements) -> None:
    """Write the same rows, prepared before, by prepared statements: the database's limit."""
    best: dict[str, Any] | None = None
    for batch in RAW_BATCHES:
        await made.drop("again")
        await made.clone("again", "raw")
        await _keep_policy(made)
        recordings = [await _record(part) for part in _batches(written, batch)]
        taken_ns: list[int] = []
        with _measure_usage(made) as spent:
            queue = iter(recordings)
            connections = (_replay(made, queue, taken_ns) for _ in range(RAW_CONNECTIONS))
            await asyncio.gather(*connections)
        await _check_tables(made, book, "again", f"raw {batch}", len(written))
        figures = _figures(taken_ns, spent, "load", count=len(written))
        how = f"{RAW_CONNECTIONS} x {batch} a commit"
        if best is None or figures["per_s"] > best["per_s"]:
            best = {"how": how, **figures}
    assert best is not None
    book.row("raw statements", "book", **best)


async def _keep_policy(made: Stage) -> None:
    """The flow does so once in the life of a policy."""
    async with made.owner("again") as owner:
        await policies.keep(owner, POLICY.fingerprint, POLICY.version, POLICY.numbers)


async def _record(part: Sequence[Changes]) -> StatementRecorder:
    recorder = StatementRecorder()
    await job_rows.write(recorder, part, part[-1].booking.created_at)  # type: ignore[arg-type]
    return recorder


def _batches(written: Sequence[Changes], size: int) -> Iterator[Sequence[Changes]]:
    for start in range(0, len(written), size):
        yield written[start : start + size]


async def _replay(
    made: Stage, recordings: Iterator[StatementRecorder], taken_ns: list[int]
) -> None:
    connection = await db.connect(made.database("again").service_dsn, application="bench")
    prepared: dict[str, Any] = {}
    try:
        for recording in recordings:
            begun = time.perf_counter_ns()
            async with connection.transaction():
                for text, many, values in recording.statements:
                    if text not in prepared:
                        prepared[text] = await connection.prepare(text)
                    ready = prepared[text]
                    await (ready.executemany(values) if many else ready.fetch(*values))
            taken_ns.append(time.perf_counter_ns() - begun)
    finally:
        await connection.close()


async def _check_tables(
    made: Stage, book: Measurements, database: str, name: str, expected: int
) -> None:
    async with made.owner(database) as owner:
        book.check(name, await owner.fetchrow(checks.bookings), expected)


def _figures(
    taken_ns: Sequence[int], spent: dict[str, float], own: str, *, count: int | None = None
) -> dict[str, Any]:
    p50, p99 = np.percentile(taken_ns, (50, 99)) / 1e6
    done = count or len(taken_ns)
    cpu_us = {own: spent["own"] / done * 1e6, "database": spent["database"] / done * 1e6}
    return {
        "per_s": done / spent["elapsed"],
        "count": done,
        "p50_ms": float(p50),
        "p99_ms": float(p99),
        "cpu_us": cpu_us,
    }


@contextmanager
def _measure_usage(made: Stage) -> Iterator[dict[str, float]]:
    """Measures seconds elapsed and of processor: `elapsed`, `own`, `database`."""
    spent: dict[str, float] = {}
    before, begun = (_process_cpu_s(), made.database_cpu_s()), time.perf_counter()
    yield spent
    spent["elapsed"] = time.perf_counter() - begun
    spent["own"] = _process_cpu_s() - before[0]
    spent["database"] = made.database_cpu_s() - before[1]


def _process_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
