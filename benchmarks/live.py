"""Event streams: 10,000 in one process, and how soon each delivers an offer and its end.

    python -m benchmarks.live [--quick] [--streams 10000] [--rate 200] [--seconds 20]

Every friend has a stream open. Customers book at a steady rate over HTTP; the friend whose stream
delivers first accepts within two seconds, and the other three must get the end of their offers. The
server, its PostgreSQL and the clients are separate processes. Latency is the time of arrival less
the moment that PostgreSQL gave the event, so it includes deciding, writing and committing. Writes
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
OPENED_AT_ONCE = 64
CONNECTIONS = 64
SETTLE_S, RETRY_S = 3.0, 0.5
ACCEPTS_AFTER_S = (0.2, 2.0)
ANSWERS_WITHIN_S = 120.0
CLIENTS_END_WITHIN_S = 400.0
WARM_UP_BOOKINGS, WARM_UP_RATE = 200, 100.0
GOAL_BYTES, GOAL_P99_MS = 40_000, 100.0
Arrival = tuple[str, float, float]

checks = sql_loader.load("checks", folder=stage.SQL)
sql = sql_loader.load("live", folder=stage.SQL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The streams to open and the bookings to make."""

    port: int
    pid: int
    cluster: Path
    tokens: Sequence[str]
    bookings: Sequence[bytes]
    rate: float
    result: Path


@dataclass(slots=True, kw_only=True)
class LiveResult:
    """The result; latencies in milliseconds."""

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
        """Processor seconds as a share of the measured time."""
        return round(spent_s / (self.elapsed_s + SETTLE_S), 2)


def main() -> None:
    arguments = _parse_arguments()
    _raise_file_limit()
    machine = sections.machine()
    world = stage.make_all_available(population(arguments.streams, np.random.default_rng(1)))
    with stage.open_stage() as made:
        tokens = [f"ts_{number:064}" for number in range(arguments.streams)]
        count = int(arguments.rate * arguments.seconds) + WARM_UP_BOOKINGS
        sites = asyncio.run(_fill(made, world, tokens, count))
        stage.progress(f"{arguments.streams:,} friends, {len(sites):,} bookings to make")
        bodies = [customers.booking_body(site, number) for number, site in enumerate(sites)]
        posts = [request("POST", "/v1/bookings", body) for body in bodies]
        with stage.run_tekkie(made, "--api-only") as (pid, port):
            plan = Plan(
                port=port,
                pid=pid,
                cluster=made.folder / "postgres",
                tokens=tokens,
                bookings=posts,
                rate=arguments.rate,
                result=made.folder / "result",
            )
            try:
                found = _run_clients(plan)
            except subprocess.SubprocessError:
                stage.progress((made.folder / "server.log").read_text()[-3000:])
                raise
        due = asyncio.run(_count_due(made, found))
    result = _result(arguments, machine, found, due)
    stage.progress(json.dumps(result["figures"], indent=1))
    sections.save(arguments.quick, "live", result)


async def _fill(made: stage.Stage, world: Any, tokens: Sequence[str], count: int) -> Any:
    await stage.insert_friends(made, world)
    async with made.owner() as owner:
        await owner.execute(
            checks.grant_sessions,
            [sha256(token.encode()).digest() for token in tokens],
            [stage.friend_id(row) for row in range(len(tokens))],
        )
    async with stage.connect_runtime(made) as rt:
        return customers.find_sites(rt, count, seed=3)


async def _count_due(made: stage.Stage, found: LiveResult) -> dict[str, int]:
    async with made.owner() as owner:
        row = await owner.fetchrow(sql.due, datetime.fromtimestamp(found.began_at, UTC))
        assert row is not None
        return dict(row)


def _run_clients(plan: Plan) -> LiveResult:
    subprocess.run(
        [sys.executable, "-m", "benchmarks.live", "--clients"],
        input=pickle.dumps(plan),
        check=True,
        timeout=CLIENTS_END_WITHIN_S,
    )
    found = pickle.loads(plan.result.read_bytes())
    assert isinstance(found, LiveResult)
    return found


class StreamClient(asyncio.Protocol):
    """One open stream."""

    def __init__(self, driver: LoadDriver, token: str) -> None:
        self.driver = driver
        self.token = token
        self._rest = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._open()

    def _open(self) -> None:
        self.transport.write(request("GET", "/v1/live", token=self.token))

    def data_received(self, data: bytes) -> None:
        now = time.time()
        if data.startswith(b"HTTP/1.1 503"):
            # The server sheds load: retry on the same connection.
            asyncio.get_running_loop().call_later(RETRY_S, self._open)
            return
        if data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 200"):
            self.driver.fail(data)
        frames = (self._rest + data).split(b"\n\n")
        self._rest = frames.pop()
        for frame in frames:
            if b"event: offer." in frame:
                event = json.loads(frame[frame.index(b"data: ") + 6 :].split(b"\n")[0])
                self.driver.receive(self, event, now)
            elif b"event: ready" in frame:
                self.driver.ready.release()

    def connection_lost(self, exc: Exception | None) -> None:
        self.driver.stream_closed()


class RequestConnection(asyncio.Protocol):
    """One keep-alive connection that books and accepts."""

    def __init__(self, driver: LoadDriver) -> None:
        self.driver = driver
        self._received = bytearray()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        end = received.find(b"\r\n\r\n")
        if end < 0:
            return
        at = received.lower().find(b"content-length:", 0, end)
        if len(received) >= end + 4 + int(received[at + 15 : received.find(b"\r\n", at)]):
            status, body = int(received[9:12]), bytes(received[end + 4 :])
            self._received = bytearray()
            self.driver.handle_answer(self, status, body, time.time())

    def connection_lost(self, exc: Exception | None) -> None:
        self.driver.replace(self)


class LoadDriver:
    """All streams, and the connections that book and accept."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.result = LiveResult()
        self.ready = asyncio.Semaphore(0)
        self.measuring = self.over = False
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.all_answered = asyncio.Event()
        self._chance = Random(1)
        self._open = 0
        self._delivered: set[str] = set()
        self._offered: list[Arrival] = []
        self._gone: list[Arrival] = []
        self._booked_at: dict[str, float] = {}
        self._accepted_at: dict[str, float] = {}
        self._idle: list[RequestConnection] = []
        self._connecting: list[asyncio.Task[None]] = []
        self._due: deque[bytes] = deque()

    async def run(self) -> LiveResult:
        plan, result = self.plan, self.result
        server = psutil.Process(plan.pid)
        await self._connect(CONNECTIONS)
        await self._book(plan.bookings[:WARM_UP_BOOKINGS], WARM_UP_RATE)
        await asyncio.sleep(SETTLE_S)
        before, begun = server.memory_info().rss, time.monotonic()
        await self._open_all()
        result.opened_s = time.monotonic() - begun
        await asyncio.sleep(SETTLE_S)
        result.bytes_a_stream = (server.memory_info().rss - before) / len(plan.tokens)
        server_cpu, load_cpu = _cpu_s(plan.pid), _cpu_s()
        database_cpu = stage.postmaster_cpu_s(plan.cluster)
        self._offered.clear()
        self._gone.clear()
        self.measuring, begun, result.began_at = True, time.monotonic(), time.time()
        await self._book(plan.bookings[WARM_UP_BOOKINGS:], plan.rate)
        result.elapsed_s = time.monotonic() - begun
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            await self.all_answered.wait()
        await asyncio.sleep(SETTLE_S)
        result.server_cpu_s = _cpu_s(plan.pid) - server_cpu
        result.load_cpu_s = _cpu_s() - load_cpu
        result.database_cpu_s = stage.postmaster_cpu_s(plan.cluster) - database_cpu
        self.over = True
        self._sum_up()
        return result

    def stream_closed(self) -> None:
        """A stream ended before its time."""
        if not self.over:
            self.fail(b"a stream ended")

    def fail(self, answer: bytes) -> None:
        """End the run: further figures would be meaningless."""
        sys.stderr.write(f"{answer.decode()}\n")
        if not self.failed.done():
            self.failed.set_result(None)

    async def _connect(self, count: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(count):
            _, connection = await loop.create_connection(
                lambda: RequestConnection(self), "127.0.0.1", self.plan.port
            )
            self._idle.append(connection)

    def replace(self, connection: RequestConnection) -> None:
        """The server closes connections after five idle seconds: connect again."""
        if connection in self._idle:
            self._idle.remove(connection)
        if not self.over:
            self._connecting.append(asyncio.create_task(self._connect(1)))

    async def _open_all(self) -> None:
        loop, tokens = asyncio.get_running_loop(), self.plan.tokens
        for start in range(0, len(tokens), OPENED_AT_ONCE):
            some = tokens[start : start + OPENED_AT_ONCE]
            for token in some:
                await loop.create_connection(
                    lambda token=token: StreamClient(self, token),  # type: ignore[misc]
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

    def _send(self, content: bytes, in_s: float = 0.0) -> None:
        self._open += 1
        self.all_answered.clear()
        if in_s:
            asyncio.get_running_loop().call_later(in_s, self._write, content)
        else:
            self._write(content)

    def _write(self, content: bytes) -> None:
        if self._idle:
            self._idle.pop().transport.write(content)
        else:
            self._due.append(content)

    def handle_answer(
        self, connection: RequestConnection, status: int, body: bytes, now: float
    ) -> None:
        self._open -= 1
        if not self._open:
            self.all_answered.set()
        if self._due:
            connection.transport.write(self._due.popleft())
        else:
            self._idle.append(connection)
        if status not in {200, 201}:
            self.result.refused[status] += 1
            return
        answer = json.loads(body)
        if status == 201:
            self.result.booked += self.measuring
            self._booked_at[answer["id"]] = now
        else:
            self.result.accepted += self.measuring
            self._accepted_at[answer["booking_id"]] = now

    def receive(self, client: StreamClient, event: dict[str, Any], now: float) -> None:
        booking = event["booking_id"]
        taken_ms = (now - datetime.fromisoformat(event["at"]).timestamp()) * 1000
        if event["kind"] == "offer.gone":
            self._gone.append((booking, now, taken_ms))
            return
        self._offered.append((booking, now, taken_ms))
        if booking not in self._delivered:
            self._delivered.add(booking)
            offer = event["data"]["offer"]["id"]
            accept = request("POST", f"/v1/offers/{offer}/accept", token=client.token)
            self._send(accept, self._chance.uniform(*ACCEPTS_AFTER_S))

    def _sum_up(self) -> None:
        result = self.result
        result.offers_ms = [taken_ms for _, _, taken_ms in self._offered]
        result.gone_ms = [taken_ms for _, _, taken_ms in self._gone]
        result.offers_after_ms = _after_answer(self._offered, self._booked_at)
        result.gone_after_ms = _after_answer(self._gone, self._accepted_at)


def _after_answer(arrivals: Sequence[Arrival], answered_at: Mapping[str, float]) -> list[float]:
    """Milliseconds after the answer to the booking or accept; 0 for what came before it."""
    return [
        max(0.0, now - answered_at[booking]) * 1000
        for booking, now, _ in arrivals
        if booking in answered_at
    ]


def _cpu_s(pid: int | None = None) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _result(
    arguments: argparse.Namespace, machine: dict[str, Any], found: LiveResult, due: dict[str, int]
) -> dict[str, Any]:
    return {
        "machine": machine,
        "asked": {
            "streams": arguments.streams,
            "rate": arguments.rate,
            "seconds": arguments.seconds,
        },
        "goals": {"bytes_a_stream": GOAL_BYTES, "p99_ms": GOAL_P99_MS},
        "figures": {
            "bytes_a_stream": round(found.bytes_a_stream),
            "opened_s": round(found.opened_s, 1),
            "booked": found.booked,
            "accepted": found.accepted,
            "refused": {str(status): n for status, n in found.refused.items()},
            "bookings_a_second": round(found.booked / found.elapsed_s, 1),
            "offers_heard": len(found.offers_ms),
            "offers_due": due["offers"],
            "gone_heard": len(found.gone_ms),
            "gone_due": due["gone"],
            "offer_ms": _quantiles(found.offers_ms),
            "gone_ms": _quantiles(found.gone_ms),
            "offer_after_answer_ms": _quantiles(found.offers_after_ms),
            "gone_after_answer_ms": _quantiles(found.gone_after_ms),
            "server_cpu": found.cores(found.server_cpu_s),
            "database_cpu": found.cores(found.database_cpu_s),
            "load_cpu": found.cores(found.load_cpu_s),
        },
    }


def _quantiles(taken_ms: Sequence[float]) -> dict[str, float]:
    names = {"p50": 50, "p95": 95, "p99": 99, "max": 100}
    return {name: round(float(np.percentile(taken_ms, q)), 1) for name, q in names.items()}


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few streams, under a minute")
    parser.add_argument("--streams", type=int)
    parser.add_argument("--rate", type=float, help="bookings a second")
    parser.add_argument("--seconds", type=float)
    arguments = parser.parse_args()
    usual = QUICK if arguments.quick else WHOLE
    for name, value in zip(("streams", "rate", "seconds"), usual, strict=True):
        setattr(arguments, name, getattr(arguments, name) or value)
    return arguments


def _raise_file_limit() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _drive(plan: Plan) -> LiveResult:
    driver = LoadDriver(plan)
    running = asyncio.create_task(driver.run())
    await asyncio.wait({running, driver.failed}, return_when=asyncio.FIRST_COMPLETED)
    if driver.failed.done():
        raise RuntimeError("the streams broke")
    return running.result()


def run_clients() -> None:
    """The process of the streams and customers."""
    _raise_file_limit()
    plan = pickle.load(sys.stdin.buffer)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(_drive(plan))
    plan.result.write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    # A pickle names classes by their module: this one, not __main__.
    from benchmarks import live

    live.run_clients() if "--clients" in sys.argv else live.main()
