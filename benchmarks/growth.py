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
from benchmarks.stage import Stage, progress
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
    arguments = _parse_arguments()
    started, machine = time.monotonic(), sections.machine()
    by_friends = [_measure_friends(count, arguments.bookings) for count in arguments.friends]
    by_stored = _measure_history(arguments)
    took_s = time.monotonic() - started
    result = {"machine": machine, "took_s": took_s}
    sections.save(
        arguments.quick, "growth", {**result, "by_friends": by_friends, "by_stored": by_stored}
    )
    progress(f"{took_s:.0f} s")


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, about a minute")
    parser.add_argument("--full", action="store_true", help="ten million stored bookings too")
    arguments = parser.parse_args()
    arguments.friends = FRIENDS[:2] if arguments.quick else FRIENDS
    arguments.stored = (1_000, 10_000) if arguments.quick else STORED
    arguments.stored += (STORED_FULL,) if arguments.full else ()
    arguments.at_friends = 10_000 if arguments.quick else AT_FRIENDS
    arguments.bookings = 200 if arguments.quick else 1_000
    return arguments


def _measure_friends(count: int, bookings: int) -> dict[str, Any]:
    with stage.open_stage() as made, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return dict(runner.run(_measure_size(made, count, bookings)))


async def _measure_size(made: Stage, count: int, bookings: int) -> dict[str, Any]:
    begun = time.perf_counter()
    await _insert_friends(made, count)
    copied_s, begun = time.perf_counter() - begun, time.perf_counter()
    before = _resident_bytes()
    async with stage.connect_runtime(made) as rt:
        loaded_s, grown = time.perf_counter() - begun, _resident_bytes() - before
        found = await _measure_cost(made, rt, bookings)
    row = {"friends": count, "copied_s": copied_s, "loaded_s": loaded_s, "loaded_bytes": grown}
    progress(f"{count:>10,} friends: loaded in {loaded_s:.1f} s, {_summary(found)}")
    return row | found


def _measure_history(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    with stage.open_stage() as made, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return list(runner.run(_measure_stored(made, arguments)))


async def _measure_stored(made: Stage, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    await _insert_friends(made, arguments.at_friends)
    async with made.owner(role=layout.ADMIN) as owner:
        await owner.execute(growth_sql.alone)
        await owner.execute(growth_sql.known)
        await owner.execute(history.disable_triggers)
        await owner.execute(history.ids)
        await owner.execute(history.prepare)
    rows, stored = list[dict[str, Any]](), 0
    for count in arguments.stored:
        begun = time.perf_counter()
        await _insert_history(made, stored, count)
        stored = count
        written_s = time.perf_counter() - begun
        async with stage.connect_runtime(made) as rt:
            found = await _measure_cost(made, rt, arguments.bookings)
        async with made.owner() as owner:
            size = await owner.fetchval(growth_sql.size)
        rows.append({"stored": count, "written_s": written_s, "bytes": size, **found})
        progress(f"{count:>10,} stored bookings ({size / 2**30:.1f} GiB): {_summary(found)}")
    return rows


async def _insert_friends(made: Stage, count: int) -> None:
    friends = population(count, np.random.default_rng(count))
    await stage.insert_friends(made, stage.make_all_available(friends))


async def _insert_history(made: Stage, first: int, last: int) -> None:
    """Insert finished jobs in batches, one commit each, then vacuum and analyze."""
    async with made.owner(role=layout.ADMIN) as owner:
        await owner.execute(history.disable_triggers)
        since = await owner.fetchval(growth_sql.long_ago)
        for start in range(first, last, HISTORY_PART):
            end = min(start + HISTORY_PART, last) - 1
            await owner.execute(history.forget_plan)
            await owner.execute(history.plan, start, end, since, HISTORY_STEP)
            await owner.execute(f"{history.customers}; {history.completed}")
        await owner.execute(growth_sql.settle)
        await owner.execute(growth_sql.written)


async def _measure_cost(made: Stage, rt: Runtime, count: int) -> dict[str, Any]:
    """Book and cancel in rounds; medians of elapsed and processor time of a booking."""
    places = customers.find_sites(rt, count, seed=7)
    orders = [customers.create_order(site, number) for number, site in enumerate(places)]
    gc.collect()
    gc.freeze()  # as the product does
    rounds = [await _run_round(made, rt, orders) for _ in range(ROUNDS + 1)][1:]
    return {
        "bookings": len(orders),
        "rounds": ROUNDS,
        **{name: statistics.median(one[name] for one in rounds) for name in rounds[0]},
    }


async def _run_round(made: Stage, rt: Runtime, orders: Sequence[Order]) -> dict[str, float]:
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

    before, begun = (_process_cpu_s(), made.database_cpu_s()), time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    took_s = time.perf_counter() - begun
    own_s, database_s = _process_cpu_s() - before[0], made.database_cpu_s() - before[1]
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


def _summary(found: dict[str, Any]) -> str:
    return (
        f"a booking takes {found['wall_us']:,.0f} µs; CPU µs {found['own_us']:,.0f} of the process,"
        f" {found['database_us']:,.0f} of the database ({found['bookings']} a round)"
    )


def _process_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as pages:
        return int(pages.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
