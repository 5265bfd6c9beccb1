"""Event streams: 10,000 phones in one process, and how soon each hears of its offer and its end.

    python -m benchmarks.live [--streams 10000] [--rate 200] [--seconds 20]

Every friend of a world listens. Customers book at a steady rate over HTTP; the first phone that
rings accepts, and the other three must stop ringing. The server, its PostgreSQL and the load are
processes of their own. Latency is the time of arrival less the moment PostgreSQL gave the event,
before it was written: deciding, writing and committing are in it. Writes
benchmarks/results/live.json and the section "Live" of benchmarks/report.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import pickle
import resource
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

import numpy as np
import psutil
import uvloop

from benchmarks import customers, report, stage
from benchmarks.load import request
from benchmarks.world import population
from data import queries

STREAMS, RATE, SECONDS = 10_000, 200.0, 20.0
OPEN_AT_ONCE = 100
LANES = 64
SETTLE_S = 3.0
LISTENERS_END_WITHIN_S = 300.0
WARM_UP_BOOKINGS = 200
GOAL_BYTES, GOAL_P99_MS = 40_000, 100.0
DUE_OFFERS = 4

checks = queries.load("checks", folder=stage.SQL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Who listens and what is booked."""

    port: int
    pid: int
    tokens: Sequence[str]
    bookings: Sequence[bytes]
    rate: float


@dataclass(slots=True, kw_only=True)
class Heard:
    """What came of it; latencies in milliseconds."""

    bytes_a_stream: float = 0.0
    opened_s: float = 0.0
    booked: int = 0
    accepted: int = 0
    refused: Counter[int] = field(default_factory=Counter)
    offers_ms: list[float] = field(default_factory=list)
    gone_ms: list[float] = field(default_factory=list)
    elapsed_s: float = 0.0
    server_cpu_s: float = 0.0
    load_cpu_s: float = 0.0


def main() -> None:
    words = _words()
    _many_files()
    world = stage.everybody_willing(population(words.streams, np.random.default_rng(1)))
    with stage.stage() as made:
        tokens = [f"ts_{number:064}" for number in range(words.streams)]
        count = int(words.rate * words.seconds) + WARM_UP_BOOKINGS
        sites = asyncio.run(_furnish(made, world, tokens, count))
        stage.say(f"{words.streams:,} friends, {len(sites):,} bookings to make")
        bodies = [customers.body(site, number) for number, site in enumerate(sites)]
        posts = [request("POST", "/v1/bookings", body) for body in bodies]
        with stage.tekkie(made, "--api-only") as (pid, port):
            plan = Plan(port=port, pid=pid, tokens=tokens, bookings=posts, rate=words.rate)
            heard = _in_a_process(plan)
    result = _result(words, heard)
    stage.say(json.dumps(result["figures"], indent=1))
    report.SECTIONS["live"] = section
    report.save("live", result)


async def _furnish(made: stage.Stage, world: Any, tokens: Sequence[str], count: int) -> Any:
    await stage.people_the(made, world)
    async with made.owner() as owner:
        await owner.execute(
            checks.grant_sessions,
            [sha256(token.encode()).digest() for token in tokens],
            [stage.friend_id(row) for row in range(len(tokens))],
        )
    async with stage.runtime(made) as rt:
        return customers.sites(rt, count, seed=3)


def _in_a_process(plan: Plan) -> Heard:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.live", "--listen"],
        input=pickle.dumps(plan),
        stdout=subprocess.PIPE,
        check=True,
        timeout=LISTENERS_END_WITHIN_S,
    )
    heard = pickle.loads(done.stdout)
    assert isinstance(heard, Heard)
    return heard


class Phone(asyncio.Protocol):
    """One open stream."""

    def __init__(self, street: Street, token: str) -> None:
        self.street = street
        self.token = token
        self._rest = b""

    def connection_made(self, transport: Any) -> None:
        transport.write(request("GET", "/v1/live", token=self.token))

    def data_received(self, data: bytes) -> None:
        now = time.time()
        frames = (self._rest + data).split(b"\n\n")
        self._rest = frames.pop()
        for frame in frames:
            if b"event: offer." in frame:
                said = json.loads(frame[frame.index(b"data: ") + 6 :].split(b"\n")[0])
                self.street.heard(self, said, now)
            elif b"event: ready" in frame:
                self.street.ready.release()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.street.over:
            self.street.broken += 1


class Till(asyncio.Protocol):
    """One kept connection that books and accepts."""

    def __init__(self, street: Street) -> None:
        self.street = street
        self._heard = bytearray()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        heard = self._heard
        heard += data
        end = heard.find(b"\r\n\r\n")
        if end < 0:
            return
        at = heard.lower().find(b"content-length:", 0, end)
        if len(heard) >= end + 4 + int(heard[at + 15 : heard.find(b"\r\n", at)]):
            status = int(heard[9:12])
            self._heard = bytearray()
            self.street.answered(self, status)


class Street:
    """All phones of a town, and the customers."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.heard_all = Heard()
        self.ready = asyncio.Semaphore(0)
        self.measuring = self.over = False
        self.broken = 0
        self._rung: set[str] = set()
        self._idle: list[Till] = []
        self._due: deque[bytes] = deque()

    async def live(self) -> Heard:
        plan, told = self.plan, self.heard_all
        server = psutil.Process(plan.pid)
        await self._man_tills()
        await self._book(plan.bookings[:WARM_UP_BOOKINGS])
        await asyncio.sleep(SETTLE_S)
        before, begun = server.memory_info().rss, time.monotonic()
        await self._open_all()
        told.opened_s = time.monotonic() - begun
        await asyncio.sleep(SETTLE_S)
        told.bytes_a_stream = (server.memory_info().rss - before) / len(plan.tokens)
        await self._man_tills()
        server_cpu, load_cpu = _cpu_s(plan.pid), _cpu_s()
        self.measuring, begun = True, time.monotonic()
        await self._book(plan.bookings[WARM_UP_BOOKINGS:])
        told.elapsed_s = time.monotonic() - begun
        await asyncio.sleep(SETTLE_S)
        told.server_cpu_s = _cpu_s(plan.pid) - server_cpu
        told.load_cpu_s = _cpu_s() - load_cpu
        self.over = True
        if self.broken:
            raise RuntimeError(f"{self.broken} streams broke")
        return told

    async def _man_tills(self) -> None:
        """Connect anew: the server hangs up on whoever has been silent for five seconds."""
        loop = asyncio.get_running_loop()
        self._idle.clear()
        for _ in range(LANES):
            _, till = await loop.create_connection(lambda: Till(self), "127.0.0.1", self.plan.port)
            self._idle.append(till)

    async def _open_all(self) -> None:
        loop, tokens = asyncio.get_running_loop(), self.plan.tokens
        for start in range(0, len(tokens), OPEN_AT_ONCE):
            some = tokens[start : start + OPEN_AT_ONCE]
            for token in some:
                await loop.create_connection(
                    lambda token=token: Phone(self, token),  # type: ignore[misc]
                    "127.0.0.1",
                    self.plan.port,
                )
            for _ in some:
                await self.ready.acquire()

    async def _book(self, posts: Sequence[bytes]) -> None:
        begun = time.monotonic()
        for number, post in enumerate(posts):
            if (ahead_s := begun + number / self.plan.rate - time.monotonic()) > 0:
                await asyncio.sleep(ahead_s)
            self._send(post)

    def _send(self, words: bytes) -> None:
        if self._idle:
            self._idle.pop().transport.write(words)
        else:
            self._due.append(words)

    def answered(self, till: Till, status: int) -> None:
        if status == 201:
            self.heard_all.booked += self.measuring
        elif status == 200:
            self.heard_all.accepted += self.measuring
        else:
            self.heard_all.refused[status] += 1
        if self._due:
            till.transport.write(self._due.popleft())
        else:
            self._idle.append(till)

    def heard(self, phone: Phone, said: dict[str, Any], now: float) -> None:
        taken_ms = (now - datetime.fromisoformat(said["at"]).timestamp()) * 1000
        if said["kind"] == "offer.gone":
            self.heard_all.gone_ms.append(taken_ms)
            return
        self.heard_all.offers_ms.append(taken_ms)
        if said["booking_id"] not in self._rung:
            self._rung.add(said["booking_id"])
            offer = said["data"]["offer"]["id"]
            self._send(request("POST", f"/v1/offers/{offer}/accept", token=phone.token))


def _cpu_s(pid: int | None = None) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _result(words: argparse.Namespace, heard: Heard) -> dict[str, Any]:
    offers, gone = np.array(heard.offers_ms), np.array(heard.gone_ms)
    return {
        "machine": report.machine(),
        "asked": {"streams": words.streams, "rate": words.rate, "seconds": words.seconds},
        "goals": {"bytes_a_stream": GOAL_BYTES, "p99_ms": GOAL_P99_MS},
        "figures": {
            "bytes_a_stream": round(heard.bytes_a_stream),
            "opened_s": round(heard.opened_s, 1),
            "booked": heard.booked,
            "accepted": heard.accepted,
            "refused": {str(status): n for status, n in heard.refused.items()},
            "bookings_a_second": round(heard.booked / heard.elapsed_s, 1),
            "offers_heard": len(offers),
            "offers_due": DUE_OFFERS * heard.booked,
            "gone_heard": len(gone),
            "gone_due": (DUE_OFFERS - 1) * heard.accepted,
            "offer_ms": _quantiles(offers),
            "gone_ms": _quantiles(gone),
            "server_cpu": round(heard.server_cpu_s / (heard.elapsed_s + SETTLE_S), 2),
            "load_cpu": round(heard.load_cpu_s / (heard.elapsed_s + SETTLE_S), 2),
        },
    }


def _quantiles(taken_ms: Any) -> dict[str, float]:
    names = {"p50": 50, "p95": 95, "p99": 99, "max": 100}
    return {name: round(float(np.percentile(taken_ms, q)), 1) for name, q in names.items()}


def section(result: dict[str, Any]) -> str:
    """The section of the report."""
    figures, asked = result["figures"], result["asked"]
    rows = [
        (
            "memory of one stream in the server",
            f"{figures['bytes_a_stream'] / 1000:.1f} kB",
            "≤ 40 kB",
        ),
        *(
            (
                f"{what}, from the event's moment to the phone (p50 / p99 / max)",
                " / ".join(f"{figures[key][q]:.0f}" for q in ("p50", "p99", "max")) + " ms",
                "p99 ≤ 100 ms",
            )
            for what, key in (("an offer", "offer_ms"), ("its end", "gone_ms"))
        ),
        (
            "offers heard of those made",
            f"{figures['offers_heard']:,} of {figures['offers_due']:,}",
            "all",
        ),
        ("ends heard of those due", f"{figures['gone_heard']:,} of {figures['gone_due']:,}", "all"),
        (
            "processor of the server, of the load",
            f"{figures['server_cpu']} and {figures['load_cpu']} cores",
            "",
        ),
    ]
    return "\n".join(
        [
            "## Live",
            "",
            f"{asked['streams']:,} open streams in one process, {asked['rate']:.0f} bookings a "
            f"second for {asked['seconds']:.0f} s, each accepted by the first phone that rings. "
            f"Load of the machine before: {result['machine']['load_1min']}.",
            "",
            "| what | measured | goal |",
            "|---|---|---|",
            *(f"| {' | '.join(row)} |" for row in rows),
        ]
    )


def _words() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=STREAMS)
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    return parser.parse_args()


def _many_files() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def listen() -> None:
    """The process of the phones and customers."""
    _many_files()
    plan = pickle.load(sys.stdin.buffer)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        heard = runner.run(Street(plan).live())
    sys.stdout.buffer.write(pickle.dumps(heard))


if __name__ == "__main__":
    # A pickle names classes by their module: this one, not __main__.
    from benchmarks import live

    live.listen() if "--listen" in sys.argv else live.main()
