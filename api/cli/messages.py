"""Messages that could not be delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from api.cli.output import AsJson, print_json, print_table, say
from api.cli.session import at_desk, run

if TYPE_CHECKING:
    from collections.abc import Sequence

LIMIT = 100

app = typer.Typer(help="Messages that could not be delivered.")


@app.command()
def parked(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000)] = LIMIT,
    as_json: AsJson = False,
) -> None:
    """List messages that were tried to the end and wait for a person, the oldest first."""
    found = run(_parked(ctx, limit))
    if as_json:
        print_json(found)
        return
    print_table(
        ["id", "booking", "to", "what", "since", "tries", "problem"],
        (
            (r["id"], r["booking_id"], r["audience"], r["template"], *r["since"], r["problem"])
            for r in ({**row, "since": (row["next_at"], row["attempts"])} for row in found)
        ),
        none="No message is parked.",
    )


@app.command()
def retry(
    ctx: typer.Context,
    ids: Annotated[list[UUID] | None, typer.Argument(metavar="[ID]...")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every parked message.")] = False,
) -> None:
    """Try parked messages anew, once what stood in their way is mended."""
    count = run(_retry(ctx, ids or [], everything=everything))
    say(f"{count} message{'' if count == 1 else 's'} will be tried again.")


async def _parked(ctx: typer.Context, limit: int) -> Sequence[dict[str, Any]]:
    from data.store import consistency
    from dispatch.flows.read_only import read_connection

    async with at_desk(ctx) as rt, read_connection(rt) as tx:
        return await consistency.parked_messages(tx, limit)


async def _retry(ctx: typer.Context, ids: Sequence[UUID], *, everything: bool) -> int:
    from data.records.ids import MessageId
    from data.store import consistency
    from dispatch.flows import maintenance
    from dispatch.flows.read_only import read_connection

    async with at_desk(ctx) as rt:
        wanted = list(ids)
        if everything:
            async with read_connection(rt) as tx:
                wanted = [row["id"] for row in await consistency.parked_messages(tx, LIMIT * LIMIT)]
        for message_id in wanted:
            await maintenance.unpark(rt, MessageId(message_id))
        return len(wanted)
