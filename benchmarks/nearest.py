"""Filtered nearest four: every design on the same worlds, each in its own process.

    python -m benchmarks.nearest [--quick] [--sizes 1000,100000] [--designs Tekkie,CubeKnn]

Writes benchmarks/results/nearest.json and the section "Nearest" of benchmarks/report.md; with
--quick it only prints. Fails when a design breaks or a list of ours is wrong.
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
    words = _words()
    if words.run:
        print(json.dumps(_measure(words.run, Path(words.world), words.seconds)))
        return
    rows: list[dict[str, Any]] = []
    for size in words.sizes:
        with TemporaryDirectory(prefix="nearest") as folder:
            _make_world(Path(folder), size, words.queries)
            for name in words.designs:
                row = {"design": name, "friends": size, "what": DESIGNS[name].__doc__}
                row |= _in_own_process(name, folder, words.seconds)
                rows.append(row)
                print(report.line(row), flush=True)
    if not words.quick:
        report.save("nearest", {"machine": report.machine(), "rows": rows})
    ours = [row for row in rows if row["design"] == "Tekkie"]
    wrong = any(row.get("wrong") or row.get("batch", {}).get("wrong") for row in ours)
    sys.exit(wrong or any(row.get("failed") for row in rows))


def _words() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two sizes, printed only")
    parser.add_argument("--sizes", help="numbers of friends, separated by commas")
    parser.add_argument("--designs", help=", ".join(DESIGNS), default=",".join(DESIGNS))
    parser.add_argument("--seconds", type=float, help="of measuring per certificate")
    parser.add_argument("--run", choices=DESIGNS, help=argparse.SUPPRESS)
    parser.add_argument("--world", help=argparse.SUPPRESS)
    words = parser.parse_args()
    sizes = QUICK_SIZES if words.quick else SIZES
    words.sizes = [int(n) for n in words.sizes.split(",")] if words.sizes else sizes
    words.designs = words.designs.split(",")
    words.queries = QUICK_QUERIES if words.quick else QUERIES
    words.seconds = words.seconds or (QUICK_SECONDS if words.quick else SECONDS)
    return words


def _make_world(folder: Path, size: int, count: int) -> None:
    friends = population(size, np.random.default_rng(size))
    asked = queries(friends, count, np.random.default_rng(size + 1))
    answers = [truth(friends, query) for query in asked]
    friends.save(folder / "friends.npz")
    changed = list(changes(friends, CHANGES, np.random.default_rng(size + 2)))
    again = asked[:: max(1, len(asked) // CHECKED_AGAIN)]
    later = [truth(friends, query) for query in again]
    (folder / "rest").write_bytes(pickle.dumps((asked, answers, changed, again, later)))


def _in_own_process(name: str, folder: str, seconds: float) -> dict[str, Any]:
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
    before, started, worked = _resident(), time.perf_counter(), time.process_time()
    try:
        design.build()
    except designs.Absent as error:
        return {"skipped": str(error)}
    built_s, worked_s = time.perf_counter() - started, time.process_time() - worked
    size = design.bytes() if hasattr(design, "bytes") else _resident() - before
    gc.freeze()
    row = {"build_s": built_s, "build_cpu_s": worked_s, "bytes": size, "asked": len(asked)}
    row["wrong"] = _wrong(design, asked, answers)
    row["classes"] = _classes(design, asked, seconds)
    if hasattr(design, "batch"):
        row["batch"] = _batches(design, asked, answers, seconds)
    if hasattr(design, "move"):
        row |= _change(design, changed)
        row["checked_again"], row["wrong_later"] = len(again), _wrong(design, again, later)
    if hasattr(design, "close"):
        design.close()
    return row


def _wrong(design: Any, asked: list[Any], answers: list[list[int]]) -> int:
    wrong = 0
    for query, answer in zip(asked, answers, strict=True):
        wrong += design.rows(_now(design, design.question(query)())) != answer
    return wrong


def _classes(design: Any, asked: list[Any], seconds: float) -> dict[str, dict[str, float]]:
    by_class = defaultdict(list)
    for query in asked:
        by_class[query.certificate].append(design.question(query))
    found = {}
    for label, certificate in ASKED.items():
        rounds = [_timed(design, by_class[certificate], seconds / ROUNDS) for _ in range(ROUNDS)]
        found[label] = {
            "p50_us": statistics.median(np.percentile(r, 50) for r in rounds) / 1e3,
            "p99_us": statistics.median(np.percentile(r, 99) for r in rounds) / 1e3,
            "mean_us": statistics.median(np.mean(r) for r in rounds) / 1e3,
        }
    return found


def _batches(
    design: Any, asked: list[Any], answers: list[list[int]], seconds: float
) -> dict[str, float]:
    """Questions for all certificates, so many at once: the time of each, and the wrong lists."""
    mixed = np.random.default_rng(BATCH).permutation(len(asked))
    batches = [mixed[at : at + BATCH] for at in range(0, len(mixed) - BATCH + 1, BATCH)]
    asks = [design.batch([asked[row] for row in batch]) for batch in batches]
    wrong = 0
    for ask, batch in zip(asks, batches, strict=True):
        for answer, row in zip(ask(), batch, strict=True):
            wrong += design.rows(answer) != answers[row]
    rounds = [_timed(design, asks, seconds / ROUNDS) for _ in range(ROUNDS)]
    p50_us = statistics.median(np.percentile(r, 50) for r in rounds) / 1e3
    return {"size": BATCH, "p50_us": p50_us / BATCH, "wrong": wrong}


def _timed(design: Any, asks: list[Callable[[], Any]], seconds: float) -> list[int]:
    """Nanoseconds of each call, the questions in turn until time is up."""
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


def _change(design: Any, changed: list[dict[str, Any]]) -> dict[str, float]:
    taken = defaultdict(list)
    for change in changed:
        words = dict(change)
        verb = words.pop("verb")
        act = getattr(design, verb)(**words)
        start = time.perf_counter_ns()
        _now(design, act())
        taken[verb].append(time.perf_counter_ns() - start)
    return {f"{verb}_us": statistics.median(times) / 1e3 for verb, times in taken.items()}


def _now(design: Any, answer: Any) -> Any:
    return design.run(answer) if inspect.isawaitable(answer) else answer


def _resident() -> int:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
