"""A proxy that simulates a bad network: cuts, resets, black holes, latency, bandwidth, slicing."""

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass

CHUNK_BYTES = 64 * 1024


@dataclass
class Conditions:
    """The conditions of the network from now on.

    `dark`: a black hole, nothing passes and no connection is closed. `cut`: every connection is
    reset. `slice_bytes`: data arrives in pieces of so many bytes.
    """

    dark: bool = False
    cut: bool = False
    latency_s: float = 0.0
    bytes_a_second: float = 0.0
    slice_bytes: int = 0


NORMAL = Conditions()


class Proxy:
    """Listens on a loopback port and forwards to a Unix socket or another port."""

    def __init__(self, target: str | int) -> None:
        self.conditions = NORMAL
        self.port = 0
        self._target = target
        self._passing = asyncio.Event()
        self._passing.set()
        self._connections: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Start listening."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and reset all connections."""
        self.change(NORMAL)
        if self._server is not None:
            self._server.close()
        self.reset()
        # Time for the tasks of the connections to end.
        await asyncio.sleep(0.05)

    def change(self, conditions: Conditions) -> None:
        """Change the conditions for open and new connections."""
        self.conditions = conditions
        if conditions.dark:
            self._passing.clear()
        else:
            self._passing.set()
        if conditions.cut:
            self.reset()

    def reset(self) -> int:
        """Reset (RST) every connection; returns how many there were."""
        connections = list(self._connections)
        for connection in connections:
            _reset(connection)
        return len(connections)

    async def _serve(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self._connections.add(back)
        there: asyncio.StreamWriter | None = None
        try:
            await self._passing.wait()
            if self.conditions.cut:
                raise ConnectionResetError
            server, there = await self._reach()
            await asyncio.gather(self._pump(client, there), self._pump(server, back))
        except (OSError, EOFError):
            _reset(back)
        finally:
            self._connections.discard(back)
            for connection in (back, there):
                if connection is not None:
                    connection.transport.abort()

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, str):
            return await asyncio.open_unix_connection(self._target)
        return await asyncio.open_connection("127.0.0.1", self._target)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(CHUNK_BYTES):
            if self.conditions is not NORMAL:
                await self._passing.wait()
                await self._slowly(data, sink)
            else:
                sink.write(data)
            await sink.drain()
        # An end in one direction ends both: PostgreSQL's protocol has no half-open connection.
        raise EOFError

    async def _slowly(self, data: bytes, sink: asyncio.StreamWriter) -> None:
        conditions = self.conditions
        if conditions.latency_s:
            await asyncio.sleep(conditions.latency_s)
        size = conditions.slice_bytes or len(data)
        for begin in range(0, len(data), size):
            sink.write(data[begin : begin + size])
            await sink.drain()
            await asyncio.sleep(0)
        if conditions.bytes_a_second:
            await asyncio.sleep(len(data) / conditions.bytes_a_second)


def _reset(connection: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        held = connection.get_extra_info("socket")
        if held is not None:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.transport.abort()
