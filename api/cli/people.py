"""The rights of a person: what is kept about somebody, and its erasure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.output import AsJson, print_json, print_message
from api.cli.session import command_runtime, run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dispatch.flows.people.rights import Erasure

ACTOR = "desk"

app = typer.Typer(help="The rights of a person: export and erasure.", no_args_is_help=True)

PersonArgument = Annotated[
    str,
    typer.Argument(
        metavar="PERSON",
        help="An e-mail address, the id of a booking or account, or a friend's ref.",
        show_default=False,
    ),
]


@app.callback()
def _people() -> None:
    """The rights of a person: export and erasure."""


@app.command()
def export(ctx: typer.Context, person: PersonArgument) -> None:
    """Print everything kept about a person as JSON."""
    print_json(run(_export(ctx, person)))


@app.command()
def erase(
    ctx: typer.Context,
    person: PersonArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase everything about a person but what the law keeps; it cannot be undone.

    Mails kept as files in this machine's data folder go too.
    """
    if not yes:
        typer.confirm(f"Erase everything about {person}?", abort=True, err=True)
    done, mails = run(_erase(ctx, person))
    if as_json:
        print_json(
            {"erased": len(done.people), "address_kept": len(done.kept), "mails_deleted": mails}
        )
        return
    print_message(f"{len(done.people)} bookings and accounts were emptied, {mails} mails deleted.")
    if done.kept:
        print_message(
            f"Of {len(done.kept)} the law keeps name and postal address for some years, "
            "because they were paid."
        )


async def _export(ctx: typer.Context, person: str) -> list[Mapping[str, Any]]:
    from dispatch.flows.people import rights

    async with command_runtime(ctx) as rt:
        return await rights.export(rt, person, actor=ACTOR)


async def _erase(ctx: typer.Context, person: str) -> tuple[Erasure, int]:
    from dispatch.flows.people import rights
    from scheduler.providers.sms_folder import delete_texts
    from scheduler.senders.mail_folder import delete_mails

    async with command_runtime(ctx) as rt:
        done = await rights.erase(rt, person, actor=ACTOR)
        delete_texts(rt.settings.text_folder, done.errands)
        return done, delete_mails(rt.settings.mail_folder, done.addresses, done.messages)
