"""`tekkie backup` and `tekkie restore`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.output import AsJson, print_json, print_message, status_spinner
from api.cli.session import load_settings, run

if TYPE_CHECKING:
    from data.backup import BackupContents
    from data.settings import Settings

FILES_NOTICE = "Copy {} too: uploaded pictures are there."
KEY_NOTICE = "Keep the secret key too: without it, all links mailed so far are invalid."


def backup(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A new file; an existing one is never overwritten.")],
    as_json: AsJson = False,
) -> None:
    """Save the whole database to a file, without interrupting the service.

    The file holds personal data and is readable only by you. It does not contain the secret key.
    """
    settings = load_settings(ctx)
    saved = run(_backup(settings, file.absolute()))
    if as_json:
        print_json(saved)
        return
    print_message(
        f"Saved {_summary(saved)} to {saved.file} ({saved.bytes / 1e6:,.1f} MB). {KEY_NOTICE}"
    )
    if settings.files_folder:
        print_message(FILES_NOTICE.format(settings.files_folder))


def restore(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A file written by `tekkie backup`.")],
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Replace tables without personal data; people are never deleted."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fill an empty database from a backup, completely or not at all.

    Once the service starts, overdue deadlines are processed and unsent messages are sent.
    """
    restored, missing = run(_restore(load_settings(ctx), file.absolute(), force=force))
    if as_json:
        print_json({"restored": restored, "migrations_missing": missing})
        return
    print_message(f"Restored {_summary(restored)}.")
    if missing:
        print_message("It was made by an older tekkie: run `tekkie migrate`.")


def _summary(contents: BackupContents) -> str:
    return (
        f"{contents.bookings:,} bookings, {contents.people:,} people and {contents.events:,} events"
    )


async def _backup(settings: Settings, file: Path) -> BackupContents:
    from data.backup import backup as backup_file
    from data.database import database

    with status_spinner("opening the database …") as report:
        async with database(settings, report) as place:
            return await backup_file(place.owner_dsn, file, report)


async def _restore(
    settings: Settings, file: Path, *, force: bool
) -> tuple[BackupContents, list[str]]:
    from data import migrate
    from data.backup import restore as restore_file
    from data.database import database

    with status_spinner("opening the database …") as report:
        async with database(settings, report) as place:
            restored = await restore_file(place.owner_dsn, file, report, force=force)
            return restored, await migrate.pending(place.owner_dsn)
