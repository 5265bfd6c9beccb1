"""An index for whoever asks nobody: it knows no friend and learns of none."""

from __future__ import annotations

from data.records.people import Friend
from dispatch.rules.jobs.matching import is_available
from geo.index.friend_index import FriendIndex


class Unindexed(FriendIndex):
    """Stays empty, so that an import of many friends builds no trees to be thrown away."""

    def __init__(self) -> None:
        super().__init__(is_available)

    def put(self, friend: Friend) -> None:
        """Learn nothing."""
