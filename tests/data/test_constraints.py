"""What must never be true cannot be written: every forbidden row and step, tried on the schema.

Each row differs from one that is accepted in what its name says and in nothing else; it is tried
as the service and as the owner of the schema. The steps are generated from the tables of states.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from itertools import product
from typing import Any

import asyncpg
import pytest
from asyncpg import Range

from data import db
from data.db import ConstraintBroken
from dispatch.rules.jobs import states
from tests.data.ground import (
    AWARDS,
    BOOKINGS,
    CUSTOMERS,
    FRIENDS,
    HOUR,
    NEW,
    NOW,
    OFFERS,
    RUNG,
    SHA,
    TICK,
    furnish,
    insert,
    rows,
)

ROLES = ["service", "owner"]


class Ground:
    """One furnished database; whatever is tried on it is undone."""

    def __init__(self, runner: asyncio.Runner, roles: dict[str, asyncpg.Connection]) -> None:
        self.runner, self.roles = runner, roles

    def tries(self, role: str, *acts: Any) -> None:
        """Do `acts` in one transaction as if committed, then undo all; raises what was refused."""
        self.runner.run(self._try(self.roles[role], acts))

    async def _try(self, connection: asyncpg.Connection, acts: Any) -> None:
        transaction = connection.transaction()
        await transaction.start()
        try:
            with db.plainly():
                for act in acts:
                    await act(connection)
                await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        finally:
            await transaction.rollback()


@pytest.fixture(scope="module")
def ground(server, template) -> Iterator[Ground]:
    name = server.create(template)
    where = server.database(name)

    async def connect() -> dict[str, asyncpg.Connection]:
        owner = await db.connect(where.owner_dsn, application="tests")
        async with owner.transaction():
            await furnish(owner)
        service = await db.connect(where.service_dsn, application="tests", role=where.service_role)
        return {"owner": owner, "service": service}

    roles = server.run(connect())
    yield Ground(server.runner, roles)
    for connection in roles.values():
        server.run(connection.close())
    server.drop(name)


def adding(table: str, **changes: Any):
    return lambda tx: insert(tx, table, **changes)


def doing(statement: str, *args: Any):
    return lambda tx: tx.execute(statement, *args)


ACCEPTED = "UPDATE offers SET state = 'accepted', answered_at = $1 WHERE id = $2"
TO = "UPDATE {} SET state = $1 WHERE id = $2"
SCHEDULE = "UPDATE awards SET appointment = $1 WHERE id = $2"


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("table", [t for t in rows() if t not in ("prices", "packages")])
def test_the_row_that_is_spoilt_below_is_accepted_as_it_is(ground: Ground, role: str, table: str):
    ground.tries(role, adding(table))


# table, what is changed in its good row, the constraint that refuses it
SPOILT: list[tuple[str, dict[str, Any], str]] = [
    ("people", {"name": ""}, "people_name_check"),
    ("people", {"name": "x" * 201}, "people_name_check"),
    ("people", {"email": "a@"}, "people_email_check"),
    ("people", {"phone": "0440000000"}, "people_phone_check"),
    ("people", {"lat": 91.0}, "people_lat_check"),
    ("people", {"lon": 180.5}, "people_lon_check"),
    ("people", {"lat": float("nan")}, "people_lat_check"),
    ("people", {"lon": None}, "people_check"),
    ("people", {"country": "ch"}, "people_country_check"),
    ("people", {"signature": "M" * 40_001}, "people_signature_check"),
    ("people", {"move_note": ""}, "people_move_note_check"),
    ("people", {"move_note": "x" * 501}, "people_move_note_check"),
    ("people", {"radius_m": -1}, "people_radius_m_check"),
    ("people", {"notes": "x" * 2001}, "people_notes_check"),
    ("people", {"email": "F1@Example.org"}, "people_login"),
    ("push_subscriptions", {"endpoint": RUNG}, "push_subscriptions_endpoint_key"),
    ("push_subscriptions", {"p256dh": b"short"}, "push_subscriptions_p256dh_check"),
    ("push_subscriptions", {"auth": b"short"}, "push_subscriptions_auth_check"),
    ("push_subscriptions", {"endpoint": "https://"}, "push_subscriptions_endpoint_check"),
    ("packages", {"minutes": 4}, "packages_minutes_check"),
    ("packages", {"code": "Tea Making"}, "packages_code_check"),
    ("prices", {}, "prices_pkey"),
    ("prices", {"package": "printer-setup", "amount_minor": 0}, "prices_amount_minor_check"),
    ("partners", {"name": "Partner"}, "partners_name_key"),
    ("partner_keys", {"prefix": "sk_live_abcd"}, "partner_keys_prefix_check"),
    ("partner_keys", {"secret_sha256": b"short"}, "partner_keys_secret_sha256_check"),
    ("partner_keys", {"secret_sha256": b"\x02" * 32}, "partner_keys_secret_sha256_key"),
    ("partner_keys", {"revoked_at": NOW - TICK}, "partner_keys_check"),
    ("friends", {"id": NEW}, "friends_id_fkey"),
    ("friends", {"ref": "f1"}, "friends_ref_key"),
    ("friends", {"radius_m": 499}, "friends_radius_m_check"),
    ("friends", {"radius_m": 100_001}, "friends_radius_m_check"),
    ("friends", {"capacity": 0}, "friends_capacity_check"),
    ("friends", {"capacity": 21}, "friends_capacity_check"),
    ("friends", {"open_jobs": -1}, "friend_capacity"),
    ("friends", {"open_jobs": 4}, "friend_capacity"),
    ("friends", {"languages": []}, "friends_languages_check"),
    ("friends", {"quiet_from": 60}, "friends_check"),
    ("friends", {"quiet_from": 60, "quiet_until": 60}, "friends_check1"),
    ("friends", {"quiet_from": 1440, "quiet_until": 60}, "friends_quiet_from_check"),
    (
        "friend_certificates",
        {"certificate": "wifi", "valid": Range(NOW + HOUR / 2, None)},
        "friend_certificates_friend_id_certificate_valid_excl",
    ),
    ("friend_certificates", {"valid": Range(empty=True)}, "friend_certificates_valid_check"),
    ("friend_certificates", {"certificate": "flying"}, "friend_certificates_certificate_fkey"),
    ("partner_members", {"friend_id": FRIENDS[1]}, "partner_members_pkey"),
    ("blocks", {"customer_key": "vera@example.com"}, "blocks_customer_key_check"),
    ("bookings", {"partner_reference": "open"}, "booking_partner_reference"),
    ("bookings", {"partner_id": None}, "booking_reference_needs_partner"),
    ("bookings", {"pay_minor": 6901}, "booking_pay_within_price"),
    ("bookings", {"pay_minor": -1}, "booking_pay_within_price"),
    ("bookings", {"price_minor": 0, "pay_minor": 0}, "bookings_price_minor_check"),
    ("bookings", {"round": 6}, "booking_rounds_bounded"),
    ("bookings", {"round": -1}, "bookings_round_check"),
    ("bookings", {"event_seq": 0}, "bookings_event_seq_check"),
    ("bookings", {"award_id": AWARDS["won"]}, "booking_award_iff"),
    ("bookings", {"customer_id": CUSTOMERS["open"]}, "bookings_customer_id_key"),
    ("bookings", {"customer_id": NEW}, "bookings_customer_id_fkey"),
    ("bookings", {"customer_key": "vera@example.com"}, "bookings_customer_key_check"),
    ("bookings", {"cancel_fee_minor": 1}, "booking_cancel_fee_when_cancelled"),
    ("bookings", {"package": "tea-making"}, "bookings_package_fkey"),
    ("bookings", {"cell_lat": 90.5}, "bookings_cell_lat_check"),
    ("offers", {"booking_id": BOOKINGS["open"], "friend_id": FRIENDS[5]}, "offers_four_live"),
    ("offers", {"slot": 5}, "offers_slot_check"),
    ("offers", {"slot": 0}, "offers_slot_check"),
    ("offers", {"round": 0}, "offers_round_check"),
    ("offers", {"distance_m": 20_001}, "offer_in_radius"),
    ("offers", {"distance_m": -1}, "offers_distance_m_check"),
    ("offers", {"expires_at": NOW}, "offer_has_a_life"),
    ("offers", {"booking_id": NEW}, "offers_booking_id_fkey"),
    ("offers", {"friend_id": NEW}, "offers_friend_id_fkey"),
    ("awards", {"contact_due_at": NOW + 12 * HOUR + TICK}, "award_twelve_hours"),
    ("awards", {"contact_due_at": NOW + 12 * HOUR - TICK}, "award_twelve_hours"),
    ("awards", {"contact_due_at": NOW + 24 * HOUR}, "award_twelve_hours"),
    ("awards", {"booking_id": BOOKINGS["won"], "appointment": None}, "awards_one_living"),
    ("awards", {"booking_id": BOOKINGS["done"]}, "awards_one_living"),
    ("awards", {"contacted_at": NOW - TICK}, "award_contact_after"),
    ("awards", {"contacted_at": None}, "award_appointment_after_contact"),
    ("awards", {"appointment": Range(empty=True)}, "awards_appointment_check"),
    (
        "awards",
        {"appointment": Range(NOW + 3 * HOUR - TICK, NOW + 4 * HOUR)},
        "award_no_double_appointment",
    ),
    ("awards", {"on_the_way_at": NOW - TICK}, "award_on_the_way_after_contact"),
    (
        "awards",
        {"contacted_at": None, "appointment": None, "on_the_way_at": NOW},
        "award_on_the_way_needs_contact",
    ),
    ("awards", {"appointment": None, "move_asked_at": NOW}, "award_move_needs_appointment"),
    ("awards", {"move_wishes": ["soon"]}, "award_wishes_need_move"),
    ("awards", {"disputed_at": NOW - TICK}, "award_disputed_after"),
    ("awards", {"offer_id": OFFERS[1]}, "award_of_offer"),
    ("awards", {"offer_id": OFFERS[5]}, "awards_offer_id_key"),
    ("timers", {"not_before": NOW - TICK}, "timer_not_early"),
    ("timers", {"booking_id": BOOKINGS["open"], "kind": "offers_expire"}, "timers_pkey"),
    ("timers", {"booking_id": NEW}, "timers_booking_id_fkey"),
    ("events", {"seq": 3}, "events_without_gaps"),
    ("events", {"seq": 1}, "events_pkey"),
    ("events", {"seq": 0}, "events_seq_check"),
    ("events", {"booking_id": NEW, "seq": 1}, "events_booking_id_fkey"),
    ("events", {"kind": "something"}, "events_kind_check"),
    ("events", {"actor": "vera@example.com"}, "events_actor_check"),
    ("decisions", {"seq": 2}, "decisions_booking_id_seq_fkey"),
    ("decisions", {"booking_id": BOOKINGS["done"]}, "decisions_pkey"),
    ("decisions", {"outcomes": []}, "decision_one_outcome_each"),
    ("decisions", {"ranks": [1, 2]}, "decision_one_outcome_each"),
    ("decisions", {"distances_m": []}, "decision_one_outcome_each"),
    ("messages", {"sent_at": NOW}, "message_sent"),
    ("messages", {"state": "sent"}, "message_sent"),
    ("messages", {"problem": "x" * 501}, "messages_problem_check"),
    ("messages", {"booking_id": NEW}, "messages_booking_id_fkey"),
    ("answers", {"key": "used"}, "answers_pkey"),
    ("answers", {"key": ""}, "answers_key_check"),
    ("answers", {"key": "x" * 256}, "answers_key_check"),
    ("answers", {"request_sha256": b"short"}, "answers_request_sha256_check"),
    ("quotes", {"expires_at": NOW}, "quotes_check"),
    ("quotes", {"price_minor": 0}, "quotes_price_minor_check"),
    ("ratings", {"stars": 0}, "ratings_stars_check"),
    ("ratings", {"stars": 6}, "ratings_stars_check"),
    ("ratings", {"booking_id": BOOKINGS["done"]}, "ratings_pkey"),
    ("charges", {"booking_id": BOOKINGS["done"]}, "charges_pkey"),
    ("charges", {"pay_minor": 6901}, "charges_check"),
    ("charges", {"price_minor": 0, "pay_minor": 0}, "charges_price_minor_check"),
    ("login_links", {"used_at": NOW + HOUR}, "link_used_in_time"),
    ("login_links", {"token_sha256": b"short"}, "login_links_token_sha256_check"),
    ("sessions", {"token_sha256": SHA[:31]}, "sessions_token_sha256_check"),
]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("table", "changes", "constraint"), SPOILT, ids=[f"{t}-{c}" for t, _, c in SPOILT]
)
def test_a_row_that_must_not_be_is_refused(ground: Ground, role, table, changes, constraint):
    with pytest.raises(ConstraintBroken) as broken:
        ground.tries(role, adding(table, **changes))
    assert broken.value.constraint == constraint


FOURTH_FREED = doing(
    "UPDATE offers SET state = 'declined', answered_at = $1 WHERE id = $2", NOW, OFFERS[4]
)
# name, what is done before the last act, which the constraint refuses
SEQUENCES: list[tuple[str, list[Any], str]] = [
    (
        "two winners",
        [doing(ACCEPTED, NOW, OFFERS[1]), doing(ACCEPTED, NOW, OFFERS[2])],
        "offers_one_winner",
    ),
    (
        "another winner in a round that was forfeited",
        [
            doing(ACCEPTED, NOW, OFFERS[1]),
            doing(TO.format("offers"), "forfeited", OFFERS[1]),
            doing(ACCEPTED, NOW, OFFERS[2]),
        ],
        "offers_one_winner_a_round",
    ),
    (
        "a friend asked twice in a round",
        [FOURTH_FREED, adding("offers", booking_id=BOOKINGS["open"], friend_id=FRIENDS[4], slot=4)],
        "offer_once_a_round",
    ),
    (
        "accepted when it expired",
        [doing(ACCEPTED, NOW + HOUR, OFFERS[1])],
        "offer_answered_in_time",
    ),
    ("accepted at no time", [doing(ACCEPTED, None, OFFERS[1])], "offer_answered"),
    (
        "declined at no time",
        [doing(TO.format("offers"), "declined", OFFERS[1])],
        "offer_answered",
    ),
    (
        "awarded without an award",
        [doing(TO.format("bookings"), "awarded", BOOKINGS["open"])],
        "booking_award_iff",
    ),
    (
        "completed without an award",
        [doing("UPDATE bookings SET award_id = NULL WHERE id = $1", BOOKINGS["done"])],
        "booking_award_iff",
    ),
    (
        "awarded with the award of another booking",
        [
            doing(
                "UPDATE bookings SET state = 'awarded', award_id = $1 WHERE id = $2",
                AWARDS["won"],
                BOOKINGS["open"],
            )
        ],
        "booking_award",
    ),
    (
        "an award that ended at no time",
        [doing(TO.format("awards"), "forfeited", AWARDS["won"])],
        "award_ended",
    ),
    (
        "a live award that has ended",
        [doing("UPDATE awards SET ended_at = $1 WHERE id = $2", NOW, AWARDS["won"])],
        "award_ended",
    ),
    (
        "a fee above the price",
        [
            doing(
                "UPDATE bookings SET state = 'cancelled', cancel_fee_minor = price_minor + 1 "
                "WHERE id = $1",
                BOOKINGS["open"],
            )
        ],
        "booking_cancel_fee_within_price",
    ),
    (
        "the deadline moved by an hour",
        [doing("UPDATE awards SET contact_due_at = contact_due_at + interval '1 hour'")],
        "award_twelve_hours",
    ),
    (
        "an appointment moved onto another",
        [
            adding("awards"),
            doing(SCHEDULE, Range(NOW + 5 * HOUR, NOW + 7 * HOUR), AWARDS["won"]),
        ],
        "award_no_double_appointment",
    ),
    (
        "one job too many",
        [doing("UPDATE friends SET open_jobs = open_jobs + 3 WHERE id = $1", FRIENDS[5])],
        "friend_capacity",
    ),
    (
        "one job too few",
        [doing("UPDATE friends SET open_jobs = open_jobs - 1 WHERE id = $1", FRIENDS[1])],
        "friend_capacity",
    ),
    (
        "a capacity below the jobs at hand",
        [
            doing("UPDATE friends SET open_jobs = 3 WHERE id = $1", FRIENDS[5]),
            doing("UPDATE friends SET capacity = 2 WHERE id = $1", FRIENDS[5]),
        ],
        "friend_capacity",
    ),
    (
        "a round beyond the limit",
        [doing("UPDATE bookings SET round = 6 WHERE id = $1", BOOKINGS["open"])],
        "booking_rounds_bounded",
    ),
    (
        "a timer that rings early",
        [doing("UPDATE timers SET not_before = due_at - interval '1 microsecond'")],
        "timer_not_early",
    ),
]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("name", "acts", "constraint"), SEQUENCES, ids=[s[0] for s in SEQUENCES])
def test_an_act_that_must_not_happen_is_refused(ground: Ground, role, name, acts, constraint):
    ground.tries(role, *acts[:-1])
    with pytest.raises(ConstraintBroken) as broken:
        ground.tries(role, *acts)
    assert broken.value.constraint == constraint


@pytest.mark.parametrize("role", ROLES)
def test_a_declined_slot_can_be_filled_again(ground: Ground, role: str):
    filled = adding("offers", booking_id=BOOKINGS["open"], friend_id=FRIENDS[5], slot=4)
    ground.tries(role, FOURTH_FREED, filled)


MACHINES = {
    "bookings": (states.BOOKING, states.BOOKING_BIRTH),
    "offers": (states.OFFER, states.OFFER_BIRTH),
    "awards": (states.AWARD, states.AWARD_BIRTH),
}
WITH_AWARD = ("awarded", "contacted", "scheduled", "under_way", "completed")
BORN = {
    "bookings": adding("bookings"),
    "offers": adding("offers", id=OFFERS[7], answered_at=NOW),
    "awards": adding("awards", id=AWARDS["new"]),
}
MOVES = {
    "bookings": lambda state: doing(
        "UPDATE bookings SET state = $1, award_id = $2 WHERE id = $3",
        state,
        AWARDS["new"] if state in WITH_AWARD else None,
        BOOKINGS["new"],
    ),
    "offers": lambda state: doing(TO.format("offers"), state, OFFERS[7]),
    "awards": lambda state: doing(
        "UPDATE awards SET state = $1, ended_at = $2 WHERE id = $3",
        state,
        None if state == "live" else NOW,
        AWARDS["new"],
    ),
}


def path(machine: str, goal: str) -> list[str]:
    """The states from birth to `goal`, birth left out."""
    table, birth = MACHINES[machine]
    queue = deque([[str(state)] for state in birth])
    while queue:
        way = queue.popleft()
        if way[-1] == goal:
            return way
        queue.extend([*way, str(new)] for new in table[type(goal)(way[-1])])
    raise AssertionError(goal)


def steps(*, listed: bool) -> list[tuple[str, str, str]]:
    return [
        (machine, old, new)
        for machine, (table, _) in MACHINES.items()
        for old, new in product(table, table)
        if old != new and (new in table[old]) is listed
    ]


def walk(machine: str, way: list[str]) -> list[Any]:
    acts = [BORN[machine] if way[0] != "unfilled" else adding("bookings", state="unfilled")]
    acts += [MOVES[machine](state) for state in way[1:]]
    if machine == "bookings":
        acts.append(adding("awards", id=AWARDS["new"], booking_id=BOOKINGS["new"]))
    return acts


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("machine", "old", "new"), steps(listed=True))
def test_a_listed_step_can_happen(ground: Ground, role: str, machine: str, old: str, new: str):
    ground.tries(role, *walk(machine, [*path(machine, old), new]))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("machine", "old", "new"), steps(listed=False))
def test_a_step_that_is_not_listed_is_refused(
    ground: Ground, role: str, machine: str, old: str, new: str
):
    with pytest.raises(ConstraintBroken, match=f"{machine}_transition"):
        ground.tries(role, *walk(machine, [*path(machine, old), new]))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("machine", "state"),
    [(m, s) for m, (table, birth) in MACHINES.items() for s in table if s not in birth],
)
def test_nothing_is_born_in_a_later_state(ground: Ground, role: str, machine: str, state: str):
    with pytest.raises(ConstraintBroken, match=f"{machine}_transition"):
        ground.tries(role, adding(machine, state=state))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("table", ["events", "decisions", "audit", "charges", "ratings"])
@pytest.mark.parametrize("act", ["UPDATE {} SET at = at", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_what_happened_cannot_be_rewritten(ground: Ground, role: str, table: str, act: str):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        ground.tries(role, doing(act.format(table)))


@pytest.mark.parametrize(
    "act",
    [
        *(f"DELETE FROM {t}" for t in ("people", "friends", "bookings", "offers", "awards")),
        *(f"DELETE FROM {t}" for t in ("messages", "partners", "partner_keys", "prices")),
        "TRUNCATE bookings CASCADE",
        "TRUNCATE timers",
        "INSERT INTO transitions VALUES ('bookings', 'cancelled', 'open')",
        "DELETE FROM transitions",
        "UPDATE transitions SET to_state = 'open'",
        "INSERT INTO clock VALUES (true, now(), now(), 1)",
        "UPDATE clock SET speed = 1000",
        "CREATE OR REPLACE FUNCTION moment() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'",
        "ALTER TABLE events DISABLE TRIGGER append_only",
        "ALTER TABLE awards DROP CONSTRAINT award_twelve_hours",
        "DROP TRIGGER guard_update ON bookings",
        "DROP INDEX offers_four_live",
        "DROP TABLE events",
        "CREATE TABLE mine (n int)",
        "SET session_replication_role = replica",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ],
)
def test_the_service_may_not(ground: Ground, act: str):
    with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.FeatureNotSupportedError)):
        ground.tries("service", doing(act))


def test_an_event_cannot_name_its_own_predecessor(ground: Ground):
    with pytest.raises(asyncpg.GeneratedAlwaysError):
        ground.tries("owner", adding("events", before=7))


@pytest.mark.parametrize("value", ["CHEAP", "", "ch"])
def test_what_is_no_value_of_an_enum_is_no_value(ground: Ground, value: str):
    with pytest.raises(asyncpg.InvalidTextRepresentationError):
        ground.tries("service", adding("bookings", market=value))
