"""Which statements share a transaction, a lock and a connection."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from data import db
from data.enums import TimerKind
from data.records.jobs import Protocol
from data.store import outbox
from data.store.idempotency_keys import Claim
from dispatch.flows import execute
from dispatch.flows.group_commit import group_commit
from dispatch.flows.jobs import commands
from dispatch.flows.partners import accounts
from dispatch.flows.people import guardians
from dispatch.flows.people.phone_numbers import send_code
from dispatch.rules.jobs.refusals import AtCapacity, OfferExpired
from tests.builders import (
    SIGNED,
    book_and_accept,
    book_job,
    import_neighbours,
    live_offers_of,
    order,
)
from tests.rules.facts import Scenario, friends

WAIT_S = 0.2
GUARDIANSHIP = UUID(int=1)


async def test_a_decision_waits_for_its_booking_and_uses_the_time_after_the_lock(
    rt, owner, database, clock
):
    await import_neighbours(rt, 4)
    offer = live_offers_of(await book_job(rt))[0]
    async with owner.transaction():
        await owner.execute("SELECT FROM bookings FOR UPDATE")
        accepting = asyncio.create_task(commands.accept(rt, offer.id, offer.friend_id))
        await asyncio.wait([accepting], timeout=WAIT_S)
        assert not accepting.done()
        await clock.set(offer.expires_at)
    with pytest.raises(OfferExpired):
        await accepting


@pytest.mark.parametrize(
    ("act", "later"),
    [
        (lambda rt, one: send_code(rt, one, "079 000 17 39", host=None), "people WHERE id"),
        (lambda rt, one: guardians.confirm(rt, token(rt)), "guardianships WHERE friend_id"),
        (lambda rt, one: guardians.withdraw(rt, token(rt)), "guardianships WHERE friend_id"),
    ],
    ids=["code", "consent", "withdrawal"],
)
async def test_a_friend_is_locked_before_what_belongs_to_the_friend(rt, owner, act, later):
    """Else two transactions that lock both could each wait for the other."""
    await import_neighbours(rt, 1)
    rt.settings = rt.settings.model_copy(update={"sms_provider": "folder"})
    friend_id = await owner.fetchval("SELECT id FROM friends")
    asked = "INSERT INTO guardianships (id, friend_id, asked_at) VALUES ($1, $2, moment())"
    await owner.execute(asked, GUARDIANSHIP, friend_id)
    async with owner.transaction():
        await owner.execute("SELECT FROM friends WHERE id = $1 FOR NO KEY UPDATE", friend_id)
        acting = asyncio.create_task(act(rt, friend_id))
        await asyncio.wait([acting], timeout=WAIT_S)
        assert not acting.done()
        await owner.execute(f"SELECT FROM {later} = $1 FOR NO KEY UPDATE NOWAIT", friend_id)
    await acting


def token(rt):
    return guardians.token(rt.settings.key(), GUARDIANSHIP)


async def test_an_award_waits_for_its_friend_and_then_checks_capacity(rt, owner):
    await import_neighbours(rt, 4, capacity=1)
    offer = live_offers_of(await book_job(rt))[0]
    async with owner.transaction():
        await owner.execute("UPDATE friends SET open_jobs = 1 WHERE id = $1", offer.friend_id)
        accepting = asyncio.create_task(commands.accept(rt, offer.id, offer.friend_id))
        await asyncio.wait([accepting], timeout=WAIT_S)
        assert not accepting.done()
    with pytest.raises(AtCapacity, match="you have 1 open jobs"):
        await accepting


async def test_a_message_is_written_by_the_transaction_of_its_event(rt, owner):
    await import_neighbours(rt, 4)
    await book_and_accept(rt)
    written = await owner.fetch(
        "SELECT m.xmin::text = e.xmin::text AS same FROM messages m JOIN events e USING "
        "(booking_id, seq)"
    )
    assert len(written) >= 6
    assert all(row["same"] for row in written)


async def test_a_key_whose_work_failed_leaves_no_trace(rt, owner, monkeypatch):
    await import_neighbours(rt, 4)

    async def fail(*anything):
        raise RuntimeError("a bug")

    claim = Claim("customer", "key", b"\0" * 32)
    with monkeypatch.context() as broken:
        broken.setattr(execute.jobs, "write", fail)
        with pytest.raises(RuntimeError):
            await commands.book(
                rt, order(), actor="customer", claim=claim, build_response=lambda done: {}
            )
    assert await owner.fetchval("SELECT count(*) FROM answers") == 0
    await commands.book(rt, order(), actor="customer", claim=claim, build_response=lambda done: {})
    assert await owner.fetchval("SELECT count(*) FROM bookings") == 1


async def test_a_sweep_skips_a_locked_booking(rt, owner, clock):
    await import_neighbours(rt, 4)
    held, other = [(await book_job(rt)).job.booking.id for _ in range(2)]
    await clock.advance(timedelta(hours=1))
    async with owner.transaction():
        await owner.execute("SELECT FROM bookings WHERE id = $1 FOR UPDATE", held)
        assert await commands.fire_due_timers(rt, 10) == 1
    expired = await owner.fetch("SELECT booking_id FROM events WHERE kind = 'offer.expired'")
    assert [row["booking_id"] for row in expired] == [other]
    assert await commands.fire_due_timers(rt, 10) == 1


async def test_a_relay_skips_a_message_that_another_is_claiming(rt, owner):
    await import_neighbours(rt, 4)
    await book_job(rt)
    async with owner.transaction():
        held = await owner.fetchval("SELECT id FROM messages LIMIT 1 FOR UPDATE")
        async with db.transaction(rt.pool) as tx:
            claimed = await outbox.claim(tx, 10, lease_s=60, busy=())
    assert len(claimed) == 4
    assert held not in {one.message.id for one in claimed}


async def test_one_connection_is_enough_for_every_command(rt, database):
    await import_neighbours(rt, 4)
    pool = await db.open_pool(
        database.service_dsn, role=database.service_role, size=1, application="tests"
    )
    async with pool:
        alone = replace(rt, pool=pool, group_commit=None, on_commit=[])
        booking_id, offer = await book_and_accept(alone)
        await commands.confirm_contact(alone, booking_id, offer.friend_id)
        start = offer.offered_at + timedelta(days=1)
        await commands.schedule(alone, booking_id, offer.friend_id, start, None)
        await commands.start(alone, booking_id, offer.friend_id)
        done = Protocol(summary="Done.", minutes=5)
        await commands.complete(alone, booking_id, offer.friend_id, done, SIGNED)
        await group_commit(alone).close()


async def test_a_revoked_key_is_invalid_from_the_next_request_on(rt):
    _, key = await accounts.add(rt, "Radio Meier")
    assert await accounts.find_by_key(rt, key) is not None
    await accounts.revoke_key(rt, key[: accounts.PREFIX_LENGTH])
    assert await accounts.find_by_key(rt, key) is None


@pytest.mark.parametrize("night", ["2026-03-28T20:00", "2026-10-24T20:00"])
def test_the_deadline_is_twelve_elapsed_hours_in_both_nights_of_the_year(night):
    scenario = Scenario(*friends(4))
    scenario.now = datetime.fromisoformat(night).replace(tzinfo=UTC)
    scenario.award()
    award = scenario.job.award
    assert award is not None
    assert award.contact_due_at.astimezone(UTC) - scenario.now == timedelta(seconds=43_200)
    assert scenario.job.timers[TimerKind.CONTACT_DEADLINE] == scenario.now + timedelta(
        seconds=43_200
    )


async def test_a_booking_whose_timer_fails_is_postponed(rt, clock, monkeypatch):
    await import_neighbours(rt, 4)
    failing = (await book_job(rt)).job.booking.id
    await clock.advance(timedelta(seconds=1))
    await book_job(rt)
    await clock.advance(timedelta(hours=1))
    apply_due_rule = commands._apply_due_rule

    def fail_for_one(rt, job, now):
        if job.booking.id == failing:
            raise RuntimeError("planted")
        return apply_due_rule(rt, job, now)

    monkeypatch.setattr(commands, "_apply_due_rule", fail_for_one)
    assert [await commands.fire_due_timers(rt, 1) for _ in range(2)] == [0, 1]
