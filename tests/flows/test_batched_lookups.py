"""Look-ups of many in one query: each is answered as if he had asked alone, and asked now."""

import asyncio
from dataclasses import replace

import pytest

from data.db import DatabaseUnavailable, open_pool
from data.store import partners as partner_rows
from dispatch.flows import batched_lookups as gathering
from dispatch.flows.batched_lookups import BatchedLookup, lookups
from dispatch.flows.partners import accounts
from dispatch.flows.people import sessions


class Archive:
    """Answers with what its shelf holds when a query begins, and only when it is let."""

    def __init__(self, **shelf):
        self.shelf = shelf
        self.queries = []
        self.begun = asyncio.Event()
        self.let = asyncio.Event()
        self.let.set()
        self.fails = {}

    async def __call__(self, tx, keys):
        self.queries.append(sorted(keys))
        found = {key: self.shelf[key] for key in keys if key in self.shelf}
        self.begun.set()
        await self.let.wait()
        for key in keys:
            if key in self.fails:
                raise self.fails[key]
        return found

    async def under_way(self, count):
        """Wait until this many queries have begun."""
        while len(self.queries) < count:
            self.begun.clear()
            await self.begun.wait()


async def settled():
    """Let everybody who can go on go on."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_sixty_four_callers_share_one_query(rt):
    archive = Archive(**{f"k{n}": n for n in range(64)})
    gathered = BatchedLookup(rt, archive)
    answers = await asyncio.gather(*(gathered.get(f"k{n}") for n in range(64)))
    assert answers == list(range(64))
    assert len(archive.queries) == 1


async def test_a_lone_caller_is_served_at_once_and_nothing_remains_queued(rt):
    gathered = BatchedLookup(rt, Archive(a=1))
    assert await gathered.get("a") == 1
    assert await gathered.get("b") is None
    await settled()
    assert not gathered.readers
    assert not gathered.reader_pending


async def test_no_call_is_answered_by_a_query_that_began_before_it(rt):
    archive = Archive(a="good")
    archive.let.clear()
    gathered = BatchedLookup(rt, archive)
    before = []
    for number in range(gathering.READERS):
        before.append(asyncio.create_task(gathered.get("a")))
        await archive.under_way(number + 1)
    del archive.shelf["a"]
    after = asyncio.create_task(gathered.get("a"))
    await settled()
    archive.let.set()
    assert await asyncio.gather(*before) == ["good", "good"]
    assert await after is None


async def test_while_two_queries_run_all_others_wait_for_the_next(rt):
    archive = Archive()
    archive.let.clear()
    gathered = BatchedLookup(rt, archive)
    callers = []
    for number in range(2):
        callers.append(asyncio.create_task(gathered.get(f"first{number}")))
        await archive.under_way(number + 1)
    callers += [asyncio.create_task(gathered.get(f"then{number}")) for number in range(9)]
    await settled()
    assert len(archive.queries) == gathering.READERS
    archive.let.set()
    await asyncio.gather(*callers)
    assert [len(keys) for keys in archive.queries] == [1, 1, 9]


async def test_more_keys_than_a_batch_need_several_queries(rt, monkeypatch):
    monkeypatch.setattr(gathering, "BATCH", 4)
    archive = Archive(**{f"k{n}": n for n in range(10)})
    gathered = BatchedLookup(rt, archive)
    answers = await asyncio.gather(*(gathered.get(f"k{n}") for n in range(10)))
    assert answers == list(range(10))
    assert sorted(len(keys) for keys in archive.queries) == [2, 4, 4]


async def test_an_error_reaches_everybody_of_its_query_and_nobody_else(rt):
    archive = Archive(a=1, c=3)
    archive.fails["b"] = DatabaseUnavailable("gone")
    gathered = BatchedLookup(rt, archive)
    first = await asyncio.gather(gathered.get("a"), gathered.get("b"), return_exceptions=True)
    assert [type(one) for one in first] == [DatabaseUnavailable, DatabaseUnavailable]
    assert await gathered.get("c") == 3


async def test_without_a_connection_every_waiting_call_fails(rt):
    gathered = BatchedLookup(rt, Archive())
    rt.pool.terminate()
    asked = (gathered.get(key) for key in "abc")
    for answer in await asyncio.gather(*asked, return_exceptions=True):
        assert isinstance(answer, DatabaseUnavailable)
    assert not gathered.waiting


async def test_a_cancelled_call_does_not_affect_others(rt):
    archive = Archive(a=1)
    archive.let.clear()
    gathered = BatchedLookup(rt, archive)
    gone, stays = (asyncio.create_task(gathered.get("a")) for _ in range(2))
    await archive.under_way(1)
    gone.cancel()
    await settled()
    archive.let.set()
    assert await stays == 1
    assert gone.cancelled()
    assert await gathered.get("a") == 1


async def test_an_ended_session_is_invalid_from_the_next_request_on(rt):
    operator = await sessions.add_operator(rt, "Olga Pult", "desk@example.com")
    tokens = [await sessions.create_token(rt, operator) for _ in range(8)]
    found = await asyncio.gather(*(sessions.find_session(rt, token) for token in tokens))
    assert [visitor.id for visitor in found] == [operator] * 8
    await sessions.log_out(rt, tokens[3])
    found = await asyncio.gather(*(sessions.find_session(rt, token) for token in tokens))
    assert [visitor is None for visitor in found] == [number == 3 for number in range(8)]


async def test_each_key_leads_to_its_own_partner(rt, monkeypatch):
    queries = []
    monkeypatch.setattr(
        gathering.partners, "partners_by_key", counted(partner_rows.partners_by_key, queries)
    )
    made = [await accounts.add(rt, f"Partner {number}") for number in range(5)]
    keys = [key for _, key in made] + ["tk_live_nobody"]
    found = await asyncio.gather(*(accounts.find_by_key(rt, key) for key in keys))
    assert [partner and partner.id for partner in found] == [one.id for one, _ in made] + [None]
    assert len(queries) == 1


def counted(ask, queries):
    async def asked(tx, keys):
        queries.append(keys)
        return await ask(tx, keys)

    return asked


async def test_a_runtime_with_another_pool_uses_that_pool(rt, database):
    before = lookups(rt)
    other = await open_pool(
        database.service_dsn, role=database.service_role, size=1, application="tests"
    )
    async with other:
        alone = replace(rt, pool=other)
        assert lookups(alone) is not before
        rt.pool.terminate()
        with pytest.raises(DatabaseUnavailable):
            await sessions.find_session(rt, "ts_nobody")
        assert await sessions.find_session(alone, "ts_nobody") is None
