"""Whoever floods the service, in a process of its own: requests at fixed moments, answered or not.

    python -m tests.proof.overload.generator < plan > answers

Requests are due at their moments whatever the server does; one that finds no connection free opens
another. Once so many callers wait that no further one is to be had, a request is not asked at all.
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

from tests.proof.children import ROOT
from tests.proof.house import order

CALLERS_MAX = 1_000
UNASKED = -1
GIVES_UP_AFTER_S = 15.0
# The server hangs up after five seconds without a word.
IDLE_S = 3.0


class Phase(NamedTuple):
    """So many requests a second for so long; without a rate, `callers` who ask again at once."""

    seconds: float
    rate: float | None = None
    callers: int = 0


class Answer(NamedTuple):
    """One request, in seconds of the steady clock; status 0: not answered, UNASKED: not asked."""

    phase: int
    due_s: float
    sent_s: float
    ended_s: float
    status: int
    says_when: bool

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


def flood(plan: Plan) -> "subprocess.Popen[bytes]":
    """Begin to carry out a plan; `answers` waits for its end."""
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


def answers(process: "subprocess.Popen[bytes]") -> list[Answer]:
    """What was answered, in the order of the answers."""
    assert process.stdout is not None
    with process.stdout:
        said = process.stdout.read()
    if process.wait():
        raise RuntimeError("the generator failed")
    return [Answer(*row) for row in pickle.loads(said)]


def words(plan: Plan, number: int) -> bytes:
    """One booking as bytes."""
    body = json.dumps(order(number, away_m=number * 7 % (2 * plan.spread_m) - plan.spread_m))
    head = (
        f"POST /v1/bookings HTTP/1.1\r\nHost: tekkie\r\nIdempotency-Key: overload-{number}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode()


class Caller(asyncio.Protocol):
    """One kept connection."""

    def __init__(self, crowd: "Crowd") -> None:
        self._crowd = crowd
        self._heard = bytearray()
        self._asked: tuple[int, float, float] | None = None
        self.since_s = 0.0
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def ask(self, phase: int, due_s: float, what: bytes) -> None:
        self._asked = phase, due_s, time.monotonic()
        self.transport.write(what)

    def data_received(self, data: bytes) -> None:
        heard = self._heard
        heard += data
        end = heard.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(heard[:end]).lower()
        length = head.find(b"content-length:")
        if len(heard) < end + 4 + int(head[length + 15 :].split(b"\r", 1)[0]):
            return
        self._heard = bytearray()
        self._end(int(head[9:12]), b"\r\nretry-after:" in head)
        self.since_s = time.monotonic()
        self._crowd.free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(0, False)
        self._crowd.gone(self)

    def _end(self, status: int, says_when: bool) -> None:
        if self._asked is not None:
            phase, due_s, sent_s = self._asked
            self._asked = None
            now_s = time.monotonic()
            self._crowd.said.append((phase, due_s, sent_s, now_s, status, says_when))


@dataclass
class Crowd:
    """All callers of a plan."""

    plan: Plan
    said: list[tuple[Any, ...]] = field(default_factory=list)
    idle: list[Caller] = field(default_factory=list)
    all_: set[Caller] = field(default_factory=set)
    number: int = 0
    again: tuple[int, float] | None = None

    async def carry_out(self) -> list[tuple[Any, ...]]:
        self.number = self.plan.first
        for number, phase in enumerate(self.plan.phases):
            begun_s = time.monotonic()
            if phase.rate is None:
                self.again = number, begun_s + phase.seconds
                for _ in range(phase.callers):
                    await self._send(number, begun_s)
                await asyncio.sleep(begun_s + phase.seconds - time.monotonic())
                self.again = None
                continue
            for count in range(int(phase.rate * phase.seconds)):
                due_s = begun_s + count / phase.rate
                while (ahead_s := due_s - time.monotonic()) > 0:  # noqa: ASYNC110
                    await asyncio.sleep(ahead_s)
                await self._send(number, due_s)
        until_s = time.monotonic() + GIVES_UP_AFTER_S
        while len(self.idle) < len(self.all_) and time.monotonic() < until_s:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        for caller in list(self.all_):
            caller.transport.abort()
        await asyncio.sleep(0.05)
        return self.said

    def free(self, caller: Caller) -> None:
        """This caller has his answer."""
        if self.again is not None and time.monotonic() < self.again[1]:
            caller.ask(self.again[0], time.monotonic(), self._next())
        else:
            self.idle.append(caller)

    def gone(self, caller: Caller) -> None:
        """The server hung up."""
        self.all_.discard(caller)
        if caller in self.idle:
            self.idle.remove(caller)

    async def _send(self, phase: int, due_s: float) -> None:
        what = self._next()
        caller = self._free_one()
        if caller is None and len(self.all_) >= CALLERS_MAX:
            self.said.append((phase, due_s, due_s, due_s, UNASKED, False))
            return
        if caller is None:
            loop = asyncio.get_running_loop()
            _, caller = await loop.create_connection(
                lambda: Caller(self), "127.0.0.1", self.plan.port
            )
            self.all_.add(caller)
        caller.ask(phase, due_s, what)

    def _free_one(self) -> Caller | None:
        while self.idle:
            caller = self.idle.pop()
            if time.monotonic() - caller.since_s < IDLE_S:
                return caller
            self.all_.discard(caller)
            caller.transport.abort()
        return None

    def _next(self) -> bytes:
        self.number += 1
        return words(self.plan, self.number)


if __name__ == "__main__":
    asked: Plan = pickle.load(sys.stdin.buffer)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.stdout.buffer.write(pickle.dumps(runner.run(Crowd(asked).carry_out())))
