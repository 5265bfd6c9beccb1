"""What a flow may use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING
from uuid import UUID

from uuid_utils.compat import uuid7

from data.db import Pool
from data.records.catalogue import Package
from data.records.ids import FriendId
from data.records.jobs import Changes
from data.replace import replace
from data.settings import Settings
from dispatch.rules.policy import POLICY, Policy
from geo.gazetteer.offline import Gazetteer
from geo.geocode import Geocoder
from geo.index.friend_index import FriendIndex

if TYPE_CHECKING:
    import httpx2

Listener = Callable[[Sequence[Changes]], None]


@dataclass(kw_only=True)
class Runtime:
    """One process's share of tekkie. Truth is only in the database; all else here can be lost.

    `committed` are told of decisions after their commit: a hint to look now, never the only way.
    `gathering` is where flows.together keeps its queue, `lookups` those of flows.lookups; `mark` is
    from where to follow changes of friends once the index is loaded. `http` goes straight out, by
    no proxy that the environment names and after no redirect; the command line has none.
    """

    pool: Pool
    index: FriendIndex
    packages: Mapping[str, Package]
    gazetteer: Gazetteer
    geocoder: Geocoder
    settings: Settings
    policy: Policy = POLICY
    chance: Random = field(default_factory=Random)
    new_id: Callable[[], UUID] = uuid7
    on_commit: list[Listener] = field(default_factory=list)
    group_commit: object = None
    lookups: object = None
    mark: str | None = None
    http: httpx2.AsyncClient | None = None

    def adjust_counters(
        self, friend_id: FriendId, *, open_jobs: int = 0, live_offers: int = 0
    ) -> None:
        """Let this process's copy of a friend know at once by how much his counters changed."""
        if friend := self.index.get(friend_id):
            jobs = min(max(friend.open_jobs + open_jobs, 0), friend.capacity)
            offers = max(friend.live_offers + live_offers, 0)
            self.index.put(replace(friend, open_jobs=jobs, live_offers=offers))

    def notify(self, changes: Sequence[Changes]) -> None:
        """Hint to the listeners of this process that these decisions are committed."""
        for listener in self.on_commit:
            listener(changes)
