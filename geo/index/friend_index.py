"""The spatial index of friends: finds the exact nearest who qualify and is updated in place.

Theory of operation. Every friend is a point in earth-centred metres (ECEF), so that Euclidean
distance in three dimensions orders friends by distance on the ground, also at the antimeridian and
the poles. Degrees of latitude and longitude would not: they differ in length.

The points are in R-trees: one per certificate with the available friends only, so that a query does
not visit friends who cannot be asked; and one of all friends, for packages without certificates and
for explanations. A package with several certificates uses the tree of the rarest. A change that
neither moves a friend nor adds the friend to a tree or removes them costs no tree operation.

A query takes three times as many friends from a tree as are wanted, then three times that, …, skips
those without the required traits, and passes the others to `qualifies`, nearest first, until enough
are found. The largest radius of all friends bounds the search inside the tree. The tree measures
the chord, which is never longer than the geodesic; so once the last wanted friend is at distance D,
all friends with a chord up to D and a margin are still checked, and nobody nearer is missed.

The geodesic is the chord plus d³/24R², with the Gaussian radius R of the earth at the query's
latitude: within 0.1 mm at 30 km in these countries, within 7 mm at 100 km anywhere. Where two
centimetres decide about a rank or a friend's radius, and beyond 100 km, the geodesic itself is
solved. Equal distances are ranked by friend id.

A friend may also be asked in areas beside the own radius. The ranking is by the base all the same.
A search up to the largest radius sees those who live there anyway; only when too few are found are
those farther away looked for, by the boxes of their areas.

Trees hold slots, not friends: a slot is an index into `_friends` and the columns beside it, freed
and reused. Bit 0 of `_bits` tells whether the friend is available, the others are the friend's
traits. The index is not thread-safe.
"""

from __future__ import annotations

from array import array
from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence, Set
from functools import cache
from itertools import pairwise
from math import dist, inf, nan
from typing import Final, NamedTuple

import numpy as np

from data.records.ids import FriendId
from data.records.people import Friend
from geo.areas import covered
from geo.index.area_boxes import AreaBoxes
from geo.index.curvature import chord_correction, places_of
from geo.index.profiles import EACH_ALONE, Profiles, reached
from geo.index.rtrees import EARTH_M, Nearest, Tree, Vector
from geo.index.slot_table import NO_FRIEND, NO_SLOT, Slots, hashes_of, unique_of
from geo.point import (
    Candidate,
    Point,
    ecef,
    geodesic_m,
)

FIRST_SEARCH_FACTOR: Final = 3
WIDER_SEARCH_FACTOR: Final = 3
NEAR_TIE_M: Final = 0.02
LONGEST_CHORD_TO_CORRECT_M: Final = 100_000.0
EVERY_TRAIT: Final = 2**62 - 1
ALL_FRIENDS: Final = None
AVAILABLE: Final = 1


class Query(NamedTuple):
    """A search for the `want` nearest available friends with `certificates` who qualify.

    `required` are the traits a friend must have, as bits: an optimization that skips friends that
    `qualifies` would refuse anyway.
    """

    point: Point
    certificates: frozenset[str]
    want: int
    qualifies: Callable[[Friend, float], bool]
    required: int = 0


Key = str | None
Ranked = tuple[float, FriendId]


def all_traits(_friend: Friend) -> int:
    return EVERY_TRAIT


class FriendIndex:
    """All friends by place.

    `available` tells whether a friend may be asked at all, whatever the booking. `traits` returns
    62 bits of further facts about a friend, for queries to filter by; by default all are set.
    Friends with an equal `profile` are counted together; by default each is counted alone.
    """

    def __init__(
        self,
        available: Callable[[Friend], bool],
        traits: Callable[[Friend], int] = all_traits,
        profile: Callable[[Friend], Hashable] = EACH_ALONE,
    ) -> None:
        self._available = available
        self._traits_of = traits
        self._profiles = Profiles(profile)
        self._clear()

    def _bits_of(self, friend: Friend) -> int:
        return self._traits_of(friend) << 1 | self._available(friend)

    def _clear(self) -> None:
        self._friends: list[Friend] = []
        self._slots = Slots(self._friends, hashes_of(self._friends))
        self._free: list[int] = []
        self._bits = array("q")
        self._x, self._y, self._z = array("d"), array("d"), array("d")
        self._reach = array("d")
        self._profiles.load(0)
        self._radii: Counter[int] = Counter()
        self._largest_radius_m = 0
        self._trees: dict[Key, Tree] = {}
        self._areas = AreaBoxes()

    def __len__(self) -> int:
        return len(self._slots)

    def __iter__(self) -> Iterator[Friend]:
        return (friend for friend in self._friends if friend is not NO_FRIEND)

    def get(self, friend_id: FriendId) -> Friend | None:
        """Return the friend as last put, or None."""
        slot = self._slots.get(friend_id)
        return None if slot == NO_SLOT else self._friends[slot]

    def load(self, friends: Iterable[Friend]) -> None:
        """Replace all by `friends`; of two with the same id the later one counts."""
        unique, hashes = unique_of(list(friends))
        places = places_of(unique)
        bits = np.fromiter(map(self._bits_of, unique), np.int64, len(unique))
        members = _members(unique, bits.tolist())
        order = np.argsort(places[:, 0])
        places = places[order]
        self._clear()
        self._friends += [unique[row] for row in order.tolist()]
        self._slots = Slots(self._friends, hashes[order])
        self._bits = array("q", bits[order].tobytes())
        self._x, self._y, self._z = (array("d", axis.tobytes()) for axis in places.T)
        self._reach = array("d", [friend.radius_m for friend in self._friends])
        self._profiles.load(len(unique))
        self._radii = Counter(friend.radius_m for friend in unique)
        self._largest_radius_m = max(self._radii, default=0)
        slots = np.empty(len(unique), dtype=np.int64)
        slots[order] = np.arange(len(unique))
        for key, rows in members.items():
            self._trees[key] = Tree.bulk(np.sort(slots[rows]), places)
        for slot, friend in enumerate(self._friends):
            if friend.areas:
                self._areas.add(slot, friend.areas)

    def put(self, friend: Friend) -> None:
        """Insert a friend, or replace the one with the same id."""
        slot = self._slots.get(friend.id)
        if slot == NO_SLOT:
            self._insert(friend)
            return
        old = self._friends[slot]
        bits = self._bits_of(friend)
        toggled = (bits ^ self._bits[slot]) & AVAILABLE
        moved = friend.lat != old.lat or friend.lon != old.lon
        if moved or toggled or friend.certificates != old.certificates:
            self._update_trees(slot, friend, bits, moved=moved)
        if friend.areas != old.areas:
            self._areas.remove(slot, old.areas)
            self._areas.add(slot, friend.areas)
        self._friends[slot], self._bits[slot] = friend, bits
        self._profiles.forget(slot)
        if friend.radius_m != old.radius_m:
            self._reach[slot] = friend.radius_m
            self._count_radius(friend.radius_m)
            self._uncount_radius(old.radius_m)

    def remove(self, friend_id: FriendId) -> None:
        """Remove a friend; an unknown id is no error."""
        slot = self._slots.pop(friend_id)
        if slot == NO_SLOT:
            return
        friend, place = self._friends[slot], self._place(slot)
        for key in _keys(friend, self._bits[slot]):
            self._trees[key].delete(slot, place)
        self._areas.remove(slot, friend.areas)
        self._friends[slot], self._bits[slot], self._reach[slot] = NO_FRIEND, 0, nan
        self._profiles.forget(slot)
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
    ) -> list[Candidate]:
        """Find the `want` nearest available friends with `certificates` who reach it and qualify.

        Ordered by geodesic distance, then friend id. `qualifies` gets each friend with all traits
        of `required` whose own radius covers the point, and the distance in metres, nearest first,
        until enough are found.
        """
        query = Query(point, certificates, want, qualifies, required)
        tree = self._rarest(certificates)
        if tree is None or want < 1:
            return []
        here = ecef(point)
        nearest = tree.nearest(
            here, FIRST_SEARCH_FACTOR * want, self._largest_radius_m + NEAR_TIE_M
        )
        return self._search(query, tree, here, nearest)

    def nearest_many(self, queries: Iterable[Query]) -> list[list[Candidate]]:
        """Return the result of `nearest` for each of `queries`."""
        answers: list[list[Candidate]] = []
        by_tree: defaultdict[Tree, list[tuple[int, Query, Vector]]] = defaultdict(list)
        for query in queries:
            tree = self._rarest(query.certificates)
            if tree is not None and query.want > 0:
                by_tree[tree].append((len(answers), query, ecef(query.point)))
            answers.append([])
        reach_m = self._largest_radius_m + NEAR_TIE_M
        for tree, rows in by_tree.items():
            count = FIRST_SEARCH_FACTOR * max(query.want for _, query, _ in rows)
            found = tree.nearest_many([here for _, _, here in rows], count, reach_m)
            for (place, query, here), nearest in zip(rows, found, strict=True):
                answers[place] = self._search(query, tree, here, nearest)
        return answers

    def _search(self, query: Query, tree: Tree, here: Vector, nearest: Nearest) -> list[Candidate]:
        """Answer a query from the first result of the tree and wider searches as needed."""
        found: list[Ranked] = []
        reach_m = self._select(query, here, nearest.slots, found)
        while not nearest.is_complete and nearest.farthest_m <= reach_m:
            seen, limit_m = len(nearest.slots), self._largest_radius_m + NEAR_TIE_M
            nearest = tree.nearest(here, WIDER_SEARCH_FACTOR * seen, limit_m)
            reach_m = self._select(query, here, nearest.slots[seen:], found)
        if self._areas and len(found) < query.want:
            self._select_by_area(query, here, found)
        return self._rank(query.point, found)[: query.want]

    def _select_by_area(self, query: Query, here: Vector, found: list[Ranked]) -> None:
        """Add the matching friends who live beyond the largest radius, by their areas."""
        point, certificates, want, qualifies, required = query
        required, correction = required << 1 | AVAILABLE, chord_correction(point)
        known = {friend_id for _, friend_id in found}
        near = self._areas.near(point)
        for chord_m, slot in sorted((dist(here, self._place(slot)), slot) for slot in near):
            if len(found) >= want and chord_m > found[want - 1][0] + NEAR_TIE_M:
                break
            friend = self._friends[slot]
            if self._bits[slot] & required != required or _is_missing_any(friend, certificates):
                continue
            away_m = _distance_m(chord_m, correction, friend, point)
            if (
                friend.id not in known
                and covered(friend.areas, point)
                and qualifies(friend, away_m)
            ):
                insort(found, (away_m, friend.id))

    def _select(self, query: Query, here: Vector, slots: list[int], found: list[Ranked]) -> float:
        """Add the matching friends of `slots` to `found`; return the chord to search up to."""
        point, certificates, want, qualifies, required = query
        required = required << 1 | AVAILABLE
        friends, bits, xs, ys, zs = self._friends, self._bits, self._x, self._y, self._z
        correction, several = chord_correction(point), len(certificates) > 1
        reach_m = self._reach_m(found, want)
        for slot in slots:
            if bits[slot] & required != required:
                continue
            chord_m, friend = dist(here, (xs[slot], ys[slot], zs[slot])), friends[slot]
            if chord_m > reach_m:
                break
            away_m = _distance_m(chord_m, correction, friend, point)
            gap_m = friend.radius_m - away_m
            if gap_m < NEAR_TIE_M and not _reaches(friend, gap_m, point):
                continue
            if qualifies(friend, away_m) and not (
                several and _is_missing_any(friend, certificates)
            ):
                insort(found, (away_m, friend.id))
                if len(found) >= want:
                    reach_m = found[want - 1][0] + NEAR_TIE_M
        return reach_m

    def _reach_m(self, found: list[Ranked], want: int) -> float:
        """Return the chord beyond which no friend can be among the `want` nearest."""
        farthest_m = found[want - 1][0] if len(found) >= want else self._largest_radius_m
        return farthest_m + NEAR_TIE_M

    def count_available(self, required: int = 0) -> int:
        """Count the available friends with all traits of `required`."""
        if not self._bits:
            return 0
        wanted = required << 1 | AVAILABLE
        bits = np.frombuffer(self._bits, np.int64)
        return int(np.count_nonzero(bits & wanted == wanted))

    def nearest_any(self, point: Point, count: int) -> list[Candidate]:
        """Return the `count` nearest friends of all, available or not, at any distance."""
        if count < 1:
            return []
        tree, here, correction = self._tree(ALL_FRIENDS), ecef(point), chord_correction(point)
        friends, xs, ys, zs = self._friends, self._x, self._y, self._z
        nearest = tree.nearest(here, count + 1, EARTH_M)
        while True:
            found = [
                (_distance_m(chord_m, correction, friends[slot], point), friends[slot].id)
                for slot in nearest.slots
                for chord_m in (dist(here, (xs[slot], ys[slot], zs[slot])),)
            ]
            found.sort()
            if nearest.is_complete or nearest.farthest_m > found[count - 1][0] + NEAR_TIE_M:
                return self._rank(point, found)[:count]
            nearest = tree.nearest(here, WIDER_SEARCH_FACTOR * len(nearest.slots), EARTH_M)

    def in_reach(self, point: Point, apart: Set[FriendId]) -> list[tuple[Friend, int]]:
        """Return everybody whose radius or area covers it: one friend and how many are alike.

        Available or not, but for those `apart`. At the edge of a radius a few millimetres more or
        less may count.
        """
        columns = (self._x, self._y, self._z, self._reach)
        left_out = [slot for one in apart if (slot := self._slots.get(one)) != NO_SLOT]
        slots = reached(columns, left_out, ecef(point), chord_correction(point))
        if self._areas:
            covering = set(self._areas.covering(point, self._friends)) - set(left_out)
            slots = np.union1d(slots, np.array([*covering], np.int64))
        return self._profiles.group(slots, self._friends)

    def _rank(self, point: Point, found: list[Ranked]) -> list[Candidate]:
        """Return `found` in order; near ties are solved by the geodesic, once per place."""
        before_m = -inf
        for away_m, _ in found:
            if away_m - before_m < NEAR_TIE_M:
                found = self._resolve_ties(point, found)
                break
            before_m = away_m
        return [Candidate(friend_id, away_m) for away_m, friend_id in found]

    def _resolve_ties(self, point: Point, found: list[Ranked]) -> list[Ranked]:
        solved = cache(geodesic_m)
        gaps = [after[0] - before[0] for before, after in pairwise(found)]
        close = {i + n for i, gap_m in enumerate(gaps) if gap_m < NEAR_TIE_M for n in (0, 1)}
        found = [*found]
        for i in close:
            friend = self._friends[self._slots.get(found[i][1])]
            found[i] = solved(point, Point(friend.lat, friend.lon)), friend.id
        return sorted(found)

    def _rarest(self, certificates: frozenset[str]) -> Tree | None:
        trees = [self._trees.get(code) for code in certificates or (ALL_FRIENDS,)]
        if len(trees) == 1:
            return trees[0]
        known = [tree for tree in trees if tree is not None]
        return min(known, key=len) if len(known) == len(trees) else None

    def _insert(self, friend: Friend) -> None:
        place = ecef(Point(friend.lat, friend.lon))
        bits = self._bits_of(friend)
        slot = self._take_slot()
        self._friends[slot] = friend
        self._slots.add(friend.id, slot)
        self._bits[slot] = bits
        self._x[slot], self._y[slot], self._z[slot] = place
        self._reach[slot] = friend.radius_m
        self._count_radius(friend.radius_m)
        self._areas.add(slot, friend.areas)
        for key in _keys(friend, bits):
            self._tree(key).insert(slot, place)

    def _update_trees(self, slot: int, friend: Friend, bits: int, *, moved: bool) -> None:
        before = _keys(self._friends[slot], self._bits[slot])
        after = _keys(friend, bits)
        old_place = self._place(slot)
        place = ecef(Point(friend.lat, friend.lon)) if moved else old_place
        for key in before if moved else before - after:
            self._trees[key].delete(slot, old_place)
        for key in after if moved else after - before:
            self._tree(key).insert(slot, place)
        self._x[slot], self._y[slot], self._z[slot] = place

    def _take_slot(self) -> int:
        if self._free:
            return self._free.pop()
        self._friends.append(NO_FRIEND)
        self._bits.append(0)
        for column in (self._x, self._y, self._z, self._reach):
            column.append(0.0)
        self._profiles.append()
        return len(self._friends) - 1

    def _place(self, slot: int) -> Vector:
        return self._x[slot], self._y[slot], self._z[slot]

    def _tree(self, key: Key) -> Tree:
        tree = self._trees.get(key)
        if tree is None:
            tree = self._trees[key] = Tree.empty()
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
        """Return the inconsistencies of the index, one sentence each."""
        problems: list[str] = []
        for slot, friend in enumerate(self._friends):
            if friend is not NO_FRIEND:
                problems += self._check_slot(slot, friend)
        if not len(self._slots) == sum(1 for _ in self) == len(self._friends) - len(self._free):
            problems.append("Some slots are neither used nor free.")
        if Counter(friend.radius_m for friend in self) != self._radii:
            problems.append("The radii in use are counted wrong.")
        if len(self._areas) != sum(len(friend.areas) for friend in self):
            problems.append("The areas are counted wrong.")
        members = _members(self._friends, self._bits)
        for key in self._trees.keys() | members.keys():
            problems += self._tree(key).check(key or "of everybody", members.get(key, ()))
        return problems

    def _check_slot(self, slot: int, friend: Friend) -> Iterator[str]:
        friend_id = friend.id
        if self._slots.get(friend_id) != slot:
            yield f"Friend {friend_id} is not in slot {slot}."
        stale = self._bits_of(friend) ^ self._bits[slot]
        if stale == AVAILABLE:
            yield f"The availability of friend {friend_id} is out of date."
        elif stale:
            yield f"The traits of friend {friend_id} are out of date."
        if (
            max(map(abs, np.subtract(self._place(slot), ecef(Point(friend.lat, friend.lon)))))
            > 1e-6
        ):
            yield f"The point of friend {friend_id} is out of date."


def _members(friends: list[Friend], bits: Sequence[int]) -> dict[Key, array[int]]:
    """Return the members of each tree, by index in the list."""
    members: defaultdict[Key, array[int]] = defaultdict(lambda: array("q"))
    for row, friend in enumerate(friends):
        if friend is not NO_FRIEND:
            members[ALL_FRIENDS].append(row)
        if bits[row] & AVAILABLE:
            for code in {held.code for held in friend.certificates}:
                members[code].append(row)
    return members


def _keys(friend: Friend, bits: int) -> frozenset[Key]:
    codes = [held.code for held in friend.certificates] if bits & AVAILABLE else []
    return frozenset((ALL_FRIENDS, *codes))


def _is_missing_any(friend: Friend, certificates: frozenset[str]) -> bool:
    return not certificates <= {held.code for held in friend.certificates}


def _distance_m(chord_m: float, correction: float, friend: Friend, point: Point) -> float:
    if chord_m > LONGEST_CHORD_TO_CORRECT_M:
        return _geodesic_m(friend, point)
    return chord_m + chord_m * chord_m * chord_m * correction


def _geodesic_m(friend: Friend, point: Point) -> float:
    return geodesic_m(point, Point(friend.lat, friend.lon))


def _is_in_radius(friend: Friend, point: Point) -> bool:
    return _geodesic_m(friend, point) <= friend.radius_m


def _reaches(friend: Friend, gap_m: float, point: Point) -> bool:
    """Whether the radius, longer than the distance by `gap_m`, or an area covers the point."""
    if gap_m >= -NEAR_TIE_M and _is_in_radius(friend, point):
        return True
    return bool(friend.areas) and covered(friend.areas, point)
