"""Friends: taken in from a file, listed, paused and brought back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.exit_codes import REFUSED, UsedWrongly
from api.cli.logins import checked_email, friend_named
from api.cli.output import AsJson, counting, plain, print_json, print_table, say, words
from api.cli.session import at_desk, run

if TYPE_CHECKING:
    from data.enums import FriendState
    from data.records.people import Friend
    from dispatch.flows.people.friends import ImportCounts
    from dispatch.runtime import Runtime
    from geo.friend_import.reader import Row
    from geo.row_errors import RowError

FAULTS_SHOWN = 50
LIMIT = 50
STEP = 500
ACTOR = "desk"

Who = Annotated[str, typer.Argument(metavar="ID", help="The friend's ref, id or e-mail address.")]

Certificate = Annotated[str, typer.Argument(metavar="CODE", help="The certificate's code.")]

app = typer.Typer(help="The helpers: import, list, pause and bring back.")


@app.command("import")
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV, GeoJSON, GeoPackage or GeoParquet.")],
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Take in the good rows and leave out the bad ones.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Create or change friends by the file's own column `ref`.

    Columns: ref, name, email, phone, radius_km, languages; lat and lon, or postcode, city and
    country; and as you wish certificates, tier, capacity, market. Lists are separated by `;`.

    Every row is checked first. When one is bad nothing is taken in, unless --skip-bad. The same
    file again changes nothing.
    """
    faults, done = run(_import(ctx, file, skip_bad=skip_bad))
    if as_json:
        print_json({"faults": faults, **_counts(done)})
    else:
        _show_faults(faults, taken=done is not None)
        if done is not None:
            say(f"{done.created} created, {done.changed} changed, {done.unchanged} unchanged.")
    if done is None:
        raise typer.Exit(REFUSED)


@app.command("list")
def list_some(
    ctx: typer.Context,
    *,
    state: Annotated[str | None, typer.Option("--state", help="active, paused, suspended")] = None,
    market: Annotated[str | None, typer.Option("--market", help="CH, DE, AT, PL")] = None,
    certificate: Annotated[str | None, typer.Option("--certificate", help="Who holds it.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1_000_000)] = LIMIT,
    as_json: AsJson = False,
) -> None:
    """List friends with what decides whether they are asked."""
    wanted = {"state": state, "market": market and market.upper(), "certificate": certificate}
    found = run(_list(ctx, {name: word for name, word in wanted.items() if word}, limit))
    if as_json:
        print_json([_facts(friend) for friend in found])
        return
    print_table(
        ["ref", "state", "tier", "market", "languages", "radius km", "open jobs", "certificates"],
        (
            (
                *(f.ref, f.state, f.tier, f.market, f.languages, f"{f.radius_m / 1000:g}"),
                f"{f.open_jobs} of {f.capacity}",
                [held.code for held in f.certificates],
            )
            for f in found
        ),
        none="No such friend; `tekkie friends import FILE` takes some in.",
    )
    if len(found) == limit:
        say(f"The first {limit}; --limit shows more.")


@app.command()
def show(ctx: typer.Context, who: Who, as_json: AsJson = False) -> None:
    """Show one friend whole."""
    found = run(_show(ctx, who))
    if as_json:
        print_json(found)
    else:
        print_table(["", ""], found.items(), none="")


@app.command()
def pause(ctx: typer.Context, who: Who) -> None:
    """Ask a friend no more until he is active again."""
    _set_state(ctx, who, "paused")


@app.command()
def activate(ctx: typer.Context, who: Who) -> None:
    """Ask a friend again."""
    _set_state(ctx, who, "active")


@app.command()
def suspend(ctx: typer.Context, who: Who) -> None:
    """Ask a friend no more and shut him out; only the desk can bring him back."""
    _set_state(ctx, who, "suspended")


@app.command()
def certify(ctx: typer.Context, who: Who, code: Certificate) -> None:
    """Give a friend a certificate from now on; one he holds stays as it is."""
    run(_certify(ctx, who, code, holds=True))
    say(f"{who} holds {code}.")


@app.command()
def uncertify(ctx: typer.Context, who: Who, code: Certificate) -> None:
    """Take a certificate from a friend; the jobs he holds stay his."""
    run(_certify(ctx, who, code, holds=False))
    say(f"{who} does not hold {code} any more.")


@app.command()
def block(
    ctx: typer.Context,
    who: Who,
    customer: Annotated[str, typer.Argument(metavar="EMAIL", help="The customer's address.")],
    by_friend: Annotated[
        bool, typer.Option("--by-friend", help="It was the friend's wish.")
    ] = False,
) -> None:
    """Never again ask a friend for a customer."""
    run(_block(ctx, who, checked_email(customer), by_friend=by_friend))
    say(f"{who} is not asked for this customer any more.")


async def _import(
    ctx: typer.Context, file: Path, *, skip_bad: bool
) -> tuple[list[RowError], ImportCounts | None]:
    from dispatch.flows.people import friends

    async with at_desk(ctx, places=True) as rt:
        with counting(f"checking {file.name}", None) as count:
            rows, faults = _checked(rt, file, count)
        if (faults and not skip_bad) or any(fault.line == 0 for fault in faults):
            return faults, None
        with counting("taking in", len(rows)) as count:
            return faults, await friends.import_friends(rt, rows, actor=ACTOR, progress=count)


def _checked(rt: Runtime, file: Path, count: Any) -> tuple[list[Row], list[RowError]]:
    from data.seed import catalogue
    from geo.friend_import.reader import read
    from geo.row_errors import RowError

    rows: list[Row] = []
    faults: list[RowError] = []
    for one in read(file, rt.gazetteer, catalogue.load().certificates.keys()):
        if isinstance(one, RowError):
            faults.append(one)
        else:
            rows.append(one)
        if (len(rows) + len(faults)) % STEP == 0:
            count(len(rows) + len(faults))
    return rows, faults


def _show_faults(faults: Sequence[RowError], *, taken: bool) -> None:
    if not faults:
        return
    print_table(
        ["line", "field", "problem", "cure"],
        ((f.line or "file", f.field, f.problem, f.cure) for f in faults[:FAULTS_SHOWN]),
        none="",
    )
    bad = f"{len(faults)} bad row{'' if len(faults) == 1 else 's'}"
    if len(faults) > FAULTS_SHOWN:
        bad += f", the first {FAULTS_SHOWN} shown; --json lists all"
    if taken:
        words().print(f"[yellow]{bad}[/]; they were left out.")
    elif faults[0].line == 0:
        words().print("[bold red]Nothing was taken in.[/]")
    else:
        words().print(
            f"[bold red]{bad}: nothing was taken in.[/] Mend them, or leave them out with "
            "--skip-bad."
        )


def _counts(done: ImportCounts | None) -> dict[str, Any]:
    return {"taken_in": done is not None, **(asdict(done) if done else {})}


async def everybody(rt: Runtime) -> AsyncIterator[Friend]:
    """All friends, in the order of their ids."""
    from data.db import moment
    from data.store import friends
    from dispatch.flows.read_only import read_connection

    async with read_connection(rt) as tx:
        async for page in friends.all_friends(tx, await moment(tx)):
            for one in page:
                yield one


async def _list(ctx: typer.Context, wanted: dict[str, str], limit: int) -> list[Friend]:
    found: list[Friend] = []
    async with at_desk(ctx) as rt:
        async for one in everybody(rt):
            if all(_fits(one, name, word) for name, word in wanted.items()):
                found.append(one)
            if len(found) >= limit:
                break
    return found


def _fits(friend: Friend, name: str, word: str) -> bool:
    if name == "certificate":
        return any(held.code == word for held in friend.certificates)
    return str(getattr(friend, name)) == word


def _facts(friend: Friend) -> dict[str, Any]:
    facts: dict[str, Any] = plain(friend)
    # Blocks are kept under a pseudonym of the customer; nobody needs it outside.
    del facts["blocked"]
    return facts


async def _show(ctx: typer.Context, word: str) -> dict[str, Any]:
    from data.db import moment
    from data.store import friends as rows
    from dispatch.flows.people import friends
    from dispatch.flows.read_only import read_connection

    async with at_desk(ctx) as rt:
        friend_id = await friend_named(rt, word)
        profile = dict(await friends.profile(rt, friend_id))
        async with read_connection(rt) as tx:
            facts = (await rows.facts(tx, [friend_id], await moment(tx))).get(friend_id)
    if facts is not None:
        profile |= {
            "live_offers": facts.live_offers,
            "certificates": [held.code for held in facts.certificates],
            "communities": list(facts.communities),
        }
    return profile


async def _block(ctx: typer.Context, word: str, email: str, *, by_friend: bool) -> None:
    from data.records.ids import customer_key
    from dispatch.flows.people import friends

    async with at_desk(ctx) as rt:
        friend_id = await friend_named(rt, word)
        key = customer_key(email)
        await friends.block_customer(rt, friend_id, key, by_friend=by_friend, actor=ACTOR)


async def _certify(ctx: typer.Context, word: str, code: str, *, holds: bool) -> None:
    from data.seed import catalogue
    from dispatch.flows.people import friends

    codes = catalogue.load().certificates.keys()
    if code not in codes:
        raise UsedWrongly(f"CODE must be one of {', '.join(sorted(codes))}.")
    async with at_desk(ctx) as rt:
        friend_id = await friend_named(rt, word)
        change = friends.certify if holds else friends.uncertify
        await change(rt, friend_id, code, actor=ACTOR)


def _set_state(ctx: typer.Context, word: str, state: str) -> None:
    from data.enums import FriendState

    ref = run(_state(ctx, word, FriendState(state)))
    say(f"{ref} is {state}.")


async def _state(ctx: typer.Context, word: str, state: FriendState) -> str:
    from dispatch.flows.people import friends

    async with at_desk(ctx) as rt:
        friend_id = await friend_named(rt, word)
        await friends.set_state(rt, friend_id, state, actor=ACTOR)
        ref: str = (await friends.profile(rt, friend_id))["ref"]
        return ref
