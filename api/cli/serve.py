"""The service: everything in one process, or the API and the worker apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.output import AsJson, print_json, say
from api.cli.session import run, settings_of

if TYPE_CHECKING:
    from data.settings import Settings

NoMigrate = Annotated[
    bool,
    typer.Option("--no-migrate", help="Refuse to start on an old schema instead of updating it."),
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
            "--processes", min=0, help="How many processes answer requests; 0 is one a core."
        ),
    ] = 1,
) -> None:
    """Serve the API, and ring deadlines and deliver messages beside it.

    Everything runs in this one process unless you ask for several: then all of them answer
    requests, and the first does the rest. Without a database URL PostgreSQL is started too. SIGTERM
    or Ctrl-C ends it: what is begun is finished, within ten seconds.
    """
    from api.server.logging import configure_logging

    settings = settings_of(ctx)
    configure_logging(settings.log_format)
    from api.server.prefork import cores
    from api.server.process import run_in_loop
    from api.server.serve import serve_api

    run_in_loop(
        serve_api(
            settings,
            api_only=api_only,
            migrate=not no_migrate,
            report=say,
            processes=processes or cores(),
        )
    )


def worker(ctx: typer.Context, no_migrate: NoMigrate = False) -> None:
    """Ring deadlines and deliver messages, without the API.

    Run as many as you like beside `tekkie serve --api-only`: each deadline rings once.
    """
    from api.server.logging import configure_logging

    settings = settings_of(ctx)
    configure_logging(settings.log_format)
    from api.server.process import run_in_loop
    from api.server.serve import serve_worker

    run_in_loop(serve_worker(settings, migrate=not no_migrate, report=say))


def migrate(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Bring the schema and the catalogue in the database up to date.

    Repeating it changes nothing; of many at once one does the work and the others wait.
    """
    applied = run(_migrate(settings_of(ctx)))
    if as_json:
        print_json({"applied": applied})
    elif applied:
        say(f"Applied {', '.join(applied)}; the catalogue is up to date.")
    else:
        say("Nothing to apply; the catalogue is up to date.")


async def _migrate(settings: Settings) -> list[str]:
    from data.database import database
    from dispatch.flows.bootstrap import prepare_database

    # Said line by line, in scripts too: who is in the way of a migration must be read there.
    async with database(settings, say) as place:
        return await prepare_database(place, say)


def openapi() -> None:
    """Print the OpenAPI document of the JSON API."""
    from api.server.app import create_app

    print_json(create_app().openapi())
