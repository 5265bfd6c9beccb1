"""The slots of friends by id: an open-addressing hash table of slot numbers, four bytes each.

A dict from id to number takes eight times the memory (docs/decisions/0016-slot-table.md). The table
holds no ids: the list of friends does. Probing is linear; entries once used are freed only when the
table is rebuilt.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from data.records.ids import FriendId
from data.records.people import Friend

NO_SLOT: Final = -1
DELETED: Final = -2
SMALLEST: Final = 16
NO_FRIEND: Final = cast(Friend, None)

Hashes = NDArray[np.int64]


def hashes_of(friends: Sequence[Friend]) -> Hashes:
    """Return the hash of each friend's id."""
    return np.fromiter((hash(friend.id) for friend in friends), np.int64, len(friends))


def unique_of(friends: list[Friend]) -> tuple[list[Friend], Hashes]:
    """Return `friends`, of two with the same id the later one, and the hashes of their ids."""
    hashes = hashes_of(friends)
    ascending = np.sort(hashes)
    if (ascending[1:] == ascending[:-1]).any():
        friends = list({friend.id: friend for friend in friends}.values())
        hashes = hashes_of(friends)
    return friends, hashes


class Slots:
    """The slots of friends by id, initially their indexes in `friends`.

    The owner keeps `friends` up to date. `hashes` are those of the friends' ids.
    """

    def __init__(self, friends: Sequence[Friend], hashes: Hashes) -> None:
        self._friends = friends
        self._build(np.arange(len(friends), dtype=np.int32), hashes)

    def _build(self, slots: NDArray[np.int32], hashes: Hashes) -> None:
        """Build a table at least twice as large as the number of slots."""
        self._count = self._used = len(slots)
        self._mask = max(SMALLEST, 1 << (2 * len(slots) - 1).bit_length()) - 1
        table = np.full(self._mask + 1, NO_SLOT, dtype=np.int32)
        places = hashes & self._mask
        while len(slots):
            free = table[places] == NO_SLOT
            table[places[free]] = slots[free]
            collides = table[places] != slots
            slots, places = slots[collides], places[collides] + 1 & self._mask
        self._table = array("i", table.tobytes())

    def __len__(self) -> int:
        return self._count

    def get(self, friend_id: FriendId) -> int:
        """Return the friend's slot, or `NO_SLOT`."""
        return self._table[self._place(friend_id)]

    def _place(self, friend_id: FriendId) -> int:
        """Return the index of the friend's slot in the table, or where it would be."""
        table, mask, friends = self._table, self._mask, self._friends
        at = hash(friend_id) & mask
        while (slot := table[at]) != NO_SLOT:
            if slot >= 0:
                known = friends[slot].id
                if known is friend_id or known == friend_id:
                    break
            at = at + 1 & mask
        return at

    def add(self, friend_id: FriendId, slot: int) -> None:
        """Add the slot of a friend who has none; the list must have the friend there already."""
        if 3 * self._used >= 2 * self._mask:
            known = [slot for slot in self._table if slot >= 0]
            hashes = hashes_of([self._friends[slot] for slot in known])
            self._build(np.array(known, dtype=np.int32), hashes)
        self._table[self._place(friend_id)] = slot
        self._count += 1
        self._used += 1

    def pop(self, friend_id: FriendId) -> int:
        """Remove and return the friend's slot, or `NO_SLOT`; the list must still hold them."""
        at = self._place(friend_id)
        slot = self._table[at]
        if slot != NO_SLOT:
            self._table[at] = DELETED
            self._count -= 1
        return slot
