"""Jobs: lock and load many, write many decisions in two statements."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

import asyncpg

from data import sql_loader
from data.db import Connection, moment
from data.enums import Audience, AwardState, BookingState, OfferState, Tier, TimerKind, Wish
from data.markets import Currency, Language, Market
from data.records.catalogue import Catalogue, Package
from data.records.ids import (
    AwardId,
    BookingId,
    CustomerKey,
    FriendId,
    OfferId,
    PartnerId,
    PersonId,
)
from data.records.jobs import (
    LIVING_AWARDS,
    Appointment,
    Award,
    Booking,
    Changes,
    Job,
    Offer,
    Protocol,
    Rating,
)
from data.records.messages import Event, Message
from data.records.money import Charge, Money
from data.records.people import Person
from data.records.reviews import ReviewDecision
from data.store import catalogue, decision_rows, threads
from data.store.errands import errand_row

sql = sql_loader.load("jobs")

Jobs = dict[BookingId, Job]
Row = tuple[Any, ...]


async def lock(
    tx: Connection,
    ids: Iterable[BookingId],
    packages: Catalogue,
    *,
    offers: Sequence[tuple[OfferId, FriendId]] = (),
    held: Sequence[tuple[BookingId, FriendId]] = (),
) -> tuple[Jobs, datetime]:
    """Lock and load these bookings, those of friends' own offers and those friends hold or held.

    Missing bookings and those of other friends are left out. The second value is the time of the
    trade, read after the locks.
    """
    named = (list(set(ids)), *_columns(offers), *_columns(held))
    locked = await tx.fetch(sql.lock, *named) if any(named) else []
    return await _load(tx, [row["id"] for row in locked], packages)


def _columns(pairs: Sequence[tuple[UUID, FriendId]]) -> tuple[list[UUID], list[FriendId]]:
    return [one for one, _ in pairs], [friend for _, friend in pairs]


async def lock_due(tx: Connection, limit: int, packages: Catalogue) -> tuple[Jobs, datetime]:
    """Lock and load at most `limit` bookings with a due timer, skipping those locked by others.

    Deadlines come before retries of unfilled bookings, so that many retries delay no deadline.
    """
    held = await tx.fetch(sql.lock_due, limit, False)
    if len(held) < limit:
        held += await tx.fetch(sql.lock_due, limit - len(held), True)
    return await _load(tx, list({row["id"] for row in held}), packages)


async def read(tx: Connection, booking_id: BookingId, packages: Catalogue) -> Job | None:
    """Read a job without a lock: to display it, never to decide on it."""
    loaded, _ = await _load(tx, [booking_id], packages)
    return loaded.get(booking_id)


async def _load(
    tx: Connection, ids: Sequence[BookingId], packages: Catalogue
) -> tuple[Jobs, datetime]:
    rows = await tx.fetch(sql.load, ids) if ids else []
    found = [(row, packages.find(row["package"], row["package_version"])) for row in rows]
    if any(package is None for _, package in found):
        packages.add(await catalogue.versions(tx))
        found = [(row, packages.at(row["package"], row["package_version"])) for row in rows]
    loaded = {row["id"]: _job(row, package) for row, package in found if package is not None}
    return loaded, rows[0]["now"] if rows else await moment(tx)


def _job(row: asyncpg.Record, package: Package) -> Job:
    awards = [award(held) for held in row["awards"]]
    return Job(
        booking=booking(row),
        package=package.in_market(Market(row["market"])),
        offers=tuple(map(offer, row["offers"])),
        award=next((held for held in awards if held.state in LIVING_AWARDS), None),
        former={lost.friend_id: lost.state for lost in awards if lost.state not in LIVING_AWARDS},
        timers={TimerKind(kind): due_at for kind, due_at in row["timers"]},
        rated=row["rated"],
        reviewed=row["reviewed"],
    )


async def due(tx: Connection, limit: int) -> list[BookingId]:
    """Return at most `limit` bookings with a due timer, longest due first; takes no lock."""
    return [row["booking_id"] for row in await tx.fetch(sql.due, limit)]


async def appointments(
    tx: Connection, friends: Sequence[FriendId]
) -> Mapping[FriendId, Mapping[BookingId, Appointment]]:
    """Return the appointments of these friends, by booking."""
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
    """Return the bookings with these partners' own references."""
    rows = await tx.fetch(sql.by_reference, [p for p, _ in references], [r for _, r in references])
    return {(row["partner_id"], row["partner_reference"]): row["id"] for row in rows}


async def confirmed_contacts(
    tx: Connection, keys: Sequence[str], within: timedelta
) -> frozenset[str]:
    """Return those of these `contact_key`s that were confirmed at most `within` ago."""
    return frozenset(row["contact_key"] for row in await tx.fetch(sql.contacts, keys, within))


async def postpone(tx: Connection, booking_id: BookingId) -> None:
    """Postpone the due timers of a booking after a failure, longer each time."""
    await tx.execute(sql.postpone_timers, booking_id)


async def next_due_s(tx: Connection) -> float | None:
    """Return the seconds until the next timer is due; None without timers."""
    found: float | None = await tx.fetchval(sql.next_due)
    return found


async def write(tx: Connection, changes: Sequence[Changes], now: datetime) -> None:
    """Write many decisions; the constraints of the schema are checked last.

    Updates come before inserts, so that a slot is free before another offer takes it.
    """
    awards = [(c.award_is_new, c.award) for c in changes if c.award is not None]
    timers = [(c.booking.id, kind, due) for c in changes for kind, due in c.timers.items()]
    await _execute_together(
        tx,
        update_bookings=[_booking_update_row(c.booking) for c in changes if c.customer is None],
        update_offers=[
            _closed_offer_row(o) for o in _offers(changes) if o.state is not OfferState.LIVE
        ],
        update_awards=[_award_update_row(held) for new, held in awards if not new],
        stop_timers=[(booking_id, kind) for booking_id, kind, due in timers if due is None],
        count_open_jobs=_counts(changes, now),
        update_people=[
            _customer_texts_row(c) for c in changes if (c.signature, c.move_note) != (None, None)
        ],
    )
    messages = [m for c in changes for m in c.messages]
    to_companies = [m for m in messages if m.audience is Audience.COMPANY]
    await _execute_together(
        tx,
        insert_people=[_person_row(c.customer) for c in changes if c.customer is not None],
        insert_bookings=[_booking_row(c.booking) for c in changes if c.customer is not None],
        insert_offers=[_offer_row(o) for o in _offers(changes) if o.state is OfferState.LIVE],
        insert_awards=[_award_row(held) for new, held in awards if new],
        set_timers=[timer for timer in timers if timer[2] is not None],
        insert_events=[_event_row(e) for c in changes for e in c.events],
        insert_decisions=[decision_rows.row(d) for c in changes for d in c.decisions],
        insert_messages=[
            _message_row(m, now) for m in messages if m.audience is not Audience.COMPANY
        ],
        insert_company_messages=[_message_row(m, now) for m in to_companies],
        insert_errands=[(*errand_row(e), now) for c in changes for e in c.errands],
        keep_threads=[threads.row(c.thread) for c in changes if c.thread is not None],
        insert_notes=[threads.note_row(c.note) for c in changes if c.note is not None],
        insert_ratings=[_rating_row(c.rating) for c in changes if c.rating is not None],
        decide_reviews=[
            _review_decision_row(c.booking.id, c.decision_on_review)
            for c in changes
            if c.decision_on_review is not None
        ],
        insert_reviews=[_rating_row(c.review) for c in changes if c.review is not None],
        confirm_contacts=[
            (c.booking.customer_id, c.confirmed_at) for c in changes if c.confirmed_at is not None
        ],
        insert_reversals=[
            (c.booking.id, c.reversed_at) for c in changes if c.reversed_at is not None
        ],
        insert_charges=[_charge_row(c.charge) for c in changes if c.charge is not None],
    )


async def _execute_together(tx: Connection, **rows: Sequence[Row]) -> None:
    """Execute the blocks that have rows as one statement, to save round trips."""
    filled = {block: some for block, some in rows.items() if some}
    if filled:
        columns = (list(column) for some in filled.values() for column in zip(*some, strict=True))
        await tx.execute(_statement(*filled), *columns)


@cache
def _statement(*blocks: str) -> str:
    return sql.combine(*blocks)


def _offers(changes: Sequence[Changes]) -> Iterator[Offer]:
    return (offer for change in changes for offer in change.offers)


def _person_row(p: Person) -> Row:
    return (
        *(p.id, p.name, p.email, p.phone, p.language, p.street, p.postcode, p.city, p.country),
        *(p.lat, p.lon, p.precision, p.radius_m, p.notes),
    )


def _customer_texts_row(c: Changes) -> Row:
    return (c.booking.customer_id, c.signature, c.move_note)


def _booking_row(b: Booking) -> Row:
    return (
        *(b.id, b.state, b.package, b.market, b.language, b.customer_id, b.customer_key),
        *(b.partner_id, b.partner_reference, b.members_only, " ".join(b.wishes)),
        *(b.price.amount, b.pay.amount, b.price.currency, b.cell_lat, b.cell_lon, b.cell_label),
        *(b.tier, b.round, b.round_limit, b.event_seq, b.award_id, b.created_at, b.state_at),
        *(b.booked_before, b.favourite_id, b.package_version),
    )


def _booking_update_row(b: Booking) -> Row:
    return (
        *(b.id, b.state, b.tier, b.round, b.round_limit, b.event_seq, b.award_id, b.state_at),
        *(b.cancel_fee_minor, b.wrong_codes, b.link_generation, b.needs_pro),
    )


def _offer_row(o: Offer) -> Row:
    return (
        *(o.id, o.booking_id, o.friend_id, o.round, o.slot, o.slots, o.state, o.distance_m),
        *(o.shown_m, o.radius_m, o.offered_at, o.expires_at, o.company),
    )


def _closed_offer_row(o: Offer) -> Row:
    return (o.id, o.state, o.answered_at, o.friend_id)


def _award_row(a: Award) -> Row:
    return (
        *(a.id, a.booking_id, a.friend_id, a.offer_id, a.round, a.state),
        *(a.awarded_at, a.contact_due_at, a.contact_within_s, a.company),
    )


def _award_update_row(a: Award) -> Row:
    met, done = a.appointment, a.protocol
    return (
        *(a.id, a.state, a.contacted_at),
        *((met.starts_at, met.ends_at, met.revision) if met else (None, None, 0)),
        *(a.on_the_way_at, a.move_asked_at, " ".join(a.move_wishes), a.disputed_at),
        *(a.started_at, a.ended_at),
        *((done.summary, done.minutes) if done else (None, None)),
        *(a.marks, a.friend_id),
    )


def _event_row(e: Event) -> Row:
    return (e.booking_id, e.seq, e.kind, e.at, e.actor, e.data)


def _message_row(m: Message, now: datetime) -> Row:
    return (
        *(m.id, m.booking_id, m.seq, m.channel, m.audience, m.recipient_id, m.template, m.data),
        *(m.expires_at, m.not_before or now),
    )


def _rating_row(r: Rating) -> Row:
    return (r.booking_id, r.friend_id, r.stars, r.comment, r.at, r.shown_at)


def _review_decision_row(booking_id: BookingId, d: ReviewDecision) -> Row:
    return (booking_id, d.no, d.by_friend, d.hidden, d.operator)


def _charge_row(c: Charge) -> Row:
    return (
        c.booking_id,
        c.friend_id,
        c.price.amount,
        c.pay.amount,
        c.price.currency,
        c.at,
        c.company,
    )


def _counts(changes: Sequence[Changes], now: datetime) -> list[Row]:
    by: Counter[FriendId] = Counter()
    for change in changes:
        by.update(change.open_jobs)
    taken = Counter(c.taken_by for c in changes)
    back = Counter(c.handed_back_by for c in changes)
    alarmed = {c.handed_back_by for c in changes if c.alarm}
    concerned = {friend for friend, n in by.items() if n} | taken.keys() | back.keys()
    return [
        (friend, by[friend], taken[friend], back[friend], friend in alarmed, now)
        for friend in sorted(one for one in concerned if one is not None)
    ]


def booking(row: asyncpg.Record) -> Booking:
    """Build a booking from its row joined with its customer's point."""
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
        package_version=row["package_version"],
        created_at=row["created_at"],
        state_at=row["state_at"],
        tier=Tier(row["tier"]),
        round=row["round"],
        round_limit=row["round_limit"],
        event_seq=row["event_seq"],
        award_id=row["award_id"],
        cancel_fee_minor=row["cancel_fee_minor"],
        wrong_codes=row["wrong_codes"],
        booked_before=row["booked_before"],
        link_generation=row["link_generation"],
        needs_pro=row["needs_pro"],
        favourite_id=row["favourite_id"],
    )


def offer(row: asyncpg.Record) -> Offer:
    """Build an offer from its row."""
    return Offer(
        id=OfferId(row["id"]),
        booking_id=BookingId(row["booking_id"]),
        friend_id=FriendId(row["friend_id"]),
        round=row["round"],
        slot=row["slot"],
        slots=row["slots"],
        state=OfferState(row["state"]),
        distance_m=row["distance_m"],
        shown_m=row["shown_m"],
        radius_m=row["radius_m"],
        offered_at=row["offered_at"],
        expires_at=row["expires_at"],
        answered_at=row["answered_at"],
        company=row["company_id"],
    )


def award(row: asyncpg.Record) -> Award:
    """Build an award from its row."""
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
        on_the_way_at=row["on_the_way_at"],
        move_asked_at=row["move_asked_at"],
        move_wishes=tuple(map(Wish, row["move_wishes"])),
        disputed_at=row["disputed_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        protocol=Protocol(summary=row["summary"], minutes=row["worked_minutes"])
        if row["summary"] is not None
        else None,
        contact_within_s=row["contact_within_s"],
        company=row["company_id"],
        marks=row["marks"],
    )
