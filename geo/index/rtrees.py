"""R-trees of slots in three dimensions, in earth-centred metres: rtree, asked without its wrapper.

rtree's own `nearest` and `nearest_v` make room for the answer anew each time, which costs a quarter
of a question, and the former cannot be told how far to look. Here the room is kept between calls
and libspatialindex is called at once, for one place or for many.

A node filled below `fill_factor` is dissolved and its entries are inserted anew, so that a high
factor makes every removal dear; a tree loaded in bulk is packed to that factor too.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rtree import core
from rtree import index as rtree

LEAF_CAPACITY: Final = 28
NODE_CAPACITY: Final = 16
FILL_FACTOR: Final = 0.4
EARTH_M: Final = 13_000_000.0

Vector = tuple[float, float, float]


class IndexBroken(RuntimeError):
    """The R-tree library refused; load the index anew."""


class Nearest(NamedTuple):
    """The nearest slots, and how far away the last of them lies; `whole` when there are no more."""

    slots: list[int]
    as_far_as_m: float
    whole: bool


class Tree:
    """One R-tree of slots; answers nearest first."""

    def __init__(self, tree: rtree.Index, size: int) -> None:
        self._tree = tree
        self._address = tree.handle._as_parameter_
        self._size = size

    @classmethod
    def empty(cls) -> Tree:
        return cls(rtree.Index(properties=_properties()), 0)

    @classmethod
    def bulk(cls, slots: NDArray[np.int64], places: NDArray[np.float64]) -> Tree:
        """A tree of `slots`, each at its row of `places`.

        Where slots ascend along x it takes half the time and a fifth less memory: the loader sorts
        by x first, and what it frees meanwhile then lies together.
        """
        points = places[slots]
        return cls(rtree.Index((slots, points, points), properties=_properties()), len(slots))

    def __len__(self) -> int:
        return self._size

    def insert(self, slot: int, place: Vector) -> None:
        self._tree.insert(slot, place)
        self._size += 1

    def delete(self, slot: int, place: Vector) -> None:
        self._tree.delete(slot, place)
        self._size -= 1

    def look(self, place: Vector, count: int, reach_m: float) -> Nearest:
        """The `count` nearest slots within `reach_m`, and all as far as the last of them."""
        return _BUFFERS.ask(self._address, place, count, reach_m)

    def looks(self, places: Sequence[Vector], count: int, reach_m: float) -> list[Nearest]:
        """What `look` answers for each of `places`."""
        return _BUFFERS.ask_all(self._address, places, count, reach_m)

    def check(self, name: str, expected: Iterable[int]) -> Iterator[str]:
        """How the tree differs from the slots it should hold."""
        slots = sorted(expected)
        if self._size != len(slots):
            yield f"The tree {name} counts {self._size} of {len(slots)} friends."
        everywhere = (-EARTH_M,) * 3 + (EARTH_M,) * 3
        if sorted(self._tree.intersection(everywhere)) != slots:
            yield f"The tree {name} holds other friends than it should."


class _Buffers:
    """Room for questions and answers of libspatialindex, made larger when it is too small."""

    def __init__(self, questions: int, slots: int) -> None:
        number, size = ctypes.c_int64, ctypes.c_uint64
        self._call = core.rt["Index_NearestNeighbors_id_v"]
        self._call.argtypes = [ctypes.c_void_p, number, number, ctypes.c_uint32, size, size, size]
        self._call.argtypes += [ctypes.c_void_p] * 6
        self._answered = number()
        self._make(questions, slots)

    def _make(self, questions: int, slots: int) -> None:
        self._questions, self._size = questions, slots
        self._places = (ctypes.c_double * (3 * questions))()
        self._reaches = (ctypes.c_double * questions)()
        self._counts = (ctypes.c_uint64 * questions)()
        self._slots = (ctypes.c_int64 * slots)()
        places = ctypes.addressof(self._places)
        answer = (self._slots, self._counts, self._reaches, self._answered)
        self._addresses = (places, places, *(ctypes.addressof(room) for room in answer))

    def ask(self, tree: int, place: Vector, count: int, reach_m: float) -> Nearest:
        self._places[0:3] = [*place]
        self._reaches[0] = reach_m
        if self._call(tree, count, 1, 3, self._size, 3, 1, *self._addresses):
            raise _library_error()
        found = self._counts[0]
        if found > self._size:
            self._make(self._questions, 2 * found)
            return self.ask(tree, place, count, reach_m)
        return Nearest(self._slots[:found], self._reaches[0], found < count)

    def ask_all(
        self, tree: int, places: Sequence[Vector], count: int, reach_m: float
    ) -> list[Nearest]:
        asked = len(places)
        if asked > self._questions:
            self._make(2 * asked, self._size)
        self._places[0 : 3 * asked] = [*chain.from_iterable(places)]
        self._reaches[0:asked] = [reach_m] * asked
        if self._call(tree, count, asked, 3, self._size, 3, 1, *self._addresses):
            raise _library_error()
        if self._answered.value < asked:
            self._make(self._questions, 2 * self._size)
            return self.ask_all(tree, places, count, reach_m)
        looks, first = [], 0
        for found, as_far_as_m in zip(self._counts[:asked], self._reaches[:asked], strict=True):
            last = first + found
            looks.append(Nearest(self._slots[first:last], as_far_as_m, found < count))
            first = last
        return looks


def _library_error() -> IndexBroken:
    return IndexBroken(core.rt.Error_GetLastErrorMsg().decode())


_BUFFERS = _Buffers(64, 4096)


def _properties() -> rtree.Property:
    return rtree.Property(
        dimension=3,
        variant=rtree.RT_Quadratic,
        leaf_capacity=LEAF_CAPACITY,
        index_capacity=NODE_CAPACITY,
        near_minimum_overlap_factor=NODE_CAPACITY,
        fill_factor=FILL_FACTOR,
        buffering_capacity=1,
    )
