"""Partners: retailers who book for their customers, and the API keys of their programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.exit_codes import UsageError
from api.cli.output import AsJson, print_json, print_line, print_message, print_table
from api.cli.session import command_runtime, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from data.store.partners import Partner
    from dispatch.runtime import Runtime

Name = Annotated[str, typer.Argument(help="The partner's name or id.")]
KEY_NOTICE = "This key is shown only once; keep it like a password."

app = typer.Typer(help="Retailers who book for their customers, and their keys.")


@app.command()
def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The name of the partner.")],
    members_only: Annotated[
        bool,
        typer.Option(
            "--members-only", help="Offer bookings only to friends of the partner's community."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Add a partner and print the first key."""
    if not name.strip() or len(name) > 200:
        raise UsageError("The name must have 1 to 200 characters.")
    partner, key = run(_add(ctx, name.strip(), members_only))
    if as_json:
        print_json({"id": partner.id, "name": partner.name, "key": key})
    else:
        print_line(key)
        print_message(KEY_NOTICE)


@app.command("list")
def list_partners(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List partners with the prefixes of their keys."""
    found = run(_list(ctx))
    if as_json:
        print_json(found)
        return
    print_table(
        ["name", "members only", "since", "keys", "revoked keys"],
        (
            (
                one.name,
                one.members_only,
                one.created_at,
                [key.prefix for key in one.keys if key.revoked_at is None],
                [key.prefix for key in one.keys if key.revoked_at is not None],
            )
            for one in found
        ),
        none="No partners yet; `tekkie partners add NAME` adds one.",
    )


@app.command()
def key(ctx: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Print a further key for a partner."""
    made = run(_key(ctx, name))
    if as_json:
        print_json({"key": made})
    else:
        print_line(made)
        print_message(KEY_NOTICE)


@app.command()
def revoke(
    ctx: typer.Context,
    prefix: Annotated[str, typer.Argument(help="The prefix of the key, as shown by `list`.")],
) -> None:
    """Revoke a key with immediate effect."""
    run(_revoke(ctx, prefix))
    print_message(f"{prefix} is revoked.")


@app.command()
def members(
    ctx: typer.Context,
    name: Name,
    add: Annotated[list[str] | None, typer.Option("--add", help="A friend to add.")] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", help="A friend to remove.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the friends of a partner's community, after adding and removing some."""
    refs = run(_members(ctx, name, add or [], remove or []))
    if as_json:
        print_json({"partner": name, "members": refs})
        return
    for ref in refs:
        print_line(ref)
    if not refs:
        print_message("No members yet; --add REF adds a friend.")


async def _add(ctx: typer.Context, name: str, members_only: bool) -> tuple[Partner, str]:
    from dispatch.flows.partners import accounts

    async with command_runtime(ctx) as rt:
        return await accounts.add(rt, name, members_only=members_only)


async def _list(ctx: typer.Context) -> Sequence[Partner]:
    from dispatch.flows.partners import accounts

    async with command_runtime(ctx) as rt:
        return await accounts.list_partners(rt)


async def _key(ctx: typer.Context, name: str) -> str:
    from dispatch.flows.partners import accounts

    async with command_runtime(ctx) as rt:
        return await accounts.add_key(rt, name)


async def _revoke(ctx: typer.Context, prefix: str) -> None:
    from dispatch.flows.partners import accounts

    async with command_runtime(ctx) as rt:
        await accounts.revoke_key(rt, prefix)


async def _members(
    ctx: typer.Context, name: str, add: Sequence[str], remove: Sequence[str]
) -> list[str]:
    from api.cli.logins import find_friend
    from dispatch.flows.people import friends

    async with command_runtime(ctx) as rt:
        partner = await _find_partner(rt, name)
        for words, member in ((add, True), (remove, False)):
            ids = [await find_friend(rt, word) for word in words]
            if ids:
                await friends.set_membership(rt, partner.id, ids, member=member, actor="desk")
        return await _refs(rt, partner)


async def _find_partner(rt: Runtime, word: str) -> Partner:
    from dispatch.flows.partners import accounts
    from dispatch.rules.refusals import NotFound

    for one in await accounts.list_partners(rt):
        if word in (one.name, str(one.id)):
            return one
    raise NotFound(f"there is no partner {word[:60]!r}; see `tekkie partners list`")


async def _refs(rt: Runtime, partner: Partner) -> list[str]:
    from api.cli.friends import all_friends

    return sorted([one.ref async for one in all_friends(rt) if partner.id in one.communities])
