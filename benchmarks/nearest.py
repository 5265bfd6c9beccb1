"""Filtered nearest four: every design on the same worlds, each in a separate process.

    python -m benchmarks.nearest [--quick] [--sizes 1000,100000] [--designs Tekkie,CubeKnn]

Writes benchmarks/results/nearest.json and the section "Nearest" of benchmarks/report.md; with
--quick it only prints. Fails when a design fails or a list of tekkie's is wrong.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import inspect
import json
import os
import pickle
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks import designs, report, servers
from benchmarks.world import ASKED, Population, changes, population, queries, truth

SIZES = (1_000, 10_000, 100_000, 1_000_000)
QUICK_SIZES = (1_000, 100_000)
QUERIES, QUICK_QUERIES = 200, 60
SECONDS, QUICK_SECONDS = 1.0, 0.25
ROUNDS = 3
CHANGES = 600
CHECKED_AGAIN = 90
BATCH = 32
DESIGNS = {
    cls.__name__: cls
    for cls in (
        designs.Tekkie,
        designs.PlainRtree,
        designs.ShapelyStrtree,
        designs.ScipyCkdtree,
        designs.SqliteRtree,
        servers.CubeKnn,
        servers.PostgisKnn,
        servers.RedisGeosearch,
    )
}


def main() -> None:
    arguments = _parse_arguments()
    if arguments.run:
        print(json.dumps(_measure(arguments.run, Path(arguments.world), arguments.seconds)))
        return
    rows: list[dict[str, Any]] = []
    for size in arguments.sizes:
        with TemporaryDirectory(prefix="nearest") as folder:
            _write_world(Path(folder), size, arguments.queries)
            for name in arguments.designs:
                row = {"design": name, "friends": size, "what": DESIGNS[name].__doc__}
                row |= _run_in_process(name, folder, arguments.seconds)
                rows.append(row)
                print(report.line(row), flush=True)
    if not arguments.quick:
        report.save("nearest", {"machine": report.machine(), "rows": rows})
    ours = [row for row in rows if row["design"] == "Tekkie"]
    wrong = any(row.get("wrong") or row.get("batch", {}).get("wrong") for row in ours)
    sys.exit(wrong or any(row.get("failed") for row in rows))


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two sizes, printed only")
    parser.add_argument("--sizes", help="numbers of friends, separated by commas")
    parser.add_argument("--designs", help=", ".join(DESIGNS), default=",".join(DESIGNS))
    parser.add_argument("--seconds", type=float, help="of measuring per certificate")
    parser.add_argument("--run", choices=DESIGNS, help=argparse.SUPPRESS)
    parser.add_argument("--world", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sizes = QUICK_SIZES if arguments.quick else SIZES
    arguments.sizes = [int(n) for n in arguments.sizes.split(",")] if arguments.sizes else sizes
    arguments.designs = arguments.designs.split(",")
    arguments.queries = QUICK_QUERIES if arguments.quick else QUERIES
    arguments.seconds = arguments.seconds or (QUICK_SECONDS if arguments.quick else SECONDS)
    return arguments


def _write_world(folder: Path, size: int, count: int) -> None:
    friends = population(size, np.random.default_rng(size))
    asked = queries(friends, count, np.random.default_rng(size + 1))
    answers = [truth(friends, query) for query in asked]
    friends.save(folder / "friends.npz")
    changed = list(changes(friends, CHANGES, np.random.default_rng(size + 2)))
    again = asked[:: max(1, len(asked) // CHECKED_AGAIN)]
    later = [truth(friends, query) for query in again]
    (folder / "rest").write_bytes(pickle.dumps((asked, answers, changed, again, later)))


def _run_in_process(name: str, folder: str, seconds: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.nearest", "--run", name, "--world", folder]
    done = subprocess.run(
        [*command, "--seconds", str(seconds)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return {"skipped": f"FAILED: {done.stderr.strip()[-300:]}", "failed": True}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _measure(name: str, folder: Path, seconds: float) -> dict[str, Any]:
    asked, answers, changed, again, later = pickle.loads((folder / "rest").read_bytes())
    design = DESIGNS[name](Population.read(folder / "friends.npz"))
    before, started, worked = _resident_bytes(), time.perf_counter(), time.process_time()
    try:
        design.build()
    except designs.NotInstalled as error:
        return {"skipped": str(error)}
    built_s, worked_s = time.perf_counter() - started, time.process_time() - worked
    size = design.bytes() if hasattr(design, "bytes") else _resident_bytes() - before
    gc.freeze()
    row = {"build_s": built_s, "build_cpu_s": worked_s, "bytes": size, "asked": len(asked)}
    row["wrong"] = _count_wrong(design, asked, answers)
    row["classes"] = _measure_classes(design, asked, seconds)
    if hasattr(design, "batch"):
        row["batch"] = _measure_batches(design, asked, answers, seconds)
    if hasattr(design, "move"):
        row |= _measure_changes(design, changed)
        row["checked_again"], row["wrong_later"] = len(again), _count_wrong(design, again, later)
    if hasattr(design, "close"):
        design.close()
    return row


def _count_wrong(design: Any, asked: list[Any], answers: list[list[int]]) -> int:
    wrong = 0
    for query, answer in zip(asked, answers, strict=True):
        wrong += design.rows(_await_if_needed(design, design.question(query)())) != answer
    return wrong


def _measure_classes(design: Any, asked: list[Any], seconds: float) -> dict[str, dict[str, float]]:
    by_class = defaultdict(list)
    for query in asked:
        by_class[query.certificate].append(design.question(query))
    found = {}
    for label, certificate in ASKED.items():
        rounds = [
            _time_calls(design, by_class[certificate], seconds / ROUNDS) for _ in range(ROUNDS)
        ]
        found[label] = {
            "p50_us": statistics.median(np.percentile(r, 50) for r in rounds) / 1e3,
            "p99_us": statistics.median(np.percentile(r, 99) for r in rounds) / 1e3,
            "mean_us": statistics.median(np.mean(r) for r in rounds) / 1e3,
        }
    return found


def _measure_batches(
    design: Any, asked: list[Any], answers: list[list[int]], seconds: float
) -> dict[str, float]:
    """Queries for all certificates, BATCH at once: the time of each, and the wrong lists."""
    mixed = np.random.default_rng(BATCH).permutation(len(asked))
    batches = [mixed[at : at + BATCH] for at in range(0, len(mixed) - BATCH + 1, BATCH)]
    asks = [design.batch([asked[row] for row in batch]) for batch in batches]
    wrong = 0
    for ask, batch in zip(asks, batches, strict=True):
        for answer, row in zip(ask(), batch, strict=True):
            wrong += design.rows(answer) != answers[row]
    rounds = [_time_calls(design, asks, seconds / ROUNDS) for _ in range(ROUNDS)]
    p50_us = statistics.median(np.percentile(r, 50) for r in rounds) / 1e3
    return {"size": BATCH, "p50_us": p50_us / BATCH, "wrong": wrong}


def _time_calls(design: Any, asks: list[Callable[[], Any]], seconds: float) -> list[int]:
    """Nanoseconds of each call, cycling through the queries until time is up."""
    clock, taken = time.perf_counter_ns, list[int]()
    until = clock() + int(seconds * 1e9)

    def in_memory() -> None:
        for ask in cycle(asks):
            start = clock()
            ask()
            taken.append(clock() - start)
            if start > until:
                return

    async def by_server() -> None:
        for ask in cycle(asks):
            start = clock()
            await ask()
            taken.append(clock() - start)
            if start > until:
                return

    if hasattr(design, "run"):
        design.run(by_server())
    else:
        in_memory()
    return taken


def _measure_changes(design: Any, changed: list[dict[str, Any]]) -> dict[str, float]:
    taken = defaultdict(list)
    for change in changed:
        arguments = dict(change)
        verb = arguments.pop("verb")
        act = getattr(design, verb)(**arguments)
        start = time.perf_counter_ns()
        _await_if_needed(design, act())
        taken[verb].append(time.perf_counter_ns() - start)
    return {f"{verb}_us": statistics.median(times) / 1e3 for verb, times in taken.items()}


def _await_if_needed(design: Any, answer: Any) -> Any:
    return design.run(answer) if inspect.isawaitable(answer) else answer


def _resident_bytes() -> int:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
