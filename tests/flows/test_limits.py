"""What a friend took and handed back within a day, counted under the lock of the row."""

import asyncio
from datetime import timedelta

import pytest

from data.db import transaction
from data.store import friends
from dispatch.flows.bootstrap import load_index
from dispatch.flows.jobs import commands
from dispatch.rules.policy import DAY_LIMIT_MAX
from dispatch.rules.trust.limits import TooManyToday
from tests.builders import book_and_accept, book_job, import_neighbours, live_offers_of

DAY = timedelta(hours=24)
STATE = "SELECT state, alarmed_at IS NOT NULL AS alarmed FROM friends WHERE ref = 'f1'"


def limit(rt, **numbers):
    rt.policy = type(rt.policy)(live_offers_max=100, **numbers)


async def test_accept_and_hand_back_over_and_over_shows_no_more_customers_than_a_day_allows(
    rt, clock
):
    limit(rt, jobs_per_day=3, hand_backs_per_day=100)
    await import_neighbours(rt, 1)
    for _ in range(3):
        booking_id, offer = await book_and_accept(rt)
        await commands.hand_back(rt, booking_id, offer.friend_id, "no_time", None)
    with pytest.raises(TooManyToday):
        await book_and_accept(rt)
    await clock.advance(DAY)
    await book_and_accept(rt)


async def test_the_greatest_limit_of_a_day_still_limits(rt, clock, owner):
    limit(rt, jobs_per_day=DAY_LIMIT_MAX)
    await import_neighbours(rt, 1)
    await owner.execute(
        "UPDATE friends SET taken_at = array_fill(moment(), ARRAY[$1::int])", DAY_LIMIT_MAX - 1
    )
    await book_and_accept(rt)
    with pytest.raises(TooManyToday):
        await book_and_accept(rt)
    assert await owner.fetchval("SELECT cardinality(taken_at) FROM friends") == DAY_LIMIT_MAX


async def test_a_copy_keeps_what_it_counts_of_a_day_when_its_other_counts_change(rt, clock, owner):
    await import_neighbours(rt, 1)
    booking_id, offer = await book_and_accept(rt)
    await commands.hand_back(rt, booking_id, offer.friend_id, "no_time", None)
    await load_index(rt)
    async with transaction(rt.pool) as tx:
        now = await clock.now()
        read = await friends.current(tx, [offer.friend_id], now, rt.index.get)
    assert (read[offer.friend_id].taken, read[offer.friend_id].handed_back) == (1, 1)


async def test_of_many_accepts_at_once_by_two_processes_no_more_pass_than_a_day_allows(
    rt, other, owner
):
    limit(rt, jobs_per_day=3)
    limit(other, jobs_per_day=3)
    await import_neighbours(rt, 1, capacity=20)
    await load_index(other)
    offers = [live_offers_of(await book_job(rt))[0] for _ in range(8)]
    calls = (
        commands.accept((rt, other)[n % 2], offer.id, offer.friend_id)
        for n, offer in enumerate(offers)
    )
    done = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(one, TooManyToday) for one in done) == 5, done
    assert await owner.fetchval("SELECT count(*) FROM awards") == 3


async def test_one_hand_back_too_many_pauses_the_friend_and_loses_nothing(rt, owner):
    limit(rt, hand_backs_per_day=1)
    await import_neighbours(rt, 5)
    held = [await book_and_accept(rt) for _ in range(3)]
    for booking_id, offer in held[:2]:
        assert tuple(await owner.fetchrow(STATE)) == ("active", False)
        await commands.hand_back(rt, booking_id, offer.friend_id, "no_time", None)
    assert tuple(await owner.fetchrow(STATE)) == ("paused", True)
    booking_id, offer = held[2]
    done = await commands.hand_back(rt, booking_id, offer.friend_id, "no_time", None)
    assert done.job.booking.state == "open"
    asked = {one.friend_id for one in live_offers_of(await book_job(rt))}
    assert offer.friend_id not in asked


async def test_many_hand_backs_in_one_batch_raise_the_alarm_too(rt, owner):
    limit(rt, hand_backs_per_day=1)
    await import_neighbours(rt, 5)
    held = [await book_and_accept(rt) for _ in range(3)]
    await asyncio.gather(
        *(commands.hand_back(rt, id_, offer.friend_id, "no_time", None) for id_, offer in held)
    )
    assert tuple(await owner.fetchrow(STATE)) == ("paused", True)
