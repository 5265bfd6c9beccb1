"""A null object for the friend index: it finds no friend and stores none."""

from __future__ import annotations

from data.records.people import Friend
from dispatch.rules.jobs.matching import is_available
from geo.index.friend_index import FriendIndex


class NullIndex(FriendIndex):
    """Stays empty, so that an import of many friends builds no trees."""

    def __init__(self) -> None:
        super().__init__(is_available)

    def put(self, friend: Friend) -> None:
        """Do nothing."""
