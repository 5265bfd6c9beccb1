"""The index compared with a brute-force search, in difficult worlds."""

from collections import Counter
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
    reaches,
    speaks,
    traits,
)

CODES = ("a", "b", "c")
WORDS = Query._fields[1:]


def check_nearest(index: FriendIndex, friends: list[Friend], point: Point, chance: Random) -> None:
    certificates = frozenset(chance.sample(CODES, chance.choice((0, 1, 1, 1, 2))))
    want = chance.choice((1, 4, 4, 12))
    qualifies = chance.choice((accept_all, speaks(chance.choice(list(Language)))))
    found = index.nearest(point, certificates=certificates, want=want, qualifies=qualifies)
    expected = brute_force(
        friends, point, certificates=certificates, want=want, qualifies=qualifies
    )
    assert [candidate.friend_id for candidate in found] == [member for _, member in expected]
    for candidate, (away_m, _) in zip(found, expected, strict=True):
        assert abs(candidate.distance_m - away_m) < (0.000_3 if away_m < 30_000 else 0.008)


def check_nearest_any(index: FriendIndex, friends: list[Friend], point: Point) -> None:
    expected = sorted((geodesic(point, member), member.id) for member in friends)[:20]
    found = index.nearest_any(point, 20)
    assert [candidate.friend_id for candidate in found] == [member for _, member in expected]


def check_nearest_many(
    index: FriendIndex, friends: list[Friend], points: list[Point], chance: Random
) -> None:
    """Query one by one and all at once, filtered by traits: both must be correct."""
    queries, expected = [], []
    for point in points:
        certificates = frozenset(chance.sample(CODES, chance.choice((0, 1, 1, 2))))
        want = chance.choice((0, 1, 4, 12))
        required = chance.choice((0, 0, 1, 2, 3, 0b10100, 0b01000, 1 << 40))
        queries.append(Query(point, certificates, want, accept_all, required))

        def has(member: Friend, _away_m: float, required: int = required) -> bool:
            return traits(member) & required == required

        found = brute_force(friends, point, certificates=certificates, want=want, qualifies=has)
        expected.append([friend_id for _, friend_id in found])
    answers = index.nearest_many(queries)
    assert [[candidate.friend_id for candidate in answer] for answer in answers] == expected
    assert answers == [
        index.nearest(*q[:1], **dict(zip(WORDS, q[1:], strict=True))) for q in queries
    ]


@pytest.mark.parametrize("name", WORLDS)
def test_every_answer_is_correct_in(name: str):
    world, chance = WORLDS[name], Random(name)
    friends = [world.friend(number, chance) for number in range(1, 1_201)]
    index = index_of(friends)
    for number in range(120):
        near = friends[chance.randrange(len(friends))]
        point = Point(near.lat, near.lon) if number % 3 == 0 else world.point(chance)
        check_nearest(index, friends, point, chance)
        if number % 10 == 0:
            check_nearest_any(index, friends, point)
    assert index.check() == []


@pytest.mark.parametrize(
    "name", ["plain", "forty addresses", "poles", "antimeridian", "huge radii", "areas"]
)
def test_every_answer_stays_correct_while_friends_are_added_moved_changed_and_removed(name: str):
    world, chance = WORLDS[name], Random(f"change in {name}")
    friends = {member.id: member for member in (world.friend(n, chance) for n in range(1, 401))}
    index = index_of(friends.values())
    for step in range(1_500):
        change(index, friends, world, chance)
        if step % 15 == 0:
            check_nearest(index, list(friends.values()), world.point(chance), chance)
        if step % 300 == 0:
            check_nearest_any(index, list(friends.values()), world.point(chance))
            assert index.check() == []
    assert sorted(member.id.int for member in index) == sorted(member.int for member in friends)


@pytest.mark.parametrize("name", ["plain", "poles", "antimeridian", "areas"])
def test_everybody_in_reach_is_counted_while_friends_change(name: str):
    world, chance = WORLDS[name], Random(f"reach in {name}")
    friends = {member.id: member for member in (world.friend(n, chance) for n in range(1, 401))}
    index = FriendIndex(available, traits, lambda person: person.languages)
    index.load(friends.values())
    for step in range(600):
        change(index, friends, world, chance)
        if step % 20 == 0:
            point = chance.choice((world.point(chance), base(chance.choice([*friends.values()]))))
            apart = frozenset(chance.sample(sorted(friends), 3))
            found: Counter[frozenset[Language]] = Counter()
            for one, count in index.in_reach(point, apart):
                assert one.id not in apart
                assert friends[one.id] == one
                found[one.languages] += count
            assert found == Counter(
                member.languages
                for member in friends.values()
                if member.id not in apart and reaches(member, point, geodesic(point, member))
            )


def base(person: Friend) -> Point:
    return Point(person.lat, person.lon)


@pytest.mark.parametrize("name", WORLDS)
def test_many_queries_at_once_are_answered_like_one_by_one_after_any_changes(name: str):
    world, chance = WORLDS[name], Random(f"at once in {name}")
    friends = {member.id: member for member in (world.friend(n, chance) for n in range(1, 401))}
    index = index_of(friends.values())
    for _ in range(10):
        points = [world.point(chance) for _ in range(chance.choice((0, 1, 32)))]
        points += [Point(member.lat, member.lon) for member in list(friends.values())[:4]]
        check_nearest_many(index, list(friends.values()), points, chance)
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


# Neighbouring corners of a lattice: many exact and near ties, poles and the antimeridian.
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
def test_any_order_of_loading_putting_and_removing_is_correct(loaded, steps, point, want):
    index = index_of(loaded)
    friends = {member.id: member for member in loaded}
    for step in steps:
        if isinstance(step, int):
            index.remove(friend_id(step))
            friends.pop(friend_id(step), None)
        else:
            index.put(step)
            friends[step.id] = step
    assert index.check() == []
    assert {member.id: member for member in index} == friends
    for certificates in (frozenset(), frozenset("a"), frozenset("ab")):
        found = index.nearest(point, certificates=certificates, want=want, qualifies=accept_all)
        expected = brute_force(friends.values(), point, certificates=certificates, want=want)
        assert [candidate.friend_id for candidate in found] == [member for _, member in expected]
    check_nearest_any(index, list(friends.values()), point)


@settings(max_examples=60, deadline=None)
@given(numbers=st.sets(st.integers(1, 300), min_size=1), want=st.integers(1, 8))
def test_friends_at_one_address_are_ranked_by_id_in_any_order_of_insertion(numbers, want):
    address, chance = Point(47.0, 8.0), Random(want)
    index = FriendIndex(available)
    index.load([friend(n, address) for n in numbers if chance.random() < 0.5])
    for n in numbers:
        index.put(friend(n, address))
    found = index.nearest(
        Point(47.01, 8.0), certificates=frozenset(), want=want, qualifies=accept_all
    )
    assert [candidate.friend_id.int for candidate in found] == sorted(numbers)[:want]
