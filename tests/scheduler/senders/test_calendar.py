from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from icalendar import Calendar

from data.markets import MARKETS
from data.records.ids import BookingId
from data.records.jobs import Appointment
from scheduler.senders.calendar import invitation

SECOND, NO_TIME = timedelta(seconds=1), timedelta(0)
BOOKING = BookingId(UUID("0197f0a0-0000-7000-8000-000000000001"))
APPOINTMENT = Appointment(
    starts_at=datetime(2026, 3, 30, 12, tzinfo=UTC),
    ends_at=datetime(2026, 3, 30, 13, 30, tzinfo=UTC),
    revision=2,
)


def made(appointment: Appointment = APPOINTMENT, **changed: Any) -> bytes:
    facts: dict[str, Any] = {
        "summary": "WLAN einrichten",
        "description": "Luca hilft Ihnen.",
        "location": "Langstrasse 5, 8004 Zürich",
        "timezone": "Europe/Zurich",
        "organizer": "hello@example.org",
        "attendee": "anna@example.org",
        "stamped_at": datetime(2026, 3, 1, 9, tzinfo=UTC),
    }
    return invitation(BOOKING, appointment, **{**facts, **changed})


def event(file: bytes) -> Any:
    return Calendar.from_ical(file).walk("VEVENT")[0]


def test_an_invitation_says_when_where_and_what() -> None:
    found = event(made())
    assert found["SUMMARY"] == "WLAN einrichten"
    assert found["LOCATION"] == "Langstrasse 5, 8004 Zürich"
    assert found.decoded("DTSTART") == APPOINTMENT.starts_at
    assert found.decoded("DTEND") == APPOINTMENT.ends_at
    assert found["STATUS"] == "CONFIRMED"


def test_times_are_local_with_the_rules_of_the_zone_beside_them() -> None:
    file = made()
    assert b"DTSTART;TZID=Europe/Zurich:20260330T140000" in file
    assert b"BEGIN:VTIMEZONE" in file
    assert b"TZOFFSETTO:+0200" in file


@pytest.mark.parametrize("timezone", [facts.timezone for facts in MARKETS.values()])
def test_the_rules_of_a_zone_begin_when_its_clocks_change(timezone: str) -> None:
    """A change is told in the time of the clock before it: 02:00 in spring, 03:00 in autumn."""
    [zone] = Calendar.from_ical(made(timezone=timezone)).walk("VTIMEZONE")
    checked = []
    for rules in zone.subcomponents:
        before, after = rules.TZOFFSETFROM, rules.TZOFFSETTO
        for local in [rules.DTSTART, *(start for start, _ in rules.rdates)]:
            moment = local.replace(tzinfo=UTC) - before
            at = [
                (moment - t).astimezone(ZoneInfo(timezone)).utcoffset() for t in (SECOND, NO_TIME)
            ]
            assert at == [before, after], local
            checked.append((rules.name, local.hour))
    assert Counter(checked[1:]) == {("DAYLIGHT", 2): 3, ("STANDARD", 3): 3}


def test_a_moved_appointment_replaces_the_first_one() -> None:
    first, moved = (
        made(),
        made(
            Appointment(
                starts_at=datetime(2026, 4, 1, 12, tzinfo=UTC),
                ends_at=datetime(2026, 4, 1, 13, tzinfo=UTC),
                revision=3,
            )
        ),
    )
    assert event(first)["UID"] == event(moved)["UID"] == str(BOOKING)
    assert (event(first)["SEQUENCE"], event(moved)["SEQUENCE"]) == (2, 3)
    assert b"METHOD:REQUEST" in moved


def test_a_cancelled_appointment_leaves_the_calendar() -> None:
    file = made(cancelled=True)
    assert b"METHOD:CANCEL" in file
    assert event(file)["STATUS"] == "CANCELLED"


def test_the_same_facts_give_the_same_bytes() -> None:
    assert made() == made()


def test_an_invitation_names_its_own_party_only() -> None:
    file = made().decode()
    assert file.count("ATTENDEE") == 1
    assert "MAILTO:anna@example.org" in file


def test_lines_in_a_fact_add_no_property() -> None:
    file = made(location="Langstrasse 5\r\nATTENDEE:MAILTO:x@example.org")
    assert "\nATTENDEE:MAILTO:x" not in file.decode()


def test_a_line_in_an_address_is_refused() -> None:
    with pytest.raises(ValueError, match="may not contain CR or LF"):
        made(attendee="anna@example.org\r\nX-EVIL:1")


def test_a_datetime_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        made(stamped_at=datetime(2026, 3, 1, 9))  # noqa: DTZ001 - the fault under test
