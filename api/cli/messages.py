"""Messages that could not be delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.ids import find_id
from api.cli.output import AsJson, print_json, print_message, print_table
from api.cli.session import command_runtime, run

if TYPE_CHECKING:
    from collections.abc import Sequence

LIMIT = 100
LISTED_BY = "tekkie messages parked"

app = typer.Typer(help="Messages that could not be delivered.")


@app.command("parked")
def list_parked(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000)] = LIMIT,
    as_json: AsJson = False,
) -> None:
    """List messages that failed on every attempt and need a person, oldest first."""
    found = run(_parked(ctx, limit))
    if as_json:
        print_json(found)
        return
    print_table(
        ["id", "about", "to", "what", "since", "tries", "problem"],
        (
            (r["id"], r["subject_id"], r["audience"], r["template"], *r["since"], r["problem"])
            for r in ({**row, "since": (row["next_at"], row["attempts"])} for row in found)
        ),
        none="No parked messages.",
    )


@app.command()
def retry(
    ctx: typer.Context,
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every parked message.")] = False,
) -> None:
    """Retry parked messages, once the cause of the failure is corrected."""
    count = run(_retry(ctx, ids or [], everything=everything))
    print_message(f"{count} message{'' if count == 1 else 's'} will be retried.")


async def _parked(ctx: typer.Context, limit: int) -> Sequence[dict[str, Any]]:
    from data.store import consistency
    from dispatch.flows.read_only import read_connection

    async with command_runtime(ctx) as rt, read_connection(rt) as tx:
        return await consistency.parked_messages(tx, limit)


async def _retry(ctx: typer.Context, words: Sequence[str], *, everything: bool) -> int:
    from data.records.ids import MessageId
    from data.store import consistency
    from dispatch.flows import maintenance
    from dispatch.flows.read_only import read_connection

    async with command_runtime(ctx) as rt:
        wanted = [await find_id(rt, "message", word, listed_by=LISTED_BY) for word in words]
        if everything:
            async with read_connection(rt) as tx:
                wanted = [row["id"] for row in await consistency.parked_messages(tx, LIMIT * LIMIT)]
        for message_id in wanted:
            await maintenance.unpark(rt, MessageId(message_id))
        return len(wanted)
