"""The test clock: control time in a test database."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.exit_codes import CommandFailed, UsageError
from api.cli.output import AsJson, print_json, print_line, print_message, status_spinner
from api.cli.session import load_settings, open_database, run

if TYPE_CHECKING:
    from data.db import Connection
    from data.store.test_clock import ClockReading

SPAN = re.compile(r"(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
SPEED_MAX = 100_000.0

app = typer.Typer(
    help="Show or confirm the database's time; change it if TEKKIE_TEST_CLOCK allows.",
    no_args_is_help=False,
)


@app.callback(invoke_without_command=True)
def show(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Show the time of the database."""
    if ctx.invoked_subcommand is None:
        _show(run(_read(ctx)), as_json=as_json)


@app.command()
def advance(
    ctx: typer.Context,
    by: Annotated[str, typer.Argument(help="By how much: 12h, 90m, 2d, 1h30m.")],
    as_json: AsJson = False,
) -> None:
    """Advance the time; timers that become due are processed at once."""
    span = parse_span(by)
    _show(run(_set_time(ctx, lambda now: now.at + span)), as_json=as_json)


@app.command("set")
def set_to(
    ctx: typer.Context,
    moment: Annotated[str, typer.Argument(help="For example 2026-03-02T09:00:00Z.")],
    as_json: AsJson = False,
) -> None:
    """Set the time; never before the newest event."""
    at = parse_time(moment)
    _show(run(_set_time(ctx, lambda now: at)), as_json=as_json)


@app.command()
def speed(
    ctx: typer.Context,
    times: Annotated[float, typer.Argument(help="720 is twelve hours in a minute; 0 stops.")],
    as_json: AsJson = False,
) -> None:
    """Set the speed of time."""
    if not 0 <= times <= SPEED_MAX:
        raise UsageError(f"The speed must be from 0 to {SPEED_MAX:g}.")
    _show(run(_set_time(ctx, lambda now: now.at, speed=times)), as_json=as_json)


@app.command()
def remove(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Return to real time; refused while the newest event is in its future."""
    _show(run(_remove(ctx)), as_json=as_json)


@app.command()
def confirm(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Confirm that the database's clock is right, for workers that doubt it; valid for an hour."""
    _show(run(_confirm(ctx)), as_json=as_json)


def parse_span(text: str) -> timedelta:
    """A duration like 12h or 1h30m. Raises UsageError."""
    found = SPAN.fullmatch(text.replace(" ", ""))
    weeks, days, hours, minutes, seconds = (
        (int(part) if part else 0 for part in found.groups()) if found else (0,) * 5
    )
    try:
        span = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError:
        span = timedelta(0)
    if not timedelta(0) < span <= timedelta(days=3660):
        raise UsageError(f"{text[:40]!r} is not a duration; write 12h, 90m, 2d or 1h30m.")
    return span


def parse_time(text: str) -> datetime:
    """A time in ISO 8601, UTC by default. Raises UsageError."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text[:40]!r} is not a time; write 2026-03-02T09:00:00Z.") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


async def _read(ctx: typer.Context) -> ClockReading:
    from data.store import test_clock

    async with _owner_connection(ctx) as connection:
        return await test_clock.read(connection)


async def _set_time(ctx: typer.Context, target: object, speed: float | None = None) -> ClockReading:
    from data.store import test_clock

    _require_test_clock(ctx)
    async with _owner_connection(ctx) as connection:
        now = await test_clock.read(connection)
        at = target(now)  # type: ignore[operator]
        newest = await test_clock.newest_event_at(connection)
        if newest is not None and at < newest:
            raise CommandFailed(
                f"The newest event is of {newest:%Y-%m-%dT%H:%M:%SZ}; the time cannot be before "
                "it. Set a later time, or start with an empty database."
            )
        await test_clock.set_clock(connection, at, now.speed if speed is None else speed)
        return await test_clock.read(connection)


async def _remove(ctx: typer.Context) -> ClockReading:
    from data.store import test_clock

    _require_test_clock(ctx)
    async with _owner_connection(ctx) as connection:
        now = await test_clock.read(connection)
        newest = await test_clock.newest_event_at(connection)
        if newest is not None and newest > now.wall:
            raise CommandFailed(
                f"The newest event is of {newest:%Y-%m-%dT%H:%M:%SZ}, which is in the future in "
                "real time; start with an empty database."
            )
        await test_clock.remove(connection)
        return await test_clock.read(connection)


async def _confirm(ctx: typer.Context) -> ClockReading:
    from data.store import audit, test_clock

    async with _owner_connection(ctx) as connection:
        await audit.record(connection, actor="system", act="clock.confirmed", subject="clock")
        return await test_clock.read(connection)


def _require_test_clock(ctx: typer.Context) -> None:
    if not load_settings(ctx).test_clock:
        raise CommandFailed(
            "Changing the time makes every deadline in this database meaningless: set "
            "TEKKIE_TEST_CLOCK=1 (or --test-clock) if that is intended."
        )


@asynccontextmanager
async def _owner_connection(ctx: typer.Context) -> AsyncIterator[Connection]:
    from data import migrate
    from data.store import test_clock

    with status_spinner("opening the database …") as report:
        async with open_database(load_settings(ctx), report) as place:
            await migrate.check(place.owner_dsn)
            async with test_clock.owner_connection(place.owner_dsn) as connection:
                yield connection


def _show(now: ClockReading, *, as_json: bool) -> None:
    if as_json:
        print_json(now)
        return
    print_line(f"{now.at:%Y-%m-%dT%H:%M:%SZ}")
    if now.installed:
        print_message(f"a test clock at {now.speed:g} times the speed of real time")
    else:
        print_message("real time; no test clock is installed")
