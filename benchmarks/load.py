"""A load of HTTP requests, sent and timed by a separate process over keep-alive connections.

    python -m benchmarks.load < plan > result

The plan is a pickled `Plan`. Requests are encoded beforehand, and an answer is read only as far as
its status and length: an ordinary client library costs more than the server.
"""

from __future__ import annotations

import asyncio
import pickle
import resource
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import uvloop

Unit = Sequence[bytes]
CONNECT_WITHIN_S = 30.0
ANSWERS_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Units of requests; those of one unit are sent at the same moment over a connection each.

    Without a `rate` every lane sends its next unit when the last is answered (closed loop). With
    one, units are due at fixed moments whatever the server does, and time counts from there.
    """

    port: int
    units: Sequence[Unit]
    connections: int
    seconds: float
    rate: float | None = None


@dataclass(slots=True, kw_only=True)
class LoadResult:
    """The result: nanoseconds by HTTP status, units done, and the cost of the load itself."""

    taken_ns: dict[int, list[int]] = field(default_factory=dict)
    units: int = 0
    elapsed_s: float = 0.0
    cpu_s: float = 0.0

    @property
    def statuses(self) -> Counter[int]:
        return Counter({status: len(taken) for status, taken in self.taken_ns.items()})


def request(method: str, path: str, body: bytes = b"", *, token: str | None = None) -> bytes:
    """One HTTP/1.1 request as bytes."""
    head = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    if body:
        head.append("Content-Type: application/json")
    if token:
        head.append(f"Authorization: Bearer {token}")
    return "\r\n".join([*head, "\r\n"]).encode() + body


def run(plan: Plan) -> LoadResult:
    """Run a plan in a separate process."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load"],
        input=pickle.dumps(plan),
        capture_output=True,
        check=False,
        timeout=plan.seconds + CONNECT_WITHIN_S + ANSWERS_WITHIN_S,
    )
    if done.returncode:
        raise RuntimeError(f"the load failed:\n{done.stderr.decode()[-2000:]}")
    result = pickle.loads(done.stdout)
    assert isinstance(result, LoadResult)
    return result


class Connection(asyncio.Protocol):
    """One keep-alive connection; it reports the status of each answer to its lane."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._received = bytearray()
        self._whole = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        if not self._whole:
            end = received.find(b"\r\n\r\n")
            if end < 0:
                return
            length = received.lower().find(b"content-length:", 0, end)
            self._whole = end + 4 + int(received[length + 15 : received.find(b"\r\n", length)])
        if len(received) >= self._whole:
            status = int(received[9:12])
            self._received, self._whole = bytearray(), 0
            self._lane.handle_answer(status)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lane.load.fail(exc)


class Lane:
    """As many connections as a unit has requests."""

    def __init__(self, load: LoadRun) -> None:
        self.load = load
        self.connections: list[Connection] = []
        self._since_ns = self._open = 0

    def send(self, unit: Unit, since_ns: int) -> None:
        self._since_ns, self._open = since_ns, len(unit)
        for connection, content in zip(self.connections, unit, strict=True):
            connection.transport.write(content)

    def handle_answer(self, status: int) -> None:
        taken = time.perf_counter_ns() - self._since_ns
        self.load.result.taken_ns.setdefault(status, []).append(taken)
        self._open -= 1
        if not self._open:
            self.load.release(self)


class LoadRun:
    """A plan that runs."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.result = LoadResult()
        self._units: Iterator[Unit] = iter(plan.units)
        self._due: deque[tuple[int, Unit]] = deque()
        self._idle: list[Lane] = []
        self._busy = 0
        self._until_ns = 0
        self._finished = asyncio.Event()
        self._all_sent = False
        self._error: str | None = None

    async def run(self) -> LoadResult:
        width = len(self.plan.units[0])
        lanes = await self._lanes(max(1, self.plan.connections // width), width)
        cpu, begun = _cpu_s(), time.perf_counter_ns()
        self._until_ns = begun + int(self.plan.seconds * 1e9)
        if self.plan.rate is None:
            for lane in lanes:
                self._next(lane)
            self._maybe_finished()
        else:
            self._idle = lanes
            await self._at_rate(self.plan.rate, begun)
        async with asyncio.timeout(self.plan.seconds + ANSWERS_WITHIN_S):
            await self._finished.wait()
        if self._error:
            raise RuntimeError(self._error)
        self.result.elapsed_s = (time.perf_counter_ns() - begun) / 1e9
        self.result.cpu_s = _cpu_s() - cpu
        return self.result

    async def _lanes(self, count: int, width: int) -> list[Lane]:
        loop = asyncio.get_running_loop()
        lanes = [Lane(self) for _ in range(count)]
        for lane in lanes:
            for _ in range(width):
                _, connection = await loop.create_connection(
                    lambda lane=lane: Connection(lane),
                    "127.0.0.1",
                    self.plan.port,  # type: ignore[misc]
                )
                lane.connections.append(connection)
        return lanes

    async def _at_rate(self, rate: float, begun: int) -> None:
        for number, unit in enumerate(self._units):
            due = begun + int(number / rate * 1e9)
            if due > self._until_ns:
                break
            while (ahead_ns := due - time.perf_counter_ns()) > 0:  # noqa: ASYNC110 - a fixed moment
                await asyncio.sleep(ahead_ns / 1e9)
            if self._idle:
                self._send(self._idle.pop(), unit, due)
            else:
                self._due.append((due, unit))
        self._all_sent = True
        self._maybe_finished()

    def _send(self, lane: Lane, unit: Unit, since_ns: int) -> None:
        self._busy += 1
        lane.send(unit, since_ns)

    def release(self, lane: Lane) -> None:
        """A lane has all its answers."""
        self._busy -= 1
        self.result.units += 1
        self._next(lane)
        self._maybe_finished()

    def _next(self, lane: Lane) -> None:
        if self.plan.rate is not None:
            if self._due:
                since_ns, unit = self._due.popleft()
                self._send(lane, unit, since_ns)
            else:
                self._idle.append(lane)
            return
        now = time.perf_counter_ns()
        unit = next(self._units, None) if now < self._until_ns else None  # type: ignore[assignment]
        if unit is None:
            self._all_sent = True
        else:
            self._send(lane, unit, now)

    def fail(self, error: Exception | None) -> None:
        """The server closed a connection."""
        if not self._finished.is_set():
            self._error = f"the server closed a connection: {error}"
            self._finished.set()

    def _maybe_finished(self) -> None:
        if self._all_sent and not self._busy and not self._due:
            self._finished.set()


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    plan = pickle.load(sys.stdin.buffer)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(LoadRun(plan).run())
    sys.stdout.buffer.write(pickle.dumps(result))


if __name__ == "__main__":
    # A pickle names classes by their module: this one, not __main__.
    from benchmarks import load

    load.main()
