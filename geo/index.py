"""The spatial index of friends: the exact nearest who qualify, kept current in place.

Theory of operation. Every friend is a point in earth-centred metres (ECEF), so that plain distance
in three dimensions orders friends as they lie on the ground, at the antimeridian and the poles too.
Latitude and longitude in degrees would not: a degree is not the same length in both directions.

The points lie in R-trees: one per certificate and one for packages that need none, all holding only
friends who are available, and one for those at rest, who are looked up for explanations only. Hence
a question never wades through people who cannot be asked. A package with several certificates walks
the tree of the rarest. A change that moves nobody and opens or closes no tree costs no tree work.

A question takes the nearest 8 of a tree, then 32, 128, … and hands them to `qualifies` in that
order until enough are found. It is over, too, where no friend's own radius reaches: the largest
radius of all bounds the search inside the tree. What the tree measures is the chord, which is
never longer than the geodesic; so once the last wanted friend lies at distance D, everybody with a
chord up to D and a centimetre is still looked at, and nobody nearer on the ground can be missed.

The geodesic is the chord plus d³/24R², R being the earth's radius of curvature in that direction
(within 0.1 mm up to 100 km). Where a centimetre decides, about a rank or about a friend's radius,
the geodesic itself is solved. Equal distances are ranked by friend id.

Trees know slots, not friends: a slot is a place in `_friends`, freed and used again. A node filled
below `fill_factor` is dissolved and its entries are inserted anew, so that a high factor makes
every removal dear. The index belongs to one thread.
"""

from __future__ import annotations

from array import array
from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from itertools import pairwise
from math import cos, inf, radians, sin, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rtree import index as rtree

from data.records import Friend, FriendId
from geo.point import (
    ECCENTRICITY_SQUARED,
    EQUATORIAL_RADIUS_M,
    Candidate,
    Point,
    ecef,
    geodesic_m,
)

LEAF_CAPACITY: Final = 16
FILL_FACTOR: Final = 0.4
FIRST_LOOK: Final = 8
WIDER_BY: Final = 4
NEAR_TIE_M: Final = 0.01
EARTH_M: Final = 13_000_000.0
LONGEST_CHORD_TO_CORRECT_M: Final = 100_000.0


class Standing(Enum):
    """The two trees that are not a certificate's: who may be asked, and who is at rest."""

    AVAILABLE = "available"
    RESTING = "resting"


class IndexBroken(RuntimeError):
    """The trees and the slots disagree: load the index anew."""


Key = str | Standing
Vector = tuple[float, float, float]


class FriendIndex:
    """All friends by place. `available` says who may be asked at all, whatever the booking."""

    def __init__(self, available: Callable[[Friend], bool]) -> None:
        self._available = available
        self._clear()

    def _clear(self) -> None:
        self._slots: dict[FriendId, int] = {}
        self._friends: list[Friend | None] = []
        self._free: list[int] = []
        self._open = bytearray()
        self._x, self._y, self._z = array("d"), array("d"), array("d")
        self._radii: Counter[int] = Counter()
        self._largest_radius_m = 0
        self._trees: dict[Key, _Tree] = {}

    def __len__(self) -> int:
        return len(self._slots)

    def __iter__(self) -> Iterator[Friend]:
        return (friend for friend in self._friends if friend is not None)

    def get(self, friend_id: FriendId) -> Friend | None:
        """The friend as last put, or None."""
        slot = self._slots.get(friend_id)
        return None if slot is None else self._friends[slot]

    def load(self, friends: Iterable[Friend]) -> None:
        """Replace everything by `friends`; of two with the same id the later one stays."""
        self._clear()
        unique = list({friend.id: friend for friend in friends}.values())
        self._friends = list(unique)
        self._slots = {friend.id: slot for slot, friend in enumerate(unique)}
        self._radii = Counter(friend.radius_m for friend in unique)
        self._largest_radius_m = max(self._radii, default=0)
        self._open = bytearray(self._available(friend) for friend in unique)
        places = _ecef_of(unique)
        self._x, self._y, self._z = (array("d", axis.tobytes()) for axis in places.T)
        members: defaultdict[Key, array[int]] = defaultdict(lambda: array("q"))
        for slot, friend in enumerate(unique):
            for key in _keys(friend, available=bool(self._open[slot])):
                members[key].append(slot)
        for key, slots in members.items():
            self._trees[key] = _Tree.bulk(np.frombuffer(slots, dtype=np.int64), places)

    def put(self, friend: Friend) -> None:
        """Insert a friend, or replace the one with his id: moved, changed, opened or closed."""
        slot = self._slots.get(friend.id)
        old = None if slot is None else self._friends[slot]
        if slot is None or old is None:
            self._insert(friend)
            return
        available = self._available(friend)
        moved = friend.lat != old.lat or friend.lon != old.lon
        if moved or available != self._open[slot] or friend.certificates != old.certificates:
            self._replant(slot, old, friend, available=available, moved=moved)
        self._friends[slot] = friend
        if friend.radius_m != old.radius_m:
            self._count_radius(friend.radius_m)
            self._uncount_radius(old.radius_m)

    def remove(self, friend_id: FriendId) -> None:
        """Forget a friend; an unknown id is no error."""
        slot = self._slots.pop(friend_id, None)
        friend = None if slot is None else self._friends[slot]
        if slot is None or friend is None:
            return
        place = self._place(slot)
        for key in _keys(friend, available=bool(self._open[slot])):
            self._trees[key].delete(slot, place)
        self._friends[slot] = None
        self._free.append(slot)
        self._uncount_radius(friend.radius_m)

    def nearest(
        self,
        point: Point,
        *,
        certificates: frozenset[str],
        want: int,
        qualifies: Callable[[Friend, float], bool],
    ) -> list[Candidate]:
        """The `want` nearest available friends with `certificates` who reach the point and qualify.

        Ordered by geodesic distance, then friend id. `qualifies` gets each friend whose own radius
        covers the point with his distance in metres, nearest first, until enough are found.
        """
        tree = self._rarest(certificates)
        if tree is None or want < 1:
            return []
        sight = _Sight(point)
        found: list[tuple[float, FriendId]] = []
        reach_m = self._largest_radius_m + NEAR_TIE_M
        for slot in tree.outward(sight.place, reach_m):
            friend = self._at(slot)
            chord_m, away_m = sight.measure(friend, self._place(slot))
            if chord_m > reach_m:
                break
            if abs(away_m - friend.radius_m) < NEAR_TIE_M:
                away_m = sight.solve(friend)
            if away_m > friend.radius_m or not _holds(friend, certificates):
                continue
            if qualifies(friend, away_m):
                insort(found, (away_m, friend.id))
                if len(found) >= want:
                    reach_m = found[want - 1][0] + NEAR_TIE_M
        return self._ranked(sight, found)[:want]

    def around(self, point: Point, count: int) -> list[Candidate]:
        """The `count` nearest friends of any kind, available or not, however far."""
        sight = _Sight(point)
        found: list[tuple[float, FriendId]] = []
        reach_m = inf if count > 0 else -1.0
        for key in Standing:
            for slot in self._tree(key).outward(sight.place, reach_m):
                friend = self._at(slot)
                chord_m, away_m = sight.measure(friend, self._place(slot))
                if chord_m > reach_m:
                    break
                insort(found, (away_m, friend.id))
                if len(found) >= count:
                    reach_m = found[count - 1][0] + NEAR_TIE_M
        return self._ranked(sight, found)[: max(count, 0)]

    def check(self) -> list[str]:
        """What is wrong inside, one sentence each; an empty list when all is well."""
        expected: defaultdict[Key, list[int]] = defaultdict(list)
        problems: list[str] = []
        for friend_id, slot in self._slots.items():
            friend = self._friends[slot]
            if friend is None or friend.id != friend_id:
                problems.append(f"friend {friend_id} is not in his slot {slot}")
                continue
            if self._available(friend) != self._open[slot]:
                problems.append(f"friend {friend_id} changed his availability unnoticed")
            for key in _keys(friend, available=bool(self._open[slot])):
                expected[key].append(slot)
        if len(self._slots) + len(self._free) != len(self._friends):
            problems.append("some slots are neither used nor free")
        if Counter(friend.radius_m for friend in self) != self._radii:
            problems.append("the radii in use are counted wrong")
        for key, tree in self._trees.items():
            problems += tree.check(str(key), expected.pop(key, []))
        problems += [f"the tree {key} is missing" for key in expected]
        return problems

    def _insert(self, friend: Friend) -> None:
        place = ecef(Point(friend.lat, friend.lon))
        available = self._available(friend)
        slot = self._take_slot()
        self._friends[slot] = friend
        self._open[slot] = available
        self._move(slot, place)
        self._slots[friend.id] = slot
        self._count_radius(friend.radius_m)
        for key in _keys(friend, available=available):
            self._tree(key).insert(slot, place)

    def _replant(
        self, slot: int, old: Friend, friend: Friend, *, available: bool, moved: bool
    ) -> None:
        before = _keys(old, available=bool(self._open[slot]))
        after = _keys(friend, available=available)
        from_place = self._place(slot)
        to_place = ecef(Point(friend.lat, friend.lon)) if moved else from_place
        for key in before if moved else before - after:
            self._trees[key].delete(slot, from_place)
        for key in after if moved else after - before:
            self._tree(key).insert(slot, to_place)
        self._move(slot, to_place)
        self._open[slot] = available

    def _take_slot(self) -> int:
        if self._free:
            return self._free.pop()
        self._friends.append(None)
        self._open.append(0)
        for axis in (self._x, self._y, self._z):
            axis.append(0.0)
        return len(self._friends) - 1

    def _place(self, slot: int) -> Vector:
        return self._x[slot], self._y[slot], self._z[slot]

    def _move(self, slot: int, place: Vector) -> None:
        self._x[slot], self._y[slot], self._z[slot] = place

    def _tree(self, key: Key) -> _Tree:
        tree = self._trees.get(key)
        if tree is None:
            tree = self._trees[key] = _Tree.empty()
        return tree

    def _count_radius(self, radius_m: int) -> None:
        self._radii[radius_m] += 1
        self._largest_radius_m = max(self._largest_radius_m, radius_m)

    def _uncount_radius(self, radius_m: int) -> None:
        self._radii[radius_m] -= 1
        if self._radii[radius_m] == 0:
            del self._radii[radius_m]
            if radius_m == self._largest_radius_m:
                self._largest_radius_m = max(self._radii, default=0)

    def _rarest(self, certificates: frozenset[str]) -> _Tree | None:
        if not certificates:
            return self._trees.get(Standing.AVAILABLE)
        trees = [self._trees.get(code) for code in certificates]
        found = [tree for tree in trees if tree is not None]
        return min(found, key=len) if len(found) == len(trees) else None

    def _at(self, slot: int) -> Friend:
        friend = self._friends[slot]
        if friend is None:
            raise IndexBroken(f"a tree still holds slot {slot}, which is free")
        return friend

    def _ranked(self, sight: _Sight, found: list[tuple[float, FriendId]]) -> list[Candidate]:
        """`found` in order; those within a centimetre of each other are solved before."""
        gaps = [after[0] - before[0] for before, after in pairwise(found)]
        if any(gap < NEAR_TIE_M for gap in gaps):
            found = sorted(
                (sight.solve(self._at(self._slots[friend_id])), friend_id) for _, friend_id in found
            )
        return [Candidate(friend_id=friend_id, distance_m=away_m) for away_m, friend_id in found]


class _Sight:
    """A place on the ground to measure from: its coordinates and how the earth curves there."""

    def __init__(self, point: Point) -> None:
        self.point = point
        self.place = ecef(point)
        self._east_radius_m, self._north_radius_m, self._north = _curvature(point)

    def measure(self, friend: Friend, place: Vector) -> tuple[float, float]:
        """Chord and geodesic in metres to a friend who lies at `place`."""
        x, y, z = place[0] - self.place[0], place[1] - self.place[1], place[2] - self.place[2]
        squared = x * x + y * y + z * z
        chord_m = sqrt(squared)
        if chord_m > LONGEST_CHORD_TO_CORRECT_M:
            return chord_m, self.solve(friend)
        if chord_m == 0:
            return 0.0, 0.0
        north = x * self._north[0] + y * self._north[1] + z * self._north[2]
        north *= north
        bent = north / self._north_radius_m + (squared - north) / self._east_radius_m
        return chord_m, chord_m + bent * bent / (24 * chord_m)

    def solve(self, friend: Friend) -> float:
        """The geodesic to a friend in metres, to the last digit."""
        return geodesic_m(self.point, Point(friend.lat, friend.lon))


class _Tree:
    """One R-tree of slots; answers nearest first."""

    def __init__(self, tree: rtree.Index, size: int) -> None:
        self._tree = tree
        self._size = size

    @classmethod
    def empty(cls) -> _Tree:
        return cls(rtree.Index(properties=_properties()), 0)

    @classmethod
    def bulk(cls, slots: NDArray[np.int64], places: NDArray[np.float64]) -> _Tree:
        chosen = places[slots]
        return cls(rtree.Index((slots, chosen, chosen), properties=_properties()), len(slots))

    def __len__(self) -> int:
        return self._size

    def insert(self, slot: int, place: Vector) -> None:
        self._tree.insert(slot, place)
        self._size += 1

    def delete(self, slot: int, place: Vector) -> None:
        self._tree.delete(slot, place)
        self._size -= 1

    def outward(self, place: Vector, reach_m: float) -> Iterator[int]:
        """The slots within `reach_m` of `place`, nearest first, fetched as they are asked for."""
        if reach_m < 0:
            return
        look, seen = FIRST_LOOK, 0
        while True:
            slots = self._look(place, look, reach_m)
            yield from slots[seen:]
            if len(slots) < look:
                return
            seen, look = len(slots), look * WIDER_BY

    def _look(self, place: Vector, look: int, reach_m: float) -> list[int]:
        """The `look` nearest slots and all that are as far as the last, at most `reach_m` away."""
        bounds = np.array([place])
        reach = np.array([min(reach_m, EARTH_M)])
        slots, _ = self._tree.nearest_v(bounds, bounds, num_results=look, max_dists=reach)  # type: ignore[no-untyped-call]
        return [int(slot) for slot in slots]

    def check(self, name: str, expected: list[int]) -> list[str]:
        """How the tree differs from the slots it should hold."""
        problems = []
        if self._size != len(expected):
            problems.append(f"the tree {name} counts {self._size} of {len(expected)} friends")
        everywhere = (-EARTH_M,) * 3 + (EARTH_M,) * 3
        if sorted(self._tree.intersection(everywhere)) != sorted(expected):
            problems.append(f"the tree {name} holds other friends than it should")
        return problems


def _properties() -> rtree.Property:
    return rtree.Property(
        dimension=3,
        leaf_capacity=LEAF_CAPACITY,
        index_capacity=LEAF_CAPACITY,
        near_minimum_overlap_factor=LEAF_CAPACITY - 1,
        fill_factor=FILL_FACTOR,
    )


def _keys(friend: Friend, *, available: bool) -> frozenset[Key]:
    if not available:
        return frozenset((Standing.RESTING,))
    return frozenset((Standing.AVAILABLE, *(held.code for held in friend.certificates)))


def _holds(friend: Friend, certificates: frozenset[str]) -> bool:
    return len(certificates) < 2 or certificates <= {held.code for held in friend.certificates}


def _ecef_of(friends: list[Friend]) -> NDArray[np.float64]:
    places = [ecef(Point(friend.lat, friend.lon)) for friend in friends]
    return np.array(places, dtype=np.float64).reshape(-1, 3)


def _curvature(point: Point) -> tuple[float, float, Vector]:
    """Radii of curvature eastward and northward in metres, and the direction of north."""
    lat, lon = radians(point.lat), radians(point.lon)
    flat = 1 - ECCENTRICITY_SQUARED * sin(lat) ** 2
    east_radius_m = EQUATORIAL_RADIUS_M / sqrt(flat)
    north_radius_m = east_radius_m * (1 - ECCENTRICITY_SQUARED) / flat
    north = (-sin(lat) * cos(lon), -sin(lat) * sin(lon), cos(lat))
    return east_radius_m, north_radius_m, north
