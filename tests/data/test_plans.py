"""The hot queries use the intended indexes, however much history there is.

They are explained on a database with some thousand finished jobs. Every block of the SQL files in
HOT must be listed here, as hot or as optional.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from data import db, sql_loader
from tests.conftest import BEGINNING, Server

HISTORY = Path(__file__).parents[2] / "benchmarks" / "sql"
JOBS = 6_000
WAITING = 1_500
DUE = 10
FRIENDS_COUNT = 2_000
# Tables that grow with bookings or friends.
GROWING = frozenset(
    [
        "people",
        "friends",
        "friend_certificates",
        "bookings",
        "offers",
        "awards",
        "timers",
        "events",
        "decisions",
        "messages",
        "answers",
        "sessions",
        "ratings",
        "charges",
        "reversals",
        "subjects",
        "journal",
        "push_subscriptions",
        "confirmed_contacts",
        "quotas",
        "customer_reviews",
        "review_notes",
        "files",
        "file_contents",
        "identities",
        "account_mails",
    ]
)
ONE, FEW = UUID(int=1), [UUID(int=n) for n in range(1, 5)]
ENDPOINT = "https://push.example.org/f1"


Plans = dict[tuple[str, str], dict[str, Any]]


@dataclass(frozen=True)
class Hot:
    """The arguments of a query and the indexes it must use; `a|b` means that either will do."""

    args: tuple[Any, ...]
    indexes: frozenset[str]


def hot(*args: Any, by: str) -> Hot:
    assert by, "a hot query uses an index"
    return Hot(args, frozenset(by.split()))


HOT: Mapping[str, Mapping[str, Hot]] = {
    "jobs": {
        "lock": hot(FEW, FEW, FEW, FEW, FEW, by="bookings_pkey offers_pkey awards_booking"),
        "lock_due": hot(100, False, by="timers_due bookings_pkey"),
        "load": hot(
            FEW,
            by="bookings_pkey people_pkey ratings_pkey offer_once_a_round awards_booking "
            "timers_booking",
        ),
        "due": hot(100, by="timers_due"),
        "by_reference": hot([ONE], ["order 1"], by="booking_partner_reference"),
        "contacts": hot(["k"], timedelta(days=1), by="confirmed_contacts_pkey"),
        "update_bookings": hot(
            *(
                [ONE],
                ["open"],
                ["friend"],
                [1],
                [5],
                [2],
                [None],
                [BEGINNING],
                [0],
                [0],
                [0],
                [False],
            ),
            by="bookings_pkey",
        ),
        "update_offers": hot([ONE], ["lost"], [BEGINNING], [ONE], by="offers_pkey"),
        "update_awards": hot(
            *([ONE], ["live"], [None], [None], [None], [0], [None], [None], [""], [None]),
            *([None], [None], [None], [None], [{}]),
            [ONE],
            by="awards_pkey|awards_id_booking_id_key",
        ),
        "update_people": hot([ONE], ["M1 1"], [None], by="people_pkey"),
        "stop_timers": hot([ONE], ["retry"], by="timers_booking"),
        "count_open_jobs": hot([ONE], [1], [1], [0], [False], [BEGINNING], by="friends_pkey"),
        "postpone_timers": hot(ONE, by="timers_booking"),
        "next_due": hot(by="timers_due"),
    },
    "threads": {
        "of_bookings": hot(FEW, timedelta(hours=1), by="threads_booking"),
        "of_award": hot(ONE, by="threads_pkey"),
        "notes": hot(ONE, 0, 50, by="thread_notes_pkey"),
        "inbox": hot(ONE, timedelta(days=14), 50, by="awards_friend threads_pkey"),
    },
    "friends": {
        "facts": hot(
            *(FEW, BEGINNING),
            by="friends_pkey people_pkey offers_inbox friend_certificates_pkey|"
            "friend_certificates_friend_id_certificate_valid_excl",
        ),
        "lock": hot(FEW, by="friends_pkey"),
        "ids_after": hot(ONE, 100, by="friends_pkey"),
        "fingerprint": hot(FEW, BEGINNING, by="friends_pkey offers_inbox"),
        "lock_and_fingerprint": hot(FEW, BEGINNING, by="friends_pkey offers_inbox"),
        "hurry_retries": hot(FEW, by="bookings_unfilled timers_booking"),
        "hurry_markets": hot(["CH"], by="bookings_unfilled timers_booking"),
        "changed_since": hot("99999999", by="friends_changed"),
        "certificates_of": hot(
            ONE,
            by="friend_certificates_pkey|friend_certificates_friend_id_certificate_valid_excl",
        ),
    },
    "friend_changes": {
        "fingerprints": hot(ONE, 100, BEGINNING, by="friends_pkey people_pkey offers_inbox"),
        "versions": hot(FEW, by="friends_pkey"),
    },
    "messages": {
        "claim": hot(20, 120.0, [], by="messages_due messages_order messages_pkey"),
        "settle": hot([ONE], [1], ["sent"], [None], [0.0], by="messages_pkey"),
        "backlog": hot(100, by="messages_due messages_parked timers_due"),
    },
    "sessions": {
        "session_owners": hot([b"\0" * 32], by="sessions_pkey people_pkey friends_pkey"),
        "session_expiry": hot(b"\0" * 32, by="sessions_pkey people_pkey"),
    },
    "idempotency_keys": {
        "stored": hot(["public"], ["k"], by="answers_pkey"),
        "store": hot(["public"], ["k"], [{}], by="answers_pkey"),
        "release": hot(["public"], ["k"], by="answers_pkey"),
        "delete_old": hot(by="answers_age"),
    },
    "quotas": {
        "give_back": hot(["email"], ["k"], [1], by="quotas_pkey"),
        "delete_old": hot(timedelta(days=1), by="quotas_age quotas_pkey"),
        "delete_old_contacts": hot(
            timedelta(days=180), by="confirmed_contacts_age confirmed_contacts_pkey"
        ),
    },
    "account_mails": {
        "insert_login_link": hot(
            *(ONE, "friend", "f1@example.org", b"\0" * 32, timedelta(hours=1)),
            *(timedelta(minutes=15), 5, "0" * 64),
            by="account_mails_address",
        ),
        "use_join_link": hot(b"\0" * 32, "0" * 64, by="account_mails_address"),
        "claim": hot(20, 120.0, by="account_mails_due account_mails_pkey"),
        "settle": hot(
            *([ONE], [1], ["sent"], [None], [0.0]), by="account_mails_pkey|account_mails_due"
        ),
        "count_try": hot(
            *(b"\0" * 32, 5, 100),
            by="account_mails_request_sha256_key account_mails_address",
        ),
    },
    "events": {
        "events_since": hot("99999990:99999999:", 100, by="events_xid bookings_pkey"),
        "offers_of": hot(FEW, by="offer_once_a_round bookings_pkey people_pkey"),
    },
    "mail_context": {
        "message_contexts": hot(
            FEW, by="messages_pkey bookings_pkey events_pkey people_pkey awards_booking"
        ),
        "person_contexts": hot(FEW, by="messages_pkey journal_pkey people_pkey friends_pkey"),
    },
    "journal": {
        "page": hot("person", ONE, 100, 50, by="journal_pkey"),
    },
    "levels": {
        "records": hot(FEW, BEGINNING, timedelta(hours=4), by="awards_friend"),
    },
    "certificates": {
        "due": hot(100, by="timers_due"),
        "take_timer": hot(ONE, by="timers_of_subjects"),
        "postpone_timer": hot(ONE, by="timers_of_subjects"),
        "ending": hot(
            ONE,
            by="friend_certificates_pkey|friend_certificates_friend_id_certificate_valid_excl",
        ),
        "mark_told": hot(
            *(ONE, ["wifi"], [BEGINNING]),
            by="friend_certificates_pkey|friend_certificates_friend_id_certificate_valid_excl",
        ),
    },
    "push_subscriptions": {
        "mark_pushed": hot(ONE, by="push_subscriptions_friend"),
        "confirm": hot(ONE, by="push_subscriptions_friend"),
        "alarms": hot(ONE, by="push_subscriptions_friend"),
        "record_results": hot([ONE], [None], by="push_subscriptions_pkey"),
        "delete_gone": hot(FEW, by="push_subscriptions_pkey"),
        "take_over": hot(ENDPOINT, ONE, by="push_subscriptions_endpoint_key"),
        "drop_oldest": hot(ONE, ONE, 5, by="push_subscriptions_friend push_subscriptions_pkey"),
        "drop": hot(ONE, ENDPOINT, by="push_subscriptions_endpoint_key|push_subscriptions_friend"),
        "subscriptions_of": hot(ONE, by="push_subscriptions_friend"),
        "friend_status": hot(
            ONE,
            by="friends_pkey people_pkey friend_certificates_pkey|"
            "friend_certificates_friend_id_certificate_valid_excl",
        ),
    },
    "desk": {
        "page": hot(BEGINNING, ONE, 50, by="bookings_created"),
        "page_completed": hot(BEGINNING, ONE, 50, by="bookings_created"),
        "page_in_state": hot(BEGINNING, ONE, 50, "open", by="bookings_by_state"),
        "nothing_agreed": hot(100, timedelta(days=3), by="bookings_by_state"),
        "hand_backs": hot(100, by="friends_alarmed awards_friend"),
        "page_among": hot(BEGINNING, ONE, 50, FEW, None, by="bookings_pkey"),
        "rows": hot(FEW, by="bookings_pkey people_pkey"),
        "search": hot(
            *("anna", ONE, 100, "('anna':* | '4144':*)"),
            by="bookings_pkey booking_partner_reference friends_ref_key awards_friend "
            "people_words bookings_customer_id_key",
        ),
        "unfilled": hot(10, by="bookings_unfilled|bookings_by_state"),
        "incomplete": hot(10, by="bookings_by_state"),
        "contact_due_soon": hot(10, timedelta(hours=4), by="timers_due"),
        "missed": hot(10, by="awards_missed bookings_pkey"),
        "disputed": hot(10, by="awards_disputed"),
        "contested": hot(10, by="awards_contested"),
        "parked_messages": hot(10, by="messages_parked"),
        "booking_details": hot(ONE, by="bookings_pkey people_pkey"),
        "events_of": hot(ONE, 100, by="events_pkey"),
        "offers_of": hot(ONE, 100, by="offer_once_a_round friends_pkey people_pkey"),
        "awards_of": hot(ONE, 100, by="awards_booking friends_pkey people_pkey"),
        "names": hot(FEW, by="people_pkey"),
        "contacts": hot(FEW, by="people_pkey ratings_friend"),
        "messages": hot("parked", BEGINNING, ONE, 50, by="messages_parked|messages_due"),
        "friends": hot("", None, 50, by="friends_ref_key people_pkey ratings_friend"),
        "friends_among": hot(*("", None, 50, FEW), by="friends_pkey people_pkey ratings_friend"),
        "friend": hot(ONE, by="friends_pkey people_pkey ratings_friend offers_inbox"),
        "jobs_of": hot(ONE, 20, by="awards_friend bookings_pkey"),
    },
    "read_models": {
        "booking": hot(
            *(ONE, None, None),
            by="bookings_pkey people_pkey awards_pkey|awards_id_booking_id_key ratings_pkey",
        ),
        "bookings": hot(None, None, None, None, None, 50, None, None, by="bookings_created"),
        "owner": hot(ONE, by="bookings_pkey"),
        "done_job": hot(ONE, by="bookings_pkey awards_pkey|awards_id_booking_id_key"),
        "events": hot(ONE, 0, 50, by="events_pkey"),
        "decisions": hot(ONE, by="decisions_pkey friends_pkey"),
        "decided": hot(ONE, by="decisions_pkey"),
        "offers": hot(ONE, by="offers_inbox bookings_pkey"),
        "jobs": hot(ONE, None, None, None, 50, by="awards_friend bookings_pkey people_pkey"),
        "earnings": hot(ONE, None, None, 50, by="charges_friend bookings_pkey people_pkey"),
        "customers": hot(FEW, by="bookings_pkey people_pkey"),
        "customer_links": hot(FEW, by="bookings_pkey"),
    },
}
OPTIONAL: Mapping[str, frozenset[str]] = {
    "jobs": frozenset({"appointments_of", "decide_reviews"}),
    "friends": frozenset(
        [
            "horizon",
            "find_id",
            "ids_by_ref",
            "refs_by_email",
            "comparable",
            "held_certificates",
            "end_certificates",
            "set_state",
            "set_limits",
            "set_quiet",
            "set_week",
            "set_areas",
            "set_holidays",
            "set_reach",
            "set_base",
            "record_base_move",
            "vacate_addresses",
            "set_capacity",
            "remove_members",
            "profile",
            "lock_friend",
        ]
    ),
    # Read by the desk, and by retention now and then.
    "threads": frozenset({"notes_of_booking", "empty_old"}),
    # Planned in test_quiet_plans.py.
    "friend_changes": frozenset({"live_offers_since"}),
    "sessions": frozenset(
        [
            *("find_login", "use_link", "lock_people", "revoke", "revoke_all", "delete_old"),
            *("insert_operator", "operators", "set_role", "close_operator"),
        ]
    ),
    "messages": frozenset({"unpark"}),
    "journal": frozenset({"number", "exists"}),
    # Housekeeping looks at a friend once a month; the rest is of the desk and of a page.
    "levels": frozenset({"lock_due", "lock", "standing", "moves", "put", "set", "append"}),
    "certificates": frozenset({"without_timer", "set_timers"}),
    "events": frozenset({"valid_credentials"}),
    "read_models": frozenset({"positions", "outcomes"}),
    "desk": frozenset(
        [
            *("add_booking_note", "add_friend_note", "certificates_of"),
            # The words are looked up as in `search`; the refs of all friends are few.
            *("search_terms", "search_friends"),
            # They read many current rows and few old ones.
            *("unsure_addresses", "day_numbers", "live_offers", "map_bookings"),
        ]
    ),
    "idempotency_keys": frozenset(),
    "quotas": frozenset(),
    # The first reads no table; the second reads the mails of a day, of which there are few.
    "account_mails": frozenset({"lock_address", "delete_old"}),
    "push_subscriptions": frozenset(),
    "mail_context": frozenset(),
}
"""Queries of rare, manual actions; they need not be fast under load."""

CASES = [(table, block) for table, blocks in HOT.items() for block in blocks]


FRIENDS = """
    INSERT INTO people (id, kind, name, email, language, lat, lon)
    SELECT history_id($1, n, 'f'), 'friend', 'Friend', 'f' || n || '@example.org', 'de', 47, 8
    FROM generate_series(1, $2::int) AS n
"""
TRADES = """
    INSERT INTO friends (id, ref, tier, market, languages, radius_m, capacity, created_at)
    SELECT id, email, 'friend', 'CH', '{de}', 10000, 20, now() FROM people;
    INSERT INTO friend_certificates (friend_id, certificate, valid)
    SELECT id, 'wifi', tstzrange(now(), NULL) FROM people;
    INSERT INTO sessions (token_sha256, person_id, created_at, expires_at)
    SELECT sha256(id::text::bytea), id, now(), now() + interval '1 day' FROM people;
    INSERT INTO answers (principal, key, request_sha256, created_at)
    SELECT 'public', id::text, sha256('x'), moment() FROM people;
    INSERT INTO confirmed_contacts
    SELECT encode(sha256(id::text::bytea), 'hex'), moment() FROM people;
    INSERT INTO quotas (kind, key, since, used) SELECT 'email', id::text, moment(), 1 FROM people;
    INSERT INTO account_mails (id, kind, template, address_key, request_sha256, state, next_at,
      created_at, expires_at)
    SELECT id, 'friend', 'login_link', encode(sha256(id::text::bytea), 'hex'),
      sha256(id::text::bytea), 'sent', moment(), moment(), moment() + interval '1 hour' FROM people;
    INSERT INTO push_subscriptions (id, friend_id, endpoint, p256dh, auth, created_at)
    SELECT id, id, 'https://push.example.org/' || email, decode(repeat('04', 65), 'hex'),
      decode(repeat('00', 16), 'hex'), now() FROM people;
    INSERT INTO partners (id, name, created_at)
    SELECT id, email, now() FROM people LIMIT 20
"""
TALKS = """
    INSERT INTO threads (award_id, booking_id, first_by_friend, by_friend)
    SELECT id, booking_id, 1, 1 FROM awards;
    INSERT INTO thread_notes (award_id, seq, by, text, at)
    SELECT id, 1, 'friend', 'Hello.', awarded_at FROM awards
"""
PARTNERED = """
    UPDATE bookings b SET partner_reference = 'order ' || b.id,
      partner_id = (SELECT (array_agg(p.id))[1 + abs(hashtext(b.id::text)) % 20] FROM partners p)
"""
PENDING = """
    UPDATE messages SET state = 'pending', sent_at = NULL
    WHERE booking_id IN (SELECT id FROM bookings WHERE state = 'open' ORDER BY id LIMIT 100)
"""
# Every friend has an entry, a message and a timer; the messages of some wait.
JOURNALS = """
    INSERT INTO subjects (kind, id, seq) SELECT 'person', id, 1 FROM friends;
    INSERT INTO journal (subject_kind, subject_id, seq, kind, at, actor, data)
    SELECT 'person', id, 1, 'friend.suspended', moment(), 'system', '{}' FROM friends;
    INSERT INTO messages (id, subject_kind, subject_id, seq, channel, audience, recipient_id,
                          template, data, state, next_at, sent_at)
    SELECT gen_random_uuid(), 'person', id, 1, 'mail', 'friend', id, 'suspended', '{}',
           CASE WHEN n % 10 > 0 THEN 'sent' ELSE 'pending' END::message_state, moment(),
           CASE WHEN n % 10 > 0 THEN moment() END
    FROM (SELECT id, row_number() OVER () AS n FROM friends) AS f;
    INSERT INTO timers (subject_kind, subject_id, kind, due_at, not_before)
    SELECT 'person', id, 'certificate_ending', moment() + interval '1 year',
           moment() + interval '1 year' FROM friends;
"""
REVERSED = "INSERT INTO reversals SELECT booking_id, no, moment() FROM charges LIMIT 2000"


@pytest.fixture(scope="module")
def plans(server: Server, template: str) -> Iterator[Plans]:
    """The plans of all hot queries on a database with history."""
    name = server.create(template)
    yield server.run(explain_all(server.database(name).owner_dsn))
    server.drop(name)


async def explain_all(dsn: str) -> Plans:
    connection = await db.connect(dsn, application="tests")
    try:
        await add_history(connection)
        return {
            (table, block): await explain(connection, table, block, query.args)
            for table, blocks in HOT.items()
            for block, query in blocks.items()
        }
    finally:
        await connection.close()


async def add_history(connection: asyncpg.Connection) -> None:
    """Insert thousands of finished jobs, and some that wait for friends."""
    history = sql_loader.load("history", folder=HISTORY)
    await connection.execute(history.ids)
    await connection.execute(FRIENDS, BEGINNING, FRIENDS_COUNT)
    await connection.execute(TRADES)
    await connection.execute(history.prepare)
    for table in ("bookings", "offers", "awards"):
        await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    long_ago, lately = BEGINNING - timedelta(days=300), BEGINNING - timedelta(minutes=60 + DUE)
    await write(connection, "completed", JOBS, long_ago, timedelta(hours=1))
    await write(connection, "waiting", WAITING, lately, timedelta(minutes=1))
    await connection.execute(PARTNERED)
    await connection.execute(PENDING)
    await connection.execute(REVERSED)
    await connection.execute(JOURNALS)
    await connection.execute(TALKS)
    await connection.execute("ANALYZE")


async def write(
    connection: asyncpg.Connection, stage: str, count: int, start: datetime, step: timedelta
) -> None:
    history = sql_loader.load("history", folder=HISTORY)
    await connection.execute(history.forget_plan)
    await connection.execute(history.plan, 1, count, start, step)
    await connection.execute(f"{history.customers}; {history.blocks[stage]}")


async def explain(
    connection: asyncpg.Connection, table: str, block: str, args: tuple[Any, ...]
) -> dict[str, Any]:
    text = sql_loader.load(table).blocks[block]
    plan = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {text}", *args)
    return json.loads(plan)[0]["Plan"]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


@pytest.mark.parametrize(("table", "block"), CASES)
def test_a_hot_query_uses_its_indexes(plans: Plans, table: str, block: str) -> None:
    used = {node["Index Name"] for node in nodes(plans[table, block]) if "Index Name" in node}
    missing = {one for one in HOT[table][block].indexes if used.isdisjoint(one.split("|"))}
    assert not missing, f"{table}.{block} does not use {missing}, but {used}"


@pytest.mark.parametrize(("table", "block"), CASES)
def test_a_hot_query_does_no_sequential_scan_of_a_growing_table(
    plans: Plans, table: str, block: str
) -> None:
    read = {n["Relation Name"] for n in nodes(plans[table, block]) if n["Node Type"] == "Seq Scan"}
    assert not read & GROWING


@pytest.mark.parametrize("table", HOT)
def test_every_query_is_listed_as_hot_or_optional(table: str) -> None:
    known = set(HOT[table]) | OPTIONAL[table]
    inserts = {b for b, text in sql_loader.load(table).blocks.items() if inserts_only(text)}
    assert set(sql_loader.load(table).blocks) - inserts == known - inserts


def inserts_only(text: str) -> bool:
    body = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    return body.startswith("INSERT")
