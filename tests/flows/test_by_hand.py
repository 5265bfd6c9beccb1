"""Jobs that the desk awards by hand follow the same rules as any other."""

from datetime import timedelta

import pytest

from data.db import transaction
from data.enums import AwardState, OfferState
from data.store import jobs as store
from dispatch.flows.execute import CommandResult
from dispatch.flows.jobs import commands
from dispatch.flows.people import friends
from dispatch.rules.jobs.refusals import ContactDeadlinePassed, OfferGone
from dispatch.rules.refusals import NotFound
from tests.builders import (
    asked_refs,
    book_and_accept,
    book_job,
    import_neighbours,
    live_offers_of,
)
from tests.flows.invariants import check_invariants


async def award(rt, refs, ref="f1"):
    done = await book_job(rt)
    awarded = await commands.award_by_hand(rt, done.job.booking.id, refs[ref], actor="system")
    assert awarded.job.award.offer_id is None
    return awarded.job.booking.id, refs[ref]


async def load(rt, booking_id):
    async with transaction(rt.pool) as tx:
        loaded, _ = await store.lock(tx, [booking_id], rt.catalogue)
        return loaded[booking_id]


async def test_a_friend_who_forfeited_a_job_awarded_by_hand_is_not_asked_again(rt, owner, clock):
    refs = await import_neighbours(rt, 6)
    booking_id, friend = await award(rt, refs)
    await clock.advance(rt.policy.contact_within)
    assert await commands.fire_due_timers(rt, 10) == 1
    job = await load(rt, booking_id)
    assert job.former == {friend: AwardState.FORFEITED}
    assert friend not in {offer.friend_id for offer in job.live}
    with pytest.raises(ContactDeadlinePassed):
        await commands.confirm_contact(rt, booking_id, friend)
    for offer in job.live:
        await commands.decline(rt, offer.id, offer.friend_id)
    rows = await owner.fetch("SELECT friend_id FROM offers WHERE offered_at > '2026-03-02 10:00Z'")
    assert {row["friend_id"] for row in rows} == set(refs.values()) - {friend}
    await check_invariants(owner)


async def test_a_repeated_hand_back_changes_nothing_even_when_another_has_the_job(rt, owner):
    refs = await import_neighbours(rt, 6)
    booking_id, friend = await award(rt, refs)
    done = await commands.hand_back(rt, booking_id, friend, "cannot_help", None)
    assert asked_refs(done, refs) == ["f2", "f3", "f4", "f5"]
    offer = live_offers_of(done)[0]
    await commands.accept(rt, offer.id, offer.friend_id)
    again = await commands.hand_back(rt, booking_id, friend, "cannot_help", None)
    assert isinstance(again, CommandResult)
    assert again.changes is None
    with pytest.raises(NotFound):
        await commands.hand_back(rt, booking_id, refs["f6"], "cannot_help", None)
    await check_invariants(owner)


async def test_a_clock_set_back_does_not_confuse_two_awards_of_one_friend(rt, clock):
    refs = await import_neighbours(rt, 2)
    booking_id = (await book_job(rt)).job.booking.id
    await commands.award_by_hand(rt, booking_id, refs["f1"], actor="system")
    await commands.redispatch(rt, booking_id, actor="system")
    await clock.advance(timedelta(hours=-1))
    await commands.award_by_hand(rt, booking_id, refs["f1"], actor="system")
    await commands.hand_back(rt, booking_id, refs["f1"], "cannot_help", None)
    assert (
        await commands.hand_back(rt, booking_id, refs["f1"], "cannot_help", None)
    ).changes is None
    assert (await load(rt, booking_id)).former[refs["f1"]] is AwardState.HANDED_BACK


async def test_a_friend_suspended_after_being_asked_cannot_accept(rt, owner):
    await import_neighbours(rt, 4)
    offer = live_offers_of(await book_job(rt))[0]
    await friends.set_state(rt, offer.friend_id, "suspended", actor="system")
    with pytest.raises(OfferGone):
        await commands.accept(rt, offer.id, offer.friend_id)
    assert await owner.fetchval("SELECT count(*) FROM awards") == 0


async def test_a_job_redispatched_by_the_desk_leaves_its_friend_at_once(rt, owner, clock):
    refs = await import_neighbours(rt, 6)
    booking_id, offer = await book_and_accept(rt)
    done = await commands.redispatch(rt, booking_id, actor="system")
    assert asked_refs(done, refs) == ["f2", "f3", "f4", "f5"]
    state = await owner.fetchval("SELECT state FROM offers WHERE id = $1", offer.id)
    assert state == OfferState.RELEASED
    with pytest.raises(OfferGone):
        await commands.accept(rt, offer.id, offer.friend_id)
    with pytest.raises(NotFound):
        await commands.confirm_contact(rt, booking_id, offer.friend_id)
    await clock.advance(timedelta(hours=13))
    await commands.fire_due_timers(rt, 10)
    await check_invariants(owner)
