"""Timers: each fires once, with any number of sweepers; a failing one delays no other."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from data.enums import BookingState, TimerKind
from dispatch.flows.jobs import commands
from dispatch.rules.jobs import fan_out
from tests.builders import book_and_accept, book_job, import_neighbours
from tests.flows.invariants import check_invariants


def bug(changes):
    raise ZeroDivisionError


def gap(changes):
    return replace(changes, events=tuple(replace(e, seq=e.seq + 1) for e in changes.events))


@pytest.fixture
def no_log(caplog):
    """Do not log failures that are planted."""
    caplog.set_level("CRITICAL")


@pytest.mark.parametrize("fault", [bug, gap])
@pytest.mark.usefixtures("no_log")
async def test_a_failing_timer_is_postponed_and_delays_no_other(
    rt, owner, clock, monkeypatch, fault
):
    await import_neighbours(rt, 4)
    failing = (await book_job(rt)).job.booking.id
    healthy = [(await book_job(rt)).job.booking.id for _ in range(3)]
    finish = fan_out.finish

    def finish_or_fail(pending, *found):
        changes = finish(pending, *found)
        return fault(changes) if pending.booking.id == failing else changes

    monkeypatch.setattr(fan_out, "finish", finish_or_fail)
    due = await clock.advance(rt.policy.offer_life)
    assert await commands.fire_due_timers(rt, 100) == 3
    states = dict(await owner.fetch("SELECT id, state FROM bookings"))
    assert {states[id_] for id_ in healthy} == {BookingState.UNFILLED}
    assert states[failing] == BookingState.OPEN

    async def timer():
        return await owner.fetchrow("SELECT * FROM timers WHERE booking_id = $1", failing)

    for attempt, wait_s in enumerate([5, 10, 20, 40], start=1):
        row = await timer()
        assert (row["attempts"], row["due_at"]) == (attempt, due)
        assert row["not_before"] - await clock.now() == timedelta(seconds=wait_s)
        assert await commands.fire_due_timers(rt, 100) == 0
        await clock.advance(timedelta(seconds=wait_s))
        assert await commands.fire_due_timers(rt, 100) == 0
    monkeypatch.undo()
    await clock.advance(timedelta(hours=1))
    await commands.fire_due_timers(rt, 100)
    assert await owner.fetchval("SELECT state FROM bookings WHERE id = $1", failing) == "unfilled"
    await check_invariants(owner)


async def test_deadlines_do_not_wait_for_retries(rt, owner, clock):
    await import_neighbours(rt, 1, capacity=1)
    booking_id, _ = await book_and_accept(rt)
    others = [(await book_job(rt)).job.booking.id for _ in range(3)]
    states = dict(await owner.fetch("SELECT id, state FROM bookings"))
    assert {states[id_] for id_ in others} == {BookingState.UNFILLED}
    await clock.advance(timedelta(hours=12))
    # The reminder and the deadline of the award are due, long after the retries of the others.
    assert await commands.fire_due_timers(rt, 2) == 1
    missed = "SELECT booking_id FROM events WHERE kind = 'contact.missed'"
    assert await owner.fetchval(missed) == booking_id
    assert await commands.fire_due_timers(rt, 100) == 3
    await check_invariants(owner)


async def test_of_many_sweepers_in_two_processes_one_acts_on_each_timer(rt, other, owner, clock):
    await import_neighbours(rt, 8, capacity=20)
    bookings = [(await book_job(rt)).job.booking.id for _ in range(5)]
    bookings += [(await book_and_accept(rt))[0] for _ in range(5)]
    await clock.advance(timedelta(hours=12))
    await asyncio.gather(*(commands.fire_due_timers((rt, other)[n % 2], 100) for n in range(8)))
    for kind in ("offer.expired", "contact.missed"):
        rows = await owner.fetch(
            "SELECT booking_id FROM events WHERE kind = $1 AND booking_id = ANY($2)", kind, bookings
        )
        assert len({row["booking_id"] for row in rows}) == len(rows) == 5
    await check_invariants(owner)


async def test_a_sweeper_skips_what_another_has_locked(rt, owner, clock):
    await import_neighbours(rt, 4)
    held = [(await book_job(rt)).job.booking.id for _ in range(2)]
    await clock.advance(timedelta(seconds=1))
    free = (await book_job(rt)).job.booking.id
    await clock.advance(rt.policy.offer_life)
    async with owner.transaction():
        await owner.execute("SELECT 1 FROM bookings WHERE id = ANY($1) FOR UPDATE", held)
        assert await commands.fire_due_timers(rt, 1) == 1
        assert await owner.fetchval("SELECT state FROM bookings WHERE id = $1", free) == "unfilled"
        assert await commands.fire_due_timers(rt, 1) == 0
    assert await commands.fire_due_timers(rt, 10) == 2


async def test_everything_due_at_once_is_one_step_each(rt, owner, clock):
    """When nothing has swept for long, a job continues as if each timer had fired in time."""
    await import_neighbours(rt, 3)
    booking_id, _ = await book_and_accept(rt)
    await clock.advance(timedelta(days=3))
    for _ in range(20):
        if not await commands.fire_due_timers(rt, 10):
            break
    kinds = [r["kind"] for r in await owner.fetch("SELECT kind FROM events ORDER BY seq")]
    assert kinds == [
        "booking.created",
        "booking.offered",
        "booking.awarded",
        "contact.missed",
        "booking.offered",
    ]
    await clock.advance(rt.policy.offer_life)
    await commands.fire_due_timers(rt, 10)
    row = await owner.fetchrow("SELECT * FROM timers WHERE booking_id = $1", booking_id)
    assert row["kind"] == TimerKind.RETRY
    await check_invariants(owner)
