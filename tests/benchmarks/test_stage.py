"""Friends of a benchmark are copied into the tables: they must be those an import would write."""

from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np

from benchmarks import stage
from benchmarks.world import COUNTRIES, LANGUAGES, population
from data.db import moment, transaction
from data.markets import Language, Market
from data.seed import catalogue
from data.store import friends as rows
from dispatch.flows.bootstrap import load_index
from dispatch.flows.people.friends import import_friends
from geo.point import Point
from tests.builders import friend_row

MANY = 50


class Here:
    """A stage whose rows are checked as all others are."""

    def __init__(self, owner):
        self._owner = owner

    @asynccontextmanager
    async def filler(self, name):
        yield self._owner


async def test_copied_friends_are_as_an_import_would_write_them(rt, owner):
    crowd = stage.make_all_available(population(MANY, np.random.default_rng(1)))
    await stage.insert_friends(Here(owner), crowd)
    await import_friends(rt, [imported(crowd, number) for number in range(MANY)], actor="system")
    await load_index(rt)
    async with transaction(rt.pool) as tx:
        found = [friend async for page in rows.all_friends(tx, await moment(tx)) for friend in page]
    copied = sorted((one for one in found if one.ref.startswith("f")), key=lambda one: one.id)
    assert [one.id for one in copied] == [stage.friend_id(number) for number in range(MANY)]
    by_ref = {one.ref: one for one in found}
    for one in copied:
        other = by_ref[f"i{one.ref[1:]}"]
        assert plain(one) == plain(other)
        assert known(one) == known(other)
    assert len(rt.index) == 2 * MANY
    assert rt.index.check() == []


def imported(crowd, number):
    codes = list(catalogue.load().certificates)
    return friend_row(
        f"i{number}",
        Point(lat=crowd.lat[number], lon=crowd.lon[number]),
        market=Market(COUNTRIES[crowd.country[number]]),
        radius_m=int(crowd.radius_m[number]),
        certificates=tuple(c for bit, c in enumerate(codes) if crowd.held[number] >> bit & 1),
        languages=tuple(
            Language(word) for bit, word in enumerate(LANGUAGES) if crowd.spoken[number] >> bit & 1
        ),
        capacity=stage.CAPACITY,
    )


def plain(friend):
    return replace(friend, id=None, ref="", version=0, certificates=())


def known(friend):
    """A certificate of an import is valid from the import on and may have an end."""
    return {held.code for held in friend.certificates}
