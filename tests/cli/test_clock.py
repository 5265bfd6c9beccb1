import json
from datetime import UTC, datetime, timedelta

import pytest

from api.cli.clock import parse_span, parse_time
from api.cli.exit_codes import UsageError
from dispatch.flows import maintenance
from tests.builders import book_job, import_neighbours
from tests.conftest import BEGINNING


@pytest.mark.parametrize(
    ("text", "hours"), [("12h", 12), ("90m", 1.5), ("2d", 48), ("1h30m", 1.5), ("1w", 168)]
)
def test_durations_are_parsed(text, hours):
    assert parse_span(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "0h", "12", "-1h", "soon", "9999999999w", "1h1h"])
def test_invalid_durations_are_refused_with_an_example(text):
    with pytest.raises(UsageError, match="12h"):
        parse_span(text)


def test_a_time_without_a_zone_is_utc():
    assert parse_time("2026-03-02T09:00:00") == datetime(2026, 3, 2, 9, tzinfo=UTC)
    with pytest.raises(UsageError, match="2026-03-02T09:00:00Z"):
        parse_time("tomorrow")


def at(done):
    return datetime.fromisoformat(json.loads(done.stdout)["at"])


def test_time_is_shown_and_changed_where_allowed(tekkie):
    assert at(tekkie("clock", "--json")) == BEGINNING
    assert tekkie("clock", "advance", "12h").exit_code == 1
    moved = tekkie("clock", "advance", "12h", "--test-clock", "--json")
    assert at(moved) == BEGINNING + timedelta(hours=12)
    set_to = tekkie("clock", "set", "2026-03-05T10:00:00Z", "--test-clock", "--json")
    assert at(set_to) == datetime(2026, 3, 5, 10, tzinfo=UTC)


def test_time_runs_at_the_given_speed(tekkie):
    done = tekkie("clock", "speed", "720", "--test-clock", "--json")
    assert json.loads(done.stdout)["speed"] == 720
    assert at(tekkie("clock", "--json")) > BEGINNING
    assert tekkie("clock", "speed", "-1", "--test-clock").exit_code == 2


def test_time_cannot_be_set_before_the_newest_event(tekkie, in_service):
    async def one_booking(rt):
        await import_neighbours(rt, 4)
        await book_job(rt)

    in_service(one_booking)
    back = tekkie("clock", "set", "2026-03-01T00:00:00Z", "--test-clock")
    assert back.exit_code == 1
    assert "cannot be before" in back.stderr


def test_a_doubted_clock_can_be_confirmed_where_no_test_clock_is_allowed(tekkie, in_service):
    assert in_service(maintenance.is_clock_confirmed) is False
    done = tekkie("clock", "confirm", "--json")
    assert done.exit_code == 0, done.stderr
    assert at(done) == BEGINNING
    assert in_service(maintenance.is_clock_confirmed) is True


def test_a_clock_is_installed_by_changing_it_and_removed_again(tekkie, real_time):
    assert json.loads(tekkie("clock", "--json").stdout)["installed"] is False
    moved = tekkie("clock", "advance", "1h", "--test-clock", "--json")
    assert json.loads(moved.stdout)["installed"] is True
    removed = tekkie("clock", "remove", "--test-clock", "--json")
    assert json.loads(removed.stdout)["installed"] is False
