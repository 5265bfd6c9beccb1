"""Bookings: list, history of one, and why a friend got an offer or not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from api.cli.exit_codes import REFUSED, UsageError
from api.cli.ids import find_id
from api.cli.output import (
    AsJson,
    format_cell,
    print_json,
    print_line,
    print_message,
    print_table,
    stdout_console,
    to_json,
)
from api.cli.session import command_runtime, run

if TYPE_CHECKING:
    from data.enums import BookingState
    from data.records.decisions import Decision, Reach
    from data.store.consistency import Story
    from data.store.read_models import BookingView, DecisionLineView, DecisionView
    from dispatch.flows.jobs.replays import StoredReplay
    from dispatch.runtime import Runtime

LIMIT = 50
LISTED_BY = "tekkie bookings list"
ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
BookingWord = Annotated[
    str, typer.Argument(metavar="BOOKING", help="The booking's id, or its last four digits.")
]

OUTCOMES: Mapping[str, str] = {
    "OFFERED": "got an offer",
    "RANKED_BELOW_K": "qualified, but others were nearer",
    "COMPANY_ASKED": "qualified, but another technician of the company was asked",
    "FAVOURITE_FIRST": "qualified, but the customer's favourite was asked first",
    "INACTIVE": "is paused or suspended",
    "UNREACHABLE": "has no working channel",
    "TOO_YOUNG": "was too young for the package, or had no guardian's consent",
    "WRONG_MARKET": "works in another country",
    "WRONG_TIER": "is of a tier that got no offers then",
    "NOT_CERTIFIED": "had no valid certificate for the package",
    "NO_SHARED_LANGUAGE": "does not speak the customer's language",
    "NOT_A_MEMBER": "is not in the partner's community",
    "OUT_OF_RADIUS": "was too far away for the own radius",
    "BLOCKED": "is blocked for the customer",
    "EXCLUDED": "had declined, missed or handed back this booking",
    "AT_CAPACITY": "had reached the own limit of open jobs",
    "TOO_MANY_OFFERS": "had reached the limit of live offers",
    "QUIET_HOURS": "had quiet hours",
    "LEVEL_TOO_LOW": "a level below the least of this package",
    "OUTSIDE_PLAN": "outside the hours of their plan, or on holiday",
}

app = typer.Typer(help="Bookings and their history.")


@app.command("list")
def list_bookings(
    ctx: typer.Context,
    state: Annotated[
        str | None,
        typer.Option("--state", help="open, awarded, contacted, scheduled, unfilled, …"),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000)] = LIMIT,
    as_json: AsJson = False,
) -> None:
    """List bookings, newest first."""
    from data.enums import BookingState

    try:
        wanted = BookingState(state) if state else None
    except ValueError:
        raise UsageError(f"--state must be one of {', '.join(BookingState)}.") from None
    found = run(_list(ctx, wanted, limit))
    if as_json:
        print_json([_without_names(one) for one in found])
        return
    print_table(
        ["booking", "state", "package", "price", "round", "live offers", "created", "stars"],
        (
            (
                *(b.id, b.state, b.package, f"{b.price.amount / 100:.2f} {b.price.currency}"),
                *(b.round, b.live, b.created_at, b.stars),
            )
            for b in found
        ),
        none="No bookings found.",
    )


@app.command()
def show(ctx: typer.Context, booking: BookingWord, as_json: AsJson = False) -> None:
    """Show the history of a booking: events, offers, timers, messages."""
    view, story, refs = run(_show(ctx, booking))
    if as_json:
        print_json({**_without_names(view), "story": story})
        return
    print_line(f"{view.id}  {view.state}  {view.package}  round {view.round}")
    _heading("Events")
    for event in story.events:
        print_line(f"{format_cell(event['at'])}  {event['seq']:>3}  {_describe_event(event, refs)}")
    _heading("Offers")
    print_table(
        ["round", "friend", "metres", "state", "offered", "expires", "answered"],
        (
            (
                *(o["round"], o["ref"], o["distance_m"], o["state"]),
                *(o["offered_at"], o["expires_at"], o["answered_at"]),
            )
            for o in story.offers
        ),
        none="No offers yet.",
    )
    _heading("Timers")
    print_table(
        ["what", "due", "failed before"],
        ((t["kind"], t["due_at"], t["attempts"]) for t in story.timers),
        none="No timers.",
    )
    _heading("Messages")
    print_table(
        ["event", "to", "what", "by", "state", "problem"],
        (
            (m["seq"], m["audience"], m["template"], m["channel"], m["state"], m["problem"])
            for m in story.messages
        ),
        none="No messages.",
    )


@app.command()
def replay(ctx: typer.Context, booking: BookingWord, as_json: AsJson = False) -> None:
    """Decide every round again from what it was decided by, and report whether it is equal."""
    found, refs = run(_replay(ctx, booking))
    if as_json:
        print_json([_replay_json(one) for one in found])
    else:
        for one in found:
            for line in describe_replay(one, refs):
                print_line(line)
        if not found:
            print_message("There is no decision about this booking yet.")
    if any(one.replay and not one.replay.equals(one.decision) for one in found):
        raise typer.Exit(REFUSED)


def describe_replay(one: StoredReplay, refs: Mapping[str, str]) -> Iterator[str]:
    """Whether a decision replays equal, and what differs."""
    decision, again = one.decision, one.replay
    heading = f"{_heading_of(decision)}: "
    if again is None:
        yield f"{heading}cannot be replayed, an older tekkie did not store what it was decided by"
        return
    if again.equals(decision):
        yield f"{heading}replays equal, {len(decision.friends)} friends"
        return
    yield f"{heading}differs; then asked {decision.tier}, now {again.tier}"
    now = {line.friend_id: line for line in again.friends}
    for then in decision.friends:
        line = now.get(then.friend_id)
        if line != then:
            after = f"{line.outcome}, rank {line.rank}" if line else "not considered"
            who = refs.get(str(then.friend_id), then.friend_id)
            yield f"  {who}: then {then.outcome}, rank {then.rank}; now {after}"


def _replay_json(one: StoredReplay) -> dict[str, Any]:
    again = one.replay
    return {
        "seq": one.decision.seq,
        "round": one.decision.round,
        "at": one.decision.at,
        "policy": one.decision.policy,
        "policy_id": one.decision.policy_id,
        "policy_numbers": one.policy,
        "equal": again and again.equals(one.decision),
        "search": one.decision.inputs and to_json(one.decision.inputs.search),
    }


def why(
    ctx: typer.Context,
    booking: BookingWord,
    friend: Annotated[
        str | None, typer.Argument(help="The friend's ref, id or e-mail; all friends without.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Explain why a friend got an offer for a booking, or why not, in every round."""
    found, ref = run(_why(ctx, booking, friend))
    lines = [(decision, line) for decision in found for line in _lines_of(decision, ref)]
    if as_json:
        print_json(
            [
                {
                    "round": d.round,
                    "at": d.at,
                    "policy": d.policy,
                    **to_json(line),
                    "reach": to_json(d.reach),
                }
                for d, line in lines
            ]
        )
        return
    for decision, line in lines:
        print_line(describe_line(decision, line))
    for decision in found:
        if decision.reach is not None:
            print_line(describe_reach(decision, decision.reach))
    if not lines:
        print_message(
            "No decision considered this friend: they were not among the nearest available, nor "
            "among the hundred nearest of any kind."
            if ref
            else "There is no decision about this booking yet."
        )


def describe_line(decision: DecisionView, line: DecisionLineView) -> str:
    """One line of a decision in words; by cell, the metres are to the centre of the cell."""
    what = OUTCOMES[line.outcome]
    rank = f", rank {line.rank} of the qualified" if line.rank else ""
    return f"{_heading_of(decision)}: {line.ref}, {line.distance_m} m away, {what}{rank}"


def describe_reach(decision: DecisionView, reach: Reach) -> str:
    """Everybody in reach of a decision by outcome, most first, in words."""
    ordered = sorted(reach.counts.items(), key=lambda one: (-one[1], one[0]))
    words = [f"{count} {outcome.lower().replace('_', ' ')}" for outcome, count in ordered]
    far = "" if reach.within_m is None else f" up to {reach.within_m} m"
    return f"{_heading_of(decision)}: in reach{far}: {', '.join(words) or 'nobody'}"


def _heading_of(decision: Decision | DecisionView) -> str:
    return f"{format_cell(decision.at)}  round {decision.round} ({decision.policy})"


async def _replay(ctx: typer.Context, word: str) -> tuple[list[StoredReplay], Mapping[str, str]]:
    from data.store import consistency
    from dispatch.flows.jobs.replays import replay_booking
    from dispatch.flows.read_only import read_connection

    async with command_runtime(ctx) as rt:
        view = await _view(rt, word)
        async with read_connection(rt) as tx:
            found = await replay_booking(tx, view.id)
            ids = {line.friend_id for one in found for line in one.decision.friends}
            return found, await consistency.refs(tx, ids)


async def _list(ctx: typer.Context, state: BookingState | None, limit: int) -> list[BookingView]:
    from data.store import read_models
    from dispatch.flows.read_only import read_connection

    async with command_runtime(ctx) as rt, read_connection(rt) as tx:
        return await read_models.bookings(
            tx, partner_id=None, state=state, partner_reference=None, before=None, limit=limit
        )


async def _show(ctx: typer.Context, word: str) -> tuple[BookingView, Story, Mapping[str, str]]:
    from data.store import consistency
    from dispatch.flows.read_only import read_connection

    async with command_runtime(ctx) as rt:
        view = await _view(rt, word)
        async with read_connection(rt) as tx:
            story = await consistency.story(tx, view.id)
            ids = {UUID(one) for event in story.events for one in _ids(event)}
            return view, story, await consistency.refs(tx, ids)


async def _view(rt: Runtime, word: str) -> BookingView:
    from data.records.ids import BookingId
    from data.store import read_models
    from dispatch.flows.read_only import read_connection
    from dispatch.rules.refusals import NotFound

    booking = await find_id(rt, "booking", word, listed_by=LISTED_BY)
    async with read_connection(rt) as tx:
        view = await read_models.booking(tx, BookingId(booking))
    if view is None:
        raise NotFound(f"there is no booking {booking}; `{LISTED_BY}` shows them")
    return view


async def _why(
    ctx: typer.Context, booking: str, friend: str | None
) -> tuple[list[DecisionView], str | None]:
    from api.cli.logins import find_friend
    from data.store import consistency, read_models
    from dispatch.flows.read_only import read_connection

    async with command_runtime(ctx) as rt:
        view = await _view(rt, booking)
        friend_id = await find_friend(rt, friend) if friend else None
        async with read_connection(rt) as tx:
            decisions = await read_models.decisions(tx, view.id)
            refs = await consistency.refs(tx, [friend_id] if friend_id else [])
    return decisions, refs.get(str(friend_id))


def _lines_of(decision: DecisionView, ref: str | None) -> Iterator[DecisionLineView]:
    for line in decision.friends:
        if ref is None or line.ref == ref:
            yield line


def _describe_event(event: Mapping[str, Any], refs: Mapping[str, str]) -> str:
    """An event with the friends' refs instead of their ids."""
    parts = [f"{event['kind']:<22}", *(f"{k}={v}" for k, v in _event_fields(event["data"]))]
    who = "" if event["actor"] == "system" else f"  by {event['actor']}"
    return ID.sub(lambda found: refs.get(found[0], found[0]), "  ".join(parts) + who)


def _event_fields(data: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    for key, value in data.items():
        if key == "offers":
            yield "friends", ", ".join(offer["friend"] for offer in value)
        elif value not in (None, [], "") and key not in {"offer", "award"}:
            yield key, ", ".join(value) if isinstance(value, list) else value


def _ids(event: Mapping[str, Any]) -> Sequence[str]:
    return ID.findall(f"{event['actor']} {event['data']}")


def _without_names(view: BookingView) -> dict[str, Any]:
    """The booking as JSON without personal data of the customer and the friend."""
    facts: dict[str, Any] = to_json({**asdict(view), "customer": None, "holder": None})
    for private in ("customer", "move_note", "signature", "now"):
        del facts[private]
    holder = view.holder
    facts["holder"] = to_json(
        holder
        and {
            "friend_id": holder.id,
            "contact_due_at": holder.award.contact_due_at,
            "contacted_at": holder.award.contacted_at,
            "disputed_at": holder.award.disputed_at,
            "appointment": holder.award.appointment,
            "move_asked_at": holder.award.move_asked_at,
            "on_the_way_at": holder.award.on_the_way_at,
        }
    )
    return facts


def _heading(text: str) -> None:
    stdout_console().print(f"\n[bold]{text}[/]")
