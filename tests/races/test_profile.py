"""Of two concurrent moves of one base point, one takes effect."""

import asyncio

from dispatch.flows.people import friends
from dispatch.flows.people.friends import ProfileChange
from dispatch.rules.trust.base_moves import BaseMovedLately
from geo.point import Point
from tests.builders import ZURICH, import_neighbours

ROUNDS = 20


async def test_of_two_moves_at_once_in_two_processes_one_is_made(rt, other, owner):
    refs = await import_neighbours(rt, ROUNDS)
    for number, friend_id in enumerate(refs.values()):
        bases = [Point(ZURICH.lat + 0.001 * n, ZURICH.lon) for n in (1, 2)]
        calls = list(zip((rt, other), bases, strict=True))
        if number % 2:
            calls.reverse()
        results = await asyncio.gather(
            *(friends.change_profile(at, friend_id, ProfileChange(base=b)) for at, b in calls),
            return_exceptions=True,
        )
        made = [one["lat"] for one in results if not isinstance(one, BaseException)]
        assert sum(isinstance(one, BaseMovedLately) for one in results) == 1, results
        assert made == [await owner.fetchval("SELECT lat FROM people WHERE id = $1", friend_id)]
