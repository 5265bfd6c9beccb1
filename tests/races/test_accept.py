"""Exactly one of concurrent accepts wins; of two conflicting commands, one takes effect."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from data.enums import BookingState
from data.records.jobs import Protocol
from dispatch.flows.bootstrap import load_index
from dispatch.flows.execute import CommandResult
from dispatch.flows.jobs import commands
from dispatch.rules.jobs.refusals import (
    AtCapacity,
    ContactDeadlinePassed,
    NotInThisState,
    OfferExpired,
    OfferGone,
)
from dispatch.rules.refusals import NotFound
from tests.builders import SIGNED, book_and_accept, book_job, import_neighbours, live_offers_of
from tests.flows.invariants import check_invariants

ROUNDS = 25
DONE = Protocol(summary="New channel.", minutes=40)


def may_act(job):
    return True


async def reload_indexes(*processes):
    """Update the indexes, as the feed does twice a second."""
    for process in processes:
        await load_index(process)


async def at_once(*calls):
    """Run all concurrently; returns results and refusals, and allows no other error."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        assert isinstance(
            result, CommandResult | OfferGone | OfferExpired | AtCapacity | NotInThisState
        )
    return results


async def test_of_eight_accepts_in_two_processes_one_friend_wins_every_time(rt, other, owner):
    await import_neighbours(rt, 4, capacity=20)
    await load_index(other)
    wins = Counter()
    for number in range(ROUNDS):
        await reload_indexes(rt)
        offers = live_offers_of(await book_job(rt))
        calls = [(process, offer) for offer in offers for process in (rt, other)]
        rt.chance.shuffle(calls)
        results = await at_once(*(commands.accept(p, o.id, o.friend_id) for p, o in calls))
        winners = {
            o.friend_id
            for (_, o), r in zip(calls, results, strict=True)
            if isinstance(r, CommandResult)
        }
        assert len(winners) == 1
        # The duplicate of the winner gets the same answer; the six others have lost.
        assert sum(isinstance(r, CommandResult) for r in results) == 2
        assert sum(isinstance(r, OfferGone) for r in results) == 6
        wins.update(winners)
        booking_id, friend_id = offers[0].booking_id, winners.pop()
        if number % 2:
            await commands.cancel(rt, booking_id, actor="customer", reason="other", may_act=may_act)
        else:
            await commands.confirm_contact(other, booking_id, friend_id)
            await commands.complete(rt, booking_id, friend_id, DONE, SIGNED)
    assert len(wins) > 1
    await check_invariants(owner)


async def test_many_bookings_accepted_at_once_by_the_same_friends(rt, other, owner):
    """Batches of two processes lock the same friends and never deadlock."""
    refs = await import_neighbours(rt, 4, capacity=20)
    rt.policy = other.policy = type(rt.policy)(live_offers_max=100)
    await load_index(other)
    done = await asyncio.gather(*(book_job(rt) for _ in range(16)))
    calls = [(p, o) for one in done for o in live_offers_of(one) for p in (rt, other)]
    rt.chance.shuffle(calls)
    results = await at_once(*(commands.accept(p, o.id, o.friend_id) for p, o in calls))
    assert sum(isinstance(r, CommandResult) for r in results) == 32
    held = await owner.fetch("SELECT booking_id, friend_id FROM awards WHERE state = 'live'")
    assert len(held) == 16
    ends = []
    for number, row in enumerate(held):
        process = (rt, other)[number % 2]
        if number % 3:
            ends.append(
                commands.cancel(
                    process, row["booking_id"], actor="customer", reason="other", may_act=may_act
                )
            )
        else:
            ends.append(
                commands.hand_back(
                    process, row["booking_id"], row["friend_id"], "cannot_help", None
                )
            )
    ends += [book_job((rt, other)[n % 2]) for n in range(8)]
    await at_once(*ends)
    assert set(refs.values()) >= {row["friend_id"] for row in held}
    await check_invariants(owner)


@pytest.mark.parametrize("first", ["cancel", "accept", "both"])
async def test_a_cancel_against_an_accept_has_one_outcome(rt, other, owner, first):
    await import_neighbours(rt, 4, capacity=20)
    for number in range(8):
        done = await book_job(rt)
        booking_id, offer = done.job.booking.id, live_offers_of(done)[0]
        one, two = (rt, other) if number % 2 else (other, rt)

        def cancel(process=one, booking_id=booking_id):
            return commands.cancel(
                process, booking_id, actor="customer", reason="other", may_act=may_act
            )

        def accept(process=two, offer=offer):
            return commands.accept(process, offer.id, offer.friend_id)

        if first == "both":
            cancelled, accepted = await at_once(cancel(), accept())
        elif first == "cancel":
            cancelled, accepted = (await at_once(cancel()))[0], (await at_once(accept()))[0]
            assert isinstance(accepted, OfferGone)
        else:
            accepted, cancelled = (await at_once(accept()))[0], (await at_once(cancel()))[0]
            assert isinstance(accepted, CommandResult)
        assert isinstance(cancelled, CommandResult)
        state = await owner.fetchval("SELECT state FROM bookings WHERE id = $1", booking_id)
        assert state == BookingState.CANCELLED
    assert await owner.fetchval("SELECT sum(open_jobs) FROM friends") == 0
    await check_invariants(owner)


async def test_an_accept_and_an_expiry_at_the_same_moment(rt, other, owner, clock):
    """At the end of its life an offer expires and is not accepted, whichever comes first."""
    await import_neighbours(rt, 8, capacity=20)
    for _ in range(6):
        await reload_indexes(rt, other)
        offers = live_offers_of(await book_job(rt))
        await clock.set(offers[0].expires_at)
        results = await asyncio.gather(
            commands.fire_due_timers(rt, 100),
            *(commands.accept(other, o.id, o.friend_id) for o in offers),
            commands.fire_due_timers(other, 100),
            return_exceptions=True,
        )
        assert all(isinstance(r, OfferExpired | int) for r in results)
    await check_invariants(owner)


async def test_a_decline_and_an_expiry_ask_one_next_friend_each(rt, other, owner, clock):
    await import_neighbours(rt, 12, capacity=20)
    for _ in range(6):
        await reload_indexes(rt, other)
        done = await book_job(rt)
        offers = live_offers_of(done)
        await clock.set(offers[0].expires_at - timedelta(microseconds=1))
        declines = [commands.decline(rt, o.id, o.friend_id) for o in offers[:2]]
        moved = asyncio.gather(*declines, return_exceptions=True)
        await asyncio.gather(
            moved, clock.set(offers[0].expires_at), commands.fire_due_timers(other, 100)
        )
        await commands.fire_due_timers(other, 100)
        rows = await owner.fetch(
            "SELECT state, count(*) n FROM offers WHERE booking_id = $1 GROUP BY state",
            done.job.booking.id,
        )
        assert {row["state"]: row["n"] for row in rows}["live"] == 4
        await commands.cancel(
            rt, done.job.booking.id, actor="customer", reason="other", may_act=may_act
        )
    await check_invariants(owner)


@pytest.mark.parametrize("late", [False, True])
async def test_contact_against_the_deadline_has_one_outcome(rt, other, owner, clock, late):
    await import_neighbours(rt, 8, capacity=20)
    for _ in range(6):
        await reload_indexes(rt, other)
        booking_id, offer = await book_and_accept(rt)
        due = await owner.fetchval("SELECT max(contact_due_at) FROM awards")
        await clock.set(due if late else due - timedelta(microseconds=1))
        results = await asyncio.gather(
            commands.fire_due_timers(rt, 100),
            commands.confirm_contact(other, booking_id, offer.friend_id),
            commands.fire_due_timers(other, 100),
            return_exceptions=True,
        )
        await commands.fire_due_timers(rt, 100)
        award = await owner.fetchrow(
            "SELECT * FROM awards WHERE booking_id = $1 ORDER BY awarded_at", booking_id
        )
        if late:
            assert isinstance(results[1], ContactDeadlinePassed)
            assert award["state"] == "forfeited"
        else:
            assert isinstance(results[1], CommandResult)
            assert award["state"] == "live"
    await check_invariants(owner)


async def test_a_hand_back_against_a_completion_has_one_outcome(rt, other, owner):
    await import_neighbours(rt, 8, capacity=20)
    seen = Counter()
    for number in range(10):
        await reload_indexes(rt, other)
        booking_id, offer = await book_and_accept(rt)
        friend = offer.friend_id
        await commands.confirm_contact(rt, booking_id, friend)
        one, two = (rt, other) if number % 2 else (other, rt)
        results = await asyncio.gather(
            commands.hand_back(one, booking_id, friend, "cannot_help", None),
            commands.complete(two, booking_id, friend, DONE, SIGNED),
            return_exceptions=True,
        )
        kinds = [type(r) for r in results]
        assert kinds in ([CommandResult, NotFound], [NotInThisState, CommandResult])
        seen[kinds[0]] += 1
        state = await owner.fetchval("SELECT state FROM bookings WHERE id = $1", booking_id)
        assert state == ("open" if kinds[0] is CommandResult else "completed")
    assert await owner.fetchval("SELECT count(*) FROM charges") == seen[NotInThisState]
    await check_invariants(owner)


async def test_a_friend_with_capacity_for_one_gets_one_of_two_jobs(rt, other, owner):
    await import_neighbours(rt, 1, capacity=1)
    for number in range(8):
        await reload_indexes(rt, other)
        first, second = live_offers_of(await book_job(rt)), live_offers_of(await book_job(other))
        offers = (first + second)[:: 1 if number % 2 else -1]
        results = await at_once(
            *(
                commands.accept(p, o.id, o.friend_id)
                for p, o in zip((rt, other), offers, strict=True)
            )
        )
        kinds = sorted(type(r).__name__ for r in results)
        assert kinds == ["AtCapacity", "CommandResult"]
        assert await owner.fetchval("SELECT open_jobs FROM friends") == 1
        for offer in offers:
            await commands.cancel(
                rt, offer.booking_id, actor="customer", reason="other", may_act=may_act
            )
    await check_invariants(owner)


async def test_of_two_overlapping_appointments_at_once_one_is_made(rt, other, owner, clock):
    await import_neighbours(rt, 1, capacity=5)
    for number in range(4):
        bookings = [(await book_and_accept(rt))[0] for _ in range(2)]
        friend = await owner.fetchval("SELECT id FROM friends")
        for booking_id in bookings:
            await commands.confirm_contact(rt, booking_id, friend)
        begin = await clock.now() + timedelta(days=number + 1)
        processes = (rt, other) if number % 2 else (rt, rt)
        results = await asyncio.gather(
            *(
                commands.schedule(p, booking_id, friend, begin + timedelta(minutes=30 * n), None)
                for n, (p, booking_id) in enumerate(zip(processes, bookings, strict=True))
            ),
            return_exceptions=True,
        )
        assert sorted(type(r).__name__ for r in results) == ["AppointmentOverlaps", "CommandResult"]
        for booking_id in bookings:
            await commands.cancel(
                rt,
                booking_id,
                actor="customer",
                reason="other",
                may_act=may_act,
                fee_minor_max=10_000,
            )
    await check_invariants(owner)


async def test_an_offer_that_expires_while_its_accept_waits_for_the_lock_is_expired(
    rt, owner, clock
):
    """The time is read after the lock: an accept that waits beyond the expiry fails."""
    await import_neighbours(rt, 4)
    offers = live_offers_of(await book_job(rt))
    async with owner.transaction():
        await owner.execute("SELECT 1 FROM bookings FOR UPDATE")
        accept = asyncio.create_task(commands.accept(rt, offers[0].id, offers[0].friend_id))
        waiting = """
            SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
            WHERE a.datname = current_database() AND NOT l.granted"""
        async with asyncio.timeout(2):
            while not await rt.pool.fetchval(waiting):
                pass
        await clock.set(offers[0].expires_at)
    with pytest.raises(OfferExpired):
        await accept


async def test_an_order_cancelled_by_its_caller_twice_and_by_the_desk_is_cancelled_once(
    rt, other, owner
):
    await import_neighbours(rt, 4)
    for _ in range(4):
        booking_id, _ = await book_and_accept(rt)
        results = await at_once(
            *(
                commands.cancel(p, booking_id, actor="customer", reason="other", may_act=may_act)
                for p in (rt, other, rt, other)
            )
        )
        assert sum(r.changes is not None for r in results) == 1
    kinds = await owner.fetchval("SELECT count(*) FROM events WHERE kind = 'booking.cancelled'")
    assert kinds == 4
    await check_invariants(owner)
