from dataclasses import replace

import pytest
from rtree.index import Index

from data.records.people import Friend
from geo.index.friend_index import FriendIndex, Query
from geo.point import Point, PointInvalid
from tests.geo.worlds import (
    BERLIN,
    ZURICH,
    accept_all,
    available,
    east_of,
    friend,
    friend_id,
    geodesic,
    index_of,
)


def nearest(
    index: FriendIndex, point: Point = ZURICH, *, want: int = 4, certificates: str = ""
) -> list[int]:
    codes = frozenset(certificates.split())
    found = index.nearest(point, certificates=codes, want=want, qualifies=accept_all)
    return [candidate.friend_id.int for candidate in found]


def nearest_any(index: FriendIndex, point: Point = ZURICH, count: int = 100) -> list[int]:
    return [candidate.friend_id.int for candidate in index.nearest_any(point, count)]


@pytest.fixture
def tree_operations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    operations: list[str] = []
    for verb in ("insert", "delete"):
        done = getattr(Index, verb)

        def counted(self: Index, *args: object, _verb: str = verb, _done=done) -> None:
            operations.append(_verb)
            _done(self, *args)

        monkeypatch.setattr(Index, verb, counted)
    return operations


def test_an_empty_index_finds_nobody():
    for index in (FriendIndex(available), index_of([])):
        assert nearest(index) == nearest_any(index) == nearest(index, certificates="wifi") == []
        assert (len(index), list(index), index.check()) == (0, [], [])


def test_the_nearest_come_first_and_at_most_as_many_as_wanted():
    index = index_of(friend(n, east_of(ZURICH, 100 * n)) for n in (5, 3, 1, 4, 2))
    assert nearest(index) == [1, 2, 3, 4]
    assert nearest(index, want=1) == [1]
    assert nearest(index, want=0) == nearest(index, want=-1) == []
    assert nearest(index, want=99) == [1, 2, 3, 4, 5]


def test_the_distance_is_the_geodesic():
    someone = friend(1, east_of(ZURICH, 29_000, azimuth=30), radius_m=30_000)
    seen: list[float] = []
    (found,) = index_of([someone]).nearest(
        ZURICH,
        certificates=frozenset(),
        want=4,
        qualifies=lambda _, away_m: bool(seen.append(away_m)) or True,
    )
    assert [found.distance_m] == seen == [pytest.approx(geodesic(ZURICH, someone), abs=2e-4)]


def test_equal_distances_are_ranked_by_friend_id():
    house = east_of(ZURICH, 700)
    assert nearest(index_of(friend(n, house) for n in (9, 2, 7, 4, 1, 8))) == [1, 2, 4, 7]


def test_thousands_of_friends_at_one_address_are_all_found():
    index = index_of(friend(n, east_of(ZURICH, 50)) for n in range(3_000, 0, -1))
    assert nearest(index) == [1, 2, 3, 4]
    assert nearest(index, want=2_999) == list(range(1, 3_000))
    assert nearest_any(index, count=10) == list(range(1, 11))


def test_a_millimetre_decides():
    ranks = [friend(9 - n, east_of(ZURICH, 25_000 + n / 1_000, azimuth=77 * n)) for n in range(9)]
    index = index_of(replace(someone, radius_m=30_000) for someone in ranks)
    assert nearest(index) == [9, 8, 7, 6]


def test_only_available_friends_are_found_but_nearest_any_has_all():
    index = index_of([friend(1), friend(2, busy=True), friend(3, active=False), friend(4)])
    assert nearest(index) == [1, 4]
    assert nearest_any(index) == [1, 2, 3, 4]


@pytest.mark.parametrize("azimuth", range(0, 360, 40))
@pytest.mark.parametrize("radius_m", [1, 5_000, 100_000])
def test_a_friend_is_found_up_to_their_own_radius_and_no_farther(azimuth, radius_m):
    inside = friend(1, east_of(ZURICH, radius_m - 0.000_01, azimuth=azimuth), radius_m=radius_m)
    outside = friend(2, east_of(ZURICH, radius_m + 0.000_01, azimuth=azimuth), radius_m=radius_m)
    assert nearest(index_of([inside, outside])) == [1]


def test_a_friend_with_radius_zero_serves_their_own_address():
    assert nearest(index_of([friend(1, radius_m=0), friend(2, BERLIN, radius_m=0)])) == [1]


def test_friends_must_hold_every_certificate_of_the_package():
    index = index_of(
        [
            friend(1, certificates=["wifi"]),
            friend(2, certificates=["wifi", "smart-home"]),
            friend(3, certificates=["smart-home"]),
            friend(4),
        ]
    )
    assert nearest(index) == [1, 2, 3, 4]
    assert nearest(index, certificates="wifi") == [1, 2]
    assert nearest(index, certificates="smart-home wifi") == [2]
    assert nearest(index, certificates="wifi printer") == []


def test_the_next_friend_takes_the_place_of_one_who_does_not_qualify():
    index = index_of(friend(n, east_of(ZURICH, n)) for n in range(1, 500))
    checked: list[int] = []

    def every_hundredth(someone: Friend, _away_m: float) -> bool:
        checked.append(someone.id.int)
        return someone.id.int % 100 == 0

    found = index.nearest(ZURICH, certificates=frozenset(), want=4, qualifies=every_hundredth)
    assert [candidate.friend_id.int for candidate in found] == [100, 200, 300, 400]
    assert checked == list(range(1, 401)), "each once, nearest first, until enough are found"


def test_friends_across_the_antimeridian_are_found():
    west, east = Point(0.0, 179.999), Point(0.0, -179.999)
    assert nearest(index_of([friend(1, east), friend(2, BERLIN)]), west) == [1]


def test_all_longitudes_are_one_place_at_the_pole():
    pole = [friend(n, Point(90.0, lon)) for n, lon in enumerate((-180.0, 0.0, 33.3, 180.0), 1)]
    assert nearest(index_of(pole), Point(90.0, 90.0)) == [1, 2, 3, 4]
    assert nearest(index_of(pole), Point(89.99, -90.0)) == [1, 2, 3, 4]


def test_nearest_any_reaches_to_the_other_side_of_the_earth():
    index = index_of([friend(1, Point(-47.0, -171.0)), friend(2, BERLIN), friend(3)])
    assert nearest_any(index) == [3, 2, 1]
    assert nearest_any(index, count=2) == [3, 2]
    assert nearest_any(index, count=0) == nearest_any(index, count=-1) == []
    assert index.nearest_any(ZURICH, 3)[1].distance_m == geodesic(ZURICH, friend(2, BERLIN))


def test_a_friend_who_moves_is_found_only_at_the_new_place():
    index = index_of([friend(1, certificates=["wifi"])])
    index.put(friend(1, BERLIN, certificates=["wifi"]))
    assert nearest(index, certificates="wifi") == nearest(index) == []
    assert nearest(index, BERLIN, certificates="wifi") == nearest(index, BERLIN) == [1]
    assert (len(index), index.check()) == (1, [])


def test_a_friend_gains_and_loses_certificates():
    index = index_of([friend(1, certificates=["wifi"])])
    index.put(friend(1, certificates=["printer"]))
    assert nearest(index, certificates="wifi") == []
    assert nearest(index, certificates="printer") == [1]
    assert index.check() == []


def test_a_certificate_held_twice_counts_once():
    twice = friend(1, certificates=["wifi", "wifi"])
    index = index_of([twice])
    assert nearest(index, certificates="wifi") == [1]
    index.put(friend(1, certificates=["wifi"]))
    index.put(twice)
    assert (nearest(index, certificates="wifi"), index.check()) == ([1], [])


def test_a_friend_becomes_busy_and_free_again():
    index = index_of([friend(1, certificates=["wifi"])])
    for busy in (True, False, True, False):
        index.put(friend(1, certificates=["wifi"], busy=busy))
        assert nearest(index, certificates="wifi") == nearest(index) == ([] if busy else [1])
        assert (nearest_any(index), index.check()) == ([1], [])


def test_a_friend_with_a_larger_radius_reaches_farther():
    index = index_of([friend(1, east_of(ZURICH, 20_000), radius_m=10_000)])
    assert nearest(index) == []
    index.put(friend(1, east_of(ZURICH, 20_000), radius_m=25_000))
    assert nearest(index) == [1]
    index.put(friend(1, east_of(ZURICH, 20_000), radius_m=10_000))
    assert (nearest(index), index.check()) == ([], [])


def test_a_removed_friend_is_not_found_and_the_slot_is_reused():
    index = index_of([friend(1, certificates=["wifi"]), friend(2)])
    index.remove(friend_id(1))
    index.remove(friend_id(1))
    index.remove(friend_id(77))
    assert (nearest(index), nearest_any(index), len(index)) == ([2], [2], 1)
    assert index.get(friend_id(1)) is None
    index.put(friend(3, certificates=["wifi"]))
    assert (nearest(index, certificates="wifi"), index.check()) == ([3], [])


def test_a_change_of_neither_availability_nor_place_costs_no_tree_operation(tree_operations):
    someone = friend(1, certificates=["wifi"])
    index = index_of([someone])
    index.put(replace(someone, open_jobs=1, live_offers=3, radius_m=9_999))
    assert tree_operations == []
    assert index.get(someone.id) == replace(someone, open_jobs=1, live_offers=3, radius_m=9_999)


def test_becoming_busy_costs_one_removal_for_each_certificate(tree_operations):
    index = index_of([friend(1, certificates=["wifi", "printer"])])
    index.put(friend(1, certificates=["wifi", "printer"], busy=True))
    assert tree_operations == ["delete", "delete"]


def test_get_returns_what_was_put_last():
    index = index_of([friend(1), friend(2)])
    index.put(replace(friend(2), live_offers=4))
    assert index.get(friend_id(2)) == replace(friend(2), live_offers=4)
    assert {someone.id.int for someone in index} == {1, 2}


def test_load_replaces_everything_and_the_later_of_two_counts():
    index = index_of([friend(1), friend(2)])
    index.load([friend(3, BERLIN), friend(4), friend(3)])
    assert (nearest(index), len(index), index.check()) == ([3, 4], 2, [])


def test_an_invalid_place_is_refused_and_changes_nothing():
    index = index_of([friend(1), friend(2)])
    for invalid in (replace(friend(1), lat=91.0), replace(friend(9), lon=float("nan"))):
        with pytest.raises(PointInvalid):
            index.put(invalid)
        with pytest.raises(PointInvalid):
            index.load([friend(5), invalid])
    assert (nearest(index), index.check()) == ([1, 2], [])


def test_the_check_finds_a_friend_whose_availability_is_out_of_date():
    away: set[Friend] = set()
    index = FriendIndex(lambda someone: someone not in away)
    index.load([friend(1), friend(2)])
    away.add(friend(2))
    (problem,) = index.check()
    assert problem == f"The availability of friend {friend_id(2)} is out of date."


@pytest.mark.parametrize("verb", ["insert", "delete"])
def test_the_check_finds_a_tree_that_missed_a_change(monkeypatch, verb):
    index = index_of([friend(1, certificates=["wifi"])])
    monkeypatch.setattr(Index, verb, lambda *_: None)
    index.put(friend(1, BERLIN, certificates=["wifi"]))
    assert sorted(index.check()) == [
        "The tree of everybody holds other friends than it should.",
        "The tree wifi holds other friends than it should.",
    ]


def test_friends_without_the_required_traits_are_not_checked():
    index = FriendIndex(available, traits=lambda someone: someone.id.int % 8)
    index.load(friend(n, east_of(ZURICH, n)) for n in range(1, 25))
    checked: list[int] = []

    def record(someone: Friend, _away_m: float) -> bool:
        checked.append(someone.id.int)
        return True

    query = Query(ZURICH, frozenset(), 3, record, required=5)
    (found,) = index.nearest_many([query])
    assert [candidate.friend_id.int for candidate in found] == checked == [5, 7, 13]
    index.put(replace(friend(6, ZURICH), radius_m=0))
    index.put(friend(16))
    index.remove(friend_id(5))
    checked.clear()
    (found,) = index.nearest_many([query])
    assert [candidate.friend_id.int for candidate in found] == checked == [7, 13, 15]


def test_a_hundred_queries_that_find_hundreds_each_are_answered():
    index = index_of(friend(n, east_of(ZURICH, 50)) for n in range(300, 0, -1))
    answers = index.nearest_many([Query(ZURICH, frozenset(), 3, accept_all)] * 100)
    assert len(answers) == 100
    assert all([c.friend_id.int for c in answer] == [1, 2, 3] for answer in answers)


def test_a_friend_nearer_by_the_geodesic_but_not_by_the_chord_is_not_missed():
    """The curvature to the north is stronger: chords to the north are a few millimetres shorter."""
    north = [friend(n, east_of(ZURICH, 95_000.001, azimuth=0)) for n in range(1, 10)]
    east = friend(10, east_of(ZURICH, 95_000))
    index = index_of(replace(someone, radius_m=100_000) for someone in (*north, east))
    assert nearest(index, want=1) == [10]
