"""The feed: changes of friends in the database reach this process's spatial index.

The index of the process that changes a friend, or asks him, follows at once; all others learn it
here. Changes are asked for by transaction id, from the oldest that was still running at the look
before the last: a row that commits late is not passed over, and whoever put an older row over a
newer one in between is put right half a second later. Every few minutes all rows are compared with
the index.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from dispatch.flows import maintenance
from dispatch.flows.people import friends
from dispatch.runtime import Runtime

log = logging.getLogger(__name__)

EVERY_S = 0.5
RECONCILE_EVERY_S = 300.0
NAMED_MAX = 10


class IndexFeed:
    """Follows the changes from `mark`, which `load_index` gave; without it, from a comparison."""

    def __init__(self, rt: Runtime, mark: str | None = None) -> None:
        self._rt = rt
        self._last = self._before = mark

    async def follow(self) -> None:
        """Bring the index up to what has changed since the look before the last."""
        if self._before is None:
            return
        news = await maintenance.read_friend_changes(self._rt, self._before)
        await friends.refresh_index(self._rt, news.changed)
        for friend_id, live_offers in news.live_offers.items():
            copy = self._rt.index.get(friend_id)
            if copy is not None and copy.live_offers != live_offers:
                self._rt.index.put(replace(copy, live_offers=live_offers))
        self._before, self._last = self._last, news.mark

    async def reconcile(self) -> int:
        """Compare every row with the index, mend what differs, and return how many did."""
        if self._before is None:
            self._before = self._last = await maintenance.horizon(self._rt)
        suspects = await maintenance.index_differences(self._rt)
        # What was merely on its way arrives now and is no difference.
        await self.follow()
        differing = await maintenance.confirm_differences(self._rt, suspects)
        if differing:
            named = ", ".join(str(friend) for friend in sorted(differing)[:NAMED_MAX])
            log.error("%d friends differed in the index, mended: %s", len(differing), named)
        await friends.refresh_index(self._rt, suspects)
        return len(differing)
