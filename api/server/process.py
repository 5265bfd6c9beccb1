"""What every serving process does: open a runtime, listen, and stop within ten seconds."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from typing import Any, Final

import uvicorn
from fastapi import FastAPI

from api.live.sse import streams_of
from data import migrate as schema
from data.database import Database, database
from data.db import DatabaseError, connect
from data.settings import Settings
from data.store import test_clock
from dispatch.flows.bootstrap import opened, prepare
from dispatch.runtime import Runtime
from scheduler.worker import Worker, following, working

log = logging.getLogger(__name__)

ENDS_WITHIN_S: Final = 10.0
REQUESTS_END_WITHIN_S: Final = 3
BACKLOG: Final = 2048

Report = Callable[[str], None]


class CannotListen(OSError):
    """The address cannot be listened on."""


class CannotServe(DatabaseError):
    """The application refused to start."""


class TestClockInstalled(DatabaseError):
    """The trade of this database goes by a test clock."""


def in_one_loop(work: Coroutine[Any, Any, None]) -> None:
    """Run a service in the fastest event loop there is; returns when it has ended."""
    with asyncio.Runner(loop_factory=_fastest_loop()) as runner:
        runner.run(work)


def _fastest_loop() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        from uvloop import new_event_loop
    except ImportError:
        return asyncio.new_event_loop
    return new_event_loop


def raise_file_limit() -> None:
    """Allow as many open files as this user may have: every phone that listens is one."""
    try:
        import resource
    except ImportError:  # Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def hands(stack: AsyncExitStack, rt: Runtime, *, api_only: bool) -> Worker | None:
    """The worker beside the API; with `api_only` nothing but the feed that keeps its index new."""
    if api_only:
        await stack.enter_async_context(following(rt))
        return None
    return await stack.enter_async_context(working(rt))


@asynccontextmanager
async def runtime(
    settings: Settings, application: str, *, migrate: bool, report: Report
) -> AsyncIterator[Runtime]:
    """A runtime on the database of the settings, brought up to date when `migrate`."""
    async with database(settings, report) as place:
        if migrate:
            await prepare(place, report)
        else:
            await schema.check(place.service_dsn)
        await mind_the_clock(settings, place, report)
        async with opened(settings, place, application=application, report=report) as rt:
            # What was loaded stays. The collector would go through all of it again and again:
            # an eighth of a second a time for a hundred thousand friends.
            gc.freeze()
            yield rt


async def mind_the_clock(settings: Settings, place: Database, report: Report) -> None:
    """Refuse a database with a test clock unless the settings allow it, and then say so."""
    connection = await connect(place.owner_dsn, application="tekkie check")
    try:
        clock = await test_clock.read(connection)
    finally:
        await connection.close()
    if not clock.installed:
        return
    if not settings.test_clock:
        raise TestClockInstalled(
            "This database goes by a test clock, so its deadlines mean nothing: set "
            "TEKKIE_TEST_CLOCK=1 if that is meant, run `tekkie clock remove` to go by real time, "
            "or use another database."
        )
    report(
        f"TEST CLOCK: it is {clock.at:%Y-%m-%d %H:%M:%S} UTC here, at {clock.speed:g} times "
        "the speed of real time; nothing in this database is worth believing"
    )


async def listen(
    app: FastAPI, listener: socket.socket, stop: asyncio.Event, listening: Callable[[], None]
) -> None:
    """Serve `app` until `stop`, then let requests end; calls `listening` once it really does."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=REQUESTS_END_WITHIN_S,
        lifespan="on",
    )
    server = _Server(config, listening)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    # Streams never end by themselves; their readers come back to whoever listens then.
    await streams_of(app).close()
    server.should_exit = True
    await task
    if not server.started:
        raise CannotServe("The API did not start; the lines above say why.")


class _Server(uvicorn.Server):
    """Leaves signals to us, and says when it listens."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, then say so."""
        await super().startup(sockets)
        if self.started:
            self._listening()


@contextmanager
def bound(host: str, port: int) -> Iterator[socket.socket]:
    """A socket bound to the address before anything else is begun; CannotListen with the cure."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise CannotListen(
                error.errno,
                f"{error.strerror}: nothing can listen there, choose another --port or --host",
                f"{host}:{port}",
            ) from None
        yield listener


@contextmanager
def stopping(report: Report) -> Iterator[asyncio.Event]:
    """An event that SIGTERM and Ctrl-C set; whoever has not ended ten seconds later is cut off."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            return
        report("stopping …")
        stop.set()
        loop.call_later(ENDS_WITHIN_S - 0.5, _cut_off)

    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, on_signal)
    try:
        yield stop
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


def _cut_off() -> None:
    log.warning("not everything ended in ten seconds; what was begun is undone by the database")
    # Nothing is lost: whatever was answered is committed, and whatever was not is rolled back.
    os._exit(0)
