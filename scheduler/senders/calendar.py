"""Invitations: the calendar file that goes with a letter about an appointment."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event, TimezoneDaylight, vCalAddress, vText

from data.records.ids import BookingId
from data.records.jobs import Appointment

PRODUCT = "-//tekkie//appointments//EN"


def invitation(
    booking_id: BookingId,
    appointment: Appointment,
    *,
    summary: str,
    description: str,
    location: str,
    timezone: str,
    organizer: str,
    attendee: str,
    stamped_at: datetime,
    cancelled: bool = False,
) -> bytes:
    """The appointment as an .ics file (RFC 5545, RFC 5546) for one party.

    A later `revision` of the same booking replaces the earlier one in the party's calendar, so it
    must only grow, across awards too; `cancelled` removes it. `organizer` and `attendee` are mail
    addresses: each party gets a file of its own, which names nobody else. `location` is what that
    party may see. Raises ValueError for a datetime without a time zone.
    """
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("method", "CANCEL" if cancelled else "REQUEST")
    event = _event(booking_id, appointment, ZoneInfo(timezone), stamped_at)
    event.add("summary", summary)
    event.add("description", description)
    event.add("location", location)
    event.add("status", "CANCELLED" if cancelled else "CONFIRMED")
    event.add("organizer", _address(organizer))
    event.add("attendee", _attendee(attendee))
    calendar.add_component(event)
    year = appointment.starts_at.year
    calendar.add_missing_timezones(date(year - 1, 1, 1), date(year + 2, 1, 1))
    for zone in calendar.timezones:
        for daylight in zone.daylight:
            _begin_by_the_old_clock(daylight)
    file: bytes = calendar.to_ical()
    return file


def _begin_by_the_old_clock(daylight: TimezoneDaylight) -> None:
    """Daylight saving begins at 02:00, the time that clocks leave (RFC 5545, 3.6.5).

    icalendar writes 03:00, the time that they show then.
    """
    skipped = daylight.TZOFFSETTO - daylight.TZOFFSETFROM
    daylight.DTSTART = daylight.DTSTART - skipped
    later = [start - skipped for start, _ in daylight.rdates]
    daylight.pop("RDATE", None)
    daylight.add("rdate", later)


def _event(
    booking_id: BookingId, appointment: Appointment, timezone: ZoneInfo, stamped_at: datetime
) -> Event:
    event = Event()
    event.add("uid", str(booking_id))
    event.add("sequence", appointment.revision)
    event.add("dtstamp", _local(stamped_at, ZoneInfo("UTC")))
    event.add("dtstart", _local(appointment.starts_at, timezone))
    event.add("dtend", _local(appointment.ends_at, timezone))
    return event


def _local(moment: datetime, timezone: ZoneInfo) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone; give an aware datetime")
    return moment.astimezone(timezone)


def _address(email: str) -> vCalAddress:
    return vCalAddress(f"MAILTO:{email}")


def _attendee(email: str) -> vCalAddress:
    """Already accepted: both have agreed, so the calendar does not ask again."""
    address = _address(email)
    address.params["PARTSTAT"] = vText("ACCEPTED")
    address.params["RSVP"] = vText("FALSE")
    return address
