"""Headers and URLs without limit.

Clients that send lines of headers for ever, one line for ever, or a URL for ever: each is answered
with 431 or 414 and cut off, and the memory of the process hardly grows.
"""

import asyncio
import itertools
from collections.abc import Iterator

import psutil

from tests.proof.hostile.target import Figure, Target

MEGABYTE = 2**20
GROWTH_MAX_MB = 60
PIECE = 64 * 1024
ATTACKS = {
    "lines of headers": (b"GET / HTTP/1.1\r\n", b"x-a: " + b"a" * 1000 + b"\r\n", 431),
    "one line of a header": (b"GET / HTTP/1.1\r\nx-a: ", b"a" * 1000, 431),
    "a URL": (b"GET /", b"a" * 1000, 414),
    "lines after a body in chunks": (
        b"POST /v1/bookings HTTP/1.1\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n",
        b"x-a: " + b"a" * 1000 + b"\r\n",
        431,
    ),
}


async def attack(target: Target) -> list[Figure]:
    """Each kind from many clients at once; the memory is that of the process that serves."""
    clients = 40 if target.is_whole else 4
    process = psutil.Process(target.deployment.apis[0].pid)
    before = process.memory_info().rss
    figures = []
    for name, (begin, line, status) in ATTACKS.items():
        results = await asyncio.gather(
            *(send_for_ever(target.port, begin, line, status) for _ in range(clients))
        )
        sent = max(count for _, count in results)
        assert {answer for answer, _ in results} == {status}, f"{name}: answered {results}"
        figures.append(Figure(f"{name}, for ever: answered", f"{clients} x {status}", str(status)))
        figures.append(Figure(f"{name}: most that was taken", f"{sent / MEGABYTE:.1f} MB"))
    growth = (process.memory_info().rss - before) / MEGABYTE
    assert growth < GROWTH_MAX_MB, f"the process grew by {growth:.0f} MB"
    figures.append(Figure("memory more", f"{growth:.1f} MB", f"{GROWTH_MAX_MB} MB"))
    return figures


async def send_for_ever(port: int, begin: bytes, line: bytes, status: int) -> tuple[int, int]:
    """The status that ended it, 0 for none, and how many bytes were sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = asyncio.create_task(reader.readline())
    sent = 0
    try:
        async with asyncio.timeout(20):
            for piece in pieces(begin, line):
                writer.write(piece)
                await writer.drain()
                sent += len(piece)
                if answer.done():
                    break
    except (OSError, TimeoutError):
        pass
    finally:
        writer.transport.abort()
    first = (await asyncio.gather(answer, return_exceptions=True))[0]
    return int(first.split()[1]) if isinstance(first, bytes) and first else 0, sent


def pieces(begin: bytes, line: bytes) -> Iterator[bytes]:
    """The beginning, then lines without end."""
    yield begin
    yield from itertools.repeat(line * (PIECE // len(line)))
