"""Jobs: lock and load many, write many decisions, each table once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from data import queries
from data.db import Connection, moment
from data.records import (
    LIVING_AWARDS,
    Appointment,
    Award,
    AwardId,
    AwardState,
    Booking,
    BookingId,
    BookingState,
    Changes,
    Currency,
    CustomerKey,
    FriendId,
    Job,
    Language,
    Market,
    Money,
    Offer,
    OfferId,
    OfferState,
    Package,
    PartnerId,
    PersonId,
    Protocol,
    Tier,
    TimerKind,
    Wish,
)

sql = queries.load("jobs")

Jobs = dict[BookingId, Job]


async def lock(
    tx: Connection, ids: Iterable[BookingId], packages: Mapping[str, Package]
) -> tuple[Jobs, datetime]:
    """Lock these bookings in the order of their ids and load them; missing ones are left out.

    The second value is the moment of the trade, read after the locks.
    """
    wanted = set(ids)
    if wanted:
        await tx.fetch(sql.lock, wanted)
    return await load(tx, wanted, packages), await moment(tx)


async def lock_due(
    tx: Connection, limit: int, packages: Mapping[str, Package]
) -> tuple[Jobs, datetime]:
    """Lock and load at most `limit` bookings with a timer due, passing over those others hold."""
    ids = [row["id"] for row in await tx.fetch(sql.lock_due, limit)]
    return await load(tx, ids, packages), await moment(tx)


async def load(tx: Connection, ids: Iterable[BookingId], packages: Mapping[str, Package]) -> Jobs:
    """Load these bookings with their offers, living award and timers, without a lock."""
    wanted = list(set(ids))
    if not wanted:
        return {}
    rows = await tx.fetch(sql.load, wanted)
    offers: defaultdict[BookingId, list[Offer]] = defaultdict(list)
    for row in await tx.fetch(sql.offers_of, wanted):
        offers[row["booking_id"]].append(offer(row))
    awards: dict[BookingId, Award] = {}
    former: defaultdict[BookingId, dict[FriendId, AwardState]] = defaultdict(dict)
    for held in map(award, await tx.fetch(sql.awards_of, wanted)):
        if held.state in LIVING_AWARDS:
            awards[held.booking_id] = held
        else:
            former[held.booking_id][held.friend_id] = held.state
    timers: defaultdict[BookingId, dict[TimerKind, datetime]] = defaultdict(dict)
    for row in await tx.fetch(sql.timers_of, wanted):
        timers[row["booking_id"]][TimerKind(row["kind"])] = row["due_at"]
    return {
        row["id"]: Job(
            booking=booking(row),
            package=packages[row["package"]],
            offers=tuple(offers[row["id"]]),
            award=awards.get(row["id"]),
            former=former[row["id"]],
            timers=timers[row["id"]],
            rated=row["rated"],
        )
        for row in rows
    }


async def of_offers(
    tx: Connection, offers: Sequence[tuple[OfferId, FriendId]]
) -> Mapping[tuple[OfferId, FriendId], BookingId]:
    """The bookings of these friends' own offers; what is not their own is left out."""
    if not offers:
        return {}
    rows = await tx.fetch(sql.of_offers, [o for o, _ in offers], [f for _, f in offers])
    return {(row["id"], row["friend_id"]): row["booking_id"] for row in rows}


async def due(tx: Connection, limit: int) -> list[BookingId]:
    """At most `limit` bookings with a timer that is due, the longest due first; takes no lock."""
    return [row["booking_id"] for row in await tx.fetch(sql.due, limit)]


async def appointments(
    tx: Connection, friends: Sequence[FriendId]
) -> Mapping[FriendId, Mapping[BookingId, Appointment]]:
    """The appointments these friends have, by booking."""
    found: defaultdict[FriendId, dict[BookingId, Appointment]] = defaultdict(dict)
    for row in await tx.fetch(sql.appointments_of, friends):
        found[row["friend_id"]][row["booking_id"]] = Appointment(
            starts_at=row["starts_at"],
            ends_at=row["ends_at"],
            revision=row["appointment_revision"],
        )
    return found


async def by_reference(
    tx: Connection, references: Sequence[tuple[PartnerId, str]]
) -> Mapping[tuple[PartnerId, str], BookingId]:
    """The bookings that carry these partners' own references."""
    rows = await tx.fetch(sql.by_reference, [p for p, _ in references], [r for _, r in references])
    return {(row["partner_id"], row["partner_reference"]): row["id"] for row in rows}


async def postpone(tx: Connection, booking_id: BookingId) -> None:
    """Set the due timers of a booking back after a failure, further each time."""
    await tx.execute(sql.postpone_timers, booking_id)


async def next_due_s(tx: Connection) -> float | None:
    """Seconds of the trade's time until the next timer is due; None when there is none."""
    found: float | None = await tx.fetchval(sql.next_due)
    return found


async def write(tx: Connection, changes: Sequence[Changes], now: datetime) -> None:
    """Write many decisions, each table once; the constraints of the schema have the last word."""
    await _write_bookings(tx, changes)
    await _write_offers(tx, changes)
    await _write_awards(tx, changes)
    await _write_timers(tx, changes)
    await _write_events(tx, changes)
    await _write_messages(tx, changes, now)
    await _count_open_jobs(tx, changes)
    await _write_endings(tx, changes)


async def _write_bookings(tx: Connection, changes: Sequence[Changes]) -> None:
    people = [c.customer for c in changes if c.customer is not None]
    await _each(
        tx,
        sql.insert_people,
        [
            (
                p.id,
                p.name,
                p.email,
                p.phone,
                p.language,
                p.street,
                p.postcode,
                p.city,
                p.country,
                p.lat,
                p.lon,
                p.precision,
                p.radius_m,
                p.notes,
            )
            for p in people
        ],
    )
    await _each(
        tx,
        sql.insert_bookings,
        [_booking_row(c.booking) for c in changes if c.customer is not None],
    )
    await _each(
        tx,
        sql.update_bookings,
        [
            (b.id, b.state, b.tier, b.round, b.round_limit, b.event_seq, b.award_id, b.state_at)
            for b in (c.booking for c in changes if c.customer is None)
        ],
    )


def _booking_row(b: Booking) -> tuple[Any, ...]:
    return (
        *(b.id, b.state, b.package, b.market, b.language, b.customer_id, b.customer_key),
        *(b.partner_id, b.partner_reference, b.members_only, " ".join(b.wishes)),
        *(b.price.amount, b.pay.amount, b.price.currency, b.cell_lat, b.cell_lon, b.cell_label),
        *(b.tier, b.round, b.round_limit, b.event_seq, b.award_id, b.created_at, b.state_at),
    )


async def _write_offers(tx: Connection, changes: Sequence[Changes]) -> None:
    changed = [o for c in changes for o in c.offers]
    await _each(
        tx,
        sql.update_offers,
        [(o.id, o.state, o.answered_at) for o in changed if o.state is not OfferState.LIVE],
    )
    await _each(
        tx,
        sql.insert_offers,
        [
            (
                o.id,
                o.booking_id,
                o.friend_id,
                o.round,
                o.slot,
                o.state,
                o.distance_m,
                o.shown_m,
                o.radius_m,
                o.offered_at,
                o.expires_at,
            )
            for o in changed
            if o.state is OfferState.LIVE
        ],
    )


async def _write_awards(tx: Connection, changes: Sequence[Changes]) -> None:
    awards = [(c.award_is_new, c.award) for c in changes if c.award is not None]
    await _each(tx, sql.insert_awards, [_new_award_row(a) for new, a in awards if new])
    await _each(tx, sql.update_awards, [_award_row(a) for new, a in awards if not new])


def _new_award_row(a: Award) -> tuple[Any, ...]:
    return (
        *(a.id, a.booking_id, a.friend_id, a.offer_id, a.round, a.state),
        *(a.awarded_at, a.contact_due_at),
    )


def _award_row(a: Award) -> tuple[Any, ...]:
    met, done = a.appointment, a.protocol
    return (
        *(a.id, a.state, a.contacted_at),
        *((met.starts_at, met.ends_at, met.revision) if met else (None, None, 0)),
        *(a.started_at, a.ended_at),
        *((done.summary, done.minutes) if done else (None, None)),
    )


async def _write_timers(tx: Connection, changes: Sequence[Changes]) -> None:
    timers = [(c.booking.id, kind, due) for c in changes for kind, due in c.timers.items()]
    await _each(tx, sql.stop_timers, [(b, kind) for b, kind, due in timers if due is None])
    await _each(tx, sql.set_timers, [timer for timer in timers if timer[2] is not None])


async def _write_events(tx: Connection, changes: Sequence[Changes]) -> None:
    await _each(
        tx,
        sql.insert_events,
        [(e.booking_id, e.seq, e.kind, e.at, e.actor, e.data) for c in changes for e in c.events],
    )
    await _each(
        tx,
        sql.insert_decisions,
        [
            (
                *(d.booking_id, d.seq, d.round, d.tier, d.at, d.policy),
                _array(f.friend_id for f in d.friends),
                _array(f.outcome for f in d.friends),
                _array(f.distance_m for f in d.friends),
                _array(f.rank or 0 for f in d.friends),
            )
            for c in changes
            for d in c.decisions
        ],
    )


def _array(values: Iterable[object]) -> str:
    """An array as a literal, of values that need no quotes."""
    return "{" + ",".join(map(str, values)) + "}"


async def _write_messages(tx: Connection, changes: Sequence[Changes], now: datetime) -> None:
    await _each(
        tx,
        sql.insert_messages,
        [
            (
                m.id,
                m.booking_id,
                m.seq,
                m.channel,
                m.audience,
                m.recipient_id,
                m.template,
                m.data,
                m.expires_at,
                now,
            )
            for c in changes
            for m in c.messages
        ],
    )


async def _count_open_jobs(tx: Connection, changes: Sequence[Changes]) -> None:
    by: defaultdict[FriendId, int] = defaultdict(int)
    for change in changes:
        for friend, count in change.open_jobs.items():
            by[friend] += count
    await _each(tx, sql.count_open_jobs, [(friend, n) for friend, n in sorted(by.items()) if n])


async def _write_endings(tx: Connection, changes: Sequence[Changes]) -> None:
    ratings = [c.rating for c in changes if c.rating is not None]
    await _each(
        tx,
        sql.insert_ratings,
        [(r.booking_id, r.friend_id, r.stars, r.comment, r.at) for r in ratings],
    )
    charges = [c.charge for c in changes if c.charge is not None]
    await _each(
        tx,
        sql.insert_charges,
        [
            (c.booking_id, c.friend_id, c.price.amount, c.pay.amount, c.price.currency, c.at)
            for c in charges
        ],
    )


async def _each(tx: Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        await tx.execute(statement, *map(list, zip(*rows, strict=True)))


def booking(row: asyncpg.Record) -> Booking:
    """A booking from its row joined with its customer's point."""
    currency = Currency(row["currency"])
    return Booking(
        id=BookingId(row["id"]),
        state=BookingState(row["state"]),
        package=row["package"],
        market=Market(row["market"]),
        language=Language(row["language"]),
        customer_id=PersonId(row["customer_id"]),
        customer_key=CustomerKey(row["customer_key"]),
        partner_id=row["partner_id"],
        partner_reference=row["partner_reference"],
        members_only=row["members_only"],
        wishes=tuple(map(Wish, row["wishes"])),
        price=Money(amount=row["price_minor"], currency=currency),
        pay=Money(amount=row["pay_minor"], currency=currency),
        lat=row["lat"],
        lon=row["lon"],
        cell_lat=row["cell_lat"],
        cell_lon=row["cell_lon"],
        cell_label=row["cell_label"],
        created_at=row["created_at"],
        state_at=row["state_at"],
        tier=Tier(row["tier"]),
        round=row["round"],
        round_limit=row["round_limit"],
        event_seq=row["event_seq"],
        award_id=row["award_id"],
    )


def offer(row: asyncpg.Record) -> Offer:
    """An offer from its row."""
    return Offer(
        id=OfferId(row["id"]),
        booking_id=BookingId(row["booking_id"]),
        friend_id=FriendId(row["friend_id"]),
        round=row["round"],
        slot=row["slot"],
        state=OfferState(row["state"]),
        distance_m=row["distance_m"],
        shown_m=row["shown_m"],
        radius_m=row["radius_m"],
        offered_at=row["offered_at"],
        expires_at=row["expires_at"],
        answered_at=row["answered_at"],
    )


def award(row: asyncpg.Record) -> Award:
    """An award from its row."""
    met = row["appointment"]
    return Award(
        id=AwardId(row["id"]),
        booking_id=BookingId(row["booking_id"]),
        friend_id=FriendId(row["friend_id"]),
        offer_id=row["offer_id"],
        round=row["round"],
        state=AwardState(row["state"]),
        awarded_at=row["awarded_at"],
        contact_due_at=row["contact_due_at"],
        contacted_at=row["contacted_at"],
        appointment=met
        and Appointment(
            starts_at=met.lower, ends_at=met.upper, revision=row["appointment_revision"]
        ),
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        protocol=Protocol(summary=row["summary"], minutes=row["worked_minutes"])
        if row["summary"] is not None
        else None,
    )
