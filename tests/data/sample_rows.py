"""Valid rows for every table, and a small set of related rows, to be varied by column."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from asyncpg import Range

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)
UUID_BASE = 0x0197F0A0_0000_7000_8000_000000000000


def id_(number: int) -> UUID:
    return UUID(int=UUID_BASE + number)


CUSTOMERS = {name: id_(100 + n) for n, name in enumerate(["open", "won", "done", "bare", "new"])}
FRIENDS = {n: id_(200 + n) for n in range(1, 8)}
BOOKINGS = {name: id_(300 + n) for n, name in enumerate(CUSTOMERS)}
PARTNER, OTHER_PARTNER = id_(400), id_(401)
COMPANIES = {n: id_(800 + n) for n in (1, 2)}
DISPATCHER = id_(811)
OFFERS = {n: id_(500 + n) for n in range(1, 9)}
AWARDS = {"won": id_(600), "done": id_(601), "new": id_(602)}
FILES = {"photo": id_(800), "bare": id_(801)}
ERRANDS = {n: id_(820 + n) for n in (1, 2)}
OPERATOR = id_(810)
REQUEST = id_(811)
NEW = id_(900)
POLICY = id_(901)
SITTING = id_(902)
SHA = b"\x01" * 32
OF_FRIEND = {"booking_id": None, "subject_kind": "person", "subject_id": FRIENDS[2]}
USED_ENDPOINT = "https://fcm.googleapis.com/fcm/send/rung"


def rows() -> dict[str, dict[str, Any]]:
    """Return one valid row for each table."""
    return {
        "people": {
            "id": NEW,
            "kind": "friend",
            "name": "Rosa Muster",
            "email": "rosa@example.org",
            "phone": "+41440000000",
            "language": "de",
            "country": "CH",
            "lat": 47.4,
            "lon": 8.5,
            "radius_m": 0,
            "notes": None,
        },
        "push_subscriptions": {
            "id": NEW,
            "friend_id": FRIENDS[1],
            "endpoint": "https://fcm.googleapis.com/fcm/send/new",
            "p256dh": b"\x04" * 65,
            "auth": b"\x01" * 16,
            "created_at": NOW,
        },
        "packages": {
            "code": "tea-making",
            "category": "training",
            "tier": "friend",
            "minutes": 60,
            "certificates": [],
            "texts": {},
        },
        "package_versions": {
            "package": "wifi-setup",
            "version": 2,
            "valid_from": NOW,
            "active": True,
            "category": "network",
            "tier": "friend",
            "tiers": {},
            "minutes": 60,
            "certificates": ["wifi"],
            "texts": {},
            "prices": {"CH": 6900},
            "min_age": 18,
            "created_at": NOW,
        },
        "prices": {
            "package": "wifi-setup",
            "market": "CH",
            "amount_minor": 100,
            "currency": "CHF",
        },
        "partners": {"id": NEW, "name": "A new one", "created_at": NOW},
        "partner_keys": {
            "id": NEW,
            "partner_id": PARTNER,
            "prefix": "tk_live_abcd",
            "secret_sha256": SHA,
            "created_at": NOW,
            "revoked_at": None,
        },
        "friends": {
            "id": FRIENDS[7],
            "ref": "new",
            "tier": "friend",
            "market": "CH",
            "languages": ["de"],
            "radius_m": 20_000,
            "capacity": 3,
            "open_jobs": 0,
            "quiet_from": None,
            "quiet_until": None,
            "week": [480, 720, 10_000, 10_200],
            "areas": [{"kind": "circle"}],
            "areas_since": NOW,
            "holidays": [NOW.date(), NOW.date(), NOW.date(), NOW.date()],
            "created_at": NOW,
            "level": 2,
        },
        "level_moves": {
            "friend_id": FRIENDS[2],
            "no": 2,
            "at": NOW,
            "before": 1,
            "after": 2,
            "held": False,
            "points": 1000,
            "record": {},
            "policy_id": POLICY,
            "set_by": None,
        },
        "companies": {"id": NEW, "name": "Alpha", "created_at": NOW},
        "dispatchers": {"id": CUSTOMERS["bare"], "company_id": COMPANIES[1], "created_at": NOW},
        "guardianships": {
            "id": NEW,
            "friend_id": FRIENDS[2],
            "asked_at": NOW,
            "confirmed_at": None,
            "ended_at": None,
        },
        "applications": {
            "id": NEW,
            "friend_id": FRIENDS[2],
            "state": "draft",
            "created_at": NOW,
            "submitted_at": None,
            "ended_at": None,
            "decided_by": None,
            "reasons": [],
        },
        "consents": {
            "person_id": FRIENDS[1],
            "text": "terms",
            "version": "1",
            "language": "de",
            "at": NOW,
        },
        "friend_certificates": {
            "friend_id": FRIENDS[1],
            "certificate": "mac",
            "valid": Range(NOW, NOW + HOUR),
        },
        "exams": {
            "certificate": "mac",
            "minutes": 20,
            "pass_bp": 8000,
            "attempts": 3,
            "cooldown_days": 7,
            "topics": {"signal": 10},
            "names": {},
        },
        "questions": {
            "code": "wifi-02",
            "version": 1,
            "certificate": "wifi",
            "topic": "signal",
            "difficulty": 1,
            "key": "a",
            "texts": {},
            "retired_at": None,
        },
        "sittings": {
            "id": NEW,
            "friend_id": FRIENDS[2],
            "certificate": "wifi",
            "seed": 1,
            "pass_bp": 8000,
            "extra_minutes": 0,
            "started_at": NOW,
            "due_at": NOW + HOUR,
        },
        "sitting_questions": {
            "sitting_id": SITTING,
            "position": 2,
            "question_id": 2,
            "options": "abcd",
        },
        "exam_answers": {
            "sitting_id": SITTING,
            "no": 2,
            "position": 1,
            "choice": "a",
            "at": NOW,
            "due_at": NOW + HOUR,
        },
        "partner_members": {"partner_id": PARTNER, "friend_id": FRIENDS[2]},
        "blocks": {
            "friend_id": FRIENDS[1],
            "customer_key": "a" * 64,
            "by_friend": True,
            "at": NOW,
        },
        "accounts": {"id": CUSTOMERS["bare"], "customer_key": "a" * 64, "confirmed_at": NOW},
        "favourites": {"customer_key": "a" * 64, "friend_id": FRIENDS[1], "at": NOW},
        "bookings": {
            "id": BOOKINGS["new"],
            "state": "open",
            "package": "wifi-setup",
            "market": "CH",
            "language": "de",
            "customer_id": CUSTOMERS["new"],
            "customer_key": "b" * 64,
            "partner_id": PARTNER,
            "partner_reference": "new",
            "members_only": False,
            "wishes": ["soon"],
            "price_minor": 6900,
            "pay_minor": 5520,
            "currency": "CHF",
            "cell_lat": 47.4,
            "cell_lon": 8.5,
            "cell_label": "8001 Zürich",
            "tier": "friend",
            "round": 0,
            "round_limit": 5,
            "event_seq": 1,
            "award_id": None,
            "created_at": NOW,
            "state_at": NOW,
        },
        "offers": {
            "id": NEW,
            "booking_id": BOOKINGS["bare"],
            "friend_id": FRIENDS[1],
            "round": 1,
            "slot": 1,
            "state": "live",
            "distance_m": 100,
            "shown_m": 100,
            "radius_m": 20_000,
            "offered_at": NOW,
            "expires_at": NOW + HOUR,
            "answered_at": None,
        },
        "awards": {
            "id": NEW,
            "booking_id": BOOKINGS["bare"],
            "friend_id": FRIENDS[5],
            "offer_id": None,
            "round": 1,
            "state": "live",
            "awarded_at": NOW,
            "contact_due_at": NOW + 12 * HOUR,
            "contacted_at": NOW,
            "appointment": Range(NOW + 6 * HOUR, NOW + 7 * HOUR),
        },
        "timers": {
            "booking_id": BOOKINGS["bare"],
            "kind": "retry",
            "due_at": NOW,
            "not_before": NOW,
        },
        "events": {
            "booking_id": BOOKINGS["bare"],
            "seq": 2,
            "kind": "booking.offered",
            "at": NOW,
            "actor": "system",
            "data": {},
        },
        "decisions": {
            "booking_id": BOOKINGS["bare"],
            "seq": 1,
            "round": 1,
            "tier": "friend",
            "at": NOW,
            "policy": "2026-11",
            "friend_ids": [FRIENDS[1]],
            "outcomes": ["OFFERED"],
            "distances_m": [100],
            "ranks": [1],
            "policy_id": POLICY,
            "search": {},
            "facts": b"\x00" * 30,
            "reach_outcomes": ["OFFERED"],
            "reach_counts": [1],
            "reach_m": 100,
        },
        "policies": {"id": NEW, "version": "2026-11", "numbers": {}, "at": NOW},
        "messages": {
            "id": NEW,
            "booking_id": BOOKINGS["bare"],
            "seq": 1,
            "channel": "mail",
            "audience": "customer",
            "recipient_id": CUSTOMERS["bare"],
            "template": "booked",
            "data": {},
            "next_at": NOW,
        },
        "subjects": {"kind": "person", "id": FRIENDS[1], "seq": 0},
        "journal": {
            "subject_kind": "person",
            "subject_id": FRIENDS[2],
            "seq": 2,
            "kind": "friend.paused",
            "at": NOW,
            "actor": "system",
            "data": {},
        },
        "errands": {
            "id": NEW,
            "kind": "sms.send",
            "booking_id": BOOKINGS["bare"],
            "request": {},
            "state": "pending",
            "next_at": NOW,
            "created_at": NOW,
        },
        "notices": {
            "id": NEW,
            "provider": "sms",
            "event_id": "7 DELIVERED",
            "reference": "7",
            "received_at": NOW,
            "next_at": NOW,
        },
        "phone_codes": {
            "person_id": FRIENDS[3],
            "errand_id": ERRANDS[2],
            "expires_at": NOW + HOUR,
        },
        "audit": {"at": NOW, "actor": "system", "act": "x", "subject_kind": None, "subject": "y"},
        "answers": {
            "principal": "partner:1",
            "key": "new",
            "request_sha256": SHA,
            "created_at": NOW,
        },
        "quotes": {
            "id": NEW,
            "package": "wifi-setup",
            "market": "CH",
            "price_minor": 6900,
            "currency": "CHF",
            "created_at": NOW,
            "expires_at": NOW + HOUR,
        },
        "ratings": {
            "booking_id": BOOKINGS["bare"],
            "friend_id": FRIENDS[6],
            "stars": 5,
            "comment": None,
            "at": NOW,
        },
        "customer_reviews": {
            "booking_id": BOOKINGS["bare"],
            "friend_id": FRIENDS[6],
            "stars": 5,
            "comment": None,
            "at": NOW,
            "shown_at": NOW,
        },
        "review_notes": {
            "booking_id": BOOKINGS["done"],
            "no": 1,
            "by_friend": True,
            "reported_at": NOW,
            "decided_at": NOW,
            "decided_by": OPERATOR,
            "hidden": "insult",
        },
        "review_requests": {
            "id": NEW,
            "friend_id": FRIENDS[2],
            "about": "limits",
            "text": "I have time for more.",
            "asked_at": NOW,
            "due_at": NOW + HOUR,
            "reminded_at": None,
            "decided_by": None,
            "answered_at": None,
            "answered_by": None,
            "outcome": None,
            "reasons": None,
        },
        "files": {
            "id": NEW,
            "kind": "photo",
            "person_id": FRIENDS[1],
            "booking_id": None,
            "name": "me.jpg",
            "bytes": 1000,
            "stored": "database",
            "created_at": NOW,
        },
        "file_contents": {"file_id": FILES["bare"], "content": b"x"},
        "identities": {
            "person_id": FRIENDS[1],
            "document": "passport",
            "valid_until": NOW.date(),
            "seen_at": NOW,
            "seen_by": OPERATOR,
        },
        "operators": {"id": FRIENDS[3], "created_at": NOW, "role": "admin"},
        "charges": {
            "booking_id": BOOKINGS["bare"],
            "friend_id": FRIENDS[6],
            "price_minor": 6900,
            "pay_minor": 5520,
            "currency": "CHF",
            "at": NOW,
        },
        "reversals": {"booking_id": BOOKINGS["done"], "no": 1, "at": NOW},
        "threads": {"award_id": AWARDS["done"], "booking_id": BOOKINGS["done"]},
        "thread_notes": {
            "award_id": AWARDS["won"],
            "seq": 2,
            "by": "customer",
            "text": "Hello.",
            "at": NOW,
        },
        "login_links": {
            "token_sha256": SHA,
            "person_id": FRIENDS[1],
            "created_at": NOW,
            "expires_at": NOW + HOUR,
            "used_at": None,
        },
        "sessions": {
            "token_sha256": SHA,
            "person_id": FRIENDS[1],
            "created_at": NOW,
            "expires_at": NOW + HOUR,
        },
    }


async def insert_row(tx: asyncpg.Connection, table: str, **changes: Any) -> None:
    row = rows()[table] | changes
    placeholders = ", ".join(f"${n}" for n in range(1, len(row) + 1))
    await tx.execute(
        f"INSERT INTO {table} ({', '.join(row)}) VALUES ({placeholders})", *row.values()
    )


async def insert_sample_rows(tx: asyncpg.Connection) -> None:
    """Insert friends 1 to 6 and four bookings: with four live offers, won, completed, bare."""
    for name, person in CUSTOMERS.items():
        await insert_row(tx, "people", id=person, kind="customer", email=f"{name}@example.com")
    for number, friend in FRIENDS.items():
        await insert_row(tx, "people", id=friend, email=f"f{number}@example.org")
        if number < 7:
            await insert_row(tx, "friends", id=friend, ref=f"f{number}")
    await insert_row(tx, "applications", id=id_(231), friend_id=FRIENDS[1])
    await insert_row(tx, "consents", version="0")
    await insert_row(tx, "guardianships", id=id_(230), friend_id=FRIENDS[1])
    for company in COMPANIES.values():
        await insert_row(tx, "companies", id=company)
    await insert_row(tx, "people", id=DISPATCHER, kind="dispatcher", email="board@example.org")
    await insert_row(tx, "dispatchers", id=DISPATCHER)
    await insert_row(tx, "friend_certificates", certificate="wifi", valid=Range(NOW, NOW + HOUR))
    await _insert_sitting(tx)
    await insert_row(tx, "partners", id=PARTNER, name="Partner")
    await insert_row(tx, "partners", id=OTHER_PARTNER, name="Other")
    await insert_row(tx, "push_subscriptions", id=id_(420), endpoint=USED_ENDPOINT)
    await insert_row(tx, "partner_keys", id=id_(410), secret_sha256=b"\x02" * 32)
    await insert_row(tx, "partner_members", friend_id=FRIENDS[1])
    for name in ("open", "won", "done", "bare"):
        await insert_row(
            tx,
            "bookings",
            id=BOOKINGS[name],
            customer_id=CUSTOMERS[name],
            partner_reference=name,
            round=1,
        )
        await insert_row(
            tx, "events", booking_id=BOOKINGS[name], seq=1, kind="booking.created", actor="customer"
        )
    for slot in range(1, 5):
        await insert_row(
            tx,
            "offers",
            id=OFFERS[slot],
            booking_id=BOOKINGS["open"],
            friend_id=FRIENDS[slot],
            slot=slot,
            company_id=COMPANIES[1] if slot == 4 else None,
        )
    await _insert_award(tx, "won", OFFERS[5], FRIENDS[5])
    await _insert_award(tx, "done", OFFERS[6], FRIENDS[6])
    await tx.execute("UPDATE awards SET contacted_at = $1", NOW)
    await tx.execute(
        "UPDATE awards SET appointment = $1 WHERE id = $2",
        Range(NOW + 2 * HOUR, NOW + 3 * HOUR),
        AWARDS["won"],
    )
    await _complete_booking(tx)


async def _insert_sitting(tx: asyncpg.Connection) -> None:
    """Insert the exam for Wi-Fi and a sitting of friend 1 with one answer."""
    await insert_row(tx, "exams", certificate="wifi")
    await insert_row(tx, "questions", code="wifi-01")
    await insert_row(tx, "questions", code="wifi-00")
    await insert_row(tx, "sittings", id=SITTING, friend_id=FRIENDS[1])
    await insert_row(tx, "sitting_questions", position=1, question_id=1)
    await insert_row(tx, "exam_answers", no=1)


async def _insert_award(tx: asyncpg.Connection, name: str, offer: UUID, friend: UUID) -> None:
    booking = BOOKINGS[name]
    await insert_row(tx, "offers", id=offer, booking_id=booking, friend_id=friend)
    await tx.execute(
        "UPDATE offers SET state = 'accepted', answered_at = $1 WHERE id = $2", NOW, offer
    )
    await insert_row(
        tx,
        "awards",
        id=AWARDS[name],
        booking_id=booking,
        friend_id=friend,
        offer_id=offer,
        contacted_at=None,
        appointment=None,
    )
    await tx.execute(
        "UPDATE bookings SET state = 'awarded', award_id = $1 WHERE id = $2", AWARDS[name], booking
    )
    await tx.execute("UPDATE friends SET open_jobs = 1 WHERE id = $1", friend)


async def _complete_booking(tx: asyncpg.Connection) -> None:
    done = BOOKINGS["done"]
    for state in ("contacted", "completed"):
        await tx.execute("UPDATE bookings SET state = $1 WHERE id = $2", state, done)
    await tx.execute(
        "UPDATE awards SET state = 'done', ended_at = $1 WHERE id = $2", NOW, AWARDS["done"]
    )
    await insert_row(tx, "ratings", booking_id=done)
    await insert_row(tx, "charges", booking_id=done)
    await insert_row(tx, "charges", booking_id=BOOKINGS["open"])
    await insert_row(tx, "reversals", booking_id=BOOKINGS["open"])
    await insert_row(
        tx,
        "threads",
        award_id=AWARDS["won"],
        booking_id=BOOKINGS["won"],
        first_by_friend=1,
        by_friend=1,
        read_by_friend=1,
    )
    await insert_row(tx, "thread_notes", seq=1, by="friend")
    await insert_row(tx, "policies", id=POLICY)
    await insert_row(tx, "decisions", booking_id=done)
    await insert_row(tx, "timers", booking_id=BOOKINGS["open"], kind="offers_expire")
    await insert_row(tx, "answers", key="used")
    await insert_row(tx, "messages", id=id_(700), booking_id=done)
    await insert_row(tx, "audit")
    await insert_row(tx, "people", id=OPERATOR, kind="operator", email="desk@example.org")
    await insert_row(tx, "operators", id=OPERATOR)
    await insert_row(tx, "customer_reviews", booking_id=BOOKINGS["done"])
    await insert_row(tx, "review_notes", by_friend=False)
    await insert_row(tx, "review_requests", id=REQUEST, about="level")
    for name, file in FILES.items():
        kind = "photo" if name == "photo" else "evidence"
        await insert_row(tx, "files", id=file, kind=kind, person_id=FRIENDS[2])
    await insert_row(tx, "file_contents", file_id=FILES["photo"])
    await insert_row(tx, "identities", person_id=FRIENDS[2])
    await insert_row(tx, "subjects", id=FRIENDS[2], seq=1)
    await insert_row(tx, "journal", seq=1)
    await insert_row(tx, "level_moves", no=1, before=3, after=2, points=0)
    await insert_row(tx, "timers", **OF_FRIEND, kind="certificate_ending")
    for errand in ERRANDS.values():
        await insert_row(tx, "errands", id=errand, **OF_FRIEND)
    await insert_row(tx, "notices", id=ERRANDS[1], event_id="used")
    await insert_row(tx, "phone_codes", person_id=FRIENDS[2], errand_id=ERRANDS[1])
