"""The command `tekkie` and all its subcommands."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli import (
    backup,
    bookings,
    clock,
    coverage,
    demo,
    doctor,
    friends,
    logins,
    messages,
    partners,
    people,
    places,
    serve,
)
from api.cli.options import RootGroup, with_settings

EPILOG = (
    "Every setting is also an option, before or after the command: tekkie serve --port 9000. "
    "`tekkie settings` lists them."
)

app = typer.Typer(
    cls=RootGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EPILOG,
)


def _print_version(requested: bool) -> None:
    if requested:
        from importlib.metadata import version

        typer.echo(f"tekkie {version('tekkie')}")
        raise typer.Exit


@app.callback()
@with_settings
def tekkie(
    ctx: typer.Context,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of a failure.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
    **settings: str | bool | None,
) -> None:
    """Sends the nearest neighbourhood tech helper: the first to accept gets the job."""
    ctx.obj = {name: value for name, value in settings.items() if value is not None}


SERVICE = "The service"
DESK = "The desk"
MAINTENANCE = "Maintenance"

app.command("demo", rich_help_panel=SERVICE)(demo.demo)
app.command("serve", rich_help_panel=SERVICE)(serve.serve)
app.command("worker", rich_help_panel=SERVICE)(serve.worker)
app.add_typer(friends.app, name="friends", rich_help_panel=DESK)
app.add_typer(partners.app, name="partners", rich_help_panel=DESK)
app.add_typer(logins.operators, name="operators", rich_help_panel=DESK)
app.add_typer(logins.sessions_app, name="sessions", rich_help_panel=DESK)
app.add_typer(people.app, name="people", rich_help_panel=DESK)
app.add_typer(bookings.app, name="bookings", rich_help_panel=DESK)
app.command("coverage", rich_help_panel=DESK)(coverage.coverage)
app.command("why", rich_help_panel=DESK)(bookings.why)
app.command("login-link", rich_help_panel=DESK)(logins.login_link)
app.command("token", rich_help_panel=DESK)(logins.token)
app.command("doctor", rich_help_panel=MAINTENANCE)(doctor.doctor)
app.command("migrate", rich_help_panel=MAINTENANCE)(serve.migrate)
app.command("backup", rich_help_panel=MAINTENANCE)(backup.backup)
app.command("restore", rich_help_panel=MAINTENANCE)(backup.restore)
app.add_typer(places.app, name="geo", rich_help_panel=MAINTENANCE)
app.add_typer(messages.app, name="messages", rich_help_panel=MAINTENANCE)
app.add_typer(clock.app, name="clock", rich_help_panel=MAINTENANCE)
app.command("settings", rich_help_panel=MAINTENANCE)(doctor.settings)
app.command("openapi", rich_help_panel=MAINTENANCE)(serve.openapi)
