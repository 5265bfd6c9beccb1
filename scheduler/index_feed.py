"""The index feed: brings changes of friends in the database to this process's spatial index.

A process that changes or asks a friend updates its own index at once; the others poll for changes
here. Changes are read by transaction id, starting at the oldest transaction that was still running
at the poll before the last: a row that commits late is not missed, and if an older row overwrote a
newer one in the index, the next poll corrects it. Every few minutes all rows are compared with the
index.
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
    """Follows changes from `mark`, the result of `load_index`; without it, from a comparison."""

    def __init__(self, rt: Runtime, mark: str | None = None) -> None:
        self._rt = rt
        self._last = self._before = mark

    async def follow(self) -> None:
        """Apply what has changed since the poll before the last."""
        if self._before is None:
            return
        changes = await maintenance.read_friend_changes(self._rt, self._before)
        await friends.refresh_index(self._rt, changes.changed)
        for friend_id, live_offers in changes.live_offers.items():
            copy = self._rt.index.get(friend_id)
            if copy is not None and copy.live_offers != live_offers:
                self._rt.index.put(replace(copy, live_offers=live_offers))
        self._before, self._last = self._last, changes.mark

    async def reconcile(self) -> int:
        """Compare every row with the index, correct differences, and return their number."""
        if self._before is None:
            self._before = self._last = await maintenance.horizon(self._rt)
        suspects = await maintenance.index_differences(self._rt)
        # Changes that were only in transit arrive now and are not differences.
        await self.follow()
        differing = await maintenance.confirm_differences(self._rt, suspects)
        if differing:
            named = ", ".join(str(friend) for friend in sorted(differing)[:NAMED_MAX])
            log.error("%d friends differed in the index, corrected: %s", len(differing), named)
        await friends.refresh_index(self._rt, suspects)
        return len(differing)
