"""Friends who are alike, counted together.

A profile is all that a rule may depend on, apart from place and identity. Each distinct one has a
number, and each slot the number of its friend, found when it is first counted after a change, so
that a change costs nothing. Thousands of friends have a few hundred profiles: a rule is then asked
once for each of these and not for each friend.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable, Sequence
from operator import attrgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from data.records.people import Friend
from geo.index.rtrees import Vector

EACH_ALONE: Final = attrgetter("id")
UNKNOWN: Final = -1
PROFILES_MAX: Final = 100_000
"""When there are more, all numbers are forgotten: most are of friends as they were."""


class Profiles:
    """The profile of each slot, by number."""

    def __init__(self, profile: Callable[[Friend], Hashable]) -> None:
        self._profile = profile
        self.load(0)

    def load(self, slots: int) -> None:
        """Forget all, and have so many slots."""
        self._numbers = array("i", [UNKNOWN]) * slots
        self._known: dict[Hashable, int] = {}

    def append(self) -> None:
        """Add a slot."""
        self._numbers.append(UNKNOWN)

    def forget(self, slot: int) -> None:
        """The friend of this slot has changed."""
        self._numbers[slot] = UNKNOWN

    def group(
        self, slots: NDArray[np.int64], friends: Sequence[Friend]
    ) -> list[tuple[Friend, int]]:
        """Return a friend of each profile among these slots, and how many have it."""
        if len(self._known) > PROFILES_MAX:
            self.load(len(self._numbers))
        numbers = np.frombuffer(self._numbers, np.int32)
        for slot in slots[numbers[slots] == UNKNOWN].tolist():
            profile = self._profile(friends[slot])
            self._numbers[slot] = self._known.setdefault(profile, len(self._known))
        found = numbers[slots]
        counts = np.bincount(found)
        # One of these slots: a friend of this profile elsewhere may be one who is left out here.
        examples = np.zeros(len(counts), np.int64)
        examples[found] = slots
        return [
            (friends[examples[number]], int(counts[number])) for number in np.flatnonzero(counts)
        ]


def reached(
    columns: Sequence[array[float]],
    apart: Sequence[int],
    here: Vector,
    correction: float,
) -> NDArray[np.int64]:
    """Return the slots whose own radius reaches `here`, but for those `apart`.

    `columns` are three of earth-centred metres and one of radii; `correction` turns a geodesic into
    its chord.
    """
    if not columns[0]:
        return np.array([], np.int64)
    # The views end with this call: an array cannot grow while there is one.
    x, y, z, radii_m = (np.frombuffer(column) for column in columns)
    squared = (x - here[0]) ** 2 + (y - here[1]) ** 2 + (z - here[2]) ** 2
    chord_m = radii_m * (1 - correction * radii_m**2)
    within = squared <= chord_m**2
    within[apart] = False
    return np.flatnonzero(within)
