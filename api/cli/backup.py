"""`tekkie backup` and `tekkie restore`: everything in one file, and back into an empty database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.output import AsJson, print_json, reporting, say
from api.cli.session import run, settings_of

if TYPE_CHECKING:
    from data.backup import BackupContents
    from data.settings import Settings

NEEDS_KEY = "Keep the secret key beside it: without it every link mailed so far opens nothing."


def backup(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A new file; one that exists is never overwritten.")],
    as_json: AsJson = False,
) -> None:
    """Save the whole database to a file, while everybody goes on working.

    It holds personal data and only you may read it. The secret key is not in it.
    """
    saved = run(_backup(settings_of(ctx), file.absolute()))
    if as_json:
        print_json(saved)
        return
    say(f"Saved {_told(saved)} to {saved.file} ({saved.bytes / 1e6:,.1f} MB). {NEEDS_KEY}")


def restore(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A file that `tekkie backup` has written.")],
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Replace tables that hold nobody's data; people are never deleted."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fill an empty database from a backup, whole or not at all.

    Deadlines that passed meanwhile ring, and messages not sent are sent, once the service starts.
    """
    restored, missing = run(_restore(settings_of(ctx), file.absolute(), force=force))
    if as_json:
        print_json({"restored": restored, "migrations_missing": missing})
        return
    say(f"Restored {_told(restored)}.")
    if missing:
        say("It comes from an older tekkie: run `tekkie migrate`.")


def _told(copied: BackupContents) -> str:
    return f"{copied.bookings:,} bookings, {copied.people:,} people and {copied.events:,} events"


async def _backup(settings: Settings, file: Path) -> BackupContents:
    from data.backup import backup as save
    from data.database import database

    with reporting("opening the database …") as report:
        async with database(settings, report) as place:
            return await save(place.owner_dsn, file, report)


async def _restore(
    settings: Settings, file: Path, *, force: bool
) -> tuple[BackupContents, list[str]]:
    from data import migrate
    from data.backup import restore as bring_back
    from data.database import database

    with reporting("opening the database …") as report:
        async with database(settings, report) as place:
            restored = await bring_back(place.owner_dsn, file, report, force=force)
            return restored, await migrate.pending(place.owner_dsn)
