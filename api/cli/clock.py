"""The test clock: twelve hours in a second, in a database that is not for real."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.exit_codes import Failed, UsedWrongly
from api.cli.output import AsJson, print_json, print_line, reporting, say
from api.cli.session import prepared, run, settings_of

if TYPE_CHECKING:
    from data.db import Connection
    from data.store.test_clock import ClockReading

SPAN = re.compile(r"(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
MOST_SPEED = 100_000.0

app = typer.Typer(
    help="Show the trade's time, confirm it; move it where TEKKIE_TEST_CLOCK allows.",
    no_args_is_help=False,
)


@app.callback(invoke_without_command=True)
def show(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Show what time it is for the trade."""
    if ctx.invoked_subcommand is None:
        _show(run(_read(ctx)), as_json=as_json)


@app.command()
def advance(
    ctx: typer.Context,
    by: Annotated[str, typer.Argument(help="How far: 12h, 90m, 2d, 1h30m.")],
    as_json: AsJson = False,
) -> None:
    """Move the time on; whatever becomes due on the way rings at once."""
    span = span_of(by)
    _show(run(_put(ctx, lambda now: now.at + span)), as_json=as_json)


@app.command("set")
def set_to(
    ctx: typer.Context,
    moment: Annotated[str, typer.Argument(help="When: 2026-03-02T09:00:00Z.")],
    as_json: AsJson = False,
) -> None:
    """Set the time; never behind what has happened already."""
    at = moment_of(moment)
    _show(run(_put(ctx, lambda now: at)), as_json=as_json)


@app.command()
def speed(
    ctx: typer.Context,
    times: Annotated[float, typer.Argument(help="720 passes twelve hours in a minute, 0 stops.")],
    as_json: AsJson = False,
) -> None:
    """Let time pass faster or slower."""
    if not 0 <= times <= MOST_SPEED:
        raise UsedWrongly(f"The speed must be from 0 to {MOST_SPEED:g}.")
    _show(run(_put(ctx, lambda now: now.at, speed=times)), as_json=as_json)


@app.command()
def remove(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Go by real time again; refused when the trade is ahead of it."""
    _show(run(_remove(ctx)), as_json=as_json)


@app.command()
def confirm(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Say that the database's clock is right, to workers that doubt it; holds for an hour."""
    _show(run(_confirm(ctx)), as_json=as_json)


def span_of(text: str) -> timedelta:
    """A length of time as people write it: 12h, 1h30m. Raises UsedWrongly."""
    found = SPAN.fullmatch(text.replace(" ", ""))
    weeks, days, hours, minutes, seconds = (
        (int(part) if part else 0 for part in found.groups()) if found else (0,) * 5
    )
    try:
        span = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError:
        span = timedelta(0)
    if not timedelta(0) < span <= timedelta(days=3660):
        raise UsedWrongly(f"{text[:40]!r} is no length of time; write 12h, 90m, 2d or 1h30m.")
    return span


def moment_of(text: str) -> datetime:
    """A moment of ISO 8601, UTC when it does not say. Raises UsedWrongly."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise UsedWrongly(f"{text[:40]!r} is no moment; write 2026-03-02T09:00:00Z.") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


async def _read(ctx: typer.Context) -> ClockReading:
    from data.store import test_clock

    async with _owner(ctx) as connection:
        return await test_clock.read(connection)


async def _put(ctx: typer.Context, when: object, speed: float | None = None) -> ClockReading:
    from data.store import test_clock

    _must_be_allowed(ctx)
    async with _owner(ctx) as connection:
        now = await test_clock.read(connection)
        at = when(now)  # type: ignore[operator]
        newest = await test_clock.newest_event_at(connection)
        if newest is not None and at < newest:
            raise Failed(
                f"Something happened at {newest:%Y-%m-%dT%H:%M:%SZ}; time cannot go back behind "
                "it. Set a later time, or begin with an empty database."
            )
        await test_clock.set_clock(connection, at, now.speed if speed is None else speed)
        return await test_clock.read(connection)


async def _remove(ctx: typer.Context) -> ClockReading:
    from data.store import test_clock

    _must_be_allowed(ctx)
    async with _owner(ctx) as connection:
        now = await test_clock.read(connection)
        newest = await test_clock.newest_event_at(connection)
        if newest is not None and newest > now.wall:
            raise Failed(
                f"Something happened at {newest:%Y-%m-%dT%H:%M:%SZ}, which is still to come in "
                "real time; begin with an empty database."
            )
        await test_clock.remove(connection)
        return await test_clock.read(connection)


async def _confirm(ctx: typer.Context) -> ClockReading:
    from data.store import audit, test_clock

    async with _owner(ctx) as connection:
        await audit.record(connection, actor="system", act="clock.confirmed", subject="clock")
        return await test_clock.read(connection)


def _must_be_allowed(ctx: typer.Context) -> None:
    if not settings_of(ctx).test_clock:
        raise Failed(
            "Moving the time makes every deadline in this database meaningless: set "
            "TEKKIE_TEST_CLOCK=1 (or --test-clock) if that is meant."
        )


@asynccontextmanager
async def _owner(ctx: typer.Context) -> AsyncIterator[Connection]:
    from data import migrate
    from data.store import test_clock

    with reporting("opening the database …") as report:
        async with prepared(settings_of(ctx), report) as place:
            await migrate.check(place.owner_dsn)
            async with test_clock.owner_connection(place.owner_dsn) as connection:
                yield connection


def _show(now: ClockReading, *, as_json: bool) -> None:
    if as_json:
        print_json(now)
        return
    print_line(f"{now.at:%Y-%m-%dT%H:%M:%SZ}")
    if now.installed:
        say(f"a test clock, {now.speed:g} times as fast as real time")
    else:
        say("real time; no test clock is installed")
