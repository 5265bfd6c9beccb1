"""Generates load in a separate process: requests at fixed moments, answered or not.

    python -m tests.proof.overload.generator < plan > answers

Requests are due at their moments whatever the server does; one that finds no free connection opens
another. Once CLIENTS_MAX connections wait, a request is not sent at all.
"""

import asyncio
import json
import pickle
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import uvloop

from tests.proof.deployment import booking_body
from tests.proof.processes import ROOT

CLIENTS_MAX = 1_000
NOT_SENT = -1
GIVE_UP_AFTER_S = 15.0
# Less than TEKKIE_IDLE_S, after which the server closes a connection.
IDLE_S = 3.0


class Phase(NamedTuple):
    """So many requests a second for so long; without a rate, `clients` in a closed loop."""

    seconds: float
    rate: float | None = None
    clients: int = 0


class Answer(NamedTuple):
    """One request, in monotonic seconds; status 0: not answered, NOT_SENT: not sent."""

    phase: int
    due_s: float
    sent_s: float
    ended_s: float
    status: int
    has_retry_after: bool

    @property
    def took_s(self) -> float:
        return self.ended_s - self.sent_s


@dataclass(frozen=True, slots=True)
class Plan:
    """Bookings with numbers from `first` on, spread over `spread_m` to the north."""

    port: int
    phases: Sequence[Phase]
    first: int
    spread_m: float


def start_flood(plan: Plan) -> "subprocess.Popen[bytes]":
    """Start a plan; `read_answers` waits for its end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.proof.overload.generator"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(pickle.dumps(plan))
    process.stdin.close()
    return process


def read_answers(process: "subprocess.Popen[bytes]") -> list[Answer]:
    """All answers in the order of their arrival."""
    assert process.stdout is not None
    with process.stdout:
        output = process.stdout.read()
    if process.wait():
        raise RuntimeError("the generator failed")
    return [Answer(*row) for row in pickle.loads(output)]


def encode_booking(plan: Plan, number: int) -> bytes:
    """One booking as an HTTP request."""
    body = json.dumps(booking_body(number, away_m=number * 7 % (2 * plan.spread_m) - plan.spread_m))
    head = (
        f"POST /v1/bookings HTTP/1.1\r\nHost: tekkie\r\nIdempotency-Key: overload-{number}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode()


class Client(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, pool: "ClientPool") -> None:
        self._pool = pool
        self._received = bytearray()
        self._request: tuple[int, float, float] | None = None
        self.since_s = 0.0
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def send(self, phase: int, due_s: float, content: bytes) -> None:
        self._request = phase, due_s, time.monotonic()
        self.transport.write(content)

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        end = received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(received[:end]).lower()
        length = head.find(b"content-length:")
        if len(received) < end + 4 + int(head[length + 15 :].split(b"\r", 1)[0]):
            return
        self._received = bytearray()
        self._end(int(head[9:12]), b"\r\nretry-after:" in head)
        self.since_s = time.monotonic()
        self._pool.release(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(0, False)
        self._pool.remove(self)

    def _end(self, status: int, has_retry_after: bool) -> None:
        if self._request is not None:
            phase, due_s, sent_s = self._request
            self._request = None
            now_s = time.monotonic()
            self._pool.answers.append((phase, due_s, sent_s, now_s, status, has_retry_after))


@dataclass
class ClientPool:
    """All clients of a plan."""

    plan: Plan
    answers: list[tuple[Any, ...]] = field(default_factory=list)
    idle: list[Client] = field(default_factory=list)
    all_: set[Client] = field(default_factory=set)
    number: int = 0
    loop_until: tuple[int, float] | None = None

    async def run(self) -> list[tuple[Any, ...]]:
        self.number = self.plan.first
        for number, phase in enumerate(self.plan.phases):
            begun_s = time.monotonic()
            if phase.rate is None:
                self.loop_until = number, begun_s + phase.seconds
                for _ in range(phase.clients):
                    await self._send(number, begun_s)
                await asyncio.sleep(begun_s + phase.seconds - time.monotonic())
                self.loop_until = None
                continue
            for count in range(int(phase.rate * phase.seconds)):
                due_s = begun_s + count / phase.rate
                while (ahead_s := due_s - time.monotonic()) > 0:  # noqa: ASYNC110
                    await asyncio.sleep(ahead_s)
                await self._send(number, due_s)
        until_s = time.monotonic() + GIVE_UP_AFTER_S
        while len(self.idle) < len(self.all_) and time.monotonic() < until_s:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        for client in list(self.all_):
            client.transport.abort()
        await asyncio.sleep(0.05)
        return self.answers

    def release(self, client: Client) -> None:
        """A client has its answer: use it again in a closed loop, or keep it idle."""
        if self.loop_until is not None and time.monotonic() < self.loop_until[1]:
            client.send(self.loop_until[0], time.monotonic(), self._next())
        else:
            self.idle.append(client)

    def remove(self, client: Client) -> None:
        """The server closed a connection."""
        self.all_.discard(client)
        if client in self.idle:
            self.idle.remove(client)

    async def _send(self, phase: int, due_s: float) -> None:
        content = self._next()
        client = self._take_idle()
        if client is None and len(self.all_) >= CLIENTS_MAX:
            self.answers.append((phase, due_s, due_s, due_s, NOT_SENT, False))
            return
        if client is None:
            loop = asyncio.get_running_loop()
            _, client = await loop.create_connection(
                lambda: Client(self), "127.0.0.1", self.plan.port
            )
            self.all_.add(client)
        client.send(phase, due_s, content)

    def _take_idle(self) -> Client | None:
        while self.idle:
            client = self.idle.pop()
            if time.monotonic() - client.since_s < IDLE_S:
                return client
            self.all_.discard(client)
            client.transport.abort()
        return None

    def _next(self) -> bytes:
        self.number += 1
        return encode_booking(self.plan, self.number)


if __name__ == "__main__":
    plan: Plan = pickle.load(sys.stdin.buffer)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.stdout.buffer.write(pickle.dumps(runner.run(ClientPool(plan).run())))
