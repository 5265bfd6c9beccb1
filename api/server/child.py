"""A child process of `prefork`: `python -m api.server.child DESCRIPTOR,… NUMBER`."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from signal import SIGTERM

from api.server.app import create_app
from api.server.logging import configure_logging
from api.server.prefork import LISTENING
from api.server.process import (
    listen,
    raise_file_limit,
    run_in_loop,
    runtime,
    start_worker,
    stop_event,
)
from data.settings import Settings, load
from dispatch.flows.bootstrap import discard_report


async def serve_child(settings: Settings, descriptors: Sequence[int], number: int) -> None:
    """Serve requests until SIGTERM, or until the parent process has ended."""
    raise_file_limit()
    with stop_event(discard_report, settings.drain_s) as stop, ExitStack() as inherited:
        listeners = [
            inherited.enter_context(socket.socket(fileno=descriptor)) for descriptor in descriptors
        ]
        asyncio.get_running_loop().add_reader(sys.stdin, _end_with_parent)
        async with AsyncExitStack() as stack:
            rt = await stack.enter_async_context(
                runtime(settings, "tekkie serve", migrate=False, report=discard_report)
            )
            await start_worker(stack, rt, api_only=True)
            app = create_app(rt, process=number)
            await listen(app, listeners, stop, _report_listening)


def _end_with_parent() -> None:
    asyncio.get_running_loop().remove_reader(sys.stdin)
    os.kill(os.getpid(), SIGTERM)


def _report_listening() -> None:
    os.write(sys.stdout.fileno(), LISTENING)


def main() -> None:
    """Run a child on the inherited sockets `argv[1]` with the number `argv[2]`."""
    settings = load()
    configure_logging(settings.log_format)
    descriptors = [int(one) for one in sys.argv[1].split(",")]
    run_in_loop(serve_child(settings, descriptors, int(sys.argv[2])))


if __name__ == "__main__":
    main()
