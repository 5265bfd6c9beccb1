"""Friends near a booking: the index proposes them, their rows decide.

The index may be slightly stale. It is queried for more friends than needed, and their rows are read
inside the transaction. When too few of them qualify, the query is repeated with a higher limit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from data.db import Connection
from data.enums import Outcome
from data.records.ids import CompanyId, FriendId
from data.records.people import Friend
from data.store import friends
from dispatch.rules.jobs import matching
from dispatch.rules.jobs.draft import PendingFanOut
from dispatch.rules.jobs.matching import Alike, Nearby, Need, Others
from dispatch.runtime import Runtime
from geo.index.friend_index import Query
from geo.point import Candidate, Point, distance_m

SPARE = 4
WIDER_BY = 4
ATTEMPTS_MAX = 4
BUSY = frozenset({Outcome.AT_CAPACITY, Outcome.TOO_MANY_OFFERS})


@dataclass(slots=True)
class _Search:
    """The search for one fan-out: the need it has reached, and the friends seen so far."""

    fan_out: PendingFanOut
    point: Point
    stage: int = 0
    spare: int = SPARE
    attempts: int = 0
    found: list[Candidate] = field(default_factory=list)
    colleagues: Counter[CompanyId] = field(default_factory=Counter)
    matched: dict[FriendId, Friend] = field(default_factory=dict)
    seen: dict[FriendId, float] = field(default_factory=dict)

    @property
    def need(self) -> Need | None:
        needs = self.fan_out.needs
        return needs[self.stage] if self.stage < len(needs) else None

    @property
    def per_company(self) -> int:
        """As many of one company as are searched for: one is asked, the others may be stale."""
        return max(self.spare // 2, 1)

    @property
    def count(self) -> int:
        return self.fan_out.want + len(self.fan_out.draft.live) + self.spare


async def find_candidates(
    rt: Runtime,
    tx: Connection,
    now: datetime,
    rows: dict[FriendId, Friend],
    pending: Sequence[PendingFanOut],
) -> Callable[[PendingFanOut], Awaitable[tuple[tuple[Nearby, ...], Others]]]:
    """Search the friends near these fan-outs; adds the rows read to `rows`.

    Returns a function that gives a fan-out the friends in its frame, as known at that moment, and
    by the index the others in reach. It
    searches again when earlier decisions of the batch have made too many of them unavailable.
    """
    searches = {
        id(fan_out): _Search(fan_out, matching.booking_reference_point(fan_out.booking, rt.policy))
        for fan_out in pending
    }
    reader = _CandidateReader(rt, tx, now, rows)
    unfinished = [search for search in searches.values() if search.need is not None]
    while unfinished:
        await reader.search(unfinished)
        unfinished = [
            search for search in unfinished if _sufficient_distances(rt, search, rows) is None
        ]

    async def candidates_of(fan_out: PendingFanOut) -> tuple[tuple[Nearby, ...], Others]:
        search = searches.get(id(fan_out))
        return await reader.read_frame(search) if search else ((), Others())

    return candidates_of


@dataclass(frozen=True, slots=True)
class _CandidateReader:
    """Reads candidates: the index, the transaction and all rows read so far.

    `gone` are those read in vain: whatever a copy says, they may not be asked.
    """

    rt: Runtime
    tx: Connection
    now: datetime
    rows: dict[FriendId, Friend]
    gone: set[FriendId] = field(default_factory=set)

    async def search(self, searches: Sequence[_Search]) -> None:
        for search, found in zip(searches, _query_index(self.rt, searches), strict=True):
            search.found = found
        await self.read_rows({c.friend_id for search in searches for c in search.found})
        for search in searches:
            search.seen.update(self._present(search.found))

    async def read_rows(self, ids: Set[FriendId]) -> None:
        unread = ids - self.rows.keys()
        self.rows.update(await friends.current(self.tx, unread, self.now, self.rt.index.get))
        self.gone.update(unread - self.rows.keys())

    def _present(self, found: Sequence[Candidate]) -> list[Candidate]:
        return [one for one in found if one.friend_id not in self.gone] if self.gone else [*found]

    async def read_frame(self, search: _Search) -> tuple[tuple[Nearby, ...], Others]:
        if search.fan_out.favourite is not None:
            await self.read_favourite(search, search.fan_out.favourite)
        while (fit := _sufficient_distances(self.rt, search, self.rows)) is None:
            await self.search([search])
        if len(fit) < search.fan_out.want:
            await self.read_rows(_busy_by_index(self.rt, search))
        nearest = self.rt.index.nearest_any(search.point, self.rt.policy.frame)
        frame = _build_frame(self.rt, search, self._present(nearest), self.rows)
        if len(fit) >= search.fan_out.want:
            # All up to the last of the nearest are listed, so that nobody has to be searched for.
            everybody = len(nearest) < self.rt.policy.frame
            return frame, Others(within_m=None if everybody else int(nearest[-1].distance_m))
        return frame, _find_others(self.rt, search, frame)

    async def read_favourite(self, search: _Search, favourite: FriendId) -> None:
        """Have the favourite in the frame, wherever they live."""
        await self.read_rows({favourite})
        row = self.rows.get(favourite)
        if row is not None:
            at = Point(lat=row.lat, lon=row.lon)
            search.seen.setdefault(favourite, distance_m(search.point, at))


def _query_index(rt: Runtime, searches: Sequence[_Search]) -> list[list[Candidate]]:
    queries = []
    for search in searches:
        search.attempts += 1
        queries.append(_build_query(search))
    return rt.index.nearest_many(queries)


def _build_query(search: _Search) -> Query:
    need = search.need
    assert need is not None  # a search without a need has ended
    return Query(
        point=search.point,
        certificates=need.certificates,
        want=search.count,
        qualifies=_build_filter(search, need),
        required=need.traits,
    )


def _build_filter(search: _Search, need: Need) -> Callable[[Friend, float], bool]:
    search.colleagues = Counter()

    def qualifies(friend: Friend, away_m: float) -> bool:
        if matching.reason(friend, away_m, need) is not None:
            return False
        if friend.company is not None:
            search.colleagues[friend.company] += 1
            if search.colleagues[friend.company] > search.per_company:
                return False
        search.matched[friend.id] = friend
        return True

    return qualifies


def _sufficient_distances(
    rt: Runtime, search: _Search, rows: Mapping[FriendId, Friend]
) -> list[float] | None:
    """Distances of the friends who qualify, ascending; None to search wider or the next need.

    They suffice when there are as many as wanted and no unread friend can be nearer.
    """
    need, want = search.need, search.fan_out.want
    if need is None:
        return []
    fitting = dict(_fitting(rt, search, need, rows))
    fit = sorted(fitting.values())
    more = len(search.found) >= search.count or _is_company_missed(search, fitting)
    if len(fit) >= want and not (more and fit[want - 1] > search.found[-1].distance_m):
        return fit
    if more and search.attempts < ATTEMPTS_MAX:
        search.spare *= WIDER_BY
        return None
    if fit:
        return fit
    search.stage, search.spare, search.attempts = search.stage + 1, SPARE, 0
    return [] if search.need is None else None


def _busy_by_index(rt: Runtime, search: _Search) -> set[FriendId]:
    """Friends nearby whose copy in the index is busy: a copy alone must not exclude them."""
    return {
        friend.id
        for c in rt.index.nearest_any(search.point, rt.policy.frame)
        if (friend := rt.index.get(c.friend_id))
        and any(matching.reason(friend, c.distance_m, n) in BUSY for n in search.fan_out.needs)
    }


def _is_company_missed(search: _Search, fitting: Mapping[UUID, float]) -> bool:
    """Whether only some technicians of a company were looked at, and none of them qualifies."""
    most = search.per_company
    return any(n > most and one not in fitting for one, n in search.colleagues.items())


def _fitting(
    rt: Runtime, search: _Search, need: Need, rows: Mapping[FriendId, Friend]
) -> Iterator[tuple[UUID, float]]:
    """The friends found whose rows qualify, or their companies, by distance; the nearest last."""
    asked = {offer.friend_id for offer in search.fan_out.draft.live}
    # The farthest first, so that the nearest of a company stands for it.
    for friend_id, indexed_m in reversed(search.found):
        row = rows.get(friend_id)
        if row is None or (asked and friend_id in asked):
            continue
        if row is search.matched[friend_id]:
            yield row.company or friend_id, indexed_m
            continue
        away_m = _distance_m(rt, search, row, indexed_m)
        if matching.reason(row, away_m, need) is None:
            yield row.company or friend_id, away_m


def _build_frame(
    rt: Runtime,
    search: _Search,
    nearest: Sequence[Candidate],
    rows: Mapping[FriendId, Friend],
) -> tuple[Nearby, ...]:
    seen = dict(search.seen)
    seen.update(nearest)
    nearby = []
    for friend_id, indexed_m in seen.items():
        copy = rt.index.get(friend_id)
        row = rows.get(friend_id, copy)
        if row is copy and copy is not None:
            nearby.append(Nearby(copy, indexed_m))
        elif row is not None:
            nearby.append(Nearby(row, _distance_m(rt, search, row, indexed_m)))
    return tuple(nearby)


def _find_others(rt: Runtime, search: _Search, frame: Sequence[Nearby]) -> Others:
    """Everybody in reach who is not listed."""
    listed = {near.friend.id for near in frame}
    alone = frozenset().union(*(need.excluded for need in search.fan_out.needs)) - listed
    alike = [Alike(*one) for one in rt.index.in_reach(search.point, listed | alone)]
    for friend in map(rt.index.get, alone):
        if friend is not None:
            away_m = distance_m(search.point, Point(lat=friend.lat, lon=friend.lon))
            if away_m <= matching.reach_m(friend, away_m, search.point):
                alike.append(Alike(friend, 1))
    return Others(alike=alike)


def _distance_m(rt: Runtime, search: _Search, row: Friend, indexed_m: float) -> float:
    copy = rt.index.get(row.id)
    if copy is not None and copy.lat == row.lat and copy.lon == row.lon:
        return indexed_m
    return distance_m(search.point, Point(lat=row.lat, lon=row.lon))
