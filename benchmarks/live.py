"""Event streams: 10,000 phones in one process, and how soon each hears of its offer and its end.

    python -m benchmarks.live [--quick] [--streams 10000] [--rate 200] [--seconds 20]

Every friend of a world listens. Customers book at a steady rate over HTTP; the friend whose phone
rings first accepts within two seconds, and the other three must stop ringing. The server, its
PostgreSQL and the load are processes of their own. Latency is the time of arrival less the moment
PostgreSQL gave the event, before it was written: deciding, writing and committing are in it. Writes
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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import psutil
import uvloop

from benchmarks import customers, sections, stage
from benchmarks.load import request
from benchmarks.world import population
from data import sql_loader

WHOLE, QUICK = (10_000, 200.0, 20.0), (2_000, 100.0, 5.0)
OPEN_AT_ONCE = 64
LANES = 64
SETTLE_S, AGAIN_S = 3.0, 0.5
ACCEPTS_AFTER_S = (0.2, 2.0)
ANSWERS_WITHIN_S = 120.0
LISTENERS_END_WITHIN_S = 400.0
WARM_UP_BOOKINGS, WARM_UP_RATE = 200, 100.0
GOAL_BYTES, GOAL_P99_MS = 40_000, 100.0
Arrival = tuple[str, float, float]

checks = sql_loader.load("checks", folder=stage.SQL)
sql = sql_loader.load("live", folder=stage.SQL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Who listens and what is booked."""

    port: int
    pid: int
    cluster: Path
    tokens: Sequence[str]
    bookings: Sequence[bytes]
    rate: float
    result: Path


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
    offers_after_ms: list[float] = field(default_factory=list)
    gone_after_ms: list[float] = field(default_factory=list)
    began_at: float = 0.0
    elapsed_s: float = 0.0
    server_cpu_s: float = 0.0
    database_cpu_s: float = 0.0
    load_cpu_s: float = 0.0

    def cores(self, spent_s: float) -> float:
        """Processor seconds as a share of the time that was measured."""
        return round(spent_s / (self.elapsed_s + SETTLE_S), 2)


def main() -> None:
    words = _words()
    _many_files()
    machine = sections.machine()
    world = stage.everybody_willing(population(words.streams, np.random.default_rng(1)))
    with stage.stage() as made:
        tokens = [f"ts_{number:064}" for number in range(words.streams)]
        count = int(words.rate * words.seconds) + WARM_UP_BOOKINGS
        sites = asyncio.run(_furnish(made, world, tokens, count))
        stage.say(f"{words.streams:,} friends, {len(sites):,} bookings to make")
        bodies = [customers.body(site, number) for number, site in enumerate(sites)]
        posts = [request("POST", "/v1/bookings", body) for body in bodies]
        with stage.tekkie(made, "--api-only") as (pid, port):
            plan = Plan(
                port=port,
                pid=pid,
                cluster=made.folder / "postgres",
                tokens=tokens,
                bookings=posts,
                rate=words.rate,
                result=made.folder / "heard",
            )
            try:
                heard = _in_a_process(plan)
            except subprocess.SubprocessError:
                stage.say((made.folder / "server.log").read_text()[-3000:])
                raise
        due = asyncio.run(_due(made, heard))
    result = _result(words, machine, heard, due)
    stage.say(json.dumps(result["figures"], indent=1))
    sections.save(words.quick, "live", result)


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


async def _due(made: stage.Stage, heard: Heard) -> dict[str, int]:
    async with made.owner() as owner:
        row = await owner.fetchrow(sql.due, datetime.fromtimestamp(heard.began_at, UTC))
        assert row is not None
        return dict(row)


def _in_a_process(plan: Plan) -> Heard:
    subprocess.run(
        [sys.executable, "-m", "benchmarks.live", "--listen"],
        input=pickle.dumps(plan),
        check=True,
        timeout=LISTENERS_END_WITHIN_S,
    )
    heard = pickle.loads(plan.result.read_bytes())
    assert isinstance(heard, Heard)
    return heard


class Phone(asyncio.Protocol):
    """One open stream."""

    def __init__(self, street: Street, token: str) -> None:
        self.street = street
        self.token = token
        self._rest = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._ask()

    def _ask(self) -> None:
        self.transport.write(request("GET", "/v1/live", token=self.token))

    def data_received(self, data: bytes) -> None:
        now = time.time()
        if data.startswith(b"HTTP/1.1 503"):
            # Too many at once, says the server: knock again on the same connection.
            asyncio.get_running_loop().call_later(AGAIN_S, self._ask)
            return
        if data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 200"):
            self.street.refused(data)
        frames = (self._rest + data).split(b"\n\n")
        self._rest = frames.pop()
        for frame in frames:
            if b"event: offer." in frame:
                said = json.loads(frame[frame.index(b"data: ") + 6 :].split(b"\n")[0])
                self.street.heard(self, said, now)
            elif b"event: ready" in frame:
                self.street.ready.release()

    def connection_lost(self, exc: Exception | None) -> None:
        self.street.hung_up()


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
            status, body = int(heard[9:12]), bytes(heard[end + 4 :])
            self._heard = bytearray()
            self.street.answered(self, status, body, time.time())

    def connection_lost(self, exc: Exception | None) -> None:
        self.street.replace(self)


class Street:
    """All phones of a town, and the customers."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.told = Heard()
        self.ready = asyncio.Semaphore(0)
        self.measuring = self.over = False
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.quiet = asyncio.Event()
        self._chance = Random(1)
        self._open = 0
        self._rung: set[str] = set()
        self._offered: list[Arrival] = []
        self._gone: list[Arrival] = []
        self._booked_at: dict[str, float] = {}
        self._accepted_at: dict[str, float] = {}
        self._idle: list[Till] = []
        self._manning: list[asyncio.Task[None]] = []
        self._due: deque[bytes] = deque()

    async def live(self) -> Heard:
        plan, told = self.plan, self.told
        server = psutil.Process(plan.pid)
        await self._man(LANES)
        await self._book(plan.bookings[:WARM_UP_BOOKINGS], WARM_UP_RATE)
        await asyncio.sleep(SETTLE_S)
        before, begun = server.memory_info().rss, time.monotonic()
        await self._open_all()
        told.opened_s = time.monotonic() - begun
        await asyncio.sleep(SETTLE_S)
        told.bytes_a_stream = (server.memory_info().rss - before) / len(plan.tokens)
        server_cpu, load_cpu = _cpu_s(plan.pid), _cpu_s()
        database_cpu = stage.postmaster_cpu_s(plan.cluster)
        self._offered.clear()
        self._gone.clear()
        self.measuring, begun, told.began_at = True, time.monotonic(), time.time()
        await self._book(plan.bookings[WARM_UP_BOOKINGS:], plan.rate)
        told.elapsed_s = time.monotonic() - begun
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            await self.quiet.wait()
        await asyncio.sleep(SETTLE_S)
        told.server_cpu_s = _cpu_s(plan.pid) - server_cpu
        told.load_cpu_s = _cpu_s() - load_cpu
        told.database_cpu_s = stage.postmaster_cpu_s(plan.cluster) - database_cpu
        self.over = True
        self._sum_up()
        return told

    def hung_up(self) -> None:
        """A stream ended that should go on."""
        if not self.over:
            self.refused(b"a stream ended")

    def refused(self, answer: bytes) -> None:
        """Nothing that follows would mean anything."""
        sys.stderr.write(f"{answer.decode()}\n")
        if not self.broken.done():
            self.broken.set_result(None)

    async def _man(self, count: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(count):
            _, till = await loop.create_connection(lambda: Till(self), "127.0.0.1", self.plan.port)
            self._idle.append(till)

    def replace(self, till: Till) -> None:
        """The server hangs up on whoever has been silent for five seconds: connect anew."""
        if till in self._idle:
            self._idle.remove(till)
        if not self.over:
            self._manning.append(asyncio.create_task(self._man(1)))

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

    async def _book(self, posts: Sequence[bytes], rate: float) -> None:
        begun = time.monotonic()
        for number, post in enumerate(posts):
            if (ahead_s := begun + number / rate - time.monotonic()) > 0:
                await asyncio.sleep(ahead_s)
            self._send(post)

    def _send(self, words: bytes, in_s: float = 0.0) -> None:
        self._open += 1
        self.quiet.clear()
        if in_s:
            asyncio.get_running_loop().call_later(in_s, self._say, words)
        else:
            self._say(words)

    def _say(self, words: bytes) -> None:
        if self._idle:
            self._idle.pop().transport.write(words)
        else:
            self._due.append(words)

    def answered(self, till: Till, status: int, body: bytes, now: float) -> None:
        self._open -= 1
        if not self._open:
            self.quiet.set()
        if self._due:
            till.transport.write(self._due.popleft())
        else:
            self._idle.append(till)
        if status not in {200, 201}:
            self.told.refused[status] += 1
            return
        said = json.loads(body)
        if status == 201:
            self.told.booked += self.measuring
            self._booked_at[said["id"]] = now
        else:
            self.told.accepted += self.measuring
            self._accepted_at[said["booking_id"]] = now

    def heard(self, phone: Phone, said: dict[str, Any], now: float) -> None:
        booking = said["booking_id"]
        taken_ms = (now - datetime.fromisoformat(said["at"]).timestamp()) * 1000
        if said["kind"] == "offer.gone":
            self._gone.append((booking, now, taken_ms))
            return
        self._offered.append((booking, now, taken_ms))
        if booking not in self._rung:
            self._rung.add(booking)
            offer = said["data"]["offer"]["id"]
            accept = request("POST", f"/v1/offers/{offer}/accept", token=phone.token)
            self._send(accept, self._chance.uniform(*ACCEPTS_AFTER_S))

    def _sum_up(self) -> None:
        told = self.told
        told.offers_ms = [taken_ms for _, _, taken_ms in self._offered]
        told.gone_ms = [taken_ms for _, _, taken_ms in self._gone]
        told.offers_after_ms = _after(self._offered, self._booked_at)
        told.gone_after_ms = _after(self._gone, self._accepted_at)


def _after(heard: Sequence[Arrival], answered_at: Mapping[str, float]) -> list[float]:
    """Milliseconds after the answer to whoever booked or accepted, 0 for what came before it."""
    return [
        max(0.0, now - answered_at[booking]) * 1000
        for booking, now, _ in heard
        if booking in answered_at
    ]


def _cpu_s(pid: int | None = None) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _result(
    words: argparse.Namespace, machine: dict[str, Any], heard: Heard, due: dict[str, int]
) -> dict[str, Any]:
    return {
        "machine": machine,
        "asked": {"streams": words.streams, "rate": words.rate, "seconds": words.seconds},
        "goals": {"bytes_a_stream": GOAL_BYTES, "p99_ms": GOAL_P99_MS},
        "figures": {
            "bytes_a_stream": round(heard.bytes_a_stream),
            "opened_s": round(heard.opened_s, 1),
            "booked": heard.booked,
            "accepted": heard.accepted,
            "refused": {str(status): n for status, n in heard.refused.items()},
            "bookings_a_second": round(heard.booked / heard.elapsed_s, 1),
            "offers_heard": len(heard.offers_ms),
            "offers_due": due["offers"],
            "gone_heard": len(heard.gone_ms),
            "gone_due": due["gone"],
            "offer_ms": _quantiles(heard.offers_ms),
            "gone_ms": _quantiles(heard.gone_ms),
            "offer_after_answer_ms": _quantiles(heard.offers_after_ms),
            "gone_after_answer_ms": _quantiles(heard.gone_after_ms),
            "server_cpu": heard.cores(heard.server_cpu_s),
            "database_cpu": heard.cores(heard.database_cpu_s),
            "load_cpu": heard.cores(heard.load_cpu_s),
        },
    }


def _quantiles(taken_ms: Sequence[float]) -> dict[str, float]:
    names = {"p50": 50, "p95": 95, "p99": 99, "max": 100}
    return {name: round(float(np.percentile(taken_ms, q)), 1) for name, q in names.items()}


def _words() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few streams, under a minute")
    parser.add_argument("--streams", type=int)
    parser.add_argument("--rate", type=float, help="bookings a second")
    parser.add_argument("--seconds", type=float)
    words = parser.parse_args()
    usual = QUICK if words.quick else WHOLE
    for name, value in zip(("streams", "rate", "seconds"), usual, strict=True):
        setattr(words, name, getattr(words, name) or value)
    return words


def _many_files() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _live(plan: Plan) -> Heard:
    street = Street(plan)
    living = asyncio.create_task(street.live())
    await asyncio.wait({living, street.broken}, return_when=asyncio.FIRST_COMPLETED)
    if street.broken.done():
        raise RuntimeError("the streams broke")
    return living.result()


def listen() -> None:
    """The process of the phones and customers."""
    _many_files()
    plan = pickle.load(sys.stdin.buffer)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        heard = runner.run(_live(plan))
    plan.result.write_bytes(pickle.dumps(heard))


if __name__ == "__main__":
    # A pickle names classes by their module: this one, not __main__.
    from benchmarks import live

    live.listen() if "--listen" in sys.argv else live.main()
