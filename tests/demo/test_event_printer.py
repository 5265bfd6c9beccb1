from io import StringIO
from uuid import UUID

import pytest
from rich.console import Console

from api.demo import event_printer
from api.demo.event_printer import FORMATTERS, EventPrinter
from data.records.ids import FriendId
from data.records.messages import Event
from dispatch.flows.jobs import commands
from dispatch.rules.jobs.events import EVENTS
from tests.builders import SIGNED, book_job, import_neighbours, live_offers_of, order
from tests.rules.facts import BOOKING, NOW

FRIENDS = [FriendId(UUID(int=1))]


@pytest.fixture
def printed(rt):
    """The printer of a runtime, and the printed lines."""
    out = StringIO()
    console = Console(file=out, width=160)
    printer = EventPrinter(console, rt.catalogue, {}, b"s" * 32)
    rt.on_commit.append(printer.print_changes)
    return printer, lambda: out.getvalue().splitlines()


def test_formatters_belong_to_kinds_of_events():
    assert set(FORMATTERS) < set(EVENTS)


def test_an_event_without_a_formatter_is_printed_with_friend_and_numbers():
    printer = EventPrinter(Console(file=StringIO()), {}, {FRIENDS[0]: "Ruth"}, b"")
    event = Event(
        booking_id=BOOKING,
        seq=1,
        kind="booking.delayed",
        at=NOW,
        actor="system",
        data={"friend": str(FRIENDS[0]), "minutes": 20},
    )
    line = event_printer._plainly(printer, None, event)
    assert (line.word, line.rest) == ("delayed", "Ruth minutes 20")


async def test_each_event_is_a_line_with_time_place_and_distances(rt, printed):
    printer, lines = printed
    refs = await import_neighbours(rt, 5)
    printer.names = {friend_id: f"Friend {ref}" for ref, friend_id in refs.items()}
    done = await book_job(rt)
    first, *_ = live_offers_of(done)
    await commands.decline(rt, first.id, first.friend_id)
    created, asks, declined, also = lines()
    assert "Mon 10:00:00" in created
    assert "booked" in created
    assert "by Vera B., 69.00 CHF" in created
    assert "Friend f1 99 m · Friend f2 199 m · Friend f3 299 m · Friend f4 399 m" in asks
    assert "declined" in declined
    assert "asks also" in also
    assert "Friend f5 499 m" in also
    assert len({line[14:18] for line in lines()}) == 1


async def test_a_whole_life_cycle_is_printed_and_counted(rt, clock, printed):
    printer, lines = printed
    refs = await import_neighbours(rt, 2)
    printer.names = {friend_id: ref for ref, friend_id in refs.items()}
    done = await book_job(rt)
    offer = live_offers_of(done)[0]
    booking_id = done.job.booking.id
    await commands.accept(rt, offer.id, offer.friend_id)
    await clock.advance(event_printer.timedelta(hours=12))
    await commands.fire_due_timers(rt, 10)
    other = next(friend_id for friend_id in refs.values() if friend_id != offer.friend_id)
    await commands.award_by_hand(rt, booking_id, other, actor="system")
    await clock.advance(event_printer.timedelta(minutes=90))
    await commands.confirm_contact(rt, booking_id, other)
    await commands.start(rt, booking_id, other)
    await commands.complete(rt, booking_id, other, protocol(), SIGNED)
    await commands.rate(
        rt, booking_id, stars=4, comment=None, claim=None, build_response=lambda done: {}
    )
    text = "\n".join(lines())
    for word in ("MISSED", "asks        (round 2)", "after 1 h 30", "in 55 min", "★★★★☆"):
        assert word in text
    assert printer.counts["contact.missed"] == printer.counts["booking.completed"] == 1


def protocol():
    from data.records.jobs import Protocol

    return Protocol(summary="It works.", minutes=55)


async def test_a_line_is_never_wider_than_the_terminal(rt, printed):
    printer, lines = printed
    refs = await import_neighbours(rt, 4)
    printer.names = dict.fromkeys(refs.values(), "A very long name indeed " * 4)
    await commands.book(rt, order(), actor="customer", claim=None, build_response=lambda done: {})
    assert len(lines()) == 2
    assert all(len(line) <= 160 for line in lines())


@pytest.mark.parametrize(("metres", "text"), [(7, "7 m"), (999, "999 m"), (1449, "1.4 km")])
def test_distances_have_a_suitable_unit(metres, text):
    assert event_printer.distance(metres) == text
