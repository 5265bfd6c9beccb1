"""What every server process does: open a runtime, listen, and stop within ten seconds."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from typing import Any, Final

import uvicorn
from fastapi import FastAPI

from api.live.sse import streams_of
from api.server.connections import BoundedConfig, Connections
from data import migrate as schema
from data.database import Database, database
from data.db import DatabaseError, connect
from data.settings import Settings
from data.store import test_clock
from dispatch.flows.bootstrap import open_runtime, prepare_database
from dispatch.runtime import Runtime
from scheduler.worker import Worker, background_worker, follow_index

log = logging.getLogger(__name__)

ENDS_WITHIN_S: Final = 10.0
REQUESTS_END_WITHIN_S: Final = 3
BACKLOG: Final = 2048

Report = Callable[[str], None]


class CannotListen(OSError):
    """The address cannot be listened on."""


class CannotServe(DatabaseError):
    """The application did not start."""


class TestClockInstalled(DatabaseError):
    """The database has a test clock that the settings do not allow."""


def run_in_loop(work: Coroutine[Any, Any, None]) -> None:
    """Run a service to its end, in uvloop where it is installed."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(work)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        from uvloop import new_event_loop
    except ImportError:
        return asyncio.new_event_loop
    return new_event_loop


def file_limit() -> float:
    """The most files this process may open."""
    try:
        import resource
    except ImportError:  # Windows
        return math.inf
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return math.inf if soft == resource.RLIM_INFINITY else soft


def raise_file_limit() -> None:
    """Raise the limit of open files to the hard limit: every event stream is one."""
    try:
        import resource
    except ImportError:  # Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def start_worker(stack: AsyncExitStack, rt: Runtime, *, api_only: bool) -> Worker | None:
    """Start the worker beside the API; with `api_only` only the feed that updates the index."""
    if api_only:
        await stack.enter_async_context(follow_index(rt))
        return None
    return await stack.enter_async_context(background_worker(rt))


@asynccontextmanager
async def runtime(
    settings: Settings, application: str, *, migrate: bool, report: Report
) -> AsyncIterator[Runtime]:
    """A runtime on the configured database, migrated first if `migrate`."""
    async with database(settings, report) as place:
        if migrate:
            await prepare_database(place, report)
        else:
            await schema.check(place.service_dsn)
        await check_test_clock(settings, place, report)
        async with open_runtime(settings, place, application=application, report=report) as rt:
            # What was loaded stays alive; scanning it costs the garbage collector an eighth of a
            # second each time for a hundred thousand friends.
            gc.freeze()
            yield rt


async def check_test_clock(settings: Settings, place: Database, report: Report) -> None:
    """Report a test clock in the database. Raises TestClockInstalled unless it is allowed."""
    connection = await connect(place.owner_dsn, application="tekkie check")
    try:
        clock = await test_clock.read(connection)
    finally:
        await connection.close()
    if not clock.installed:
        return
    if not settings.test_clock:
        raise TestClockInstalled(
            "This database has a test clock, so its deadlines are not real: set "
            "TEKKIE_TEST_CLOCK=1 if that is intended, run `tekkie clock remove` for real time, "
            "or use another database."
        )
    report(
        f"TEST CLOCK: it is {clock.at:%Y-%m-%d %H:%M:%S} UTC here, at {clock.speed:g} times "
        "the speed of real time; no time in this database is real"
    )


async def listen(
    app: FastAPI,
    listeners: Sequence[socket.socket],
    stop: asyncio.Event,
    listening: Callable[[], None],
) -> None:
    """Serve `app` until `stop`, drain, let requests finish; calls `listening` once it listens."""
    settings: Settings = app.state.rt.settings
    connections = Connections(settings, files_max=file_limit())
    app.state.conditions |= {"connections": connections.problem, "draining": connections.draining}
    config = BoundedConfig(
        app,
        connections,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=REQUESTS_END_WITHIN_S,
        lifespan="on",
    )
    server = _Server(config, listening)
    task = asyncio.create_task(server.serve(sockets=list(listeners)))
    sweeping = asyncio.create_task(connections.keep_sweeping())
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if server.started:
        connections.is_draining = True
        await asyncio.sleep(settings.drain_s)
    # Streams never end by themselves; their clients reconnect.
    await streams_of(app).close()
    server.should_exit = True
    await task
    sweeping.cancel()
    if not server.started:
        raise CannotServe("The API did not start; the lines above say why.")


class _Server(uvicorn.Server):
    """Uvicorn without signal handlers, with a callback once it listens."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then call back."""
        await super().startup(sockets)
        if self.started:
            self._listening()


@contextmanager
def bind_listener(host: str, port: int) -> Iterator[socket.socket]:
    """A socket bound to the address. Raises CannotListen."""
    address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(address_family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise CannotListen(
                error.errno,
                f"{error.strerror}: cannot listen there; choose another --port or --host",
                f"{host}:{port}",
            ) from None
        yield listener


@contextmanager
def bind_listeners(settings: Settings) -> Iterator[list[socket.socket]]:
    """The sockets of these settings: the public one, and that for operations if it is set."""
    addresses = [(settings.host, settings.port)]
    if settings.ops_port is not None:
        addresses.append((settings.ops_host, settings.ops_port))
    with ExitStack() as stack:
        yield [stack.enter_context(bind_listener(*address)) for address in addresses]


@contextmanager
def stop_event(report: Report, drain_s: float = 0) -> Iterator[asyncio.Event]:
    """An event set by SIGTERM and Ctrl-C; the process ends in `drain_s` and ten seconds at most."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            return
        report("stopping …")
        stop.set()
        loop.call_later(drain_s + ENDS_WITHIN_S - 0.5, _exit_now)

    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, on_signal)
    try:
        yield stop
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


def _exit_now() -> None:
    log.warning("not everything ended in time; open transactions are rolled back")
    # Nothing is lost: what was answered is committed.
    os._exit(0)
