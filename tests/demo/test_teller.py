from io import StringIO

import pytest
from rich.console import Console

from api.demo import teller as telling
from api.demo.teller import TOLD, Teller
from dispatch.flows.jobs import commands
from dispatch.rules.jobs.notifications import NEWS
from tests.builders import booked, live, neighbours, order


@pytest.fixture
def told(rt):
    """A teller of this runtime, and what it printed."""
    out = StringIO()
    console = Console(file=out, width=160)
    teller = Teller(console, rt.packages, {})
    rt.committed.append(teller.hear)
    return teller, lambda: out.getvalue().splitlines()


def test_every_kind_of_event_can_be_told():
    assert set(TOLD) == set(NEWS)


async def test_each_event_is_a_line_with_time_place_and_distances(rt, told):
    teller, lines = told
    refs = await neighbours(rt, 5)
    teller.names = {friend_id: f"Friend {ref}" for ref, friend_id in refs.items()}
    done = await booked(rt)
    first, *_ = live(done)
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


async def test_a_whole_life_is_told_and_counted(rt, clock, told):
    teller, lines = told
    refs = await neighbours(rt, 2)
    teller.names = {friend_id: ref for ref, friend_id in refs.items()}
    done = await booked(rt)
    offer = live(done)[0]
    booking_id = done.job.booking.id
    await commands.accept(rt, offer.id, offer.friend_id)
    await clock.advance(telling.timedelta(hours=12))
    await commands.ring(rt, 10)
    other = next(friend_id for friend_id in refs.values() if friend_id != offer.friend_id)
    await commands.award_by_hand(rt, booking_id, other, actor="system")
    await clock.advance(telling.timedelta(minutes=90))
    await commands.contacted(rt, booking_id, other)
    await commands.start(rt, booking_id, other)
    await commands.complete(rt, booking_id, other, protocol())
    await commands.rate(rt, booking_id, stars=4, comment=None, claim=None, said=lambda done: {})
    text = "\n".join(lines())
    for word in ("MISSED", "asks        (round 2)", "after 1 h 30", "in 55 min", "★★★★☆"):
        assert word in text
    assert teller.counts["contact.missed"] == teller.counts["booking.completed"] == 1


def protocol():
    from data.records.jobs import Protocol

    return Protocol(summary="It works.", minutes=55)


async def test_a_line_is_never_wider_than_the_terminal(rt, told):
    teller, lines = told
    refs = await neighbours(rt, 4)
    teller.names = dict.fromkeys(refs.values(), "A very long name indeed " * 4)
    await commands.book(rt, order(), actor="customer", claim=None, said=lambda done: {})
    assert len(lines()) == 2
    assert all(len(line) <= 160 for line in lines())


@pytest.mark.parametrize(("metres", "said"), [(7, "7 m"), (999, "999 m"), (1449, "1.4 km")])
def test_distances_are_said_as_people_do(metres, said):
    assert telling.distance(metres) == said
