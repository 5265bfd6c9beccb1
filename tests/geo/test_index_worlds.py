"""The index beside the slow truth, in worlds made to be awkward."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.markets import Language
from data.records.ids import FriendId
from data.records.people import Friend
from geo.index.friend_index import FriendIndex, Query
from geo.point import Point
from tests.geo.worlds import (
    WORLDS,
    World,
    accept_all,
    available,
    brute_force,
    friend,
    friend_id,
    geodesic,
    index_of,
    speaks,
    traits,
)

CODES = ("a", "b", "c")
WORDS = Query._fields[1:]


def agree(index: FriendIndex, friends: list[Friend], point: Point, chance: Random) -> None:
    certificates = frozenset(chance.sample(CODES, chance.choice((0, 1, 1, 1, 2))))
    want = chance.choice((1, 4, 4, 12))
    qualifies = chance.choice((accept_all, speaks(chance.choice(list(Language)))))
    found = index.nearest(point, certificates=certificates, want=want, qualifies=qualifies)
    true = brute_force(friends, point, certificates=certificates, want=want, qualifies=qualifies)
    assert [candidate.friend_id for candidate in found] == [who for _, who in true]
    for candidate, (away_m, _) in zip(found, true, strict=True):
        assert abs(candidate.distance_m - away_m) < (0.000_3 if away_m < 30_000 else 0.008)


def agree_around(index: FriendIndex, friends: list[Friend], point: Point) -> None:
    true = sorted((geodesic(point, who), who.id) for who in friends)[:20]
    found = index.around(point, 20)
    assert [candidate.friend_id for candidate in found] == [who for _, who in true]


def agree_at_once(
    index: FriendIndex, friends: list[Friend], points: list[Point], chance: Random
) -> None:
    """Asked one by one and all at once, with traits alone to sort out: both are the truth."""
    queries, true = [], []
    for point in points:
        certificates = frozenset(chance.sample(CODES, chance.choice((0, 1, 1, 2))))
        want = chance.choice((0, 1, 4, 12))
        required = chance.choice((0, 0, 1, 2, 3, 0b10100, 0b01000, 1 << 40))
        queries.append(Query(point, certificates, want, accept_all, required))

        def has(who: Friend, _away_m: float, required: int = required) -> bool:
            return traits(who) & required == required

        found = brute_force(friends, point, certificates=certificates, want=want, qualifies=has)
        true.append([friend_id for _, friend_id in found])
    answers = index.nearest_many(queries)
    assert [[candidate.friend_id for candidate in answer] for answer in answers] == true
    assert answers == [
        index.nearest(*q[:1], **dict(zip(WORDS, q[1:], strict=True))) for q in queries
    ]


@pytest.mark.parametrize("name", WORLDS)
def test_every_answer_is_the_truth_in(name: str):
    world, chance = WORLDS[name], Random(name)
    friends = [world.friend(number, chance) for number in range(1, 1_201)]
    index = index_of(friends)
    for number in range(120):
        near = friends[chance.randrange(len(friends))]
        point = Point(near.lat, near.lon) if number % 3 == 0 else world.point(chance)
        agree(index, friends, point, chance)
        if number % 10 == 0:
            agree_around(index, friends, point)
    assert index.check() == []


@pytest.mark.parametrize("name", ["plain", "forty doors", "poles", "antimeridian", "huge radii"])
def test_every_answer_stays_the_truth_while_friends_come_move_change_and_go(name: str):
    world, chance = WORLDS[name], Random(f"change in {name}")
    friends = {who.id: who for who in (world.friend(n, chance) for n in range(1, 401))}
    index = index_of(friends.values())
    for step in range(1_500):
        change(index, friends, world, chance)
        if step % 15 == 0:
            agree(index, list(friends.values()), world.point(chance), chance)
        if step % 300 == 0:
            agree_around(index, list(friends.values()), world.point(chance))
            assert index.check() == []
    assert sorted(who.id.int for who in index) == sorted(who.int for who in friends)


@pytest.mark.parametrize("name", WORLDS)
def test_many_questions_at_once_are_answered_like_one_by_one_whatever_changes_between(name: str):
    world, chance = WORLDS[name], Random(f"at once in {name}")
    friends = {who.id: who for who in (world.friend(n, chance) for n in range(1, 401))}
    index = index_of(friends.values())
    for _ in range(10):
        points = [world.point(chance) for _ in range(chance.choice((0, 1, 32)))]
        points += [Point(who.lat, who.lon) for who in list(friends.values())[:4]]
        agree_at_once(index, list(friends.values()), points, chance)
        for _ in range(40):
            change(index, friends, world, chance)
    assert index.check() == []


def change(
    index: FriendIndex, friends: dict[FriendId, Friend], world: World, chance: Random
) -> None:
    number = chance.randrange(1, 501)
    old = friends.get(friend_id(number))
    verb = chance.choice(("remove", "toggle", "toggle", "move", "replace"))
    if verb == "remove":
        index.remove(friend_id(number))
        friends.pop(friend_id(number), None)
        return
    new = world.friend(number, chance)
    if old and verb == "toggle":
        new = replace(old, open_jobs=0 if old.open_jobs else old.capacity)
    elif old and verb == "move":
        new = replace(old, lat=new.lat, lon=new.lon)
    index.put(new)
    friends[new.id] = new


# Neighbouring corners of a lattice: full of exact and nearly exact ties, of poles and date lines.
LATITUDES = st.sampled_from([-90.0, -89.99, -0.01, 0.0, 0.01, 47.0, 47.01, 47.02, 89.99, 90.0])
LONGITUDES = st.sampled_from([-180.0, -179.99, -0.01, 0.0, 0.01, 8.0, 8.01, 179.99, 180.0])
POINTS = st.builds(Point, LATITUDES, LONGITUDES)
FRIENDS = st.builds(
    friend,
    st.integers(1, 40),
    POINTS,
    radius_m=st.sampled_from([0, 1, 1_113, 1_114, 2_000, 100_000]),
    certificates=st.sets(st.sampled_from(CODES)),
    busy=st.booleans(),
)
STEPS = st.lists(st.one_of(FRIENDS, st.integers(1, 40)), max_size=40)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(loaded=st.lists(FRIENDS, max_size=30), steps=STEPS, point=POINTS, want=st.integers(1, 6))
def test_no_order_of_loading_putting_and_removing_confuses_the_index(loaded, steps, point, want):
    index = index_of(loaded)
    friends = {who.id: who for who in loaded}
    for step in steps:
        if isinstance(step, int):
            index.remove(friend_id(step))
            friends.pop(friend_id(step), None)
        else:
            index.put(step)
            friends[step.id] = step
    assert index.check() == []
    assert {who.id: who for who in index} == friends
    for certificates in (frozenset(), frozenset("a"), frozenset("ab")):
        found = index.nearest(point, certificates=certificates, want=want, qualifies=accept_all)
        true = brute_force(friends.values(), point, certificates=certificates, want=want)
        assert [candidate.friend_id for candidate in found] == [who for _, who in true]
    agree_around(index, list(friends.values()), point)


@settings(max_examples=60, deadline=None)
@given(numbers=st.sets(st.integers(1, 300), min_size=1), want=st.integers(1, 8))
def test_whoever_shares_a_door_is_ranked_by_id_however_he_came(numbers, want):
    door, came_later = Point(47.0, 8.0), Random(want)
    index = FriendIndex(available)
    index.load([friend(n, door) for n in numbers if came_later.random() < 0.5])
    for n in numbers:
        index.put(friend(n, door))
    found = index.nearest(
        Point(47.01, 8.0), certificates=frozenset(), want=want, qualifies=accept_all
    )
    assert [candidate.friend_id.int for candidate in found] == sorted(numbers)[:want]
