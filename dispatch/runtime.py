"""What a flow may use: connections, index, catalogue, policy and listeners."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING
from uuid import UUID

from uuid_utils.compat import uuid7

from data.db import Pool
from data.records.catalogue import Catalogue, Package
from data.records.ids import FriendId
from data.records.jobs import Changes
from data.replace import replace
from data.settings import Settings
from dispatch.rules.policy import POLICY, Policy
from geo.gazetteer.offline import Gazetteer
from geo.geocode import Geocoder
from geo.index.friend_index import FriendIndex
from geo.routing import Router

if TYPE_CHECKING:
    import httpx2

Listener = Callable[[Sequence[Changes]], None]


@dataclass(kw_only=True)
class Runtime:
    """The resources of one process. All state that matters is in the database; this can be lost.

    `on_commit` are called with decisions after their commit: a hint to look now, never relied on.
    `group_commit`, `lookups` and `supply` belong to the flows of these names. `mark` is the
    position from which to follow changes of friends once the index is loaded. `kept_policies` are
    known to be in the database. `http` uses no proxy of the
    environment and follows no redirect; the command line has none. Without a routing server
    `router` is None.
    """

    pool: Pool
    index: FriendIndex
    catalogue: Catalogue
    gazetteer: Gazetteer
    geocoder: Geocoder
    settings: Settings
    policy: Policy = POLICY
    chance: Random = field(default_factory=Random)
    new_id: Callable[[], UUID] = uuid7
    on_commit: list[Listener] = field(default_factory=list)
    group_commit: object = None
    lookups: object = None
    supply: object = None
    mark: str | None = None
    kept_policies: set[UUID] = field(default_factory=set)
    router: Router | None = None
    http: httpx2.AsyncClient | None = None

    @property
    def packages(self) -> Mapping[str, Package]:
        """The packages on sale, by code."""
        return self.catalogue.on_sale

    def adjust_counters(
        self, friend_id: FriendId, *, open_jobs: int = 0, live_offers: int = 0
    ) -> None:
        """Change the counters of this process's copy of a friend by these amounts."""
        if friend := self.index.get(friend_id):
            jobs = min(max(friend.open_jobs + open_jobs, 0), friend.capacity)
            offers = max(friend.live_offers + live_offers, 0)
            self.index.put(replace(friend, open_jobs=jobs, live_offers=offers))

    def notify(self, changes: Sequence[Changes]) -> None:
        """Call the listeners of this process: these decisions are committed."""
        for listener in self.on_commit:
            listener(changes)
