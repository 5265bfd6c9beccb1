import re
from enum import StrEnum
from itertools import product

import pytest

from data import enums, markets
from dispatch.rules.jobs import states
from tests.architecture.source import ROOT
from tests.sql_enums import enum_values

SCHEMA = "".join(
    file.read_text("utf-8") for file in sorted((ROOT / "data/sql/migrations").glob("*.sql"))
)
ENUMS = {
    "market": markets.Market,
    "language": markets.Language,
    "currency": markets.Currency,
    "tier": enums.Tier,
    "package_tier": enums.PackageTier,
    "wish": enums.Wish,
    "friend_state": enums.FriendState,
    "booking_state": enums.BookingState,
    "offer_state": enums.OfferState,
    "award_state": enums.AwardState,
    "timer_kind": enums.TimerKind,
    "outcome": enums.Outcome,
    "channel": enums.Channel,
    "audience": enums.Audience,
}
TABLES = {
    enums.BookingState: (states.BOOKING, states.BOOKING_BIRTH),
    enums.OfferState: (states.OFFER, states.OFFER_BIRTH),
    enums.AwardState: (states.AWARD, states.AWARD_BIRTH),
}


@pytest.mark.parametrize("name", ENUMS)
def test_an_enum_in_sql_has_the_values_of_its_record(name: str):
    assert enum_values(name) == [str(value) for value in ENUMS[name]]


def test_the_transitions_in_sql_are_those_of_the_tables():
    rows = re.findall(r"INSERT INTO transitions VALUES(.*?);", SCHEMA, re.DOTALL)
    listed = re.findall(r"\('(\w+)', '(\w*)', '(\w+)'\)", "".join(rows))
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


def test_a_job_ends_only_cancelled_or_completed_and_is_then_only_reopened():
    ends = {state for state, further in states.BOOKING.items() if not further}
    assert ends == {enums.BookingState.CANCELLED}
    reopened = {enums.BookingState.OPEN, enums.BookingState.UNFILLED}
    assert states.BOOKING[enums.BookingState.COMPLETED] == reopened


def test_accepting_is_not_starting():
    assert enums.BookingState.UNDER_WAY not in states.BOOKING[enums.BookingState.AWARDED]
    assert enums.BookingState.COMPLETED not in states.BOOKING[enums.BookingState.AWARDED]


def test_every_held_state_can_be_left_for_the_desk_or_the_end():
    for state in states.HELD - {enums.BookingState.UNDER_WAY}:
        assert enums.BookingState.CANCELLED in states.BOOKING[state]
        assert enums.BookingState.OPEN in states.BOOKING[state]
