"""Runs the demo: everything in a folder of its own, with simulated people."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from random import Random
from socket import socket
from typing import Any, Final

import httpx2
from fastapi import FastAPI
from rich.console import Console

from api.demo import clock
from api.demo import people as demo_people
from api.demo.applicant import PERSON, Applicant
from api.demo.client import Connection
from api.demo.customer import Customers
from api.demo.event_printer import EventPrinter
from api.demo.helper import Helper
from api.demo.people import People
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
KEEPALIVE_MAX: Final = 50
CONNECTIONS: Final = 16
PACKAGE: Final = "wifi-setup"

Report = Callable[[str], None]


class DemoRunning(DatabaseError):
    """A demo is running in this folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """The options: `speed` relative to real time, `last` for how long, None until stopped."""

    speed: float
    friends: int
    seed: int
    bookings_per_minute: float
    last: timedelta | None
    fresh: bool


async def run_demo(
    settings: Settings, options: DemoOptions, *, console: Console, report: Report
) -> None:
    """Run the demo to its end. Raises CannotListen, DatabaseError."""
    demo_settings = settings.model_copy(
        update={
            "data_dir": settings.data_dir / FOLDER,
            "database_url": None,
            "test_clock": True,
            "sms_provider": "folder",
            "drain_s": 0,
            "ops_port": None,
            "pool_size": max(settings.pool_size, CONNECTIONS),
        }
    )
    with (
        stop_event(report) as stop,
        bind_listener(demo_settings.host, demo_settings.port) as listener,
    ):
        if options.fresh:
            await asyncio.to_thread(delete_demo, demo_settings.data_dir)
        async with database(demo_settings, report) as place:
            await prepare_database(place, report)
            time = await clock.install_paused(place.owner_dsn)
            try:
                await _run(demo_settings, place, options, time, listener, stop, console, report)
            finally:
                await clock.pause(place.owner_dsn)


async def _run(  # noqa: PLR0917
    demo_settings: Settings,
    place: Database,
    options: DemoOptions,
    time: clock.SimulatedTime,
    listener: socket,
    stop: asyncio.Event,
    console: Console,
    report: Report,
) -> None:
    async with _open_demo(demo_settings, place, options, report) as (rt, people, app):
        ready, over = asyncio.Event(), asyncio.Event()
        server = asyncio.create_task(listen(app, [listener], over, ready.set))
        await _either(ready, server)
        printer = EventPrinter(console, rt.catalogue, people.names, demo_settings.key())
        rt.on_commit.append(printer.print_changes)

        applicant = new_applicant(rt, people, time, printer)

        async def on_ready(connection: Connection) -> None:
            console.print(instructions(demo_settings, options, people), soft_wrap=True)
            if people.new:  # while the clock stands: codes and exams last for minutes only
                await applicant.join(connection)
            await clock.start(place.owner_dsn, time, options.speed)

        simulated = [*simulated_people(options, rt, people, time), applicant]
        try:
            await _run_people(demo_settings, options, simulated, stop, on_ready)
        finally:
            over.set()
            await server
        console.print(summary(printer))


@asynccontextmanager
async def _open_demo(
    demo_settings: Settings, place: Database, options: DemoOptions, report: Report
) -> AsyncIterator[tuple[Runtime, People, FastAPI]]:
    """Open everything a demo needs; the worker ends first."""
    async with AsyncExitStack() as stack:
        rt = await stack.enter_async_context(
            open_runtime(
                demo_settings,
                place,
                application=APPLICATION,
                chance=Random(options.seed),  # noqa: S311 - a simulation
                report=report,
            )
        )
        report("creating the town …")
        people = await demo_people.create_people(rt, options.friends, options.seed)
        worker = await stack.enter_async_context(background_worker(rt))
        yield rt, people, create_app(rt, worker)


async def _run_people(
    demo_settings: Settings,
    options: DemoOptions,
    simulated: Sequence[Helper | Customers | Applicant],
    stop: asyncio.Event,
    on_ready: Callable[[Connection], Awaitable[None]],
) -> None:
    """Run all people until the end; calls `on_ready` once all are connected."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=KEEPALIVE_MAX)
    # All people share it: the session of one who signs in must not go with the request of another.
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    async with httpx2.AsyncClient(
        base_url=demo_settings.base_url,
        cookies=no_cookies,
        limits=limits,
        timeout=ANSWER_WITHIN_S,
        trust_env=False,
    ) as client:
        connection = Connection(client)
        running = asyncio.gather(*(one.run(connection) for one in simulated))
        try:
            for one in simulated:
                if isinstance(one, Helper):
                    await _either(one.ready, running)
            await on_ready(connection)
            span_s = options.last.total_seconds() if options.last else None
            await asyncio.wait_for(_either(stop, running), span_s)
        except TimeoutError:
            pass
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        if connection.unexpected:
            log.warning("%d unexpected responses; see above", connection.unexpected)


def simulated_people(
    options: DemoOptions, rt: Runtime, people: People, time: clock.SimulatedTime
) -> Sequence[Helper | Customers]:
    """All simulated friends and customers."""
    minutes = {code: package.minutes for code, package in rt.packages.items()}
    # A later demo needs other customers: the same would only repeat their requests.
    seed = str(options.seed) if people.new else f"{options.seed}:{time.at.isoformat()}"
    helpers = [
        Helper(
            friend,
            time,
            Random(f"{seed}:{friend.person.ref}"),  # noqa: S311 - a simulation
            minutes,
        )
        for friend in people.friends
    ]
    chance = Random(f"{seed}:customers")  # noqa: S311 - a simulation
    customers = Customers(
        time, chance, people.partner_key, rt.settings.key(), options.bookings_per_minute
    )
    return [*helpers, customers]


def new_applicant(
    rt: Runtime, people: People, time: clock.SimulatedTime, printer: EventPrinter
) -> Applicant:
    """The applicant of a new demo; each step is printed."""

    def tell(word: str, rest: str) -> None:
        printer.print_step(time.at, f"{PERSON.name}, applicant", word, rest)

    return Applicant(
        time=time,
        chance=Random(PERSON.name),  # noqa: S311 - a simulation
        minutes={code: package.minutes for code, package in rt.packages.items()},
        secret=rt.settings.key(),
        texts=rt.settings.text_folder,
        desk_token=people.desk_token,
        partner_key=people.partner_key,
        names=people.names,
        tell=tell,
    )


async def _either(event: asyncio.Event, task: asyncio.Future[Any]) -> None:
    """Wait for the event. Raises the error of `task`, if it fails first."""
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait({waiting, task}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    if task.done():
        task.result()


def delete_demo(folder: Path) -> None:
    """Delete an earlier demo. Raises DemoRunning."""
    if not folder.exists():
        return
    if layout.is_locked(layout.DataFolder(folder).supervisor):
        raise DemoRunning(f"A demo is already running in {folder}: stop it first.")
    shutil.rmtree(folder)


def instructions(demo_settings: Settings, options: DemoOptions, people: People) -> str:
    """What to try, ready for copying."""
    order = {
        "package": PACKAGE,
        "customer": {
            "name": "Vera Beispiel",
            "email": "vera@example.com",
            "phone": "+41 44 000 17 39",
            "language": "en",
        },
        "address": demo_people.YOUR_ADDRESS,
    }
    body = json.dumps(order, ensure_ascii=False)
    url, as_json = f"{demo_settings.base_url}/v1", "-H 'Content-Type: application/json'"
    you, desk, partner = (
        f"-H 'Authorization: Bearer {secret}'"
        for secret in (people.your_token, people.desk_token, people.partner_key)
    )
    speed = (
        f"{options.speed:g} times as fast as real time" if options.speed != 1 else "in real time"
    )
    return f"""
[bold]tekkie demo[/]  Zurich and Berlin, {len(people.friends)} invented friends; time runs {speed}.

Open these three side by side; book in [bold]8001 Zürich[/], enter the code printed here, and the
phone gets the offer:
  [bold]book[/]     {demo_settings.base_url}/
  [bold]phone[/]    {demo_settings.base_url}/login#{people.your_login}
           [dim]the nearest friend, who gets the offer first and is controlled only by you[/]
  [bold]desk[/]     {demo_settings.base_url}/login#{people.desk_login}
           [dim]each of these two links works once in one browser; the next demo prints new ones[/]

Join as a helper yourself: {demo_settings.base_url}/join; the mail's link and code are in
{demo_settings.mail_folder}, the code of the SMS in {demo_settings.text_folder};
the desk then decides under Applicants.

By hand ({demo_settings.base_url}/docs, mails in {demo_settings.data_dir / "mails"}):
  [bold]book[/]     curl -s {url}/bookings {partner} {as_json} -d '{body}'
  [bold]you[/]      curl -s {url}/me/offers {you}
           curl -s -X POST {url}/offers/[cyan]ID[/]/accept {you}
  [bold]desk[/]     curl -s '{url}/bookings?limit=3' {desk}
           curl -s {url}/bookings/[cyan]ID[/]/decisions {desk}
  [bold]partner[/]  curl -s {url}/bookings {partner}

Ctrl-C stops; the next demo continues from there (--fresh starts anew){_faster(options)}.
"""


def _faster(options: DemoOptions) -> str:
    return "" if options.speed > 1 else "; --speed 720 is twelve hours in a minute"


def summary(printer: EventPrinter) -> str:
    """The totals in one line."""
    counts = printer.counts
    return (
        f"\n{counts['booking.created']} booked, {counts['booking.awarded']} taken, "
        f"{counts['offer.declined']} declined, {counts['contact.missed']} missed, "
        f"{counts['booking.completed']} done, {counts['booking.rated']} rated."
    )
