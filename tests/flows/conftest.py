"""A second runtime on the database of the test."""

from collections.abc import AsyncIterator
from dataclasses import replace
from random import Random

import pytest

from data import db
from dispatch.flows.bootstrap import load_index
from dispatch.flows.group_commit import group_commit
from dispatch.rules.jobs.matching import askable_filter
from dispatch.runtime import Runtime
from geo.index.friend_index import FriendIndex


@pytest.fixture
async def other(rt: Runtime, database) -> AsyncIterator[Runtime]:
    """A runtime like that of a second process: own pool, queue and index, same database.

    Its index holds the friends of when the fixture was made; reload with `load_index(other)`.
    """
    pool = await db.open_pool(
        database.service_dsn, role=database.service_role, size=10, application="other"
    )
    async with pool:
        twin = replace(
            rt,
            pool=pool,
            index=FriendIndex(askable_filter(rt.policy)),
            chance=Random(8),
            on_commit=[],
            group_commit=None,
        )
        await load_index(twin)
        yield twin
        await group_commit(twin).close()
