"""The life of a job through the flows, on real PostgreSQL with a test clock."""

import asyncio
from datetime import timedelta

import pytest

from data.db import transaction
from data.enums import BookingState, OfferState, Outcome
from data.records.jobs import Protocol
from data.store import jobs as store
from dispatch.flows.jobs import commands
from dispatch.rules.jobs.refusals import (
    AlreadyRated,
    ContactDeadlinePassed,
    OfferExpired,
    OfferGone,
)
from dispatch.rules.refusals import NotFound
from tests.builders import (
    SIGNED,
    asked_refs,
    book_and_accept,
    book_job,
    friend_row,
    import_friends,
    import_neighbours,
    live_offers_of,
    north,
)


async def load(rt, booking_id):
    async with transaction(rt.pool) as tx:
        loaded, _ = await store.lock(tx, [booking_id], rt.catalogue)
        return loaded[booking_id]


async def test_the_four_nearest_are_asked(rt):
    refs = await import_neighbours(rt, 6)
    done = await book_job(rt)
    assert asked_refs(done, refs) == ["f1", "f2", "f3", "f4"]
    assert done.job.booking.state is BookingState.OPEN
    assert done.job.booking.round == 1


async def test_the_first_to_accept_wins_and_the_others_lose(rt):
    await import_neighbours(rt, 4)
    offers = live_offers_of(await book_job(rt))
    done = await commands.accept(rt, offers[1].id, offers[1].friend_id)
    assert done.job.booking.state is BookingState.AWARDED
    with pytest.raises(OfferGone):
        await commands.accept(rt, offers[0].id, offers[0].friend_id)
    job = await load(rt, offers[0].booking_id)
    assert [o.state for o in job.offers].count(OfferState.LOST) == 3
    assert job.award.contact_due_at - job.award.awarded_at == timedelta(hours=12)


async def test_of_four_who_accept_at_once_exactly_one_wins(rt):
    await import_neighbours(rt, 4, capacity=20)
    for _ in range(10):
        offers = live_offers_of(await book_job(rt))
        results = await asyncio.gather(
            *(commands.accept(rt, o.id, o.friend_id) for o in offers), return_exceptions=True
        )
        assert sum(isinstance(r, OfferGone) for r in results) == 3
        assert sum(not isinstance(r, Exception) for r in results) == 1


async def test_a_repeated_accept_is_answered_again(rt):
    await import_neighbours(rt, 4)
    booking_id, offer = await book_and_accept(rt)
    again = await commands.accept(rt, offer.id, offer.friend_id)
    assert again.changes is None
    assert again.job.booking.id == booking_id


async def test_another_friend_finds_no_offer(rt):
    refs = await import_neighbours(rt, 5)
    offer = live_offers_of(await book_job(rt))[0]
    with pytest.raises(NotFound):
        await commands.accept(rt, offer.id, refs["f5"])


async def test_after_a_decline_the_next_nearest_is_asked_at_once(rt):
    refs = await import_neighbours(rt, 6)
    offers = live_offers_of(await book_job(rt))
    done = await commands.decline(rt, offers[0].id, offers[0].friend_id)
    assert asked_refs(done, refs) == ["f2", "f3", "f4", "f5"]
    assert done.job.booking.round == 1


async def test_an_offer_can_be_accepted_until_it_expires_and_not_a_moment_later(rt, clock):
    await import_neighbours(rt, 4)
    offers = live_offers_of(await book_job(rt))
    await clock.set(offers[0].expires_at)
    with pytest.raises(OfferExpired):
        await commands.accept(rt, offers[0].id, offers[0].friend_id)
    await clock.set(offers[0].expires_at - timedelta(microseconds=1))
    done = await commands.accept(rt, offers[0].id, offers[0].friend_id)
    assert done.job.booking.state is BookingState.AWARDED


async def test_offers_expire_in_time_and_the_next_are_asked(rt, clock):
    refs = await import_neighbours(rt, 7)
    first = await book_job(rt)
    await clock.advance(rt.policy.offer_life)
    assert await commands.fire_due_timers(rt, 100) == 1
    job = await load(rt, first.job.booking.id)
    names = {v: k for k, v in refs.items()}
    assert sorted(names[o.friend_id] for o in job.live) == ["f5", "f6", "f7"]
    assert job.booking.round == 2
    await clock.advance(rt.policy.offer_life)
    await commands.fire_due_timers(rt, 100)
    assert (await load(rt, first.job.booking.id)).booking.state is BookingState.UNFILLED


async def test_after_twelve_hours_without_contact_the_job_is_forfeited_and_offered_again(rt, clock):
    refs = await import_neighbours(rt, 6)
    booking_id, offer = await book_and_accept(rt)
    await clock.advance(timedelta(hours=8))
    assert await commands.fire_due_timers(rt, 100) == 1
    await clock.advance(timedelta(hours=3))
    assert await commands.fire_due_timers(rt, 100) == 1
    await clock.advance(timedelta(hours=1) - timedelta(microseconds=1))
    assert await commands.fire_due_timers(rt, 100) == 0
    await clock.advance(timedelta(microseconds=1))
    assert await commands.fire_due_timers(rt, 100) == 1
    assert await commands.fire_due_timers(rt, 100) == 0
    job = await load(rt, booking_id)
    assert job.booking.state is BookingState.OPEN
    names = {v: k for k, v in refs.items()}
    assert sorted(names[o.friend_id] for o in job.live) == ["f2", "f3", "f4", "f5"]
    with pytest.raises(ContactDeadlinePassed):
        await commands.confirm_contact(rt, booking_id, offer.friend_id)


async def test_a_whole_life_ends_with_a_rating(rt, clock):
    await import_neighbours(rt, 4)
    booking_id, offer = await book_and_accept(rt)
    friend = offer.friend_id
    await commands.confirm_contact(rt, booking_id, friend)
    assert (await commands.confirm_contact(rt, booking_id, friend)).changes is None
    starts_at = await clock.now() + timedelta(hours=3)
    await commands.schedule(rt, booking_id, friend, starts_at, None)
    await commands.start(rt, booking_id, friend)
    await commands.complete(
        rt, booking_id, friend, Protocol(summary="New channel.", minutes=40), SIGNED
    )
    await commands.rate(
        rt, booking_id, stars=5, comment=None, claim=None, build_response=lambda d: {}
    )
    with pytest.raises(AlreadyRated):
        await commands.rate(
            rt, booking_id, stars=1, comment=None, claim=None, build_response=lambda d: {}
        )
    job = await load(rt, booking_id)
    assert job.booking.state is BookingState.COMPLETED
    assert job.timers == {}


async def test_events_are_numbered_without_gaps(rt, owner):
    await import_neighbours(rt, 4)
    booking_id, offer = await book_and_accept(rt)
    await commands.hand_back(rt, booking_id, offer.friend_id, "cannot_help", "No fibre tester.")
    await commands.cancel(
        rt, booking_id, actor="customer", reason="changed_mind", may_act=lambda j: True
    )
    rows = await owner.fetch("SELECT seq, kind FROM events WHERE booking_id = $1", booking_id)
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    assert rows[-1]["kind"] == "booking.cancelled"


async def test_every_friend_in_the_frame_gets_one_outcome(rt, owner):
    refs = await import_friends(
        rt,
        [friend_row(f"f{n}", north(100 * n)) for n in range(1, 6)]
        + [
            friend_row("far", north(9_000), radius_m=1_000),
            friend_row("novice", north(50), certificates=()),
            friend_row("french", north(60), languages=("fr",)),
            friend_row("pro", north(70), tier="pro"),
        ],
    )
    done = await book_job(rt)
    row = await owner.fetchrow("SELECT * FROM decisions WHERE booking_id = $1", done.job.booking.id)
    names = {v: k for k, v in refs.items()}
    outcomes = {names[i]: o for i, o in zip(row["friend_ids"], row["outcomes"], strict=True)}
    assert outcomes == {
        **{f"f{n}": Outcome.OFFERED for n in range(1, 5)},
        "f5": Outcome.RANKED_BELOW_K,
        "far": Outcome.OUT_OF_RADIUS,
        "novice": Outcome.NOT_CERTIFIED,
        "french": Outcome.NO_SHARED_LANGUAGE,
        "pro": Outcome.WRONG_TIER,
    }


async def test_pros_are_asked_when_no_friend_is_left(rt):
    refs = await import_friends(rt, [friend_row("pro", tier="pro")])
    done = await book_job(rt)
    assert asked_refs(done, refs) == ["pro"]


async def test_an_unfilled_booking_is_offered_when_a_suitable_friend_appears(rt, clock):
    done = await book_job(rt)
    assert done.job.booking.state is BookingState.UNFILLED
    assert await commands.fire_due_timers(rt, 100) == 0
    refs = await import_neighbours(rt, 1)
    assert await commands.fire_due_timers(rt, 100) == 1
    job = await load(rt, done.job.booking.id)
    assert [o.friend_id for o in job.live] == [refs["f1"]]
