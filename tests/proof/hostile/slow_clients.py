"""Slow uploads, answers never read, idle connections.

Hundreds of clients send their bodies a byte at a time, never read an answer or say nothing, and one
address opens too many connections. Meanwhile others are answered, and each of them is cut off.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import psutil

from data.settings import Settings
from tests.proof import page
from tests.proof.connection import Connection
from tests.proof.hostile.target import SHORT, Figure, Target
from tests.proof.report import ROOT

UPLOAD = (
    b"POST /v1/bookings HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
    b"Content-Length: 60000\r\n\r\n{"
)
# More than the system takes for a client that reads nothing.
ANSWERS_BYTES = 12 * 2**20
# Each part of the loopback network is an address of its own; 127.0.0.1 is a proxy of ours.
UPLOADER, SILENT, READS_NOTHING, TOO_MANY = (f"127.0.0.{n}" for n in (2, 3, 4, 5))
# Twice the second after which a request counts as waiting too long.
WAIT_P99_MAX_S = 2.0
MARGIN_S = 10.0
BEYOND = 10


@dataclass
class Probes:
    """What an ordinary client got meanwhile."""

    took_s: list[float]
    wrong: list[str]


async def attack(target: Target) -> list[Figure]:
    """All kinds at once."""
    with contextlib.ExitStack() as stack:
        return await _attack(target, stack)


async def _attack(target: Target, stack: contextlib.ExitStack) -> list[Figure]:
    clients = 150 if target.is_whole else 40
    limits = Settings(**{} if target.is_whole else SHORT)
    kinds = {
        "slow uploads": (UPLOADER, UPLOAD, limits.body_s),
        "connections without a request": (SILENT, b"", limits.headers_s),
        "answers never read": (READS_NOTHING, large_answers(), 2 * limits.write_s),
    }
    figures = [await count_refused(target.port, limits.connections_per_peer, stack)]
    began_s = time.monotonic()
    crowd = {
        address: [await connect(target.port, address, begin, stack) for _ in range(clients)]
        for address, begin, _ in kinds.values()
    }
    probing = asyncio.create_task(probe(target, crowd[UPLOADER]))
    try:
        seconds = await asyncio.gather(
            *(
                closed_after_s(target, address, began_s, limit_s)
                for address, _, limit_s in kinds.values()
            )
        )
    finally:
        probing.cancel()
        probes = await probing
    assert not probes.wrong, f"others were answered {probes.wrong[:5]}"
    figures += [
        Figure(
            f"{clients} {name}: all cut off after",
            f"{closed_s:.1f} s",
            f"{limit_s:g} s, and {MARGIN_S:g} s to connect all and to look",
        )
        for (name, (_, _, limit_s)), closed_s in zip(kinds.items(), seconds, strict=True)
    ]
    p99_s = page.percentile(probes.took_s, 0.99)
    assert p99_s <= WAIT_P99_MAX_S, f"others waited {p99_s:.1f} s"
    return [*figures, *_probe_figures(probes, p99_s)]


def large_answers() -> bytes:
    """Requests on one connection for the largest file of the pages, time and again."""
    largest = max((ROOT / "api/web/dist/assets").iterdir(), key=lambda file: file.stat().st_size)
    request = f"GET /assets/{largest.name} HTTP/1.1\r\nHost: t\r\n\r\n".encode()
    return request * (ANSWERS_BYTES // largest.stat().st_size + 1)


def _probe_figures(probes: Probes, p99_s: float) -> list[Figure]:
    return [
        Figure("others' requests meanwhile", f"{len(probes.took_s)}, all answered with 200", "all"),
        Figure("others' waiting, p99", f"{p99_s * 1000:.0f} ms", f"{WAIT_P99_MAX_S:g} s"),
    ]


async def connect(
    port: int, address: str, begin: bytes, stack: contextlib.ExitStack
) -> socket.socket:
    """A connection from this address that has sent `begin` and reads nothing."""
    one = stack.enter_context(socket.socket())
    one.setblocking(False)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.bind((address, 0))
    await asyncio.get_running_loop().sock_connect(one, ("127.0.0.1", port))
    if begin:
        one.send(begin)
    return one


async def probe(target: Target, uploads: list[socket.socket]) -> Probes:
    """Send ordinary requests until cancelled; each upload goes on by a byte each time."""
    connection = Connection(target.port)
    token = target.deployment.friends[0].token
    requests: list[Callable[[], Awaitable]] = [
        lambda: connection.request("GET", "/v1/packages?market=CH"),
        lambda: connection.request("GET", "/v1/me/offers", token=token),
        lambda: connection.request("GET", "/readyz"),
    ]
    probes = Probes([], [])
    try:
        while True:
            for request in requests:
                reply = await request()
                probes.took_s.append(reply.ended_s - reply.began_s)
                if reply.status != 200:
                    probes.wrong.append(f"{reply.status}: {reply.body[:300]!r}")
            for one in uploads:
                _send_byte(one)
            await asyncio.sleep(0.1)
    except asyncio.CancelledError:
        return probes
    finally:
        connection.close()


def _send_byte(one: socket.socket) -> None:
    with contextlib.suppress(OSError):  # when it was cut off
        one.send(b"a")


async def count_refused(port: int, limit: int, stack: contextlib.ExitStack) -> Figure:
    """Open more connections from one address than are allowed."""
    opened = [await connect(port, TOO_MANY, b"", stack) for _ in range(limit + BEYOND)]
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(MARGIN_S):
        answers = [await loop.sock_recv(one, 12) for one in opened[limit:]]
    assert set(answers) == {b"HTTP/1.1 429"}, f"beyond the limit: {set(answers)}"
    return Figure(f"{len(opened)} connections of one address", f"{BEYOND} x 429", f"{BEYOND}")


async def closed_after_s(target: Target, address: str, began_s: float, limit_s: float) -> float:
    """Seconds after the beginning when the server has none of this address left."""
    server = psutil.Process(target.deployment.apis[0].pid)
    was_there = False
    while True:
        took_s = time.monotonic() - began_s
        peers = [one.raddr.ip for one in server.net_connections("tcp") if one.raddr]
        is_there = address in peers
        if was_there and not is_there:
            return took_s
        was_there |= is_there
        assert took_s < limit_s + MARGIN_S, (
            f"{peers.count(address)} of {address} are connected after {took_s:.0f} s"
        )
        await asyncio.sleep(0.1)
