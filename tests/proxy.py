"""A bad network before a server: it hangs up, resets, swallows, delays, slows and slices."""

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass

CHUNK_BYTES = 64 * 1024


@dataclass
class Weather:
    """What the network does to everything that passes from now on.

    `dark`: nothing passes, nobody is told. `cut`: whoever calls is hung up on. `slice_bytes`: it
    arrives in pieces of so many bytes.
    """

    dark: bool = False
    cut: bool = False
    latency_s: float = 0.0
    bytes_a_second: float = 0.0
    slice_bytes: int = 0


FAIR = Weather()


class Proxy:
    """Listens on a port of the loopback and passes all on to a Unix socket or another port."""

    def __init__(self, target: str | int) -> None:
        self.weather = FAIR
        self.port = 0
        self._target = target
        self._light = asyncio.Event()
        self._light.set()
        self._lines: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Let go of everybody."""
        self.change(FAIR)
        if self._server is not None:
            self._server.close()
        self.reset()
        # One moment for the tasks of the connections to end.
        await asyncio.sleep(0.05)

    def change(self, weather: Weather) -> None:
        """Let the weather change, for old connections as for new ones."""
        self.weather = weather
        if weather.dark:
            self._light.clear()
        else:
            self._light.set()
        if weather.cut:
            self.reset()

    def reset(self) -> int:
        """Reset (RST) every connection; returns how many there were."""
        lines = list(self._lines)
        for line in lines:
            _reset(line)
        return len(lines)

    async def _serve(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self._lines.add(back)
        there: asyncio.StreamWriter | None = None
        try:
            await self._light.wait()
            if self.weather.cut:
                raise ConnectionResetError
            server, there = await self._reach()
            await asyncio.gather(self._pump(client, there), self._pump(server, back))
        except (OSError, EOFError):
            _reset(back)
        finally:
            self._lines.discard(back)
            for line in (back, there):
                if line is not None:
                    line.transport.abort()

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, str):
            return await asyncio.open_unix_connection(self._target)
        return await asyncio.open_connection("127.0.0.1", self._target)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(CHUNK_BYTES):
            if self.weather is not FAIR:
                await self._light.wait()
                await self._slowly(data, sink)
            else:
                sink.write(data)
            await sink.drain()
        # Whoever ends one way ends both: PostgreSQL's protocol knows no half-open line.
        raise EOFError

    async def _slowly(self, data: bytes, sink: asyncio.StreamWriter) -> None:
        weather = self.weather
        if weather.latency_s:
            await asyncio.sleep(weather.latency_s)
        size = weather.slice_bytes or len(data)
        for begin in range(0, len(data), size):
            sink.write(data[begin : begin + size])
            await sink.drain()
            await asyncio.sleep(0)
        if weather.bytes_a_second:
            await asyncio.sleep(len(data) / weather.bytes_a_second)


def _reset(line: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        held = line.get_extra_info("socket")
        if held is not None:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.transport.abort()
