"""The commands `tekkie serve` and `tekkie worker` as processes."""

from __future__ import annotations

from contextlib import AsyncExitStack

from api.server.app import create_app
from api.server.prefork import siblings
from api.server.process import Report, bound, hands, listen, raise_file_limit, runtime, stopping
from data.settings import Settings
from scheduler.worker import working


async def serving(
    settings: Settings, *, api_only: bool, migrate: bool, report: Report, processes: int = 1
) -> None:
    """Serve until told to stop, with so many processes. Raises CannotListen, DatabaseError."""
    raise_file_limit()
    with stopping(report) as stop, bound(settings.host, settings.port) as listener:
        async with AsyncExitStack() as stack:
            rt = await stack.enter_async_context(
                runtime(settings, "tekkie serve", migrate=migrate, report=report)
            )
            worker = await hands(stack, rt, api_only=api_only)
            app = create_app(rt, worker, process=0 if processes > 1 else None)
            await stack.enter_async_context(
                siblings(
                    processes - 1, settings=settings, listener=listener, stop=stop, report=report
                )
            )
            await listen(app, listener, stop, lambda: report(f"listening on {settings.base_url}"))
    report("stopped")


async def working_alone(settings: Settings, *, migrate: bool, report: Report) -> None:
    """Ring deadlines and deliver messages until told to stop."""
    with stopping(report) as stop:
        own = runtime(settings, "tekkie worker", migrate=migrate, report=report)
        async with own as rt, working(rt):
            report("working")
            await stop.wait()
    report("stopped")
