"""Bookings: a list, the story of one, and why a friend was or was not asked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from api.cli.exit_codes import UsedWrongly
from api.cli.output import (
    AsJson,
    paper,
    plain,
    print_json,
    print_line,
    print_table,
    say,
    shown,
)
from api.cli.session import at_desk, run

if TYPE_CHECKING:
    from data.enums import BookingState
    from data.store.consistency import Story
    from data.store.read_models import BookingView, DecisionLineView, DecisionView
    from dispatch.runtime import Runtime

LIMIT = 50
ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
BookingId = Annotated[UUID, typer.Argument(metavar="BOOKING", help="The booking's id.")]

OUTCOMES: Mapping[str, str] = {
    "OFFERED": "was asked",
    "RANKED_BELOW_K": "qualified, but others were nearer",
    "INACTIVE": "is paused or suspended",
    "UNREACHABLE": "has no working channel",
    "WRONG_MARKET": "works in another country",
    "WRONG_TIER": "is of the tier that was not asked then",
    "NOT_CERTIFIED": "lacks a certificate the package needs, valid at that time",
    "NO_SHARED_LANGUAGE": "does not speak the customer's language",
    "NOT_A_MEMBER": "is not in the partner's community",
    "OUT_OF_RADIUS": "does not go that far",
    "BLOCKED": "and the customer are kept apart",
    "EXCLUDED": "had declined, missed or given back this booking",
    "AT_CAPACITY": "had as many open jobs as he takes",
    "TOO_MANY_OFFERS": "had as many live offers as the policy allows",
    "QUIET_HOURS": "was in his quiet hours",
}

app = typer.Typer(help="What customers have booked, and what became of it.")


@app.command("list")
def list_some(
    ctx: typer.Context,
    state: Annotated[
        str | None,
        typer.Option("--state", help="open, awarded, contacted, scheduled, unfilled, …"),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000)] = LIMIT,
    as_json: AsJson = False,
) -> None:
    """List bookings, the newest first."""
    from data.enums import BookingState

    try:
        wanted = BookingState(state) if state else None
    except ValueError:
        raise UsedWrongly(f"--state must be one of {', '.join(BookingState)}.") from None
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
        none="No such booking.",
    )


@app.command()
def show(ctx: typer.Context, booking: BookingId, as_json: AsJson = False) -> None:
    """Tell the story of a booking: events, offers, timers, messages."""
    view, story, refs = run(_show(ctx, booking))
    if as_json:
        print_json({**_without_names(view), "story": story})
        return
    print_line(f"{view.id}  {view.state}  {view.package}  round {view.round}")
    _heading("Events")
    for event in story.events:
        print_line(f"{shown(event['at'])}  {event['seq']:>3}  {_told(event, refs)}")
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
        none="No offer yet.",
    )
    _heading("To come")
    print_table(
        ["what", "due", "failed before"],
        ((t["kind"], t["due_at"], t["attempts"]) for t in story.timers),
        none="No timer runs.",
    )
    _heading("Messages")
    print_table(
        ["event", "to", "what", "by", "state", "problem"],
        (
            (m["seq"], m["audience"], m["template"], m["channel"], m["state"], m["problem"])
            for m in story.messages
        ),
        none="No message.",
    )


def why(
    ctx: typer.Context,
    booking: BookingId,
    friend: Annotated[
        str | None, typer.Argument(help="The friend's ref, id or e-mail; everybody without.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say why a friend was asked about a booking, or why not, in every round."""
    found, ref = run(_why(ctx, booking, friend))
    lines = [(decision, line) for decision in found for line in _about(decision, ref)]
    if as_json:
        print_json(
            [{"round": d.round, "at": d.at, "policy": d.policy, **plain(line)} for d, line in lines]
        )
        return
    for decision, line in lines:
        print_line(sentence(decision, line))
    if not lines:
        say(
            "He was not in the frame of any decision: not among those nearest who could come, "
            "nor among the hundred nearest of any kind."
            if ref
            else "No decision was made about this booking yet."
        )


def sentence(decision: DecisionView, line: DecisionLineView) -> str:
    """One line of a decision in words; by cell the metres are counted to the middle of hers."""
    what = OUTCOMES.get(line.outcome, line.outcome)
    rank = f", number {line.rank} of those who qualified" if line.rank else ""
    made = f"{shown(decision.at)}  round {decision.round} ({decision.policy})"
    return f"{made}: {line.ref}, {line.distance_m} m away, {what}{rank}"


async def _list(ctx: typer.Context, state: BookingState | None, limit: int) -> list[BookingView]:
    from data.store import read_models
    from dispatch.flows.read_only import read_connection

    async with at_desk(ctx) as rt, read_connection(rt) as tx:
        return await read_models.bookings(
            tx, partner_id=None, state=state, partner_reference=None, before=None, limit=limit
        )


async def _show(ctx: typer.Context, booking: UUID) -> tuple[BookingView, Story, Mapping[str, str]]:
    from data.records.ids import BookingId
    from data.store import consistency
    from dispatch.flows.read_only import read_connection

    async with at_desk(ctx) as rt:
        view = await _view(rt, booking)
        async with read_connection(rt) as tx:
            story = await consistency.story(tx, BookingId(booking))
            ids = {UUID(one) for event in story.events for one in _ids(event)}
            return view, story, await consistency.refs(tx, ids)


async def _view(rt: Runtime, booking: UUID) -> BookingView:
    from data.records.ids import BookingId
    from data.store import read_models
    from dispatch.flows.read_only import read_connection
    from dispatch.rules.refusals import NotFound

    async with read_connection(rt) as tx:
        view = await read_models.booking(tx, BookingId(booking))
    if view is None:
        raise NotFound(f"there is no booking {booking}; `tekkie bookings list` shows them")
    return view


async def _why(
    ctx: typer.Context, booking: UUID, friend: str | None
) -> tuple[list[DecisionView], str | None]:
    from api.cli.logins import friend_named
    from data.records.ids import BookingId
    from data.store import consistency, read_models
    from dispatch.flows.read_only import read_connection

    async with at_desk(ctx) as rt:
        await _view(rt, booking)
        friend_id = await friend_named(rt, friend) if friend else None
        async with read_connection(rt) as tx:
            decisions = await read_models.decisions(tx, BookingId(booking))
            refs = await consistency.refs(tx, [friend_id] if friend_id else [])
    return decisions, refs.get(str(friend_id))


def _about(decision: DecisionView, ref: str | None) -> Iterator[DecisionLineView]:
    for line in decision.friends:
        if ref is None or line.ref == ref:
            yield line


def _told(event: Mapping[str, Any], refs: Mapping[str, str]) -> str:
    """An event with the friends' refs in the place of their ids."""
    parts = [f"{event['kind']:<22}", *(f"{k}={v}" for k, v in _said(event["data"]))]
    who = "" if event["actor"] == "system" else f"  by {event['actor']}"
    return ID.sub(lambda found: refs.get(found[0], found[0]), "  ".join(parts) + who)


def _said(data: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    for key, value in data.items():
        if key == "offers":
            yield "friends", ", ".join(offer["friend"] for offer in value)
        elif value not in (None, [], "") and key not in {"offer", "award"}:
            yield key, ", ".join(value) if isinstance(value, list) else value


def _ids(event: Mapping[str, Any]) -> Sequence[str]:
    return ID.findall(f"{event['actor']} {event['data']}")


def _without_names(view: BookingView) -> dict[str, Any]:
    """The booking as JSON; who the customer and the friend are is not for a script's log."""
    facts: dict[str, Any] = plain({**asdict(view), "customer": None, "holder": None})
    for hers in ("customer", "move_note", "signature", "now"):
        del facts[hers]
    holder = view.holder
    facts["holder"] = plain(
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
    paper().print(f"\n[bold]{text}[/]")
