"""State machines of booking, offer and award, as tables. What is not listed is not allowed.

A booking is `unconfirmed` until its customer has confirmed the mail address, unless somebody
vouches for them. It is `open` while friends are asked, `awarded` once the first has accepted, and
then moves towards `completed`. It returns to `open` (or to `unfilled`, when nobody is left to ask)
when its friend forfeits, hands back or is released. `unfilled` is not final: it is tried again when
a suitable friend appears. `incomplete` is a visit that did not solve the problem; the desk decides.
`completed` is final unless its customer contests it and the desk reopens it; `cancelled` is final.

An offer is `live` until it is closed, once. The accepted one stays `accepted` for as
long as its friend holds the job.

An award is `live` from acceptance to the end of the job; a `done` one is released when its job is
reopened.

The same tables stand in SQL (`transitions` and the enums in 0001_init.sql), where a trigger refuses
everything else, and in docs/states.md, which this module prints. A test compares the three.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from data.enums import AwardState, BookingState, OfferState

BOOKING_BIRTH = frozenset({BookingState.UNCONFIRMED, BookingState.OPEN, BookingState.UNFILLED})
BOOKING: Mapping[BookingState, frozenset[BookingState]] = {
    BookingState.UNCONFIRMED: frozenset(
        {BookingState.OPEN, BookingState.UNFILLED, BookingState.CANCELLED}
    ),
    BookingState.OPEN: frozenset(
        {BookingState.AWARDED, BookingState.UNFILLED, BookingState.CANCELLED}
    ),
    BookingState.AWARDED: frozenset(
        {BookingState.CONTACTED, BookingState.OPEN, BookingState.UNFILLED, BookingState.CANCELLED}
    ),
    BookingState.CONTACTED: frozenset(
        {
            BookingState.SCHEDULED,
            BookingState.UNDER_WAY,
            BookingState.COMPLETED,
            BookingState.INCOMPLETE,
            BookingState.OPEN,
            BookingState.UNFILLED,
            BookingState.CANCELLED,
        }
    ),
    BookingState.SCHEDULED: frozenset(
        {
            BookingState.UNDER_WAY,
            BookingState.COMPLETED,
            BookingState.INCOMPLETE,
            BookingState.OPEN,
            BookingState.UNFILLED,
            BookingState.CANCELLED,
        }
    ),
    BookingState.UNDER_WAY: frozenset({BookingState.COMPLETED, BookingState.INCOMPLETE}),
    BookingState.UNFILLED: frozenset(
        {BookingState.OPEN, BookingState.AWARDED, BookingState.CANCELLED}
    ),
    BookingState.INCOMPLETE: frozenset(
        {BookingState.OPEN, BookingState.UNFILLED, BookingState.CANCELLED}
    ),
    BookingState.COMPLETED: frozenset({BookingState.OPEN, BookingState.UNFILLED}),
    BookingState.CANCELLED: frozenset(),
}

OFFER_BIRTH = frozenset({OfferState.LIVE})
OFFER: Mapping[OfferState, frozenset[OfferState]] = {
    OfferState.LIVE: frozenset(
        {
            OfferState.ACCEPTED,
            OfferState.DECLINED,
            OfferState.EXPIRED,
            OfferState.LOST,
            OfferState.WITHDRAWN,
        }
    ),
    OfferState.ACCEPTED: frozenset(
        {OfferState.FORFEITED, OfferState.HANDED_BACK, OfferState.RELEASED}
    ),
    OfferState.DECLINED: frozenset(),
    OfferState.EXPIRED: frozenset(),
    OfferState.LOST: frozenset(),
    OfferState.WITHDRAWN: frozenset(),
    OfferState.FORFEITED: frozenset(),
    OfferState.HANDED_BACK: frozenset(),
    OfferState.RELEASED: frozenset(),
}

AWARD_BIRTH = frozenset({AwardState.LIVE})
AWARD: Mapping[AwardState, frozenset[AwardState]] = {
    AwardState.LIVE: frozenset(
        {AwardState.DONE, AwardState.FORFEITED, AwardState.HANDED_BACK, AwardState.RELEASED}
    ),
    AwardState.DONE: frozenset({AwardState.RELEASED}),
    AwardState.FORFEITED: frozenset(),
    AwardState.HANDED_BACK: frozenset(),
    AwardState.RELEASED: frozenset(),
}

HELD = frozenset(
    {BookingState.AWARDED, BookingState.CONTACTED, BookingState.SCHEDULED, BookingState.UNDER_WAY}
)
REFUSED_BY_FRIEND = frozenset(
    {
        OfferState.DECLINED,
        OfferState.EXPIRED,
        OfferState.FORFEITED,
        OfferState.HANDED_BACK,
        OfferState.RELEASED,
    }
)

State = TypeVar("State", bound=StrEnum)


class IllegalTransition(Exception):
    """A rule attempted a transition that is not in the table: a bug, never a refusal."""


def step(table: Mapping[State, frozenset[State]], old: State, new: State) -> State:
    """`new`, if the table allows it after `old`. Raises IllegalTransition."""
    if new not in table[old]:
        raise IllegalTransition(f"{type(old).__name__} cannot go from {old} to {new}")
    return new


def transitions() -> frozenset[tuple[str, str, str]]:
    """Every (machine, from, to) as the SQL table `transitions` holds it; births come from ''."""
    rows = {("bookings", "", str(new)) for new in BOOKING_BIRTH}
    rows |= {("offers", "", str(new)) for new in OFFER_BIRTH}
    rows |= {("awards", "", str(new)) for new in AWARD_BIRTH}
    rows |= {("bookings", str(old), str(new)) for old, news in BOOKING.items() for new in news}
    rows |= {("offers", str(old), str(new)) for old, news in OFFER.items() for new in news}
    rows |= {("awards", str(old), str(new)) for old, news in AWARD.items() for new in news}
    return frozenset(rows)


def document() -> str:
    """docs/states.md: one Mermaid diagram for each machine."""
    parts = [
        "# States\n",
        "Generated by `make states` from `dispatch/rules/jobs/states.py`; do not edit.\n",
    ]
    for machine in ("bookings", "offers", "awards"):
        arrows = sorted(
            f"    {old or '[*]'} --> {new}" for name, old, new in transitions() if name == machine
        )
        parts.append(f"## {machine.capitalize()}\n\n```mermaid\nstateDiagram-v2")
        parts.extend([*arrows, "```\n"])
    return "\n".join(parts)


if __name__ == "__main__":
    print(document(), end="")
