"""The spatial index of friends: the exact nearest who qualify, kept current in place.

Theory of operation. Every friend is a point in earth-centred metres (ECEF), so that plain distance
in three dimensions orders friends as they lie on the ground, at the antimeridian and the poles too.
Latitude and longitude in degrees would not: a degree is not the same length in both directions.

The points lie in R-trees: one per certificate, holding only friends who are available, so that a
question never wades through people who cannot be asked; and one of everybody, for the packages that
need no certificate and for explanations. A package with several certificates walks the tree of the
rarest. A change that neither moves a friend nor opens or closes a tree to him costs no tree work.

A question takes four times as many from a tree as are wanted, then four times that, …, and hands
them to `qualifies`, nearest first, until enough are found. It is over, too, where no friend's own
radius reaches: the largest radius of all bounds the search inside the tree. What the tree measures
is the chord, never longer than the geodesic; so once the last wanted friend lies at distance D,
everybody with a chord up to D and a little is still looked at, and nobody nearer can be missed.

The geodesic is the chord plus d³/24R², with the Gaussian radius R of the earth at the question's
latitude: within 0.1 mm at 30 km in these countries, within 7 mm at 100 km anywhere. Where two
centimetres decide, about a rank or about a friend's radius, and beyond 100 km, the geodesic itself
is solved. Equal distances are ranked by friend id.

Trees know slots, not friends: a slot is a place in `_friends`, freed and used again. A node filled
below `fill_factor` is dissolved and its entries are inserted anew, so that a high factor makes
every removal dear. The index belongs to one thread.
"""

from __future__ import annotations

import ctypes
from array import array
from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import pairwise
from math import inf, radians, sin, sqrt
from typing import Final, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from rtree import core
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

NODE_CAPACITY: Final = 16
FILL_FACTOR: Final = 0.4
FIRST_LOOK_TIMES: Final = 4
WIDER_BY: Final = 4
NEAR_TIE_M: Final = 0.02
LONGEST_CHORD_TO_CORRECT_M: Final = 100_000.0
EARTH_M: Final = 13_000_000.0
EVERY_TRAIT: Final = 2**63 - 1
EVERYBODY: Final = None
NOBODY: Final = cast(Friend, None)


class IndexBroken(RuntimeError):
    """The R-tree library refused; load the index anew."""


class Query(NamedTuple):
    """One question: the `want` nearest available friends with `certificates` who qualify.

    `required` and `any_of` are bits of the traits a friend has: all of the former, and one of the
    latter unless there are none. They only spare `qualifies` the friends it would refuse anyway.
    """

    point: Point
    certificates: frozenset[str]
    want: int
    qualifies: Callable[[Friend, float], bool]
    required: int = 0
    any_of: int = 0


Key = str | None
Vector = tuple[float, float, float]
Found = tuple[float, FriendId]


def all_traits(_friend: Friend) -> int:
    return EVERY_TRAIT


class FriendIndex:
    """All friends by place.

    `available` says who may be asked at all, whatever the booking; `traits` gives what else can be
    said of a friend in 63 bits, for questions to filter by.
    """

    def __init__(
        self,
        available: Callable[[Friend], bool],
        traits: Callable[[Friend], int] = all_traits,
    ) -> None:
        self._available = available
        self._traits_of = traits
        self._clear()

    def _clear(self) -> None:
        self._slots: dict[FriendId, int] = {}
        self._friends: list[Friend] = []
        self._free: list[int] = []
        self._open = bytearray()
        self._traits = array("q")
        self._x, self._y, self._z = array("d"), array("d"), array("d")
        self._radii: Counter[int] = Counter()
        self._largest_radius_m = 0
        self._trees: dict[Key, _Tree] = {}

    def __len__(self) -> int:
        return len(self._slots)

    def __iter__(self) -> Iterator[Friend]:
        return (self._friends[slot] for slot in self._slots.values())

    def get(self, friend_id: FriendId) -> Friend | None:
        """The friend as last put, or None."""
        slot = self._slots.get(friend_id)
        return None if slot is None else self._friends[slot]

    def load(self, friends: Iterable[Friend]) -> None:
        """Replace everything by `friends`; of two with the same id the later one stays."""
        unique = list({friend.id: friend for friend in friends}.values())
        places = _places_of(unique)
        self._clear()
        if not unique:
            return
        self._friends = unique
        self._slots = {friend.id: slot for slot, friend in enumerate(unique)}
        self._open = bytearray(map(self._available, unique))
        self._traits = array("q", map(self._traits_of, unique))
        self._x, self._y, self._z = (array("d", axis.tobytes()) for axis in places.T)
        self._radii = Counter([friend.radius_m for friend in unique])
        self._largest_radius_m = max(self._radii, default=0)
        self._trees = {key: _Tree.bulk(slots, places) for key, slots in self._members().items()}

    def _members(self) -> defaultdict[Key, array[int]]:
        """Who belongs into which tree, by slot."""
        members: defaultdict[Key, array[int]] = defaultdict(lambda: array("q"))
        members[EVERYBODY] = array("q", self._slots.values())
        for slot in members[EVERYBODY]:
            if self._open[slot]:
                for code in {held.code for held in self._friends[slot].certificates}:
                    members[code].append(slot)
        return members

    def put(self, friend: Friend) -> None:
        """Insert a friend, or replace the one with his id: moved, changed, opened or closed."""
        slot = self._slots.get(friend.id)
        if slot is None:
            self._insert(friend)
            return
        old = self._friends[slot]
        available, traits = self._available(friend), self._traits_of(friend)
        moved = friend.lat != old.lat or friend.lon != old.lon
        if moved or available != self._open[slot] or friend.certificates != old.certificates:
            self._replant(slot, friend, available=available, moved=moved)
        self._friends[slot], self._traits[slot] = friend, traits
        if friend.radius_m != old.radius_m:
            self._count_radius(friend.radius_m)
            self._uncount_radius(old.radius_m)

    def remove(self, friend_id: FriendId) -> None:
        """Forget a friend; an unknown id is no error."""
        slot = self._slots.pop(friend_id, None)
        if slot is None:
            return
        friend, place = self._friends[slot], self._place(slot)
        for key in _keys(friend, available=self._open[slot] == 1):
            self._trees[key].delete(slot, place)
        self._friends[slot] = NOBODY
        self._free.append(slot)
        self._uncount_radius(friend.radius_m)

    def nearest(
        self,
        point: Point,
        *,
        certificates: frozenset[str],
        want: int,
        qualifies: Callable[[Friend, float], bool],
        required: int = 0,
        any_of: int = 0,
    ) -> list[Candidate]:
        """The `want` nearest available friends with `certificates` who reach the point and qualify.

        Ordered by geodesic distance, then friend id. `qualifies` gets each friend with the traits
        (all of `required`, one of `any_of` if any) whose own radius covers the point, and his
        distance in metres, nearest first, until enough are found.
        """
        return self._answer(Query(point, certificates, want, qualifies, required, any_of))

    def nearest_many(self, queries: Iterable[Query]) -> list[list[Candidate]]:
        """What `nearest` answers to each of `queries`."""
        return [self._answer(query) for query in queries]

    def _answer(self, query: Query) -> list[Candidate]:
        point, certificates, want, qualifies, required, any_of = query
        tree = self._rarest(certificates)
        if tree is None or want < 1:
            return []
        found: list[Found] = []
        friends, is_open, traits = self._friends, self._open, self._traits
        reach_m = self._largest_radius_m + NEAR_TIE_M
        for chord_m, away_m, slot in self._outward(tree, point, FIRST_LOOK_TIMES * want, reach_m):
            if chord_m > reach_m:
                break
            had = traits[slot]
            if not is_open[slot] or had & required != required or (any_of and not had & any_of):
                continue
            friend = friends[slot]
            gap_m = friend.radius_m - away_m
            if gap_m < NEAR_TIE_M and (gap_m < -NEAR_TIE_M or not _covers(friend, point)):
                continue
            if qualifies(friend, away_m) and _holds(friend, certificates):
                insort(found, (away_m, friend.id))
                if len(found) >= want:
                    reach_m = found[want - 1][0] + NEAR_TIE_M
        return self._ranked(point, found)[:want]

    def around(self, point: Point, count: int) -> list[Candidate]:
        """The `count` nearest friends of any kind, available or not, however far."""
        found: list[Found] = []
        reach_m = inf
        if count > 0:
            tree = self._tree(EVERYBODY)
            for chord_m, away_m, slot in self._outward(tree, point, count + 1, reach_m):
                if chord_m > reach_m:
                    break
                insort(found, (away_m, self._friends[slot].id))
                if len(found) >= count:
                    reach_m = found[count - 1][0] + NEAR_TIE_M
        return self._ranked(point, found)[:count]

    def _outward(
        self, tree: _Tree, point: Point, look: int, reach_m: float
    ) -> Iterator[tuple[float, float, int]]:
        """Chord, distance and slot, nearest first, fetched from the tree as they are asked for."""
        here = here_x, here_y, here_z = ecef(point)
        bend = _bend(point)
        xs, ys, zs = self._x, self._y, self._z
        seen = 0
        while True:
            slots = tree.look(here, look, reach_m)
            for slot in slots[seen:]:
                x, y, z = xs[slot] - here_x, ys[slot] - here_y, zs[slot] - here_z
                squared = x * x + y * y + z * z
                chord_m = sqrt(squared)
                if chord_m > LONGEST_CHORD_TO_CORRECT_M:
                    yield chord_m, _solved(self._friends[slot], point), slot
                else:
                    yield chord_m, chord_m + chord_m * squared * bend, slot
            if len(slots) < look:
                return
            seen, look = len(slots), look * WIDER_BY

    def _ranked(self, point: Point, found: list[Found]) -> list[Candidate]:
        """`found` in order; those too close to tell apart are solved, each place once."""
        close = [i for i, gap_m in enumerate(_gaps(found)) if gap_m < NEAR_TIE_M]
        if close:
            solved = cache(geodesic_m)
            for i in {*close, *(i + 1 for i in close)}:
                friend = self._friends[self._slots[found[i][1]]]
                found[i] = solved(point, Point(friend.lat, friend.lon)), friend.id
            found.sort()
        return [Candidate(friend_id=friend_id, distance_m=away_m) for away_m, friend_id in found]

    def _rarest(self, certificates: frozenset[str]) -> _Tree | None:
        if not certificates:
            return self._trees.get(EVERYBODY)
        trees = [self._trees.get(code) for code in certificates]
        found = [tree for tree in trees if tree is not None]
        return min(found, key=len) if len(found) == len(trees) else None

    def _insert(self, friend: Friend) -> None:
        place = ecef(Point(friend.lat, friend.lon))
        available, traits = self._available(friend), self._traits_of(friend)
        slot = self._take_slot()
        self._slots[friend.id] = slot
        self._friends[slot] = friend
        self._open[slot], self._traits[slot] = available, traits
        self._x[slot], self._y[slot], self._z[slot] = place
        self._count_radius(friend.radius_m)
        for key in _keys(friend, available=available):
            self._tree(key).insert(slot, place)

    def _replant(self, slot: int, friend: Friend, *, available: bool, moved: bool) -> None:
        before = _keys(self._friends[slot], available=self._open[slot] == 1)
        after = _keys(friend, available=available)
        old_place = self._place(slot)
        place = ecef(Point(friend.lat, friend.lon)) if moved else old_place
        for key in before if moved else before - after:
            self._trees[key].delete(slot, old_place)
        for key in after if moved else after - before:
            self._tree(key).insert(slot, place)
        self._x[slot], self._y[slot], self._z[slot] = place
        self._open[slot] = available

    def _take_slot(self) -> int:
        if self._free:
            return self._free.pop()
        self._friends.append(NOBODY)
        self._open.append(0)
        self._traits.append(0)
        for axis in (self._x, self._y, self._z):
            axis.append(0.0)
        return len(self._friends) - 1

    def _place(self, slot: int) -> Vector:
        return self._x[slot], self._y[slot], self._z[slot]

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

    def check(self) -> list[str]:
        """What is wrong inside, one sentence each; an empty list when all is well."""
        problems: list[str] = []
        for friend_id, slot in self._slots.items():
            problems += self._check_slot(friend_id, slot)
        if len(self._slots) + len(self._free) != len(self._friends):
            problems.append("Some slots are neither used nor free.")
        if Counter(friend.radius_m for friend in self) != self._radii:
            problems.append("The radii in use are counted wrong.")
        members = self._members()
        for key in self._trees.keys() | members.keys():
            problems += self._tree(key).check(key or "of everybody", members[key])
        return problems

    def _check_slot(self, friend_id: FriendId, slot: int) -> Iterator[str]:
        friend = self._friends[slot]
        if friend.id != friend_id:
            yield f"Friend {friend_id} is not in his slot {slot}."
        if self._available(friend) != self._open[slot]:
            yield f"Friend {friend_id} became available or not, and the index was not told."
        if (
            max(map(abs, np.subtract(self._place(slot), ecef(Point(friend.lat, friend.lon)))))
            > 1e-6
        ):
            yield f"Friend {friend_id} does not lie where his record says."


class _Tree:
    """One R-tree of slots; answers nearest first."""

    def __init__(self, tree: rtree.Index, size: int) -> None:
        self._tree = tree
        self._address = tree.handle._as_parameter_
        self._size = size

    @classmethod
    def empty(cls) -> _Tree:
        return cls(rtree.Index(properties=_properties()), 0)

    @classmethod
    def bulk(cls, slots: array[int], places: NDArray[np.float64]) -> _Tree:
        ids = np.frombuffer(slots, dtype=np.int64)
        points = places[ids]
        return cls(rtree.Index((ids, points, points), properties=_properties()), len(slots))

    def __len__(self) -> int:
        return self._size

    def insert(self, slot: int, place: Vector) -> None:
        self._tree.insert(slot, place)
        self._size += 1

    def delete(self, slot: int, place: Vector) -> None:
        self._tree.delete(slot, place)
        self._size -= 1

    def look(self, place: Vector, count: int, reach_m: float) -> list[int]:
        """The `count` nearest slots within `reach_m`, and all as far as the last of them."""
        return _LOOK.nearest(self._address, place, count, min(reach_m, EARTH_M))

    def check(self, name: str, expected: array[int]) -> Iterator[str]:
        """How the tree differs from the slots it should hold."""
        if self._size != len(expected):
            yield f"The tree {name} counts {self._size} of {len(expected)} friends."
        everywhere = (-EARTH_M,) * 3 + (EARTH_M,) * 3
        if sorted(self._tree.intersection(everywhere)) != sorted(expected):
            yield f"The tree {name} holds other friends than it should."


class _Look:
    """One call of libspatialindex with room for its answer, kept between calls.

    rtree's own `nearest` and `nearest_v` make that room anew each time, which costs a quarter of a
    question, and the former cannot be told how far to look.
    """

    def __init__(self) -> None:
        self._place = (ctypes.c_double * 3)()
        self._reach_m = ctypes.c_double()
        self._count = ctypes.c_uint64()
        self._answered = ctypes.c_int64()
        self._call = core.rt["Index_NearestNeighbors_id_v"]
        number, size = ctypes.c_int64, ctypes.c_uint64
        self._call.argtypes = [ctypes.c_void_p, number, number, ctypes.c_uint32, size, size, size]
        self._call.argtypes += [ctypes.c_void_p] * 6
        self._make_room(1024)

    def _make_room(self, slots: int) -> None:
        self._slots = (ctypes.c_int64 * slots)()
        self._room = slots
        place = ctypes.addressof(self._place)
        answer = (self._slots, self._count, self._reach_m, self._answered)
        self._addresses = (place, place, *map(ctypes.addressof, answer))

    def nearest(self, tree: int, place: Vector, count: int, reach_m: float) -> list[int]:
        self._place[:] = [*place]
        self._reach_m.value = reach_m
        if self._call(tree, count, 1, 3, self._room, 3, 1, *self._addresses):
            raise IndexBroken(core.rt.Error_GetLastErrorMsg().decode())
        found = self._count.value
        if found <= self._room:
            return self._slots[:found]
        self._make_room(2 * found)
        return self.nearest(tree, place, count, reach_m)


_LOOK = _Look()


def _properties() -> rtree.Property:
    return rtree.Property(
        dimension=3,
        leaf_capacity=NODE_CAPACITY,
        index_capacity=NODE_CAPACITY,
        near_minimum_overlap_factor=NODE_CAPACITY - 1,
        fill_factor=FILL_FACTOR,
    )


def _keys(friend: Friend, *, available: bool) -> frozenset[Key]:
    codes = [held.code for held in friend.certificates] if available else []
    return frozenset((EVERYBODY, *codes))


def _holds(friend: Friend, certificates: frozenset[str]) -> bool:
    return len(certificates) < 2 or certificates <= {held.code for held in friend.certificates}


def _gaps(found: list[Found]) -> list[float]:
    return [after[0] - before[0] for before, after in pairwise(found)]


def _solved(friend: Friend, point: Point) -> float:
    return geodesic_m(point, Point(friend.lat, friend.lon))


def _covers(friend: Friend, point: Point) -> bool:
    return _solved(friend, point) <= friend.radius_m


def _bend(point: Point) -> float:
    """1/24R² in m⁻², with R the Gaussian radius of curvature at the point."""
    flat = 1 - ECCENTRICITY_SQUARED * sin(radians(point.lat)) ** 2
    return flat * flat / (24 * EQUATORIAL_RADIUS_M**2 * (1 - ECCENTRICITY_SQUARED))


def _places_of(friends: list[Friend]) -> NDArray[np.float64]:
    """Earth-centred coordinates in metres, one row each; the same as `ecef`, for all at once."""
    lat = np.array([friend.lat for friend in friends], dtype=np.float64)
    lon = np.array([friend.lon for friend in friends], dtype=np.float64)
    for astray in np.flatnonzero(~((abs(lat) <= 90) & (abs(lon) <= 180))):
        Point(friends[astray].lat, friends[astray].lon)
    lat, lon = np.radians(lat), np.radians(lon)
    normal_m = EQUATORIAL_RADIUS_M / np.sqrt(1 - ECCENTRICITY_SQUARED * np.sin(lat) ** 2)
    ring_m = normal_m * np.cos(lat)
    up_m = normal_m * (1 - ECCENTRICITY_SQUARED) * np.sin(lat)
    return np.stack((ring_m * np.cos(lon), ring_m * np.sin(lon), up_m), axis=1)
