"""Plays the demo: opens everything in a folder of its own, and lets the town live."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from socket import socket
from typing import Any, Final

import httpx2
from fastapi import FastAPI
from rich.console import Console

from api.demo import cast as casting
from api.demo import time as clock
from api.demo.cast import Cast
from api.demo.customer import Customers
from api.demo.helper import Helper
from api.demo.phone import Line
from api.demo.teller import Teller
from api.server.app import create_app
from api.server.process import bind_listener, listen, stop_event
from data.database import Database, database
from data.db import DatabaseError
from data.postgres import layout
from data.settings import Settings
from dispatch.flows.bootstrap import open_runtime, prepare_database
from dispatch.runtime import Runtime
from scheduler.worker import background_worker

log = logging.getLogger(__name__)

FOLDER: Final = "demo"
APPLICATION: Final = "tekkie demo"
ANSWER_WITHIN_S: Final = 30.0
SPARE_LINES: Final = 50
CONNECTIONS: Final = 16
PACKAGE: Final = "wifi-setup"

Report = Callable[[str], None]


class DemoRuns(DatabaseError):
    """A demo plays in this folder already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """What is played: `speed` times as fast as real time, for `last` or until somebody stops it."""

    speed: float
    friends: int
    seed: int
    bookings_per_minute: float
    last: timedelta | None
    fresh: bool


async def play(settings: Settings, wish: Play, *, paper: Console, report: Report) -> None:
    """Play until it is over. Raises CannotListen, DatabaseError."""
    own = settings.model_copy(
        update={
            "data_dir": settings.data_dir / FOLDER,
            "database_url": None,
            "test_clock": True,
            "pool_size": max(settings.pool_size, CONNECTIONS),
        }
    )
    with stop_event(report) as stop, bind_listener(own.host, own.port) as listener:
        if wish.fresh:
            await asyncio.to_thread(forget, own.data_dir)
        async with database(own, report) as place:
            await prepare_database(place, report)
            time = await clock.stand(place.owner_dsn)
            try:
                await _perform(own, place, wish, time, listener, stop, paper, report)
            finally:
                await clock.halt(place.owner_dsn)


async def _perform(  # noqa: PLR0917
    own: Settings,
    place: Database,
    wish: Play,
    time: clock.Time,
    listener: socket,
    stop: asyncio.Event,
    paper: Console,
    report: Report,
) -> None:
    async with _stage(own, place, wish, report) as (rt, cast, app):
        ready, over = asyncio.Event(), asyncio.Event()
        server = asyncio.create_task(listen(app, listener, over, ready.set))
        await _either(ready, server)
        teller = Teller(paper, rt.packages, cast.names)
        rt.on_commit.append(teller.hear)

        async def curtain() -> None:
            paper.print(greeting(own, wish, cast), soft_wrap=True)
            await clock.go(place.owner_dsn, time, wish.speed)

        try:
            await _live(own, wish, actors(wish, rt, cast, time), stop, curtain)
        finally:
            over.set()
            await server
        paper.print(farewell(teller))


@asynccontextmanager
async def _stage(
    own: Settings, place: Database, wish: Play, report: Report
) -> AsyncIterator[tuple[Runtime, Cast, FastAPI]]:
    """Everything a demo needs, opened; the worker ends first."""
    async with AsyncExitStack() as stack:
        rt = await stack.enter_async_context(
            open_runtime(
                own,
                place,
                application=APPLICATION,
                chance=Random(wish.seed),  # noqa: S311 - plays, guards nothing
                report=report,
            )
        )
        report("the town wakes up …")
        cast = await casting.assemble(rt, wish.friends, wish.seed)
        worker = await stack.enter_async_context(background_worker(rt))
        yield rt, cast, create_app(rt, worker)


async def _live(
    own: Settings,
    wish: Play,
    lives: Sequence[Helper | Customers],
    stop: asyncio.Event,
    curtain: Callable[[], Awaitable[None]],
) -> None:
    """Let everybody live until it is time to stop; `curtain` rises when all are awake."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=SPARE_LINES)
    async with httpx2.AsyncClient(
        base_url=own.base_url, limits=limits, timeout=ANSWER_WITHIN_S, trust_env=False
    ) as client:
        line = Line(client)
        everybody = asyncio.gather(*(one.live(line) for one in lives))
        try:
            for one in lives:
                if isinstance(one, Helper):
                    await _either(one.awake, everybody)
            await curtain()
            span_s = wish.last.total_seconds() if wish.last else None
            await asyncio.wait_for(_either(stop, everybody), span_s)
        except TimeoutError:
            pass
        finally:
            everybody.cancel()
            await asyncio.gather(everybody, return_exceptions=True)
        if line.surprises:
            log.warning("%d answers nobody expected; see above", line.surprises)


def actors(wish: Play, rt: Runtime, cast: Cast, time: clock.Time) -> Sequence[Helper | Customers]:
    """Everybody who lives by himself."""
    minutes = {code: package.minutes for code, package in rt.packages.items()}
    # Another evening, other customers: the same would only repeat their own requests.
    seed = str(wish.seed) if cast.new else f"{wish.seed}:{time.at.isoformat()}"
    helpers = [
        Helper(
            player,
            time,
            Random(f"{seed}:{player.person.ref}"),  # noqa: S311 - plays, guards nothing
            minutes,
        )
        for player in cast.players
    ]
    chance = Random(f"{seed}:customers")  # noqa: S311 - plays, guards nothing
    return [*helpers, Customers(time, chance, cast.partner_key, wish.bookings_per_minute)]


async def _either(event: asyncio.Event, task: asyncio.Future[Any]) -> None:
    """Wait for the event; what breaks in `task` is raised."""
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait({waiting, task}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    if task.done():
        task.result()


def forget(folder: Path) -> None:
    """Delete an earlier demo; DemoRuns while somebody plays there."""
    if not folder.exists():
        return
    if layout.is_locked(layout.DataFolder(folder).guardian):
        raise DemoRuns(f"A demo plays in {folder} already: stop it first.")
    shutil.rmtree(folder)


def greeting(own: Settings, wish: Play, cast: Cast) -> str:
    """What to try, ready to be copied."""
    asked = {
        "package": PACKAGE,
        "customer": {
            "name": "Vera Beispiel",
            "email": "vera@example.com",
            "phone": "+41 44 000 17 39",
            "language": "en",
        },
        "address": casting.YOUR_ADDRESS,
    }
    body = json.dumps(asked, ensure_ascii=False)
    url, as_json = f"{own.base_url}/v1", "-H 'Content-Type: application/json'"
    you, desk, partner = (
        f"-H 'Authorization: Bearer {secret}'"
        for secret in (cast.your_token, cast.desk_token, cast.partner_key)
    )
    pace = f"{wish.speed:g} times as fast as real time" if wish.speed != 1 else "as in real life"
    return f"""
[bold]tekkie demo[/]  Zurich and Berlin, {len(cast.players)} invented friends; time passes {pace}.

Open these three side by side; book in [bold]8001 Zürich[/], and the phone rings:
  [bold]book[/]     {own.base_url}/
  [bold]phone[/]    {own.base_url}/login#{cast.your_login}
           [dim]the friend next door, asked first and played by nobody but you[/]
  [bold]desk[/]     {own.base_url}/login#{cast.desk_login}
           [dim]each of the two opens one browser once; --fresh or the next demo gives new ones[/]

By hand ({own.base_url}/docs, mails in {own.data_dir / "mails"}):
  [bold]book[/]     curl -s {url}/bookings {as_json} -d '{body}'
  [bold]you[/]      curl -s {url}/me/offers {you}
           curl -s -X POST {url}/offers/[cyan]ID[/]/accept {you}
  [bold]desk[/]     curl -s '{url}/bookings?limit=3' {desk}
           curl -s {url}/bookings/[cyan]ID[/]/decisions {desk}
  [bold]partner[/]  curl -s {url}/bookings {partner}

Ctrl-C stops; the next demo goes on from there (--fresh begins anew){_faster(wish)}.
"""


def _faster(wish: Play) -> str:
    return "" if wish.speed > 1 else "; --speed 720 passes twelve hours in a minute"


def farewell(teller: Teller) -> str:
    """What happened, in one line."""
    counts = teller.counts
    return (
        f"\n{counts['booking.created']} booked, {counts['booking.awarded']} taken, "
        f"{counts['offer.declined']} declined, {counts['contact.missed']} missed, "
        f"{counts['booking.completed']} done, {counts['booking.rated']} rated."
    )
