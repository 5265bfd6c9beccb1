"""A child of prefork: `python -m api.server.child DESCRIPTOR NUMBER` answers requests."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from contextlib import AsyncExitStack
from signal import SIGTERM

from api.server import logging as logs
from api.server.app import create_app
from api.server.prefork import LISTENING
from api.server.process import (
    hands,
    in_one_loop,
    listen,
    raise_file_limit,
    runtime,
    stopping,
)
from data.settings import Settings, load
from dispatch.flows.bootstrap import quiet


async def serving(settings: Settings, descriptor: int, number: int) -> None:
    """Be a sibling: answer requests until told to stop, or until the first process is gone."""
    raise_file_limit()
    with stopping(quiet) as stop, socket.socket(fileno=descriptor) as listener:
        asyncio.get_running_loop().add_reader(sys.stdin, _end_with_the_first)
        async with AsyncExitStack() as stack:
            rt = await stack.enter_async_context(
                runtime(settings, "tekkie serve", migrate=False, report=quiet)
            )
            await hands(stack, rt, api_only=True)
            app = create_app(rt, process=number)
            await listen(app, listener, stop, _say_listening)


def _end_with_the_first() -> None:
    asyncio.get_running_loop().remove_reader(sys.stdin)
    os.kill(os.getpid(), SIGTERM)


def _say_listening() -> None:
    os.write(sys.stdout.fileno(), LISTENING)


def main() -> None:
    """Run a child on the inherited socket `argv[1]` under the number `argv[2]`."""
    settings = load()
    logs.configure(settings.log_format)
    in_one_loop(serving(settings, int(sys.argv[1]), int(sys.argv[2])))


if __name__ == "__main__":
    main()
