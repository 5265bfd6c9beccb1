"""Several processes that answer requests on one socket: the first keeps the others.

The first process binds the address, and each other one inherits the listening socket: the kernel
gives a new connection to whoever takes it. The first alone may work too; the others answer requests
and follow the friends' changes, as with `--api-only`. Truth is in the database, so one that dies
takes nothing with it but the answers it had begun; another takes its place.

A sibling's standard input is a pipe that nobody writes to. It ends when the first process ends,
however that happens, and the sibling with it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from pydantic import SecretStr

from data.settings import PREFIX, Settings

AGAIN_AFTER_S: Final = 1.0
END_WITHIN_S: Final = 9.0
LISTENING: Final = b"listening\n"

Report = Callable[[str], None]


def cores() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Siblings:
    """The other processes of one service, each started again when it ends by itself."""

    def __init__(
        self, settings: Settings, listener: socket.socket, stop: asyncio.Event, report: Report
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._stop = stop
        self._report = report
        self._running: set[Process] = set()

    async def keep(self, number: int) -> None:
        """Keep the sibling of this number alive until told to stop."""
        while not self._stop.is_set():
            process = await self._start(number)
            self._running.add(process)
            if self._stop.is_set():
                process.terminate()
            await self._attend(number, process)
            code = await process.wait()
            self._running.discard(process)
            if not self._stop.is_set():
                self._report(f"process {number} ended with {code}; another takes its place")
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), AGAIN_AFTER_S)

    def end(self, how: Callable[[Process], None]) -> None:
        """Let all of them end, `Process.terminate` or `Process.kill`."""
        for process in self._running:
            with suppress(ProcessLookupError):
                how(process)

    async def _start(self, number: int) -> Process:
        descriptor = self._listener.fileno()
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "api.server.child", str(descriptor), str(number)),
            env=environment(self._settings),
            stdin=PIPE,
            stdout=PIPE,
            pass_fds=(descriptor,),
            # Ctrl-C is for the first process, which tells the others.
            start_new_session=True,
        )

    async def _attend(self, number: int, process: Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            if line == LISTENING:
                self._report(f"process {number} is {process.pid} and listens too")


@asynccontextmanager
async def siblings(
    count: int,
    *,
    settings: Settings,
    listener: socket.socket,
    stop: asyncio.Event,
    report: Report,
) -> AsyncIterator[None]:
    """Keep `count` other processes while inside; they are told to end as soon as `stop` is set."""
    if count == 0:
        yield
        return
    family = Siblings(settings, listener, stop, report)
    keepers = [asyncio.create_task(family.keep(number)) for number in range(1, count + 1)]
    told = asyncio.create_task(_tell(family, stop))
    try:
        yield
    finally:
        stop.set()
        await told
        _, late = await asyncio.wait(keepers, timeout=END_WITHIN_S)
        if late:
            family.end(Process.kill)
        await asyncio.gather(*keepers)


async def _tell(family: Siblings, stop: asyncio.Event) -> None:
    await stop.wait()
    family.end(Process.terminate)


def environment(settings: Settings) -> dict[str, str]:
    """This process's environment with exactly these settings in it."""
    stated = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        if value is not None:
            stated[f"{PREFIX}{name.upper()}"] = str(value)
    others = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return others | stated
