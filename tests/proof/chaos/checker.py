"""What must be true afterwards: of the tables, and of all that callers were told."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import asyncpg

from tests.flows.invariants import violations
from tests.proof.chaos.ledger import Entry, Ledger
from tests.proof.races.linear import Accept, Said, check_round

OFFERS = """
SELECT o.id::text, o.booking_id::text AS booking, o.round, o.state::text, f.ref,
       a.state::text AS award, coalesce(o.answered_at >= o.expires_at, false) AS was_over
FROM offers o JOIN friends f ON f.id = o.friend_id LEFT JOIN awards a ON a.offer_id = o.id"""
AWARDS = """
SELECT a.booking_id::text AS booking, f.ref, a.state::text, a.contacted_at
FROM awards a JOIN friends f ON f.id = a.friend_id"""
BOOKINGS = "SELECT id::text, state::text FROM bookings"
# Each statement names what is wrong; the promises of tests/flows are asked beside them.
NEVER = {
    "acted on after it was cancelled": """
        SELECT b.id FROM bookings b JOIN events e ON e.booking_id = b.id
        WHERE b.state = 'cancelled' AND e.seq > (SELECT min(c.seq) FROM events c
          WHERE c.booking_id = b.id AND c.kind = 'booking.cancelled')
        UNION ALL SELECT t.booking_id FROM timers t JOIN bookings b ON b.id = t.booking_id
        WHERE b.state = 'cancelled'""",
    "more than four live at once": """
        SELECT o.booking_id FROM offers o JOIN offers p ON p.booking_id = o.booking_id
          AND p.offered_at <= o.offered_at AND (p.answered_at > o.offered_at OR p.state = 'live')
        GROUP BY o.booking_id, o.id HAVING count(*) > 4""",
    "a deadline missed twice": """
        SELECT (data ->> 'award')::uuid FROM events WHERE kind = 'contact.missed'
        GROUP BY 1 HAVING count(*) > 1""",
    "a deadline missed early": """
        SELECT a.id FROM events e JOIN awards a ON a.id = (e.data ->> 'award')::uuid
        WHERE e.kind = 'contact.missed' AND e.at < a.contact_due_at""",
    "a forfeit without its event, or the other way round": """
        SELECT a.id FROM awards a WHERE (a.state = 'forfeited') <> EXISTS (
          SELECT FROM events e WHERE e.booking_id = a.booking_id AND e.kind = 'contact.missed'
          AND e.data ->> 'award' = a.id::text)""",
    "contact after its deadline": "SELECT id FROM awards WHERE contacted_at >= contact_due_at",
    "a deadline that passed and was never rung": """
        SELECT id FROM awards
        WHERE state = 'live' AND contacted_at IS NULL AND contact_due_at < moment()
        UNION ALL SELECT id FROM offers WHERE state = 'live' AND expires_at < moment()""",
    "an offer expired early": """
        SELECT id FROM offers WHERE state = 'expired' AND answered_at < expires_at""",
    "an accept after the offer's end": """
        SELECT a.id FROM awards a JOIN offers o ON o.id = a.offer_id
        WHERE a.awarded_at >= o.expires_at""",
    "a message without an end": """
        SELECT id FROM messages WHERE state = 'parked'""",
    "twelve hours that are not": """
        SELECT id FROM awards WHERE extract(epoch FROM contact_due_at - awarded_at) <> 43200""",
}
CLOCK = "SELECT extract(epoch FROM real_at)::float8 AS real_s, shown_at, speed FROM clock"
RUNG = """
SELECT extract(epoch FROM a.contact_due_at - $2)::float8 AS due_s,
       extract(epoch FROM e.at - $2)::float8 AS rung_s
FROM events e JOIN awards a ON a.id = (e.data ->> 'award')::uuid
WHERE e.kind = 'contact.missed' AND a.contact_due_at < $1"""
RUNG_OFFERS = """
SELECT extract(epoch FROM expires_at - $2)::float8 AS due_s,
       extract(epoch FROM answered_at - $2)::float8 AS rung_s FROM offers
WHERE state = 'expired' AND expires_at < $1"""
OVERDUE = """
SELECT count(*) FROM timers WHERE not_before < moment() - make_interval(secs => $1)"""


# What may be answered to whom who does nothing wrong; anything else is a surprise.
ORDINARY = {
    "book": {"ok"},
    "book again": {"ok"},
    "accept": {"ok", "offer-gone", "offer-expired", "at-capacity"},
    "decline": {"ok", "offer-gone", "offer-expired"},
    "contacted": {"ok", "not-found", "contact-deadline-passed"},
    "complete": {"ok", "not-found"},
    "hand-back": {"ok", "not-found", "contact-deadline-passed"},
    "cancel": {"ok", "wrong-state"},
}


class Rung(NamedTuple):
    """A deadline: when it was due and when it was acted on, in seconds of this host's clock."""

    due_s: float
    rung_s: float


@dataclass(frozen=True, slots=True)
class Clock:
    """How the trade's time runs beside this host's."""

    real_s: float
    shown_at: datetime
    speed: float

    @classmethod
    async def of(cls, owner: asyncpg.Connection) -> "Clock":
        """As it is set now."""
        return cls(**dict(await owner.fetchrow(CLOCK)))

    def rung(self, row: asyncpg.Record) -> Rung:
        """A row of RUNG in real seconds."""
        return Rung(*(self.real_s + row[name] / self.speed for name in ("due_s", "rung_s")))


@dataclass(frozen=True, slots=True)
class Found:
    """What was found: everything wrong, and when deadlines were due and acted on."""

    wrong: list[str]
    contacts: list[Rung]
    offers: list[Rung]


async def check(
    owner: asyncpg.Connection,
    ledger: Ledger,
    clock: Clock,
    flowed: datetime,
    keys: Mapping[str, str],
) -> Found:
    """Compare what callers were told with what the tables say.

    Until `flowed` time flowed as `clock` says; `keys` are the bookings of all idempotency keys
    that were ever kept.
    """
    wrong = [*ledger.bad, *await violations(owner)]
    for promise, question in NEVER.items():
        wrong += [f"{promise}: {row[0]}" for row in await owner.fetch(question)]
    offers = {row["id"]: row for row in await owner.fetch(OFFERS)}
    bookings = {row["id"]: row["state"] for row in await owner.fetch(BOOKINGS)}
    wrong += _bookings(ledger, bookings, keys)
    wrong += _answers(ledger, offers)
    wrong += _rounds(ledger, offers)
    wrong += _deeds(ledger, bookings, await owner.fetch(AWARDS))
    wrong += _surprises(ledger)
    return Found(
        wrong=wrong,
        contacts=[clock.rung(row) for row in await owner.fetch(RUNG, flowed, clock.shown_at)],
        offers=[clock.rung(row) for row in await owner.fetch(RUNG_OFFERS, flowed, clock.shown_at)],
    )


def _bookings(
    ledger: Ledger, bookings: Mapping[str, str], keys: Mapping[str, str]
) -> Iterator[str]:
    """Every acknowledged booking is there, once for its key, and none without a key."""
    told: defaultdict[str, set[str]] = defaultdict(set)
    for entry in ledger.of("book", "book again"):
        told[entry.subject].add(json.loads(entry.body)["id"])
    for key, ids in told.items():
        if len(ids) > 1:
            yield f"{key} made {len(ids)} bookings"
        for id_ in ids - bookings.keys():
            yield f"lost: booking {id_} of {key} was acknowledged"
        if keys.get(key) not in ids:
            yield f"{key} was told {ids}, the database keeps {keys.get(key)}"
    for id_ in bookings.keys() - set(keys.values()):
        yield f"booking {id_} belongs to no request"


def _answers(ledger: Ledger, offers: dict[str, asyncpg.Record]) -> Iterator[str]:
    """What was said about an offer is what became of it."""
    won = ("accepted", "forfeited", "handed_back", "released")
    fits = {
        ("accept", "ok"): won,
        ("decline", "ok"): ("declined",),
        ("accept", "offer-gone"): ("lost", "withdrawn", "declined"),
        ("decline", "offer-gone"): ("lost", "withdrawn", *won),
        ("accept", "offer-expired"): ("expired",),
        ("decline", "offer-expired"): ("expired",),
    }
    for entry in ledger.entries:
        wanted = fits.get((entry.verb, entry.code or ""))
        state = offers[entry.subject]["state"] if entry.subject in offers else "missing"
        if entry.code == "offer-expired" and offers[entry.subject]["was_over"]:
            continue  # it was closed with the others after its end, before it was rung
        if wanted is not None and state not in wanted:
            yield f"{entry.who} was told {entry.code} to {entry.verb}, the offer is {state}"


def _rounds(ledger: Ledger, offers: dict[str, asyncpg.Record]) -> Iterator[str]:
    """Each round is a register written once."""
    said = {"ok": Said.WON, "offer-gone": Said.LOST, None: Said.UNKNOWN}
    accepts: defaultdict[tuple[str, int], list[Accept]] = defaultdict(list)
    winners: dict[tuple[str, int], str] = {}
    for row in offers.values():
        if row["award"] is not None:
            winners[row["booking"], row["round"]] = row["ref"]
    for entry in ledger.of("accept", code="ok"):
        accepts[_round(entry, offers)].append(_accept(entry, Said.WON))
    for code in ("offer-gone", None):
        for entry in ledger.of("accept", code=code):
            row = offers.get(entry.subject)
            # A round that nobody won was ended by the customer: that is checked by the states.
            if row is not None and row["state"] not in ("withdrawn", "declined"):
                accepts[_round(entry, offers)].append(_accept(entry, said[code]))
    for where, calls in accepts.items():
        yield from (f"{where}: {text}" for text in check_round(calls, winners.get(where)))


def _round(entry: Entry, offers: dict[str, asyncpg.Record]) -> tuple[str, int]:
    row = offers[entry.subject]
    return row["booking"], row["round"]


def _accept(entry: Entry, said: Said) -> Accept:
    return Accept(entry.who, entry.invoked_s, entry.returned_s, said)


def _deeds(ledger: Ledger, bookings: dict[str, str], awards: list[asyncpg.Record]) -> Iterator[str]:
    """Every acknowledged contact, completion, hand-back and cancellation is there."""
    held = {(row["booking"], row["ref"]): row for row in awards}
    for entry in ledger.of("cancel"):
        if bookings.get(entry.subject) != "cancelled":
            yield f"lost: {entry.subject} was cancelled and is {bookings.get(entry.subject)}"
    for entry in ledger.of("contacted", "complete", "hand-back"):
        row = held.get((entry.subject, entry.who))
        kept = (
            row is not None
            and {
                "contacted": row["contacted_at"] is not None,
                "complete": row["state"] == "done",
                "hand-back": row["state"] == "handed_back",
            }[entry.verb]
        )
        if not kept:
            yield f"lost: {entry.verb} of {entry.subject} by {entry.who}"
    for entry in ledger.of("contacted", "complete", "hand-back", code="not-found"):
        row = held.get((entry.subject, entry.who))
        if row is None or row["state"] in ("live", "done"):
            yield f"{entry.who} was told that {entry.subject} is not his, and it is"


def _surprises(ledger: Ledger) -> Iterator[str]:
    """Answers that nobody could expect who did nothing wrong."""
    for entry in ledger.entries:
        if entry.code is not None and entry.code not in ORDINARY[entry.verb]:
            yield f"{entry.verb} of {entry.subject} was answered {entry.code}: {entry.body[:200]!r}"
