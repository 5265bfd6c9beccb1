import re
from enum import StrEnum
from itertools import product

import pytest

from data import records
from dispatch.rules import states
from tests.architecture.source import ROOT

SCHEMA = (ROOT / "data/sql/migrations/0001_init.sql").read_text("utf-8")
ENUMS = {
    "market": records.Market,
    "language": records.Language,
    "currency": records.Currency,
    "tier": records.Tier,
    "package_tier": records.PackageTier,
    "wish": records.Wish,
    "friend_state": records.FriendState,
    "booking_state": records.BookingState,
    "offer_state": records.OfferState,
    "award_state": records.AwardState,
    "timer_kind": records.TimerKind,
    "outcome": records.Outcome,
    "channel": records.Channel,
    "audience": records.Audience,
}
TABLES = {
    records.BookingState: (states.BOOKING, states.BOOKING_BIRTH),
    records.OfferState: (states.OFFER, states.OFFER_BIRTH),
    records.AwardState: (states.AWARD, states.AWARD_BIRTH),
}


@pytest.mark.parametrize("name", ENUMS)
def test_an_enum_in_sql_has_the_values_of_its_record(name: str):
    found = re.search(rf"CREATE TYPE {name} AS ENUM \(([^)]*)\)", SCHEMA)
    assert found is not None
    assert re.findall(r"'(\w+)'", found[1]) == [str(value) for value in ENUMS[name]]


def test_the_transitions_in_sql_are_those_of_the_tables():
    rows = re.search(r"INSERT INTO transitions VALUES(.*?);", SCHEMA, re.DOTALL)
    assert rows is not None
    listed = re.findall(r"\('(\w+)', '(\w*)', '(\w+)'\)", rows[1])
    assert len(listed) == len(set(listed))
    assert set(listed) == states.transitions()


def test_the_page_of_states_is_the_one_generated():
    page = (ROOT / "docs/states.md").read_text("utf-8")
    assert page == states.document(), "run: make states"


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_names_every_state_and_all_can_be_reached(kind: type[StrEnum]):
    table, birth = TABLES[kind]
    assert set(table) == set(kind)
    reached = set(birth)
    while further := {new for old in reached for new in table[old]} - reached:
        reached |= further
    assert reached == set(kind)


@pytest.mark.parametrize("kind", TABLES)
def test_what_is_not_listed_cannot_happen(kind: type[StrEnum]):
    table, _ = TABLES[kind]
    for old, new in product(kind, kind):
        if new in table[old]:
            assert states.step(table, old, new) is new
        else:
            with pytest.raises(states.IllegalTransition):
                states.step(table, old, new)


def test_a_job_ends_only_completed_or_cancelled():
    ends = {state for state, further in states.BOOKING.items() if not further}
    assert ends == {records.BookingState.COMPLETED, records.BookingState.CANCELLED}


def test_accepting_is_not_starting():
    assert records.BookingState.UNDER_WAY not in states.BOOKING[records.BookingState.AWARDED]
    assert records.BookingState.COMPLETED not in states.BOOKING[records.BookingState.AWARDED]


def test_every_held_state_can_be_left_for_the_desk_or_the_end():
    for state in states.HELD - {records.BookingState.UNDER_WAY}:
        assert records.BookingState.CANCELLED in states.BOOKING[state]
        assert records.BookingState.OPEN in states.BOOKING[state]
