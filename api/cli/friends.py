"""Friends: import, list, show, state, certificates, blocks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.exit_codes import REFUSED, UsageError
from api.cli.logins import find_friend, parse_email
from api.cli.output import (
    AsJson,
    print_json,
    print_message,
    print_table,
    progress_bar,
    stderr_console,
    to_json,
)
from api.cli.session import command_runtime, run
from data.markets import Market

if TYPE_CHECKING:
    from data.enums import FriendState
    from data.records.people import Friend
    from dispatch.flows.people.friend_import import ImportReport
    from dispatch.runtime import Runtime

ERRORS_MAX = 50
LIMIT = 50
STEP = 500
ACTOR = "desk"

FriendArgument = Annotated[
    str, typer.Argument(metavar="ID", help="The friend's ref, id or e-mail address.")
]

Certificate = Annotated[str, typer.Argument(metavar="CODE", help="The certificate's code.")]

app = typer.Typer(help="The helpers: import, list, show, pause, activate, certify.")


@app.command("import")
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV, GeoJSON, GeoPackage or GeoParquet.")],
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Import the good rows and skip the bad ones.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Create or change friends by the column `ref` of a file.

    Columns: ref, name, email, phone, radius_km, languages; lat and lon, or postcode, city and
    country; optional: certificates, tier, capacity, market. Lists are separated by `;`.

    Every row is validated first, and all its faults are named. A bad row stops the import unless
    --skip-bad. Idempotent.
    """
    report = run(_import(ctx, file, skip_bad=skip_bad))
    if as_json:
        counts = asdict(report.done) if report.imported else {}
        print_json(
            {
                "faults": report.faults,
                "bad_rows": report.bad,
                "good_rows": report.good,
                "taken_in": report.imported,
                **counts,
            }
        )
    else:
        _print_errors(report)
        if report.imported:
            done = report.done
            print_message(
                f"{done.created} created, {done.changed} changed, {done.unchanged} unchanged."
            )
    if not report.imported:
        raise typer.Exit(REFUSED)


@app.command("list")
def list_friends(
    ctx: typer.Context,
    *,
    state: Annotated[str | None, typer.Option("--state", help="active, paused, suspended")] = None,
    market: Annotated[str | None, typer.Option("--market", help=", ".join(Market))] = None,
    certificate: Annotated[
        str | None, typer.Option("--certificate", help="Only friends with this certificate.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1_000_000)] = LIMIT,
    as_json: AsJson = False,
) -> None:
    """List friends with the facts that decide about offers."""
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
        none="No friends found; `tekkie friends import FILE` adds some.",
    )
    if len(found) == limit:
        print_message(f"The first {limit}; --limit shows more.")


@app.command()
def show(ctx: typer.Context, friend: FriendArgument, as_json: AsJson = False) -> None:
    """Show all data about a friend."""
    found = run(_show(ctx, friend))
    if as_json:
        print_json(found)
    else:
        print_table(["", ""], found.items(), none="")


@app.command()
def pause(ctx: typer.Context, friend: FriendArgument) -> None:
    """Stop offers to a friend until reactivated."""
    _set_state(ctx, friend, "paused")


@app.command()
def activate(ctx: typer.Context, friend: FriendArgument) -> None:
    """Resume offers to a friend."""
    _set_state(ctx, friend, "active")


@app.command()
def suspend(ctx: typer.Context, friend: FriendArgument) -> None:
    """Stop offers to a friend and block the sign-in; only the desk can undo it."""
    _set_state(ctx, friend, "suspended")


@app.command()
def certify(ctx: typer.Context, friend: FriendArgument, code: Certificate) -> None:
    """Give a friend a certificate from now on; an existing one stays unchanged."""
    run(_certify(ctx, friend, code, add=True))
    print_message(f"{friend} now has {code}.")


@app.command()
def uncertify(ctx: typer.Context, friend: FriendArgument, code: Certificate) -> None:
    """Remove a certificate of a friend; open jobs stay."""
    run(_certify(ctx, friend, code, add=False))
    print_message(f"{friend} no longer has {code}.")


@app.command()
def block(
    ctx: typer.Context,
    friend: FriendArgument,
    customer: Annotated[str, typer.Argument(metavar="EMAIL", help="The customer's address.")],
    by_friend: Annotated[
        bool, typer.Option("--by-friend", help="At the request of the friend.")
    ] = False,
) -> None:
    """Never again offer bookings of a customer to a friend."""
    run(_block(ctx, friend, parse_email(customer), by_friend=by_friend))
    print_message(f"{friend} gets no more offers of this customer.")


async def _import(ctx: typer.Context, file: Path, *, skip_bad: bool) -> ImportReport:
    from dispatch.flows.people import friend_import

    async with command_runtime(ctx, places=True) as rt:
        with progress_bar(f"validating {file.name}", None) as count:
            checked = friend_import.check_file(rt, file, progress=_in_steps(count))
        with progress_bar("importing", len(checked.rows)) as count:
            return await friend_import.import_checked(
                rt, checked, actor=ACTOR, skip_bad=skip_bad, progress=count
            )


def _in_steps(count: Callable[[int], None]) -> Callable[[int], None]:
    return lambda rows: count(rows) if rows % STEP == 0 else None


def _print_errors(report: ImportReport) -> None:
    faults = report.faults
    if not faults:
        return
    print_table(
        ["line", "field", "problem", "cure"],
        ((f.line or "file", f.field, f.problem, f.cure) for f in faults[:ERRORS_MAX]),
        none="",
    )
    bad = f"{report.bad} bad row{'' if report.bad == 1 else 's'}"
    if len(faults) > ERRORS_MAX:
        bad += f", the first {ERRORS_MAX} of {len(faults)} faults shown; --json lists all"
    if report.imported:
        stderr_console().print(f"[yellow]{bad}[/] skipped.")
    elif faults[0].line == 0:
        stderr_console().print("[bold red]Nothing was imported.[/]")
    else:
        cure = f"--skip-bad imports the {report.good} good" if report.good else "none is good"
        stderr_console().print(
            f"[bold red]{bad}: nothing was imported.[/] Correct them; {cure}.", highlight=False
        )


async def all_friends(rt: Runtime) -> AsyncIterator[Friend]:
    """All friends, sorted by id."""
    from data.db import moment
    from data.store import friends
    from dispatch.flows.read_only import read_connection

    async with read_connection(rt) as tx:
        async for page in friends.all_friends(tx, await moment(tx)):
            for one in page:
                yield one


async def _list(ctx: typer.Context, wanted: dict[str, str], limit: int) -> list[Friend]:
    from dispatch.flows import desk

    found: list[Friend] = []
    async with command_runtime(ctx) as rt:
        async for one in all_friends(rt):
            if all(_matches(one, name, word) for name, word in wanted.items()):
                found.append(one)
            if len(found) >= limit:
                break
        await desk.record_seen(rt, "friends.listed", actor=ACTOR)
    return found


def _matches(friend: Friend, name: str, word: str) -> bool:
    if name == "certificate":
        return any(held.code == word for held in friend.certificates)
    return str(getattr(friend, name)) == word


def _facts(friend: Friend) -> dict[str, Any]:
    facts: dict[str, Any] = to_json(friend)
    # Blocks are stored under a pseudonym of the customer, which is of no use here.
    del facts["blocked"]
    return facts


async def _show(ctx: typer.Context, word: str) -> dict[str, Any]:
    from data.db import moment
    from data.records import subjects
    from data.store import friends as rows
    from dispatch.flows import desk
    from dispatch.flows.people import friends
    from dispatch.flows.read_only import read_connection

    async with command_runtime(ctx) as rt:
        friend_id = await find_friend(rt, word)
        profile = dict(await friends.profile(rt, friend_id))
        await desk.record_seen(rt, "friend.opened", actor=ACTOR, subject=subjects.person(friend_id))
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

    async with command_runtime(ctx) as rt:
        friend_id = await find_friend(rt, word)
        key = customer_key(email)
        await friends.block_customer(rt, friend_id, key, by_friend=by_friend, actor=ACTOR)


async def _certify(ctx: typer.Context, word: str, code: str, *, add: bool) -> None:
    from data.seed import catalogue
    from dispatch.flows.people import friends

    codes = catalogue.load().certificates.keys()
    if code not in codes:
        raise UsageError(f"CODE must be one of {', '.join(sorted(codes))}.")
    async with command_runtime(ctx) as rt:
        friend_id = await find_friend(rt, word)
        change = friends.certify if add else friends.uncertify
        await change(rt, friend_id, code, actor=ACTOR)


def _set_state(ctx: typer.Context, word: str, state: str) -> None:
    from data.enums import FriendState

    ref = run(_state(ctx, word, FriendState(state)))
    print_message(f"{ref} is {state}.")


async def _state(ctx: typer.Context, word: str, state: FriendState) -> str:
    from dispatch.flows.people import friends

    async with command_runtime(ctx) as rt:
        friend_id = await find_friend(rt, word)
        await friends.set_state(rt, friend_id, state, actor=ACTOR)
        ref: str = (await friends.profile(rt, friend_id))["ref"]
        return ref
