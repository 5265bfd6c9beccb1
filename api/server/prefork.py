"""Prefork: several processes serve requests on one socket; the parent supervises the children.

The parent binds the address and each child inherits the listening socket; the kernel distributes
new connections. Only the parent may run a worker; children serve requests and follow the friends'
changes, as with `--api-only`. All state is in the database, so a child that dies loses only the
responses it had begun, and is replaced.

A child's standard input is a pipe that nobody writes to. It reaches its end when the parent ends,
in whatever way, and the child ends with it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from pydantic import SecretStr

from data.setting_errors import PREFIX
from data.settings import Settings

RESTART_AFTER_S: Final = 1.0
END_WITHIN_S: Final = 9.0
LISTENING: Final = b"listening\n"

Report = Callable[[str], None]


def cores() -> int:
    """The number of processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class ProcessPool:
    """The child processes of one service, each restarted when it ends by itself."""

    def __init__(
        self,
        settings: Settings,
        listeners: Sequence[socket.socket],
        stop: asyncio.Event,
        report: Report,
    ) -> None:
        self._settings = settings
        self._descriptors = [one.fileno() for one in listeners]
        self._stop = stop
        self._report = report
        self._running: set[Process] = set()

    async def supervise(self, number: int) -> None:
        """Run the child of this number, restarting it until `stop` is set."""
        while not self._stop.is_set():
            try:
                code = await self._run(number)
            except OSError as error:
                end = f"cannot be started ({error}); trying again"
            else:
                end = f"ended with {code}; restarting it"
            if not self._stop.is_set():
                self._report(f"process {number} {end}")
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), RESTART_AFTER_S)

    async def _run(self, number: int) -> int:
        """Run one child to its end; returns its exit code."""
        process = await self._start(number)
        self._running.add(process)
        if self._stop.is_set():
            process.terminate()
        await self._read_output(number, process)
        code = await process.wait()
        self._running.discard(process)
        return code

    def end_all(self, how: Callable[[Process], None]) -> None:
        """End every child by `Process.terminate` or `Process.kill`."""
        for process in self._running:
            with suppress(ProcessLookupError):
                how(process)

    async def _start(self, number: int) -> Process:
        descriptors = ",".join(map(str, self._descriptors))
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "api.server.child", descriptors, str(number)),
            env=environment(self._settings),
            stdin=PIPE,
            stdout=PIPE,
            pass_fds=self._descriptors,
            # Ctrl-C must reach only the parent, which ends the children.
            start_new_session=True,
        )

    async def _read_output(self, number: int, process: Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            if line == LISTENING:
                self._report(f"process {number} (pid {process.pid}) is listening")


@asynccontextmanager
async def child_processes(
    count: int,
    *,
    settings: Settings,
    listeners: Sequence[socket.socket],
    stop: asyncio.Event,
    report: Report,
) -> AsyncIterator[None]:
    """Run `count` children for the duration of the context; `stop` ends them."""
    if count == 0:
        yield
        return
    pool = ProcessPool(settings, listeners, stop, report)
    supervisors = [asyncio.create_task(pool.supervise(number)) for number in range(1, count + 1)]
    termination = asyncio.create_task(_terminate_on(stop, pool))
    try:
        yield
    finally:
        stop.set()
        await termination
        _, late = await asyncio.wait(supervisors, timeout=settings.drain_s + END_WITHIN_S)
        if late:
            pool.end_all(Process.kill)
        await asyncio.gather(*supervisors)


async def _terminate_on(stop: asyncio.Event, pool: ProcessPool) -> None:
    await stop.wait()
    pool.end_all(Process.terminate)


def environment(settings: Settings) -> dict[str, str]:
    """The environment of this process with exactly these settings."""
    own = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        if value is not None:
            own[f"{PREFIX}{name.upper()}"] = str(value)
    others = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return others | own
