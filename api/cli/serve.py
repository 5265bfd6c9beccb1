"""The service: one process for everything, or API and worker in separate processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.output import AsJson, print_json, print_message
from api.cli.session import load_settings, run

if TYPE_CHECKING:
    from data.settings import Settings

NoMigrate = Annotated[
    bool,
    typer.Option("--no-migrate", help="Refuse to start on an old schema instead of migrating it."),
]


def serve(
    ctx: typer.Context,
    api_only: Annotated[
        bool, typer.Option("--api-only", help="Leave deadlines and messages to `tekkie worker`.")
    ] = False,
    no_migrate: NoMigrate = False,
    processes: Annotated[
        int,
        typer.Option(
            "--processes", min=0, help="Number of processes that serve requests; 0 is one per core."
        ),
    ] = 1,
) -> None:
    """Serve the API, process deadlines and deliver messages.

    Everything runs in one process by default; with --processes, all of them serve requests and the
    first does the rest. Without a database URL, PostgreSQL is started too. SIGTERM or Ctrl-C ends
    the service within ten seconds; running requests are finished.
    """
    from api.server.logging import configure_logging

    settings = load_settings(ctx)
    configure_logging(settings.log_format)
    from api.server.prefork import cores
    from api.server.process import run_in_loop
    from api.server.serve import serve_api

    run_in_loop(
        serve_api(
            settings,
            api_only=api_only,
            migrate=not no_migrate,
            report=print_message,
            processes=processes or cores(),
        )
    )


def worker(ctx: typer.Context, no_migrate: NoMigrate = False) -> None:
    """Process deadlines and deliver messages, without the API.

    Run as many as you like beside `tekkie serve --api-only`: each deadline is processed once.
    """
    from api.server.logging import configure_logging

    settings = load_settings(ctx)
    configure_logging(settings.log_format)
    from api.server.process import run_in_loop
    from api.server.serve import serve_worker

    run_in_loop(serve_worker(settings, migrate=not no_migrate, report=print_message))


def migrate(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Bring the schema and the catalogue in the database up to date.

    Idempotent; of several concurrent runs one does the work and the others wait.
    """
    applied = run(_migrate(load_settings(ctx)))
    if as_json:
        print_json({"applied": applied})
    elif applied:
        print_message(f"Applied {', '.join(applied)}; the catalogue is up to date.")
    else:
        print_message("Nothing to apply; the catalogue is up to date.")


async def _migrate(settings: Settings) -> list[str]:
    from data.database import database
    from dispatch.flows.bootstrap import prepare_database

    # Reported line by line, in scripts too: what blocks a migration must be visible there.
    async with database(settings, print_message) as place:
        return await prepare_database(place, print_message)


def openapi() -> None:
    """Print the OpenAPI document of the JSON API."""
    from api.server.app import create_app

    print_json(create_app().openapi())
