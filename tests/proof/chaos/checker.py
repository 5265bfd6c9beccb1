"""Checks the tables and the recorded answers against each other after a run."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import asyncpg

from tests.flows.invariants import violations
from tests.proof.chaos.history import History, Operation
from tests.proof.races.linearizability import Accept, Outcome, check_round

OFFERS = """
SELECT o.id::text, o.booking_id::text AS booking, o.round, o.state::text, f.ref,
       a.state::text AS award, coalesce(o.answered_at >= o.expires_at, false) AS was_over
FROM offers o JOIN friends f ON f.id = o.friend_id LEFT JOIN awards a ON a.offer_id = o.id"""
AWARDS = """
SELECT a.booking_id::text AS booking, f.ref, a.state::text, a.contacted_at
FROM awards a JOIN friends f ON f.id = a.friend_id"""
BOOKINGS = "SELECT id::text, state::text FROM bookings"
# Each query returns violations; the invariants of tests/flows are checked beside them.
VIOLATION_QUERIES = {
    "changed after it was cancelled": """
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
    "a deadline that passed and never fired": """
        SELECT id FROM awards
        WHERE state = 'live' AND contacted_at IS NULL AND contact_due_at < moment()
        UNION ALL SELECT id FROM offers WHERE state = 'live' AND expires_at < moment()""",
    "an offer expired early": """
        SELECT id FROM offers WHERE state = 'expired' AND answered_at < expires_at""",
    "an accept after the offer's end": """
        SELECT a.id FROM awards a JOIN offers o ON o.id = a.offer_id
        WHERE a.awarded_at >= o.expires_at""",
    "a message that was parked": """
        SELECT id FROM messages WHERE state = 'parked'""",
    "twelve hours that are not": """
        SELECT id FROM awards WHERE extract(epoch FROM contact_due_at - awarded_at) <> 43200""",
}
CLOCK = "SELECT extract(epoch FROM real_at)::float8 AS real_s, shown_at, speed FROM clock"
FIRED_CONTACTS = """
SELECT extract(epoch FROM a.contact_due_at - $2)::float8 AS due_s,
       extract(epoch FROM e.at - $2)::float8 AS fired_s
FROM events e JOIN awards a ON a.id = (e.data ->> 'award')::uuid
WHERE e.kind = 'contact.missed' AND a.contact_due_at < $1"""
FIRED_OFFERS = """
SELECT extract(epoch FROM expires_at - $2)::float8 AS due_s,
       extract(epoch FROM answered_at - $2)::float8 AS fired_s FROM offers
WHERE state = 'expired' AND expires_at < $1"""
OVERDUE = """
SELECT count(*) FROM timers WHERE not_before < moment() - make_interval(secs => $1)"""


# What a client that does nothing wrong may be answered.
EXPECTED_CODES = {
    "book": {"ok"},
    "book again": {"ok"},
    "accept": {"ok", "offer-gone", "offer-expired", "at-capacity"},
    "decline": {"ok", "offer-gone", "offer-expired"},
    "contacted": {"ok", "not-found", "contact-deadline-passed"},
    "complete": {"ok", "not-found"},
    "hand-back": {"ok", "not-found", "contact-deadline-passed"},
    "cancel": {"ok", "wrong-state"},
}


class FiredDeadline(NamedTuple):
    """A deadline: when it was due and when it fired, in seconds of this host's clock."""

    due_s: float
    fired_s: float


@dataclass(frozen=True, slots=True)
class Clock:
    """How the test clock runs against this host's clock."""

    real_s: float
    shown_at: datetime
    speed: float

    @classmethod
    async def read(cls, owner: asyncpg.Connection) -> "Clock":
        """The setting stored now."""
        return cls(**dict(await owner.fetchrow(CLOCK)))

    def convert(self, row: asyncpg.Record) -> FiredDeadline:
        """A row of FIRED_CONTACTS or FIRED_OFFERS in real seconds."""
        return FiredDeadline(
            *(self.real_s + row[name] / self.speed for name in ("due_s", "fired_s"))
        )


@dataclass(frozen=True, slots=True)
class Findings:
    """All violations, and when deadlines were due and fired."""

    violations: list[str]
    contacts: list[FiredDeadline]
    offers: list[FiredDeadline]


async def check(
    owner: asyncpg.Connection,
    history: History,
    clock: Clock,
    until: datetime,
    keys: Mapping[str, str],
) -> Findings:
    """Compare the recorded answers with the tables.

    `clock` held until the moment `until`; `keys` maps every idempotency key that was ever stored
    to its booking.
    """
    found = [*history.errors, *await violations(owner)]
    for name, query in VIOLATION_QUERIES.items():
        found += [f"{name}: {row[0]}" for row in await owner.fetch(query)]
    offers = {row["id"]: row for row in await owner.fetch(OFFERS)}
    bookings = {row["id"]: row["state"] for row in await owner.fetch(BOOKINGS)}
    found += _check_bookings(history, bookings, keys)
    found += _check_offer_answers(history, offers)
    found += _check_rounds(history, offers)
    found += _check_actions(history, bookings, await owner.fetch(AWARDS))
    found += _check_codes(history)
    return Findings(
        violations=found,
        contacts=[
            clock.convert(row) for row in await owner.fetch(FIRED_CONTACTS, until, clock.shown_at)
        ],
        offers=[
            clock.convert(row) for row in await owner.fetch(FIRED_OFFERS, until, clock.shown_at)
        ],
    )


def _check_bookings(
    history: History, bookings: Mapping[str, str], keys: Mapping[str, str]
) -> Iterator[str]:
    """Every acknowledged booking exists, once per key, and no booking exists without a key."""
    acknowledged: defaultdict[str, set[str]] = defaultdict(set)
    for operation in history.of("book", "book again"):
        acknowledged[operation.subject].add(json.loads(operation.body)["id"])
    for key, ids in acknowledged.items():
        if len(ids) > 1:
            yield f"{key} made {len(ids)} bookings"
        for id_ in ids - bookings.keys():
            yield f"lost: booking {id_} of {key} was acknowledged"
        if keys.get(key) not in ids:
            yield f"{key} was answered {ids}, the database has {keys.get(key)}"
    for id_ in bookings.keys() - set(keys.values()):
        yield f"booking {id_} belongs to no request"


def _check_offer_answers(history: History, offers: dict[str, asyncpg.Record]) -> Iterator[str]:
    """What was answered about an offer agrees with its state."""
    won = ("accepted", "forfeited", "handed_back", "released")
    allowed = {
        ("accept", "ok"): won,
        ("decline", "ok"): ("declined",),
        ("accept", "offer-gone"): ("lost", "withdrawn", "declined"),
        ("decline", "offer-gone"): ("lost", "withdrawn", *won),
        ("accept", "offer-expired"): ("expired",),
        ("decline", "offer-expired"): ("expired",),
    }
    for operation in history.operations:
        wanted = allowed.get((operation.verb, operation.code or ""))
        state = offers[operation.subject]["state"] if operation.subject in offers else "missing"
        if operation.code == "offer-expired" and offers[operation.subject]["was_over"]:
            continue  # closed with the others after its end, before its timer fired
        if wanted is not None and state not in wanted:
            answer = f"{operation.code} to {operation.verb}"
            yield f"{operation.who} was answered {answer}, the offer is {state}"


def _check_rounds(history: History, offers: dict[str, asyncpg.Record]) -> Iterator[str]:
    """Each round is linearizable as a register that is written once."""
    outcomes = {"ok": Outcome.WON, "offer-gone": Outcome.LOST, None: Outcome.UNKNOWN}
    accepts: defaultdict[tuple[str, int], list[Accept]] = defaultdict(list)
    winners: dict[tuple[str, int], str] = {}
    for row in offers.values():
        if row["award"] is not None:
            winners[row["booking"], row["round"]] = row["ref"]
    for operation in history.of("accept", code="ok"):
        accepts[_round(operation, offers)].append(_accept(operation, Outcome.WON))
    for code in ("offer-gone", None):
        for operation in history.of("accept", code=code):
            row = offers.get(operation.subject)
            # A round without a winner was ended by the customer; the states are checked elsewhere.
            if row is not None and row["state"] not in ("withdrawn", "declined"):
                accepts[_round(operation, offers)].append(_accept(operation, outcomes[code]))
    for where, calls in accepts.items():
        yield from (f"{where}: {text}" for text in check_round(calls, winners.get(where)))


def _round(operation: Operation, offers: dict[str, asyncpg.Record]) -> tuple[str, int]:
    row = offers[operation.subject]
    return row["booking"], row["round"]


def _accept(operation: Operation, outcome: Outcome) -> Accept:
    return Accept(operation.who, operation.invoked_s, operation.returned_s, outcome)


def _check_actions(
    history: History, bookings: dict[str, str], awards: list[asyncpg.Record]
) -> Iterator[str]:
    """Every acknowledged contact, completion, hand-back and cancellation is stored."""
    held = {(row["booking"], row["ref"]): row for row in awards}
    for operation in history.of("cancel"):
        if bookings.get(operation.subject) != "cancelled":
            state = bookings.get(operation.subject)
            yield f"lost: {operation.subject} was cancelled and is {state}"
    for operation in history.of("contacted", "complete", "hand-back"):
        row = held.get((operation.subject, operation.who))
        kept = (
            row is not None
            and {
                "contacted": row["contacted_at"] is not None,
                "complete": row["state"] == "done",
                "hand-back": row["state"] == "handed_back",
            }[operation.verb]
        )
        if not kept:
            yield f"lost: {operation.verb} of {operation.subject} by {operation.who}"
    for operation in history.of("contacted", "complete", "hand-back", code="not-found"):
        row = held.get((operation.subject, operation.who))
        if row is None or row["state"] in ("live", "done"):
            yield f"{operation.who} was answered not-found for {operation.subject} and holds it"


def _check_codes(history: History) -> Iterator[str]:
    """Every answer is one that a correct client may get."""
    for operation in history.operations:
        if operation.code is not None and operation.code not in EXPECTED_CODES[operation.verb]:
            about = f"{operation.verb} of {operation.subject}"
            yield f"{about} was answered {operation.code}: {operation.body[:200]!r}"
