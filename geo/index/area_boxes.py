"""Which friends have an area near a place: an R-tree of the boxes of their areas, by slot."""

from __future__ import annotations

from collections.abc import Sequence

from rtree import index as rtree

from data.records.people import Area, Friend
from geo.areas import box, covered
from geo.point import Point


class AreaBoxes:
    """The boxes of all areas; a slot has one for each."""

    def __init__(self) -> None:
        self._tree = rtree.Index()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, slot: int, areas: Sequence[Area]) -> None:
        """Add the areas of a slot."""
        for area in areas:
            self._tree.insert(slot, box(area))
        self._size += len(areas)

    def remove(self, slot: int, areas: Sequence[Area]) -> None:
        """Remove the areas of a slot."""
        for area in areas:
            self._tree.delete(slot, box(area))
        self._size -= len(areas)

    def near(self, point: Point) -> set[int]:
        """Return the slots with an area whose box holds the point."""
        if not self._size:
            return set()
        return set(self._tree.intersection((point.lon, point.lat, point.lon, point.lat)))

    def covering(self, point: Point, friends: Sequence[Friend]) -> list[int]:
        """Return the slots of the friends with an area that covers the point, each once."""
        return [slot for slot in self.near(point) if covered(friends[slot].areas, point)]
