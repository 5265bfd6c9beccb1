"""Mails about accounts: what they share with messages, and what they do not."""

import asyncio
from datetime import timedelta

import pytest

from data.db import DatabaseError
from data.store import account_mails as store
from data.store.sessions import Login
from dispatch.flows.people import sessions
from scheduler.account_mails import BACK_OFF_S, AccountMails
from scheduler.deliveries import CONCURRENCY, LEASE_S
from scheduler.senders import GiveUp, Retry, Sent
from tests.builders import import_neighbours


class Post:
    """A transport that records the recipients and returns the planned results."""

    def __init__(self):
        self.sent = []
        self.results = []

    async def deliver(self, mail, to):
        self.sent.append(to)
        return self.results.pop(0) if self.results else Sent()


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
async def asked(rt, owner):
    """Ask for a login link; `await asked(2)` asks for two friends."""

    async def ask(times=1):
        await import_neighbours(rt, times)
        emails = await owner.fetch("SELECT email FROM people WHERE kind = 'friend'")
        for row in emails:
            await sessions.request_login_link(rt, Login.FRIEND, row["email"])

    return ask


@pytest.fixture
def rows(owner):
    async def read():
        return await owner.fetch("SELECT * FROM account_mails ORDER BY id")

    return read


def mails_of(rt, post, requested=None):
    note = [] if requested is None else requested
    return AccountMails(rt, post, request_tick=lambda: note.append(None))


async def test_a_mail_sent_while_the_database_was_away_is_not_sent_again(
    rt, clock, asked, *, rows, post, monkeypatch
):
    await asked()
    mails = mails_of(rt, post)
    await mails.tick()
    await asyncio.wait(mails._under_way)

    async def fail(tx, outcomes):
        raise DatabaseError("away")

    with monkeypatch.context() as patch:
        patch.setattr(store, "settle", fail)
        with pytest.raises(DatabaseError):
            await mails.tick()
    await clock.advance(timedelta(seconds=LEASE_S))
    await mails.tick()
    await mails.finish(5)
    assert [(row["state"], row["email"]) for row in await rows()] == [("sent", None)]
    assert len(post.sent) == 1


async def test_after_a_lost_lease_sent_is_recorded_but_failed_is_not(rt, clock, asked, rows, post):
    await asked()
    late, other = mails_of(rt, post), mails_of(rt, post)
    [claimed] = await late._settle_and_claim(CONCURRENCY)
    await clock.advance(timedelta(seconds=LEASE_S))
    assert len(await other._settle_and_claim(CONCURRENCY)) == 1
    late._settle(claimed, GiveUp("too slow"))
    await late._settle_and_claim(0)
    assert [row["state"] for row in await rows()] == ["pending"]
    late._settle(claimed, Sent())
    await late._settle_and_claim(0)
    assert [(row["state"], row["email"]) for row in await rows()] == [("sent", None)]


async def test_after_a_full_batch_the_next_is_claimed_at_once(rt, asked, rows, post):
    await asked(CONCURRENCY + 5)
    requested = []
    mails = mails_of(rt, post, requested)
    await mails.tick()
    assert requested == [None]
    await asyncio.wait(mails._under_way)
    requested.clear()
    await mails.tick()
    assert requested == []
    await mails.finish(5)
    assert {row["state"] for row in await rows()} == {"sent"}
    assert len(post.sent) == len(set(post.sent)) == CONCURRENCY + 5


async def test_a_mail_is_tried_until_it_expires(rt, clock, asked, rows, post):
    await asked()
    mails = mails_of(rt, post)
    [row] = await rows()
    post.results = [Retry("451 4.7.1", after_s=9999.0)] * 20
    tries = 0
    while (now := await clock.now()) < row["expires_at"]:
        await mails.tick()
        await asyncio.wait(mails._under_way)
        await mails._settle_and_claim(0)
        tries += 1
        [row] = await rows()
        assert (row["state"], row["attempts"]) == ("pending", tries)
        assert row["next_at"] == min(now + timedelta(seconds=BACK_OFF_S[-1]), row["expires_at"])
        await clock.set(row["next_at"])
    await mails.tick()
    await mails.finish(5)
    assert [(row["state"], row["email"]) for row in await rows()] == [("expired", None)]
    assert len(post.sent) == tries
