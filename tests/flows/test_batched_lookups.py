"""Batched look-ups: each call gets the result that it would get alone, and now."""

import asyncio
from dataclasses import replace

import pytest

from data.db import DatabaseUnavailable, open_pool
from data.store import partners as partner_rows
from dispatch.flows import batched_lookups as module
from dispatch.flows.batched_lookups import BatchedLookup, lookups
from dispatch.flows.partners import accounts
from dispatch.flows.people import sessions


class Source:
    """A query that reads `rows` when it begins, and returns once `release` is set."""

    def __init__(self, **rows):
        self.rows = rows
        self.queries = []
        self.started = asyncio.Event()
        self.release = asyncio.Event()
        self.release.set()
        self.failures = {}

    async def __call__(self, tx, keys):
        self.queries.append(sorted(keys))
        found = {key: self.rows[key] for key in keys if key in self.rows}
        self.started.set()
        await self.release.wait()
        for key in keys:
            if key in self.failures:
                raise self.failures[key]
        return found

    async def wait_for(self, count):
        """Wait until this many queries have started."""
        while len(self.queries) < count:
            self.started.clear()
            await self.started.wait()


async def settle():
    """Let all tasks run until they wait."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_sixty_four_callers_share_one_query(rt):
    source = Source(**{f"k{n}": n for n in range(64)})
    lookup = BatchedLookup(rt, source)
    answers = await asyncio.gather(*(lookup.get(f"k{n}") for n in range(64)))
    assert answers == list(range(64))
    assert len(source.queries) == 1


async def test_a_lone_caller_is_served_at_once_and_nothing_remains_queued(rt):
    lookup = BatchedLookup(rt, Source(a=1))
    assert await lookup.get("a") == 1
    assert await lookup.get("b") is None
    await settle()
    assert not lookup.readers
    assert not lookup.reader_pending


async def test_no_call_is_answered_by_a_query_that_began_before_it(rt):
    source = Source(a="good")
    source.release.clear()
    lookup = BatchedLookup(rt, source)
    before = []
    for number in range(module.READERS):
        before.append(asyncio.create_task(lookup.get("a")))
        await source.wait_for(number + 1)
    del source.rows["a"]
    after = asyncio.create_task(lookup.get("a"))
    await settle()
    source.release.set()
    assert await asyncio.gather(*before) == ["good", "good"]
    assert await after is None


async def test_while_two_queries_run_all_others_wait_for_the_next(rt):
    source = Source()
    source.release.clear()
    lookup = BatchedLookup(rt, source)
    callers = []
    for number in range(2):
        callers.append(asyncio.create_task(lookup.get(f"first{number}")))
        await source.wait_for(number + 1)
    callers += [asyncio.create_task(lookup.get(f"then{number}")) for number in range(9)]
    await settle()
    assert len(source.queries) == module.READERS
    source.release.set()
    await asyncio.gather(*callers)
    assert [len(keys) for keys in source.queries] == [1, 1, 9]


async def test_more_keys_than_a_batch_need_several_queries(rt, monkeypatch):
    monkeypatch.setattr(module, "BATCH", 4)
    source = Source(**{f"k{n}": n for n in range(10)})
    lookup = BatchedLookup(rt, source)
    answers = await asyncio.gather(*(lookup.get(f"k{n}") for n in range(10)))
    assert answers == list(range(10))
    assert sorted(len(keys) for keys in source.queries) == [2, 4, 4]


async def test_an_error_reaches_everybody_of_its_query_and_nobody_else(rt):
    source = Source(a=1, c=3)
    source.failures["b"] = DatabaseUnavailable("gone")
    lookup = BatchedLookup(rt, source)
    first = await asyncio.gather(lookup.get("a"), lookup.get("b"), return_exceptions=True)
    assert [type(one) for one in first] == [DatabaseUnavailable, DatabaseUnavailable]
    assert await lookup.get("c") == 3


async def test_without_a_connection_every_waiting_call_fails(rt):
    lookup = BatchedLookup(rt, Source())
    rt.pool.terminate()
    asked = (lookup.get(key) for key in "abc")
    for answer in await asyncio.gather(*asked, return_exceptions=True):
        assert isinstance(answer, DatabaseUnavailable)
    assert not lookup.waiting


async def test_a_cancelled_call_does_not_affect_others(rt):
    source = Source(a=1)
    source.release.clear()
    lookup = BatchedLookup(rt, source)
    gone, stays = (asyncio.create_task(lookup.get("a")) for _ in range(2))
    await source.wait_for(1)
    gone.cancel()
    await settle()
    source.release.set()
    assert await stays == 1
    assert gone.cancelled()
    assert await lookup.get("a") == 1


async def test_an_ended_session_is_invalid_from_the_next_request_on(rt):
    operator = await sessions.add_operator(rt, "Olga Pult", "desk@example.com")
    tokens = [await sessions.create_token(rt, operator) for _ in range(8)]
    found = await asyncio.gather(*(sessions.find_session(rt, token) for token in tokens))
    assert [owner.id for owner in found] == [operator] * 8
    await sessions.log_out(rt, tokens[3])
    found = await asyncio.gather(*(sessions.find_session(rt, token) for token in tokens))
    assert [owner is None for owner in found] == [number == 3 for number in range(8)]


async def test_each_key_leads_to_its_own_partner(rt, monkeypatch):
    queries = []
    monkeypatch.setattr(
        module.partners, "partners_by_key", count_queries(partner_rows.partners_by_key, queries)
    )
    made = [await accounts.add(rt, f"Partner {number}") for number in range(5)]
    keys = [key for _, key in made] + ["tk_live_nobody"]
    found = await asyncio.gather(*(accounts.find_by_key(rt, key) for key in keys))
    assert [partner and partner.id for partner in found] == [one.id for one, _ in made] + [None]
    assert len(queries) == 1


def count_queries(query, queries):
    async def counted(tx, keys):
        queries.append(keys)
        return await query(tx, keys)

    return counted


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
