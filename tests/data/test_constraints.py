"""The constraints of the schema refuse every forbidden row and state transition.

Each row differs from an accepted one only in the named columns; it is tried as the service and as
the owner of the schema. The transitions are generated from the tables of states.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from datetime import date
from itertools import product
from typing import Any

import asyncpg
import pytest
from asyncpg import Range

from data import db
from data.db import ConstraintViolation
from dispatch.rules.jobs import states
from tests.data.sample_rows import (
    AWARDS,
    BOOKINGS,
    COMPANIES,
    CUSTOMERS,
    DISPATCHER,
    ERRANDS,
    FILES,
    FRIENDS,
    HOUR,
    NEW,
    NOW,
    OF_FRIEND,
    OFFERS,
    OPERATOR,
    POLICY,
    REQUEST,
    SHA,
    SITTING,
    TICK,
    USED_ENDPOINT,
    insert_row,
    insert_sample_rows,
    rows,
)

ROLES = ["service", "owner"]
DECLINED = {
    "state": "declined",
    "submitted_at": NOW,
    "ended_at": NOW,
    "decided_by": NEW,
    "reasons": ["other"],
}
KEPT = {
    "outcome": "kept",
    "answered_at": NOW,
    "answered_by": OPERATOR,
    "reasons": "It stays.",
}
GUARDIAN = {
    "guardian_name": "Ada",
    "guardian_email": "ada@example.org",
    "guardian_phone": "+41790000001",
}


class SampleDatabase:
    """A database with sample rows; all changes are rolled back."""

    def __init__(self, runner: asyncio.Runner, roles: dict[str, asyncpg.Connection]) -> None:
        self.runner, self.roles = runner, roles

    def attempt(self, role: str, *statements: Any) -> None:
        """Run `statements`, check all constraints, then roll back; raise errors of the database."""
        self.runner.run(self._attempt(self.roles[role], statements))

    async def _attempt(self, connection: asyncpg.Connection, statements: Any) -> None:
        transaction = connection.transaction()
        await transaction.start()
        try:
            with db.translate_errors():
                for statement in statements:
                    await statement(connection)
                await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        finally:
            await transaction.rollback()


@pytest.fixture(scope="module")
def samples(server, template) -> Iterator[SampleDatabase]:
    name = server.create(template)
    database = server.database(name)

    async def connect() -> dict[str, asyncpg.Connection]:
        owner = await db.connect(database.owner_dsn, application="tests")
        async with owner.transaction():
            await insert_sample_rows(owner)
        service = await db.connect(
            database.service_dsn, application="tests", role=database.service_role
        )
        return {"owner": owner, "service": service}

    roles = server.run(connect())
    yield SampleDatabase(server.runner, roles)
    for connection in roles.values():
        server.run(connection.close())
    server.drop(name)


def insertion(table: str, **changes: Any):
    return lambda tx: insert_row(tx, table, **changes)


def execution(statement: str, *args: Any):
    return lambda tx: tx.execute(statement, *args)


ACCEPTED = "UPDATE offers SET state = 'accepted', answered_at = $1 WHERE id = $2"
PASS = "UPDATE {} SET friend_id = $1 WHERE id = $2"
TO = "UPDATE {} SET state = $1 WHERE id = $2"
END_SITTING = "UPDATE sittings SET state = $1, ended_at = $2, correct = 1 WHERE id = $3"
SCHEDULE = "UPDATE awards SET appointment = $1 WHERE id = $2"


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("table", [t for t in rows() if t not in ("prices", "packages")])
def test_the_unchanged_sample_row_is_accepted(samples: SampleDatabase, role: str, table: str):
    samples.attempt(role, insertion(table))


# table, changes to its valid row, the violated constraint
INVALID_ROWS: list[tuple[str, dict[str, Any], str]] = [
    ("people", {"name": ""}, "people_name_check"),
    ("people", {"name": "x" * 201}, "people_name_check"),
    ("people", {"email": "a@"}, "people_email_check"),
    ("people", {"phone": "0440000000"}, "people_phone_check"),
    ("people", {"pending_phone": "0790001739"}, "people_pending_phone_check"),
    ("people", {"phone": None, "phone_confirmed_at": NOW}, "people_confirmed_phone"),
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
    ("people", {"birth_date": date(1899, 12, 31)}, "people_birth_date_check"),
    ("people", {"guardian_name": "Ada"}, "guardian_whole"),
    ("people", {"guardian_email": "ada@example.org"}, "guardian_whole"),
    ("people", GUARDIAN | {"guardian_name": ""}, "people_guardian_name_check"),
    ("people", GUARDIAN | {"guardian_email": "a@"}, "people_guardian_email_check"),
    ("people", GUARDIAN | {"guardian_phone": "044"}, "people_guardian_phone_check"),
    ("people", GUARDIAN | {"guardian_email": "ROSA@example.org"}, "guardian_is_another"),
    ("people", GUARDIAN | {"guardian_phone": "+41440000000"}, "guardian_is_another"),
    ("packages", {"min_age": 13}, "packages_min_age_check"),
    ("packages", {"min_age": 19}, "packages_min_age_check"),
    ("applications", {"friend_id": NEW}, "applications_friend_id_fkey"),
    ("applications", {"friend_id": FRIENDS[1]}, "applications_open"),
    ("applications", {"education": "PhD"}, "applications_education_check"),
    ("applications", {"interests": ["x"] * 21}, "applications_interests_check"),
    ("applications", {"skills": ["x"] * 21}, "applications_skills_check"),
    ("applications", {"submitted_at": NOW - TICK}, "applications_check"),
    ("applications", {"ended_at": NOW - TICK, "state": "withdrawn"}, "applications_check1"),
    ("applications", {"ended_at": NOW}, "application_ended"),
    ("applications", {"state": "withdrawn"}, "application_ended"),
    ("applications", {"state": "submitted"}, "application_submitted"),
    (
        "applications",
        {"state": "accepted", "submitted_at": NOW, "ended_at": NOW},
        "application_decided",
    ),
    ("applications", {"decided_by": NEW}, "application_decided"),
    ("applications", {"reasons": ["other"]}, "application_declined_with_reasons"),
    ("applications", DECLINED | {"reasons": ["other"] * 11}, "applications_reasons_check"),
    ("applications", DECLINED, "applications_decided_by_fkey"),
    ("consents", {"person_id": NEW}, "consents_person_id_fkey"),
    ("consents", {"text": "Terms!"}, "consents_text_check"),
    ("consents", {"version": ""}, "consents_version_check"),
    ("consents", {"version": "0"}, "consents_pkey"),
    ("companies", {"id": COMPANIES[1]}, "companies_pkey"),
    ("companies", {"name": " "}, "companies_name_check"),
    ("companies", {"name": "x" * 201}, "companies_name_check"),
    ("dispatchers", {"id": DISPATCHER}, "dispatchers_pkey"),
    ("dispatchers", {"id": NEW}, "dispatchers_id_fkey"),
    ("dispatchers", {"company_id": NEW}, "dispatchers_company_id_fkey"),
    ("friends", {"company_id": NEW}, "friend_company"),
    ("offers", {"company_id": NEW}, "offer_company"),
    ("awards", {"company_id": NEW}, "award_company"),
    ("charges", {"company_id": NEW}, "charge_company"),
    ("friends", {"level": 0}, "friend_level"),
    ("friends", {"level": 4}, "friend_level"),
    ("level_moves", {"no": 0}, "level_moves_no_check"),
    ("level_moves", {"no": 1}, "level_moves_pkey"),
    ("level_moves", {"no": 4}, "level_moves_without_gaps"),
    ("level_moves", {"friend_id": NEW, "no": 1}, "level_moves_friend_id_fkey"),
    ("level_moves", {"before": 0, "after": 1}, "level_moves_before_check"),
    ("level_moves", {"before": 3, "after": 4}, "level_moves_after_check"),
    ("level_moves", {"points": 1001}, "level_moves_points_check"),
    ("level_moves", {"points": -1}, "level_moves_points_check"),
    ("level_moves", {"record": []}, "level_moves_record_check"),
    ("level_moves", {"policy_id": NEW}, "level_moves_policy_id_fkey"),
    ("level_moves", {"set_by": NEW}, "level_moves_set_by_fkey"),
    ("level_moves", {"after": 1}, "level_moves_by_one_step"),
    ("level_moves", {"after": 3}, "level_moves_by_one_step"),
    ("level_moves", {"held": True}, "level_moves_by_one_step"),
    ("guardianships", {"friend_id": NEW}, "guardianships_friend_id_fkey"),
    ("guardianships", {"friend_id": FRIENDS[1]}, "guardianships_standing"),
    ("guardianships", {"confirmed_at": NOW - TICK}, "guardianships_check"),
    ("guardianships", {"ended_at": NOW - TICK}, "guardianships_check1"),
    ("push_subscriptions", {"endpoint": USED_ENDPOINT}, "push_subscriptions_endpoint_key"),
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
    ("friends", {"open_jobs": 1, "state": "applicant"}, "applicant_has_no_job"),
    ("friends", {"open_jobs": 4}, "friend_capacity"),
    ("friends", {"capacity_max": 21}, "friend_limits"),
    ("friends", {"radius_max_m": 499}, "friend_limits"),
    ("friends", {"jobs_per_day": -1}, "friend_limits"),
    ("friends", {"hand_backs_per_day": -1}, "friend_limits"),
    ("friends", {"languages": []}, "friends_languages_check"),
    ("friends", {"quiet_from": 60}, "friends_check"),
    ("friends", {"quiet_from": 60, "quiet_until": 60}, "friends_check1"),
    ("friends", {"quiet_from": 1440, "quiet_until": 60}, "friends_quiet_from_check"),
    ("friends", {"week": []}, "friend_week"),
    ("friends", {"week": [480]}, "friend_week"),
    ("friends", {"week": [480, 720, 900]}, "friend_week"),
    ("friends", {"week": [720, 480]}, "friend_week"),
    ("friends", {"week": [480, 720, 700, 800]}, "friend_week"),
    ("friends", {"week": [-1, 720]}, "friend_week"),
    ("friends", {"week": [10_080, 10_100]}, "friend_week"),
    ("friends", {"week": [480, 720, 10_000, 10_561]}, "friend_week"),
    ("friends", {"week": [480, None]}, "friend_week"),
    ("friends", {"week": [0, 1] + [1] * 84}, "friend_week"),
    ("friends", {"areas": []}, "friend_areas"),
    ("friends", {"areas": {"kind": "circle"}}, "friend_areas"),
    ("friends", {"areas": [{}] * 6}, "friend_areas"),
    ("friends", {"areas": ["x" * 65_536]}, "friend_areas"),
    ("friends", {"areas_since": None}, "friend_areas_since"),
    ("friends", {"holidays": []}, "friend_holidays"),
    ("friends", {"holidays": [NOW.date()]}, "friend_holidays"),
    ("friends", {"holidays": [NOW.date(), NOW.date() - 24 * HOUR]}, "friend_holidays"),
    ("friends", {"holidays": [NOW.date(), None]}, "friend_holidays"),
    ("friends", {"holidays": [NOW.date()] * 42}, "friend_holidays"),
    (
        "friend_certificates",
        {"certificate": "wifi", "valid": Range(NOW + HOUR / 2, None)},
        "friend_certificates_friend_id_certificate_valid_excl",
    ),
    ("friend_certificates", {"valid": Range(empty=True)}, "friend_certificates_valid_check"),
    ("friend_certificates", {"certificate": "flying"}, "friend_certificates_certificate_fkey"),
    ("partner_members", {"friend_id": FRIENDS[1]}, "partner_members_pkey"),
    ("accounts", {"id": NEW}, "accounts_id_fkey"),
    ("accounts", {"customer_key": "vera@example.com"}, "accounts_customer_key_check"),
    ("favourites", {"customer_key": "vera@example.com"}, "favourites_customer_key_check"),
    ("favourites", {"friend_id": CUSTOMERS["open"]}, "favourites_friend_id_fkey"),
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
    ("bookings", {"favourite_id": CUSTOMERS["open"]}, "bookings_favourite_id_fkey"),
    ("bookings", {"cancel_fee_minor": 1}, "booking_cancel_fee_when_cancelled"),
    ("bookings", {"package": "tea-making"}, "bookings_package_fkey"),
    ("bookings", {"cell_lat": 90.5}, "bookings_cell_lat_check"),
    ("threads", {"award_id": AWARDS["won"]}, "threads_pkey"),
    ("threads", {"booking_id": BOOKINGS["won"]}, "thread_of_award"),
    ("threads", {"by_friend": 1}, "thread_numbers"),
    ("threads", {"by_friend": 1, "first_by_friend": 2}, "thread_numbers"),
    ("threads", {"by_friend": 1, "first_by_friend": 1, "by_customer": 1}, "thread_numbers"),
    ("threads", {"by_customer": -1}, "thread_numbers"),
    ("threads", {"by_customer": 1, "read_by_friend": 2}, "thread_numbers"),
    ("threads", {"by_customer": 1, "read_by_customer": 2}, "thread_numbers"),
    ("threads", {"read_by_friend": -1}, "thread_numbers"),
    ("thread_notes", {"seq": 1}, "thread_notes_pkey"),
    ("thread_notes", {"seq": 0}, "thread_notes_seq_check"),
    ("thread_notes", {"seq": 3}, "notes_without_gaps"),
    ("thread_notes", {"award_id": AWARDS["done"], "seq": 1}, "thread_notes_award_id_fkey"),
    ("thread_notes", {"text": ""}, "note_text"),
    ("thread_notes", {"text": "x" * 2001}, "note_text"),
    ("offers", {"booking_id": BOOKINGS["open"], "friend_id": FRIENDS[5]}, "offers_four_live"),
    ("offers", {"slot": 5}, "offer_slot_within"),
    ("offers", {"slot": 0}, "offer_slot_within"),
    ("offers", {"slot": 7, "slots": 6}, "offer_slot_within"),
    ("offers", {"slot": 5, "slots": 9}, "offer_slot_within"),
    ("offers", {"round": 0}, "offers_round_check"),
    ("offers", {"distance_m": 20_001}, "offer_in_radius"),
    ("offers", {"distance_m": -1}, "offers_distance_m_check"),
    ("offers", {"expires_at": NOW}, "offer_has_a_life"),
    ("offers", {"booking_id": NEW}, "offers_booking_id_fkey"),
    ("offers", {"friend_id": NEW}, "offers_friend_id_fkey"),
    ("awards", {"contact_due_at": NOW + 12 * HOUR + TICK}, "award_contact_within"),
    ("awards", {"contact_due_at": NOW + 12 * HOUR - TICK}, "award_contact_within"),
    ("awards", {"contact_due_at": NOW + 24 * HOUR}, "award_contact_within"),
    ("awards", {"contact_within_s": 8 * 3600}, "award_contact_within"),
    (
        "awards",
        {"contact_due_at": NOW + HOUR / 2, "contact_within_s": 1800},
        "award_contact_within",
    ),
    (
        "awards",
        {"contact_due_at": NOW + 72 * HOUR, "contact_within_s": 72 * 3600},
        "award_contact_within",
    ),
    ("awards", {"marks": []}, "award_marks"),
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
    ("timers", {"booking_id": BOOKINGS["open"], "kind": "offers_expire"}, "timers_booking"),
    ("timers", {"booking_id": NEW}, "timers_booking_id_fkey"),
    ("timers", {"booking_id": None}, "timer_subject"),
    ("timers", {"booking_id": None, "subject_id": FRIENDS[2]}, "timer_subject"),
    (
        "timers",
        {"subject_kind": "person", "subject_id": FRIENDS[2], "kind": "certificate_ending"},
        "timer_subject",
    ),
    ("timers", {"subject_kind": "partner"}, "timer_subject"),
    ("timers", {"kind": "certificate_ending"}, "timer_kind_of_subject"),
    ("timers", OF_FRIEND, "timer_kind_of_subject"),
    ("timers", {**OF_FRIEND, "kind": "certificate_ending"}, "timers_of_subjects"),
    (
        "timers",
        {**OF_FRIEND, "subject_id": FRIENDS[3], "kind": "certificate_ending"},
        "timer_of_subject",
    ),
    ("events", {"seq": 3}, "events_without_gaps"),
    ("events", {"seq": 1}, "events_pkey"),
    ("events", {"seq": 0}, "events_seq_check"),
    ("events", {"booking_id": NEW, "seq": 1}, "events_booking_id_fkey"),
    ("events", {"kind": "something"}, "events_kind_check"),
    ("events", {"actor": "vera@example.com"}, "events_actor_check"),
    ("decisions", {"seq": 2}, "decisions_booking_id_seq_fkey"),
    ("decisions", {"booking_id": BOOKINGS["done"]}, "decisions_pkey"),
    ("decisions", {"policy_id": NEW}, "decisions_policy_id_fkey"),
    ("decisions", {"policy_id": None}, "decision_inputs_together"),
    ("decisions", {"search": None}, "decision_inputs_together"),
    ("decisions", {"facts": None}, "decision_inputs_together"),
    ("decisions", {"search": []}, "decision_search"),
    ("decisions", {"facts": b"\x00" * 29}, "decision_facts_of_each"),
    ("decisions", {"facts": b"\x00" * 60}, "decision_facts_of_each"),
    ("decisions", {"reach_counts": None}, "decision_reach"),
    ("decisions", {"reach_counts": [1, 2]}, "decision_reach"),
    ("decisions", {"reach_counts": [0]}, "decision_reach"),
    ("decisions", {"reach_m": -1}, "decision_reach"),
    ("decisions", {"reach_outcomes": None, "reach_counts": None}, "decision_reach"),
    ("package_versions", {"package": "tea-making", "version": 1}, "package_versions_package_fkey"),
    ("package_versions", {"version": 0}, "package_versions_version_check"),
    ("package_versions", {"version": 1}, "package_versions_pkey"),
    ("package_versions", {"version": 3}, "package_versions_without_gaps"),
    ("package_versions", {"category": "Wi-Fi"}, "package_versions_category_check"),
    ("package_versions", {"tiers": []}, "package_versions_tiers_check"),
    ("package_versions", {"minutes": 0}, "package_versions_minutes_check"),
    ("package_versions", {"minutes": 481}, "package_versions_minutes_check"),
    ("package_versions", {"min_age": 13}, "package_versions_min_age_check"),
    ("package_versions", {"min_age": 19}, "package_versions_min_age_check"),
    ("package_versions", {"certificates": [None]}, "package_versions_certificates_check"),
    ("package_versions", {"texts": []}, "package_versions_texts_check"),
    ("package_versions", {"prices": []}, "package_versions_prices_check"),
    ("package_versions", {"author_id": NEW}, "package_versions_author_id_fkey"),
    ("bookings", {"package_version": 2}, "bookings_package_version"),
    ("policies", {"id": POLICY}, "policies_pkey"),
    ("policies", {"version": ""}, "policies_version_check"),
    ("policies", {"numbers": []}, "policies_numbers_check"),
    ("decisions", {"outcomes": []}, "decision_one_outcome_each"),
    ("decisions", {"ranks": [1, 2]}, "decision_one_outcome_each"),
    ("decisions", {"distances_m": []}, "decision_one_outcome_each"),
    ("messages", {"sent_at": NOW}, "message_sent"),
    ("messages", {"state": "sent"}, "message_sent"),
    ("messages", {"problem": "x" * 501}, "messages_problem_check"),
    ("messages", {"booking_id": NEW}, "messages_booking_id_fkey"),
    ("messages", {"booking_id": None}, "message_subject"),
    ("messages", {"subject_kind": "person"}, "message_subject"),
    ("messages", {"subject_id": FRIENDS[2]}, "message_subject"),
    ("messages", {**OF_FRIEND, "subject_kind": "booking"}, "message_subject"),
    ("messages", {**OF_FRIEND, "seq": 2}, "message_of_entry"),
    ("messages", {**OF_FRIEND, "subject_kind": "partner"}, "message_of_entry"),
    ("subjects", {"id": FRIENDS[2]}, "subjects_pkey"),
    ("subjects", {"kind": "booking", "id": BOOKINGS["done"]}, "subject_of_a_kind"),
    ("subjects", {"id": NEW}, "subjects_person_id_fkey"),
    ("subjects", {"kind": "partner"}, "subjects_partner_id_fkey"),
    ("subjects", {"seq": -1}, "subjects_seq_check"),
    ("subjects", {"seq": 1}, "subject_last_entry"),
    ("journal", {"seq": 0}, "journal_seq_check"),
    ("journal", {"seq": 1}, "journal_pkey"),
    ("journal", {"seq": 3}, "journal_without_gaps"),
    ("journal", {"subject_id": FRIENDS[3], "seq": 1}, "journal_subject"),
    ("journal", {"subject_kind": "partner", "seq": 1}, "journal_subject"),
    ("journal", {"kind": "Paused"}, "journal_kind_check"),
    ("journal", {"actor": "operator:Olga"}, "journal_actor_check"),
    ("journal", {"data": []}, "journal_data_check"),
    ("exams", {"certificate": "wifi"}, "exams_pkey"),
    ("exams", {"certificate": "tea"}, "exams_certificate_fkey"),
    ("exams", {"minutes": 4}, "exams_minutes_check"),
    ("exams", {"minutes": 181}, "exams_minutes_check"),
    ("exams", {"pass_bp": 4999}, "exams_pass_bp_check"),
    ("exams", {"pass_bp": 10_001}, "exams_pass_bp_check"),
    ("exams", {"attempts": 0}, "exams_attempts_check"),
    ("exams", {"cooldown_days": 0}, "exams_cooldown_days_check"),
    ("exams", {"topics": []}, "exams_topics_check"),
    ("exams", {"names": []}, "exams_names_check"),
    ("questions", {"code": "WiFi 2"}, "questions_code_check"),
    ("questions", {"code": "wifi-01"}, "questions_code_version_key"),
    ("questions", {"code": "wifi-01", "version": 2}, "questions_current"),
    ("questions", {"version": 0}, "questions_version_check"),
    ("questions", {"certificate": "mac"}, "questions_certificate_fkey"),
    ("questions", {"topic": ""}, "questions_topic_check"),
    ("questions", {"difficulty": 4}, "questions_difficulty_check"),
    ("questions", {"key": "e"}, "questions_key_check"),
    ("questions", {"texts": []}, "questions_texts_check"),
    ("sittings", {"friend_id": FRIENDS[1]}, "sittings_one_open"),
    ("sittings", {"friend_id": FRIENDS[7]}, "sittings_friend_id_fkey"),
    ("sittings", {"certificate": "mac"}, "sittings_certificate_fkey"),
    ("sittings", {"id": SITTING}, "sittings_pkey"),
    ("sittings", {"pass_bp": 0}, "sittings_pass_bp_check"),
    ("sittings", {"extra_minutes": -1}, "sittings_extra_minutes_check"),
    ("sittings", {"due_at": NOW}, "sitting_lasts"),
    ("sittings", {"answered": 401}, "sittings_answered_check"),
    ("sittings", {"correct": 1}, "sitting_ended"),
    ("sittings", {"ended_at": NOW, "correct": 1}, "sitting_ended"),
    ("sittings", {"reason": "no"}, "sitting_reason"),
    ("sittings", {"state": "passed", "correct": 1, "ended_at": NOW}, "sitting_transition"),
    ("sitting_questions", {"sitting_id": NEW}, "sitting_questions_sitting_id_fkey"),
    ("sitting_questions", {"question_id": 9}, "sitting_questions_question_id_fkey"),
    ("sitting_questions", {"position": 1}, "sitting_questions_pkey"),
    ("sitting_questions", {"position": 21}, "sitting_questions_position_check"),
    ("sitting_questions", {"question_id": 1}, "sitting_questions_sitting_id_question_id_key"),
    ("sitting_questions", {"options": "abca"}, "sitting_questions_options_check"),
    ("exam_answers", {"no": 1}, "exam_answers_pkey"),
    ("exam_answers", {"no": 0}, "exam_answers_no_check"),
    ("exam_answers", {"choice": "e"}, "exam_answers_choice_check"),
    ("exam_answers", {"at": NOW + HOUR}, "exam_answer_in_time"),
    ("exam_answers", {"due_at": NOW + 2 * HOUR}, "exam_answer_of_sitting"),
    ("exam_answers", {"sitting_id": NEW}, "exam_answer_of_sitting"),
    ("exam_answers", {"position": 3}, "exam_answer_to_drawn"),
    ("errands", {"id": ERRANDS[1]}, "errands_pkey"),
    ("errands", {"kind": "Send"}, "errands_kind_check"),
    ("errands", {"booking_id": NEW}, "errands_booking_id_fkey"),
    ("errands", {"booking_id": None}, "errand_subject"),
    ("errands", {"subject_id": FRIENDS[2]}, "errand_subject"),
    ("errands", {**OF_FRIEND, "subject_id": FRIENDS[3]}, "errand_of_subject"),
    ("errands", {"request": []}, "errands_request_check"),
    ("errands", {"attempts": -1}, "errands_attempts_check"),
    ("errands", {"expires_at": NOW}, "errand_has_a_life"),
    ("errands", {"ended_at": NOW}, "errand_ended"),
    ("errands", {"state": "done", "answer": {}}, "errand_ended"),
    ("errands", {"state": "refused", "problem": "no"}, "errand_ended"),
    ("errands", {"state": "done", "ended_at": NOW}, "errand_answered"),
    ("errands", {"state": "refused", "ended_at": NOW}, "errand_problem"),
    ("errands", {"state": "parked"}, "errand_problem"),
    ("errands", {"answer": []}, "errands_answer_check"),
    ("errands", {"problem": "x" * 501}, "errands_problem_check"),
    ("notices", {"event_id": "used"}, "notices_pkey"),
    ("notices", {"id": ERRANDS[1]}, "notices_id_key"),
    ("notices", {"provider": "Sms 2"}, "notices_provider_check"),
    ("notices", {"event_id": ""}, "notices_event_id_check"),
    ("notices", {"reference": ""}, "notices_reference_check"),
    ("notices", {"attempts": -1}, "notices_attempts_check"),
    ("notices", {"state": "done"}, "notice_handled"),
    ("notices", {"handled_at": NOW}, "notice_handled"),
    ("notices", {"problem": "x" * 501}, "notices_problem_check"),
    ("phone_codes", {"person_id": FRIENDS[2]}, "phone_codes_pkey"),
    ("phone_codes", {"person_id": NEW}, "phone_codes_person_id_fkey"),
    ("phone_codes", {"errand_id": NEW}, "phone_codes_errand_id_fkey"),
    ("phone_codes", {"errand_id": ERRANDS[1]}, "phone_codes_errand_id_key"),
    ("phone_codes", {"tries": -1}, "phone_codes_tries_check"),
    ("phone_codes", {"delivery": "lost"}, "phone_codes_delivery_check"),
    ("audit", {"subject_kind": "person"}, "audit_subject_has_id"),
    ("answers", {"key": "used"}, "answers_pkey"),
    ("answers", {"key": ""}, "answers_key_check"),
    ("answers", {"key": "x" * 256}, "answers_key_check"),
    ("answers", {"request_sha256": b"short"}, "answers_request_sha256_check"),
    ("quotes", {"expires_at": NOW}, "quotes_check"),
    ("quotes", {"price_minor": 0}, "quotes_price_minor_check"),
    ("ratings", {"stars": 0}, "ratings_stars_check"),
    ("ratings", {"stars": 6}, "ratings_stars_check"),
    ("ratings", {"booking_id": BOOKINGS["done"]}, "ratings_pkey"),
    ("review_requests", {"id": REQUEST}, "review_requests_pkey"),
    ("review_requests", {"about": "level"}, "review_requests_open"),
    ("review_requests", {"friend_id": NEW}, "review_requests_friend_id_fkey"),
    ("review_requests", {"about": "weather"}, "review_requests_about_check"),
    ("review_requests", {"text": ""}, "review_requests_text_check"),
    ("review_requests", {"text": "x" * 1001}, "review_requests_text_check"),
    ("review_requests", {"due_at": NOW}, "review_request_due_after"),
    ("review_requests", {"reminded_at": NOW - TICK}, "review_request_reminded_after"),
    ("review_requests", {"decided_by": NEW}, "review_requests_decided_by_fkey"),
    ("review_requests", KEPT | {"answered_by": NEW}, "review_requests_answered_by_fkey"),
    ("review_requests", KEPT | {"answered_at": NOW - TICK}, "review_request_answered_after"),
    ("review_requests", KEPT | {"answered_at": None}, "review_request_ended"),
    ("review_requests", {"answered_at": NOW}, "review_request_ended"),
    ("review_requests", KEPT | {"outcome": "lost"}, "review_requests_outcome_check"),
    ("review_requests", KEPT | {"outcome": "withdrawn"}, "review_request_by_person"),
    ("review_requests", KEPT | {"answered_by": None}, "review_request_by_person"),
    ("review_requests", KEPT | {"reasons": None}, "review_request_with_reasons"),
    ("review_requests", {"reasons": "No."}, "review_request_with_reasons"),
    ("review_requests", KEPT | {"reasons": ""}, "review_requests_reasons_check"),
    ("review_requests", KEPT | {"reasons": "x" * 501}, "review_requests_reasons_check"),
    ("review_requests", KEPT | {"decided_by": OPERATOR}, "review_request_by_another"),
    ("customer_reviews", {"booking_id": BOOKINGS["done"]}, "customer_reviews_pkey"),
    ("customer_reviews", {"booking_id": NEW}, "customer_reviews_booking_id_fkey"),
    ("customer_reviews", {"friend_id": NEW}, "customer_reviews_friend_id_fkey"),
    ("customer_reviews", {"stars": 0}, "customer_reviews_stars_check"),
    ("customer_reviews", {"stars": 6}, "customer_reviews_stars_check"),
    ("customer_reviews", {"comment": "x" * 1001}, "customer_reviews_comment_check"),
    ("customer_reviews", {"shown_at": NOW - TICK}, "customer_review_shown_after"),
    ("review_notes", {"by_friend": False}, "review_notes_pkey"),
    ("review_notes", {"booking_id": BOOKINGS["won"]}, "note_of_review"),
    ("review_notes", {"booking_id": BOOKINGS["won"], "by_friend": False}, "note_of_rating"),
    ("review_notes", {"no": 2}, "note_of_review"),
    ("review_notes", {"reply": "", "replied_at": NOW}, "review_notes_reply_check"),
    ("review_notes", {"reply": "Thanks."}, "note_reply_has_time"),
    ("review_notes", {"report": "", "reported_at": NOW}, "review_notes_report_check"),
    (
        "review_notes",
        {
            "report": "x",
            "reported_at": None,
            "decided_at": None,
            "decided_by": None,
            "hidden": None,
        },
        "note_report_has_time",
    ),
    ("review_notes", {"reported_at": None}, "note_decided_after_report"),
    ("review_notes", {"decided_at": NOW - TICK}, "note_decided_after_report"),
    ("review_notes", {"decided_by": None}, "note_decided_by"),
    ("review_notes", {"decided_by": FRIENDS[1]}, "review_notes_decided_by_fkey"),
    ("review_notes", {"decided_at": None, "decided_by": None}, "note_hidden_by_decision"),
    ("review_notes", {"hidden": "boring"}, "review_notes_hidden_check"),
    ("files", {"id": FILES["photo"]}, "files_pkey"),
    ("files", {"person_id": NEW}, "files_person_id_fkey"),
    ("files", {"kind": "result", "booking_id": NEW}, "files_booking_id_fkey"),
    ("files", {"kind": "result"}, "file_of_booking"),
    ("files", {"booking_id": BOOKINGS["won"]}, "file_of_booking"),
    ("files", {"person_id": FRIENDS[2]}, "files_one_photo"),
    ("files", {"name": ""}, "files_name_check"),
    ("files", {"name": "x" * 101}, "files_name_check"),
    ("files", {"bytes": 0}, "files_bytes_check"),
    ("files", {"bytes": 8 * 1024 * 1024 + 1}, "files_bytes_check"),
    ("files", {"stored": "attic"}, "files_stored_check"),
    ("file_contents", {"file_id": FILES["photo"]}, "file_contents_pkey"),
    ("file_contents", {"file_id": NEW}, "file_contents_file_id_fkey"),
    ("file_contents", {"content": b""}, "file_contents_content_check"),
    ("identities", {"person_id": FRIENDS[2]}, "identities_pkey"),
    ("identities", {"person_id": NEW}, "identities_person_id_fkey"),
    ("identities", {"seen_by": FRIENDS[1]}, "identities_seen_by_fkey"),
    ("identities", {"document": "library_card"}, "identities_document_check"),
    ("charges", {"booking_id": BOOKINGS["done"]}, "charges_pkey"),
    ("reversals", {"booking_id": BOOKINGS["bare"]}, "reversal_of_charge"),
    ("reversals", {"no": 2}, "reversal_of_charge"),
    ("charges", {"pay_minor": 6901}, "charges_check"),
    ("charges", {"price_minor": 0, "pay_minor": 0}, "charges_price_minor_check"),
    ("login_links", {"used_at": NOW + HOUR}, "link_used_in_time"),
    ("login_links", {"token_sha256": b"short"}, "login_links_token_sha256_check"),
    ("sessions", {"token_sha256": SHA[:31]}, "sessions_token_sha256_check"),
]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("table", "changes", "constraint"), INVALID_ROWS, ids=[f"{t}-{c}" for t, _, c in INVALID_ROWS]
)
def test_an_invalid_row_is_refused(samples: SampleDatabase, role, table, changes, constraint):
    with pytest.raises(ConstraintViolation) as broken:
        samples.attempt(role, insertion(table, **changes))
    assert broken.value.constraint == constraint


FOURTH_FREED = execution(
    "UPDATE offers SET state = 'declined', answered_at = $1 WHERE id = $2", NOW, OFFERS[4]
)
# name, statements of which the last violates the constraint, the constraint
SEQUENCES: list[tuple[str, list[Any], str]] = [
    (
        "two winners",
        [execution(ACCEPTED, NOW, OFFERS[1]), execution(ACCEPTED, NOW, OFFERS[2])],
        "offers_one_winner",
    ),
    (
        "another winner in a round that was forfeited",
        [
            execution(ACCEPTED, NOW, OFFERS[1]),
            execution(TO.format("offers"), "forfeited", OFFERS[1]),
            execution(ACCEPTED, NOW, OFFERS[2]),
        ],
        "offers_one_winner_a_round",
    ),
    (
        "a company asked twice in a round",
        [
            FOURTH_FREED,
            insertion(
                "offers",
                booking_id=BOOKINGS["open"],
                friend_id=FRIENDS[5],
                slot=4,
                company_id=COMPANIES[1],
            ),
        ],
        "offers_once_a_company",
    ),
    (
        "an offer that passes to another friend, without a company",
        [execution(PASS.format("offers"), FRIENDS[6], OFFERS[1])],
        "offers_holder_stays",
    ),
    (
        "an award that passes to another friend, without a company",
        [execution(PASS.format("awards"), FRIENDS[6], AWARDS["won"])],
        "awards_holder_stays",
    ),
    (
        "an award of a company that passes to another friend without its offer",
        [
            execution("UPDATE awards SET company_id = $1", COMPANIES[1]),
            execution(PASS.format("awards"), FRIENDS[6], AWARDS["won"]),
        ],
        "award_of_offer",
    ),
    (
        "a friend asked twice in a round",
        [
            FOURTH_FREED,
            insertion("offers", booking_id=BOOKINGS["open"], friend_id=FRIENDS[4], slot=4),
        ],
        "offer_once_a_round",
    ),
    (
        "accepted when it expired",
        [execution(ACCEPTED, NOW + HOUR, OFFERS[1])],
        "offer_answered_in_time",
    ),
    ("accepted without a time", [execution(ACCEPTED, None, OFFERS[1])], "offer_answered"),
    (
        "declined without a time",
        [execution(TO.format("offers"), "declined", OFFERS[1])],
        "offer_answered",
    ),
    (
        "awarded without an award",
        [execution(TO.format("bookings"), "awarded", BOOKINGS["open"])],
        "booking_award_iff",
    ),
    (
        "completed without an award",
        [execution("UPDATE bookings SET award_id = NULL WHERE id = $1", BOOKINGS["done"])],
        "booking_award_iff",
    ),
    (
        "awarded with the award of another booking",
        [
            execution(
                "UPDATE bookings SET state = 'awarded', award_id = $1 WHERE id = $2",
                AWARDS["won"],
                BOOKINGS["open"],
            )
        ],
        "booking_award",
    ),
    (
        "an award that ended without a time",
        [execution(TO.format("awards"), "forfeited", AWARDS["won"])],
        "award_ended",
    ),
    (
        "a live award that has ended",
        [execution("UPDATE awards SET ended_at = $1 WHERE id = $2", NOW, AWARDS["won"])],
        "award_ended",
    ),
    (
        "a fee above the price",
        [
            execution(
                "UPDATE bookings SET state = 'cancelled', cancel_fee_minor = price_minor + 1 "
                "WHERE id = $1",
                BOOKINGS["open"],
            )
        ],
        "booking_cancel_fee_within_price",
    ),
    (
        "the deadline moved by an hour",
        [execution("UPDATE awards SET contact_due_at = contact_due_at + interval '1 hour'")],
        "award_contact_within",
    ),
    (
        "an appointment moved onto another",
        [
            insertion("awards"),
            execution(SCHEDULE, Range(NOW + 5 * HOUR, NOW + 7 * HOUR), AWARDS["won"]),
        ],
        "award_no_double_appointment",
    ),
    (
        "one job too many",
        [execution("UPDATE friends SET open_jobs = open_jobs + 3 WHERE id = $1", FRIENDS[5])],
        "friend_capacity",
    ),
    (
        "one job too few",
        [execution("UPDATE friends SET open_jobs = open_jobs - 1 WHERE id = $1", FRIENDS[1])],
        "friend_capacity",
    ),
    (
        "a capacity below the jobs at hand",
        [
            execution("UPDATE friends SET open_jobs = 3 WHERE id = $1", FRIENDS[5]),
            execution("UPDATE friends SET capacity = 2 WHERE id = $1", FRIENDS[5]),
        ],
        "friend_capacity",
    ),
    (
        "a round beyond the limit",
        [execution("UPDATE bookings SET round = 6 WHERE id = $1", BOOKINGS["open"])],
        "booking_rounds_bounded",
    ),
    (
        "a sitting that ends without a result",
        [execution(TO.format("sittings"), "failed", SITTING)],
        "sitting_ended",
    ),
    (
        "a sitting with less than no right answer",
        [
            execution(
                "UPDATE sittings SET state = 'failed', ended_at = $1, correct = -1 WHERE id = $2",
                NOW,
                SITTING,
            )
        ],
        "sittings_correct_check",
    ),
    (
        "a sitting that ended before it began",
        [execution(END_SITTING, "failed", NOW - TICK, SITTING)],
        "sitting_ended",
    ),
    (
        "a failed sitting that becomes a pass",
        [
            execution(END_SITTING, "failed", NOW, SITTING),
            execution(TO.format("sittings"), "passed", SITTING),
        ],
        "sitting_transition",
    ),
    (
        "a sitting that opens again",
        [
            execution(END_SITTING, "practical_due", NOW, SITTING),
            execution(END_SITTING, "open", None, SITTING),
        ],
        "sitting_transition",
    ),
    (
        "a practical check declined with an empty reason",
        [
            execution(END_SITTING, "practical_due", NOW, SITTING),
            execution("UPDATE sittings SET state = 'declined', reason = '' WHERE id = $1", SITTING),
        ],
        "sittings_reason_check",
    ),
    (
        "a practical check declined without a reason",
        [
            execution(END_SITTING, "practical_due", NOW, SITTING),
            execution(TO.format("sittings"), "declined", SITTING),
        ],
        "sitting_reason",
    ),
    (
        "a timer that is due early",
        [execution("UPDATE timers SET not_before = due_at - interval '1 microsecond'")],
        "timer_not_early",
    ),
]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("name", "statements", "constraint"), SEQUENCES, ids=[s[0] for s in SEQUENCES]
)
def test_an_invalid_sequence_is_refused(
    samples: SampleDatabase, role, name, statements, constraint
):
    samples.attempt(role, *statements[:-1])
    with pytest.raises(ConstraintViolation) as broken:
        samples.attempt(role, *statements)
    assert broken.value.constraint == constraint


@pytest.mark.parametrize("role", ROLES)
def test_a_declined_slot_can_be_filled_again(samples: SampleDatabase, role: str):
    filled = insertion("offers", booking_id=BOOKINGS["open"], friend_id=FRIENDS[5], slot=4)
    samples.attempt(role, FOURTH_FREED, filled)


@pytest.mark.parametrize("role", ROLES)
def test_a_company_passes_its_offer_on(samples: SampleDatabase, role: str):
    samples.attempt(role, execution(PASS.format("offers"), FRIENDS[6], OFFERS[4]))


MACHINES = {
    "bookings": (states.BOOKING, states.BOOKING_BIRTH),
    "offers": (states.OFFER, states.OFFER_BIRTH),
    "awards": (states.AWARD, states.AWARD_BIRTH),
}
WITH_AWARD = ("awarded", "contacted", "scheduled", "under_way", "completed")
INITIAL = {
    "bookings": insertion("bookings"),
    "offers": insertion("offers", id=OFFERS[7], answered_at=NOW),
    "awards": insertion("awards", id=AWARDS["new"]),
}
MOVES = {
    "bookings": lambda state: execution(
        "UPDATE bookings SET state = $1, award_id = $2 WHERE id = $3",
        state,
        AWARDS["new"] if state in WITH_AWARD else None,
        BOOKINGS["new"],
    ),
    "offers": lambda state: execution(TO.format("offers"), state, OFFERS[7]),
    "awards": lambda state: execution(
        "UPDATE awards SET state = $1, ended_at = $2 WHERE id = $3",
        state,
        None if state == "live" else NOW,
        AWARDS["new"],
    ),
}


def path(machine: str, goal: str) -> list[str]:
    """Return the states from an initial one to `goal`."""
    table, initial = MACHINES[machine]
    queue = deque([[str(state)] for state in initial])
    while queue:
        states_ = queue.popleft()
        if states_[-1] == goal:
            return states_
        queue.extend([*states_, str(new)] for new in table[type(goal)(states_[-1])])
    raise AssertionError(goal)


def steps(*, listed: bool) -> list[tuple[str, str, str]]:
    return [
        (machine, old, new)
        for machine, (table, _) in MACHINES.items()
        for old, new in product(table, table)
        if old != new and (new in table[old]) is listed
    ]


def statements_for(machine: str, states_: list[str]) -> list[Any]:
    statements = [
        insertion("bookings", state=states_[0]) if machine == "bookings" else INITIAL[machine]
    ]
    statements += [MOVES[machine](state) for state in states_[1:]]
    if machine == "bookings":
        statements.append(insertion("awards", id=AWARDS["new"], booking_id=BOOKINGS["new"]))
    return statements


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("machine", "old", "new"), steps(listed=True))
def test_a_listed_transition_is_accepted(
    samples: SampleDatabase, role: str, machine: str, old: str, new: str
):
    samples.attempt(role, *statements_for(machine, [*path(machine, old), new]))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("machine", "old", "new"), steps(listed=False))
def test_a_transition_that_is_not_listed_is_refused(
    samples: SampleDatabase, role: str, machine: str, old: str, new: str
):
    with pytest.raises(ConstraintViolation, match=f"{machine}_transition"):
        samples.attempt(role, *statements_for(machine, [*path(machine, old), new]))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("machine", "state"),
    [(m, s) for m, (table, initial) in MACHINES.items() for s in table if s not in initial],
)
def test_no_row_is_inserted_in_a_later_state(
    samples: SampleDatabase, role: str, machine: str, state: str
):
    with pytest.raises(ConstraintViolation, match=f"{machine}_transition"):
        samples.attempt(role, insertion(machine, state=state))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "table",
    [
        "events",
        "decisions",
        "policies",
        "audit",
        "charges",
        "reversals",
        "ratings",
        "journal",
        "thread_notes",
        "customer_reviews",
        "level_moves",
    ],
)
@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET at = at", "DELETE FROM {}", "TRUNCATE {} CASCADE"]
)
def test_history_cannot_be_changed(samples: SampleDatabase, role: str, table: str, statement: str):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        samples.attempt(role, execution(statement.format(table)))


@pytest.mark.parametrize(
    "statement",
    [
        *(f"DELETE FROM {t}" for t in ("people", "friends", "bookings", "offers", "awards")),
        *(
            f"DELETE FROM {t}"
            for t in ("messages", "partners", "partner_keys", "prices", "subjects")
        ),
        *(f"DELETE FROM {t}" for t in ("exams", "questions", "sittings")),
        "TRUNCATE bookings CASCADE",
        "TRUNCATE timers",
        "INSERT INTO transitions VALUES ('bookings', 'cancelled', 'open')",
        "DELETE FROM transitions",
        "UPDATE transitions SET to_state = 'open'",
        "INSERT INTO clock VALUES (true, now(), now(), 1)",
        "UPDATE clock SET speed = 1000",
        "CREATE OR REPLACE FUNCTION moment() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'",
        "ALTER TABLE events DISABLE TRIGGER append_only",
        "ALTER TABLE awards DROP CONSTRAINT award_contact_within",
        "DROP TRIGGER guard_update ON bookings",
        "DROP INDEX offers_four_live",
        "DROP TABLE events",
        "CREATE TABLE mine (n int)",
        "SET session_replication_role = replica",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ],
)
def test_the_service_may_not(samples: SampleDatabase, statement: str):
    with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.FeatureNotSupportedError)):
        samples.attempt("service", execution(statement))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("table", ["sitting_questions", "exam_answers"])
@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET position = position", "DELETE FROM {}", "TRUNCATE {} CASCADE"]
)
def test_what_was_asked_and_answered_cannot_be_changed(
    samples: SampleDatabase, role: str, table: str, statement: str
):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        samples.attempt(role, execution(statement.format(table)))


@pytest.mark.parametrize(
    "change",
    [
        *(f"questions SET {column}" for column in ("key = 'a'", "texts = '{}'", "version = 9")),
        *(f"sittings SET {column}" for column in ("due_at = due_at", "pass_bp = 5000", "seed = 2")),
    ],
)
def test_the_service_may_not_change_what_a_sitting_rests_on(samples: SampleDatabase, change: str):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        samples.attempt("service", execution(f"UPDATE {change}"))


@pytest.mark.parametrize("role", ROLES)
def test_a_message_can_only_be_emptied(samples: SampleDatabase, role: str):
    empty = execution("UPDATE thread_notes SET text = NULL")
    samples.attempt(role, empty)
    for change in ("text = 'Other.'", "text = NULL, by = 'customer'", "text = NULL, at = now()"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            samples.attempt(role, execution(f"UPDATE thread_notes SET {change}"))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        samples.attempt(role, empty, empty)


def test_an_event_cannot_name_its_own_predecessor(samples: SampleDatabase):
    with pytest.raises(asyncpg.GeneratedAlwaysError):
        samples.attempt("owner", insertion("events", before=7))


@pytest.mark.parametrize("value", ["CHEAP", "", "ch"])
def test_a_value_outside_an_enum_is_refused(samples: SampleDatabase, value: str):
    with pytest.raises(asyncpg.InvalidTextRepresentationError):
        samples.attempt("service", insertion("bookings", market=value))
