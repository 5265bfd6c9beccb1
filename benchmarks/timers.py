"""Deadlines: a hundred thousand due at once for two sweepers, and a thousand a second in real time.

    python -m benchmarks.timers [--quick] [--friends 200000] [--due 100000]

A sweeper is a process with the product's own ticker, deadlines and index feed.
Half of the timers are contact deadlines (the job leaves the friend and four others are asked),
half are ends of offers (the next nearest four are asked). Writes benchmarks/results/timers.json and
the section "Deadlines" of benchmarks/report.md.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

from benchmarks import sections, stage
from benchmarks.stage import Stage, progress
from benchmarks.world import population
from data import sql_loader
from data.database import Database
from data.postgres import layout
from data.settings import Settings
from dispatch.flows.bootstrap import open_runtime
from scheduler import deadlines, index_feed
from scheduler.deadlines import Deadlines
from scheduler.index_feed import IndexFeed
from scheduler.ticker import Ticker

SWEEPERS = 2
CONTACT_WITHIN, OFFER_LIFE = timedelta(hours=12), timedelta(hours=1)
KINDS = {"awarded": CONTACT_WITHIN, "waiting": OFFER_LIFE}
LOOK_EVERY_S = 1.0
LONGEST_S = 600.0
WRITTEN_A_SECOND = 2_500
READY = "ready\n"

history = sql_loader.load("history", folder=stage.SQL)
timer_sql = sql_loader.load("timers", folder=stage.SQL)


def main() -> None:
    words = _parse_arguments()
    if words.sweep:
        _run(_sweep(words.sweep, Path(words.folder)))
        return
    started, machine = time.monotonic(), sections.machine()
    found = {
        "at_once": _measure(words, "at once", words.due, None),
        "steady": _measure(words, "steady", int(words.rate * words.seconds), words.rate),
    }
    took_s = time.monotonic() - started
    result = {"machine": machine, "took_s": took_s, "sweepers": SWEEPERS}
    sections.save(words.quick, "timers", {**result, "friends": words.friends, **found})
    progress(f"{took_s:.0f} s")


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few timers, under a minute")
    parser.add_argument("--friends", type=int)
    parser.add_argument("--due", type=int, help="timers due at once")
    parser.add_argument("--rate", type=float, help="timers due a second in steady state")
    parser.add_argument("--seconds", type=float, help="of steady state")
    parser.add_argument("--sweep", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    words = parser.parse_args()
    usual = (10_000, 2_000, 200.0, 5.0) if words.quick else (200_000, 100_000, 1_000.0, 30.0)
    for name, value in zip(("friends", "due", "rate", "seconds"), usual, strict=True):
        setattr(words, name, getattr(words, name) or value)
    return words


def _run(work: Any) -> Any:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def _measure(words: argparse.Namespace, name: str, count: int, rate: float | None) -> Any:
    with stage.open_stage() as made:
        crowd = population(words.friends, np.random.default_rng(words.friends))
        _run(stage.insert_friends(made, stage.make_all_available(crowd)))
        with ExitStack() as stack:
            pids = [stack.enter_context(_sweeper(made, n)) for n in range(SWEEPERS)]
            return _run(
                _watch(made, name, count, rate, lambda: sum(stage.cpu_s(pid) for pid in pids))
            )


@contextmanager
def _sweeper(made: Stage, number: int) -> Iterator[int]:
    """A sweeper process that has read all friends and ticks; yields its pid."""
    log = made.folder / f"sweeper-{number}.log"
    words = ["-m", "benchmarks.timers", "--sweep", made.database().service_dsn]
    with stage.run_process([*words, "--folder", str(made.folder)], {}, log) as pid:
        stage.wait_until(lambda: READY in log.read_text(), pid, log)
        yield pid


async def _sweep(dsn: str, folder: Path) -> None:
    """What a worker does about deadlines, and nothing else, until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    database = Database(owner_dsn=dsn, service_dsn=dsn, service_role="tekkie_service")
    async with open_runtime(Settings(data_dir=folder), database, application="sweeper") as rt:
        gc.freeze()  # as every process of the product does
        ticker = Ticker()
        clockwork = Deadlines(rt, sooner=lambda in_s: ticker.sooner("deadlines", in_s))
        feed = IndexFeed(rt, None)
        ticker.every(deadlines.EVERY_S, "deadlines", clockwork.tick)
        ticker.every(index_feed.EVERY_S, "feed", feed.follow)
        ticker.start()
        print(READY, end="", flush=True)
        await stop.wait()
        await ticker.stop(5.0)


async def _watch(
    made: Stage, name: str, count: int, rate: float | None, sweepers_s: Callable[[], float]
) -> dict[str, Any]:
    """Write the timers while nobody may see them yet, then watch them go."""
    async with made.owner(role=layout.ADMIN) as owner:
        lead_s = 10.0 + count / WRITTEN_A_SECOND
        begun = await owner.fetchval(timer_sql.now) + timedelta(seconds=lead_s)
        await _insert_timers(owner, count, rate, begun)
        late = (await owner.fetchval(timer_sql.now)) - begun
        if late > timedelta(0):
            progress(f"{name}: the timers were written {late.total_seconds():.1f} s late")
        used = made.database_cpu_s(), sweepers_s()
        left, curve = count, list[tuple[float, int]]()
        give_up_at = time.monotonic() + lead_s + LONGEST_S
        while left and time.monotonic() < give_up_at:
            await asyncio.sleep(LOOK_EVERY_S)
            now, left = await owner.fetchrow(timer_sql.left)
            curve.append(((now - begun).total_seconds(), left))
        cpu_us = {
            "database_cpu_us": (made.database_cpu_s() - used[0]) / count * 1e6,
            "sweepers_cpu_us": (sweepers_s() - used[1]) / count * 1e6,
        }
        return await _read_figures(owner, name, count, curve) | cpu_us


async def _insert_timers(owner: Any, count: int, rate: float | None, begun: datetime) -> None:
    await owner.execute(history.disable_triggers)
    await owner.execute(history.ids)
    await owner.execute(history.prepare)
    half = count // 2
    for part, (stage_name, ahead) in enumerate(KINDS.items()):
        first = part * half
        step = timedelta(0) if rate is None else timedelta(seconds=len(KINDS) / rate)
        await owner.execute(history.forget_plan)
        origin = begun - ahead - first * step
        await owner.execute(history.plan, first, first + half - 1, origin, step)
        await owner.execute(f"{history.customers}; {history.blocks[stage_name]}")
    await owner.execute(timer_sql.remember)


async def _read_figures(
    owner: Any, name: str, count: int, curve: list[tuple[float, int]]
) -> dict[str, Any]:
    once = dict(await owner.fetchrow(timer_sql.once))
    lateness = [row["late_s"] for row in await owner.fetch(timer_sql.lateness)]
    p50, p99 = np.percentile(lateness, (50, 99))
    took_s = max(lateness) if name == "at once" else curve[-1][0]
    progress(
        f"{name}: {count:,} timers, all acted on {took_s:.1f} s after they began to be due; "
        f"lateness p50 {p50:.2f} s, p99 {p99:.2f} s; {once}"
    )
    if once["acted"] != count or once["twice"] or once["never"]:
        raise AssertionError(f"{name}: {count} were due, the tables say {once}")
    return {
        "due": count,
        "took_s": took_s,
        "late_p50_s": float(p50),
        "late_p99_s": float(p99),
        "late_max_s": float(max(lateness)),
        "curve": curve,
        **once,
    }


if __name__ == "__main__":
    main()
