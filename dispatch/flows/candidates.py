"""Who is near: the index proposes, the rows decide.

The index may be a moment stale, so it is asked for more than are wanted, and those it names are
read again inside the transaction. Should too few of them still qualify, it is asked for more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime

from data.db import Connection
from data.enums import Outcome
from data.records.ids import FriendId
from data.records.people import Friend
from data.store import friends
from dispatch.rules.jobs import matching
from dispatch.rules.jobs.draft import PendingFanOut
from dispatch.rules.jobs.matching import Nearby, Need
from dispatch.runtime import Runtime
from geo.index.friend_index import Query
from geo.point import Candidate, Point, distance_m

SPARE = 4
WIDER_BY = 4
ATTEMPTS_MAX = 4
BUSY = frozenset({Outcome.AT_CAPACITY, Outcome.TOO_MANY_OFFERS})


@dataclass(slots=True)
class _Search:
    """One asking on its way through its needs, and everybody it has come across."""

    asking: PendingFanOut
    point: Point
    stage: int = 0
    spare: int = SPARE
    looks: int = 0
    found: list[Candidate] = field(default_factory=list)
    judged: dict[FriendId, Friend] = field(default_factory=dict)
    met: dict[FriendId, float] = field(default_factory=dict)

    @property
    def need(self) -> Need | None:
        needs = self.asking.needs
        return needs[self.stage] if self.stage < len(needs) else None

    @property
    def count(self) -> int:
        return self.asking.want + len(self.asking.draft.live) + self.spare


async def find_candidates(
    rt: Runtime,
    tx: Connection,
    now: datetime,
    known: dict[FriendId, Friend],
    askings: Sequence[PendingFanOut],
) -> Callable[[PendingFanOut], Awaitable[tuple[Nearby, ...]]]:
    """Find the friends these askings need to hear of; adds those read to `known`.

    Returns a function that gives an asking everybody in its frame, as known at that moment. It
    looks again for an asking whose friends were taken by decisions made before it in this batch.
    """
    searches = {
        id(asking): _Search(asking, matching.booking_reference_point(asking.booking, rt.policy))
        for asking in askings
    }
    eyes = _CandidateReader(rt, tx, now, known)
    open_ = [search for search in searches.values() if search.need is not None]
    while open_:
        await eyes.look(open_)
        open_ = [search for search in open_ if _sufficient_distances(rt, search, known) is None]

    async def around(asking: PendingFanOut) -> tuple[Nearby, ...]:
        search = searches.get(id(asking))
        return await eyes.frame(search) if search else ()

    return around


@dataclass(frozen=True, slots=True)
class _CandidateReader:
    """What it takes to look: the index, the transaction, and everybody read so far."""

    rt: Runtime
    tx: Connection
    now: datetime
    known: dict[FriendId, Friend]

    async def look(self, searches: Sequence[_Search]) -> None:
        for search, found in zip(searches, _query_index(self.rt, searches), strict=True):
            search.found = found
            search.met.update(found)
        await self.read({c.friend_id for search in searches for c in search.found})

    async def read(self, ids: Set[FriendId]) -> None:
        unread = ids - self.known.keys()
        self.known.update(await friends.current(self.tx, unread, self.now, self.rt.index.get))

    async def frame(self, search: _Search) -> tuple[Nearby, ...]:
        while (fit := _sufficient_distances(self.rt, search, self.known)) is None:
            await self.look([search])
        if len(fit) < search.asking.want:
            await self.read(_busy_by_index(self.rt, search))
        return _frame(self.rt, search, self.known)


def _query_index(rt: Runtime, searches: Sequence[_Search]) -> list[list[Candidate]]:
    queries = []
    for search in searches:
        search.looks += 1
        queries.append(_build_query(search))
    return rt.index.nearest_many(queries)


def _build_query(search: _Search) -> Query:
    need = search.need
    assert need is not None  # a search without a need is over
    return Query(
        point=search.point,
        certificates=need.certificates,
        want=search.count,
        qualifies=_build_filter(search, need),
        required=need.traits,
    )


def _build_filter(search: _Search, need: Need) -> Callable[[Friend, float], bool]:
    def qualifies(friend: Friend, away_m: float) -> bool:
        if matching.reason(friend, away_m, need) is not None:
            return False
        search.judged[friend.id] = friend
        return True

    return qualifies


def _sufficient_distances(
    rt: Runtime, search: _Search, known: Mapping[FriendId, Friend]
) -> list[float] | None:
    """How far those who are fit live, once it is enough; None to look wider, or for the next need.

    Enough is when as many are fit as are wanted, and nobody who was not read can be nearer.
    """
    need, want = search.need, search.asking.want
    if need is None:
        return []
    fit = sorted(_fitting_distances(rt, search, need, known))
    more = len(search.found) >= search.count
    if len(fit) >= want and not (more and fit[want - 1] > search.found[-1].distance_m):
        return fit
    if more and search.looks < ATTEMPTS_MAX:
        search.spare *= WIDER_BY
        return None
    if fit:
        return fit
    search.stage, search.spare, search.looks = search.stage + 1, SPARE, 0
    return [] if search.need is None else None


def _busy_by_index(rt: Runtime, search: _Search) -> set[FriendId]:
    """Those near whom only a copy calls busy: too few are left, and no copy alone may say so."""
    return {
        friend.id
        for c in rt.index.around(search.point, rt.policy.frame)
        if (friend := rt.index.get(c.friend_id))
        and any(matching.reason(friend, c.distance_m, n) in BUSY for n in search.asking.needs)
    }


def _fitting_distances(
    rt: Runtime, search: _Search, need: Need, known: Mapping[FriendId, Friend]
) -> Iterator[float]:
    """How far those are whom the search found and whose rows say that they may be asked."""
    asked = {offer.friend_id for offer in search.asking.draft.live}
    for friend_id, indexed_m in search.found:
        row = known.get(friend_id)
        if row is None or friend_id in asked:
            continue
        if row is search.judged[friend_id]:
            yield indexed_m
            continue
        away_m = _distance_m(rt, search, row, indexed_m)
        if matching.reason(row, away_m, need) is None:
            yield away_m


def _frame(rt: Runtime, search: _Search, known: Mapping[FriendId, Friend]) -> tuple[Nearby, ...]:
    met = dict(search.met)
    met.update(rt.index.around(search.point, rt.policy.frame))
    nearby = []
    for friend_id, indexed_m in met.items():
        copy = rt.index.get(friend_id)
        row = known.get(friend_id, copy)
        if row is copy and copy is not None:
            nearby.append(Nearby(copy, indexed_m))
        elif row is not None:
            nearby.append(Nearby(row, _distance_m(rt, search, row, indexed_m)))
    return tuple(nearby)


def _distance_m(rt: Runtime, search: _Search, row: Friend, indexed_m: float) -> float:
    copy = rt.index.get(row.id)
    if copy is not None and copy.lat == row.lat and copy.lon == row.lon:
        return indexed_m
    return distance_m(search.point, Point(lat=row.lat, lon=row.lon))
