"""The processes behind `tekkie serve` and `tekkie worker`."""

from __future__ import annotations

from contextlib import AsyncExitStack

from api.server.app import create_app
from api.server.prefork import child_processes
from api.server.process import (
    Report,
    bind_listeners,
    listen,
    raise_file_limit,
    runtime,
    start_worker,
    stop_event,
)
from data.settings import Settings
from scheduler.worker import background_worker


async def serve_api(
    settings: Settings, *, api_only: bool, migrate: bool, report: Report, processes: int = 1
) -> None:
    """Serve the API until SIGTERM. Raises CannotListen, DatabaseError."""
    raise_file_limit()
    with (
        stop_event(report, settings.drain_s) as stop,
        bind_listeners(settings) as listeners,
    ):
        async with AsyncExitStack() as stack:
            rt = await stack.enter_async_context(
                runtime(settings, "tekkie serve", migrate=migrate, report=report)
            )
            worker = await start_worker(stack, rt, api_only=api_only)
            app = create_app(rt, worker, process=0 if processes > 1 else None)
            await stack.enter_async_context(
                child_processes(
                    processes - 1, settings=settings, listeners=listeners, stop=stop, report=report
                )
            )
            await listen(app, listeners, stop, lambda: report(f"listening on {settings.base_url}"))
    report("stopped")


async def serve_worker(settings: Settings, *, migrate: bool, report: Report) -> None:
    """Process deadlines and deliver messages until SIGTERM."""
    with stop_event(report) as stop:
        opened = runtime(settings, "tekkie worker", migrate=migrate, report=report)
        async with opened as rt, background_worker(rt):
            report("working")
            await stop.wait()
    report("stopped")
