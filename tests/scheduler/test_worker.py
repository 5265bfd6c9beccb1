"""The whole worker; the only tests here that wait for real time."""

import asyncio
from datetime import timedelta

import pytest

from data.enums import Channel
from dispatch.flows.jobs import commands
from scheduler import deadlines
from scheduler import worker as module
from scheduler.deadlines import ClockSentinel
from scheduler.worker import background_worker, follow_index
from tests.builders import book_and_accept, book_job, import_neighbours, live_offers_of
from tests.conftest import end_sessions

TIMEOUT_S = 15.0


@pytest.fixture
def senders(sender):
    return {Channel.MAIL: sender, Channel.PUSH: sender}


async def wait_until(read, wanted) -> None:
    """Wait until `await read()` is `wanted`."""
    async with asyncio.timeout(TIMEOUT_S):
        while await read() != wanted:  # noqa: ASYNC110 - the database does not notify
            await asyncio.sleep(0.02)


def state_of(owner, booking_id):
    return lambda: owner.fetchval("SELECT state FROM bookings WHERE id = $1", booking_id)


def unsent(owner):
    return lambda: owner.fetchval("SELECT count(*) FROM messages WHERE state <> 'sent'")


def missed(owner):
    return lambda: owner.fetchval("SELECT count(*) FROM events WHERE kind = 'contact.missed'")


def ready(worker):
    async def read():
        return worker.state().ready

    return read


async def test_a_message_leaves_soon_after_its_commit(rt, owner, sender, senders):
    await import_neighbours(rt, 4)
    async with background_worker(rt, senders=senders):
        await wait_until(lambda: owner.fetchval("SELECT 1"), 1)
        await book_job(rt)
        began = asyncio.get_running_loop().time()
        await wait_until(unsent(owner), 0)
        assert asyncio.get_running_loop().time() - began < 2
    assert sorted(sender.templates()) == ["booked", "offer", "offer", "offer", "offer"]


async def test_a_missed_deadline_is_acted_on_without_a_request(rt, owner, clock, senders):
    await import_neighbours(rt, 4)
    booking_id, _ = await book_and_accept(rt)
    async with background_worker(rt, senders=senders) as worker:
        await clock.advance(timedelta(hours=12))
        await wait_until(missed(owner), 1)
        await wait_until(state_of(owner, booking_id), "open")
        # The commit is visible before its sweep has ended.
        await wait_until(ready(worker), True)


async def test_a_day_passes_in_seconds_under_a_fast_clock(rt, owner, clock, senders):
    await import_neighbours(rt, 8)
    await book_and_accept(rt)
    await clock.set(await clock.now(), speed=20_000.0)
    async with background_worker(rt, senders=senders):
        await wait_until(missed(owner), 1)
        fired = await owner.fetchrow(
            "SELECT e.at - a.contact_due_at AS late FROM events e"
            " JOIN awards a ON a.id = (e.data->>'award')::uuid WHERE e.kind = 'contact.missed'"
        )
    assert timedelta(0) <= fired["late"]
    assert fired["late"] / 20_000 < timedelta(seconds=1)


async def test_it_recovers_after_every_connection_was_closed(rt, owner, clock, senders, caplog):
    await import_neighbours(rt, 4)
    first, _ = await book_and_accept(rt)
    async with background_worker(rt, senders=senders) as worker:
        await wait_until(unsent(owner), 0)
        for _ in range(5):
            await end_sessions(owner)
            await asyncio.sleep(0.1)
        await clock.advance(timedelta(hours=12))
        await wait_until(missed(owner), 1)
        await wait_until(unsent(owner), 0)
        await wait_until(ready(worker), True)
    assert "Traceback" not in caplog.text
    assert await state_of(owner, first)() == "open"


async def test_two_workers_share_and_repeat_nothing(rt, owner, clock, sender, senders):
    await import_neighbours(rt, 4, capacity=20)
    for number in range(6):
        done = await book_job(rt, email=f"c{number}@example.com")
        offer = live_offers_of(done)[0]
        await commands.accept(rt, offer.id, offer.friend_id)
    async with background_worker(rt, senders=senders), background_worker(rt, senders=senders):
        # A leap of hours ends the lease of what is under way, which is then sent again.
        await wait_until(unsent(owner), 0)
        await clock.advance(timedelta(hours=12))
        await wait_until(missed(owner), 6)
        await wait_until(unsent(owner), 0)
    assert await missed(owner)() == 6
    assert len({p.message.id for p in sender.deliveries}) == len(sender.deliveries)


async def test_its_state_reports_the_backlog(rt, owner, sender, senders, monkeypatch):
    monkeypatch.setattr(module, "BACKLOG_EVERY_S", 0.05)
    await import_neighbours(rt, 3)
    async with background_worker(rt, senders=senders) as worker:
        assert not worker.state().ready
        async with asyncio.timeout(TIMEOUT_S):
            while (now := worker.state()).backlog is None or now.swept_s is None:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert now.ready
        assert now.clock_trusted
        assert now.friends == 3
        assert now.backlog.pending == now.backlog.parked == now.backlog.overdue == 0
        assert now.swept_s < 5
    assert rt.on_commit == []


async def test_it_is_not_ready_while_the_clock_is_not_trusted(rt, owner, clock, senders):
    await owner.execute(
        "CREATE OR REPLACE FUNCTION tekkie.moment() RETURNS timestamptz LANGUAGE sql VOLATILE"
        " AS 'SELECT clock_timestamp()'"
    )
    steady = [50_000.0]
    sentinel = ClockSentinel(lambda: steady[0])
    async with background_worker(rt, senders=senders, sentinel=sentinel) as worker:
        await wait_until(ready(worker), True)
        steady[0] -= 3600
        await wait_until(ready(worker), False)
        assert not worker.state().clock_trusted
        worker.confirm_clock()
        await wait_until(ready(worker), True)


async def test_it_is_not_ready_when_it_starts_on_a_clock_that_its_host_does_not_share(
    rt, owner, senders
):
    await owner.execute(
        "CREATE OR REPLACE FUNCTION tekkie.moment() RETURNS timestamptz LANGUAGE sql VOLATILE"
        " AS 'SELECT clock_timestamp()'"
    )
    sentinel = ClockSentinel(host_s=lambda: deadlines.host_s() + 3600)
    async with background_worker(rt, senders=senders, sentinel=sentinel) as worker:

        async def doubt():
            return worker.state().clock_doubt

        await wait_until(doubt, "the database's clock and this host's are -3600 s apart")
        assert not worker.state().ready
        worker.confirm_clock()
        await wait_until(ready(worker), True)
        assert worker.state().clock_doubt == ""


async def test_stopping_finishes_running_deliveries(rt, owner, sender, senders):
    await import_neighbours(rt, 1)
    offer = live_offers_of(await book_job(rt))[0]
    sender.hold[offer.friend_id] = asyncio.Event()
    async with background_worker(rt, senders=senders):
        async with asyncio.timeout(TIMEOUT_S):
            while "offer" not in sender.templates():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        asyncio.get_running_loop().call_later(0.2, sender.hold[offer.friend_id].set)
    assert await unsent(owner)() == 0


async def test_mails_are_written_to_the_folder_without_a_server(rt, owner, tmp_path):
    await import_neighbours(rt, 4)
    await book_job(rt)
    async with background_worker(rt):
        await wait_until(unsent(owner), 0)
    assert len(list((rt.settings.data_dir / "mails").glob("*.eml"))) == 5


async def test_a_process_without_a_worker_still_follows(rt, owner):
    refs = await import_neighbours(rt, 2)
    async with follow_index(rt) as fed_s:
        await owner.execute("UPDATE friends SET radius_m = 5000 WHERE ref = 'f1'")

        async def radius():
            return rt.index.get(refs["f1"]).radius_m

        await wait_until(radius, 5000)
        assert fed_s() < 5
