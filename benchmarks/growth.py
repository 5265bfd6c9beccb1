"""What a booking costs as friends and stored bookings grow.

    python -m benchmarks.growth [--quick] [--full]

The flow is called directly by 32 callers; every booking finds four friends. Friends are copied into
the tables, stored bookings are inserted as finished jobs with all their rows. `--full` goes on to
ten million stored bookings (about 60 GB of disk). Writes benchmarks/results/growth.json and the
section "Growth" of benchmarks/report.md.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import resource
import statistics
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import uvloop

from benchmarks import customers, sections, stage
from benchmarks.stage import Stage, say
from benchmarks.world import population
from data import sql_loader
from data.postgres import layout
from data.records.ids import BookingId
from dispatch.flows.execute import CommandResult
from dispatch.flows.jobs import commands
from dispatch.flows.jobs.orders import Order
from dispatch.runtime import Runtime

CALLERS = 32
ROUNDS = 5
HISTORY_PART = 250_000
HISTORY_STEP = timedelta(seconds=30)
FRIENDS = (1_000, 10_000, 100_000, 1_000_000)
STORED = (10_000, 100_000, 1_000_000)
STORED_FULL = 10_000_000
AT_FRIENDS = 100_000

history = sql_loader.load("history", folder=stage.SQL)
growth_sql = sql_loader.load("growth", folder=stage.SQL)


def main() -> None:
    words = _words()
    started, machine = time.monotonic(), sections.machine()
    by_friends = [_with_friends(count, words.bookings) for count in words.friends]
    by_stored = _with_history(words)
    took_s = time.monotonic() - started
    result = {"machine": machine, "took_s": took_s}
    sections.save(
        words.quick, "growth", {**result, "by_friends": by_friends, "by_stored": by_stored}
    )
    say(f"{took_s:.0f} s")


def _words() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, about a minute")
    parser.add_argument("--full", action="store_true", help="ten million stored bookings too")
    words = parser.parse_args()
    words.friends = FRIENDS[:2] if words.quick else FRIENDS
    words.stored = (1_000, 10_000) if words.quick else STORED
    words.stored += (STORED_FULL,) if words.full else ()
    words.at_friends = 10_000 if words.quick else AT_FRIENDS
    words.bookings = 200 if words.quick else 1_000
    return words


def _with_friends(count: int, bookings: int) -> dict[str, Any]:
    with stage.stage() as made, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return dict(runner.run(_at_size(made, count, bookings)))


async def _at_size(made: Stage, count: int, bookings: int) -> dict[str, Any]:
    begun = time.perf_counter()
    await _crowd(made, count)
    copied_s, begun = time.perf_counter() - begun, time.perf_counter()
    before = _resident()
    async with stage.runtime(made) as rt:
        loaded_s, grown = time.perf_counter() - begun, _resident() - before
        found = await _cost(made, rt, bookings)
    row = {"friends": count, "copied_s": copied_s, "loaded_s": loaded_s, "loaded_bytes": grown}
    say(f"{count:>10,} friends: loaded in {loaded_s:.1f} s, {_said(found)}")
    return row | found


def _with_history(words: argparse.Namespace) -> list[dict[str, Any]]:
    with stage.stage() as made, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return list(runner.run(_at_stored(made, words)))


async def _at_stored(made: Stage, words: argparse.Namespace) -> list[dict[str, Any]]:
    await _crowd(made, words.at_friends)
    async with made.owner(role=layout.ADMIN) as owner:
        await owner.execute(growth_sql.alone)
        await owner.execute(growth_sql.known)
        await owner.execute(history.hush)
        await owner.execute(history.ids)
        await owner.execute(history.prepare)
    rows, stored = list[dict[str, Any]](), 0
    for count in words.stored:
        begun = time.perf_counter()
        await _store(made, stored, count)
        stored = count
        written_s = time.perf_counter() - begun
        async with stage.runtime(made) as rt:
            found = await _cost(made, rt, words.bookings)
        async with made.owner() as owner:
            size = await owner.fetchval(growth_sql.size)
        rows.append({"stored": count, "written_s": written_s, "bytes": size, **found})
        say(f"{count:>10,} stored bookings ({size / 2**30:.1f} GiB): {_said(found)}")
    return rows


async def _crowd(made: Stage, count: int) -> None:
    crowd = population(count, np.random.default_rng(count))
    await stage.people_the(made, stage.everybody_willing(crowd))


async def _store(made: Stage, first: int, last: int) -> None:
    """Finished jobs in parts, each its own commit, then what autovacuum would have done."""
    async with made.owner(role=layout.ADMIN) as owner:
        await owner.execute(history.hush)
        since = await owner.fetchval(growth_sql.long_ago)
        for start in range(first, last, HISTORY_PART):
            end = min(start + HISTORY_PART, last) - 1
            await owner.execute(history.forget_plan)
            await owner.execute(history.plan, start, end, since, HISTORY_STEP)
            await owner.execute(f"{history.customers}; {history.completed}")
        await owner.execute(growth_sql.settle)
        await owner.execute(growth_sql.written)


async def _cost(made: Stage, rt: Runtime, count: int) -> dict[str, Any]:
    """Book and cancel in rounds; medians of what a booking took of wall and processors."""
    places = customers.sites(rt, count, seed=7)
    orders = [customers.order(site, number) for number, site in enumerate(places)]
    gc.collect()
    gc.freeze()  # as every process of the product does
    rounds = [await _round(made, rt, orders) for _ in range(ROUNDS + 1)][1:]
    return {
        "bookings": len(orders),
        "rounds": ROUNDS,
        **{name: statistics.median(one[name] for one in rounds) for name in rounds[0]},
    }


async def _round(made: Stage, rt: Runtime, orders: Sequence[Order]) -> dict[str, float]:
    waiting, taken_ns = iter(orders), list[int]()
    booked: list[BookingId] = []

    async def caller() -> None:
        for order in waiting:
            begun = time.perf_counter_ns()
            done = await commands.book(
                rt,
                order,
                actor="customer",
                claim=None,
                build_response=lambda done: {"id": str(done.now)},
            )
            taken_ns.append(time.perf_counter_ns() - begun)
            assert isinstance(done, CommandResult)
            assert len(done.job.live) == 4
            booked.append(done.job.booking.id)

    before, begun = (_own_s(), made.database_cpu_s()), time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    took_s = time.perf_counter() - begun
    own_s, database_s = _own_s() - before[0], made.database_cpu_s() - before[1]
    await _cancel(rt, booked)
    return {
        "wall_us": took_s / len(orders) * 1e6,
        "own_us": own_s / len(orders) * 1e6,
        "database_us": database_s / len(orders) * 1e6,
        "p50_ms": float(np.percentile(taken_ns, 50)) / 1e6,
        "p99_ms": float(np.percentile(taken_ns, 99)) / 1e6,
    }


async def _cancel(rt: Runtime, booked: Sequence[BookingId]) -> None:
    waiting = iter(booked)

    async def caller() -> None:
        for one in waiting:
            await commands.cancel(
                rt, one, actor="system", reason="mistake", may_act=lambda job: True
            )

    await asyncio.gather(*(caller() for _ in range(CALLERS)))


def _said(found: dict[str, Any]) -> str:
    return (
        f"a booking takes {found['wall_us']:,.0f} µs; CPU µs {found['own_us']:,.0f} of the process,"
        f" {found['database_us']:,.0f} of the database ({found['bookings']} a round)"
    )


def _own_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as pages:
        return int(pages.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
