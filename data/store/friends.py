"""Friends as the dispatcher sees them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import datetime
from uuid import UUID

import asyncpg

from data import sql_loader
from data.db import Connection
from data.enums import Channel, FriendState, Tier
from data.markets import Language, Market
from data.records.ids import FriendId
from data.records.people import Friend, HeldCertificate, QuietHours
from data.replace import replace

sql = sql_loader.load("friends")

PAGE = 5000
CHANNELS = {
    (False, False): frozenset[Channel](),
    (False, True): frozenset({Channel.PUSH}),
    (True, False): frozenset({Channel.MAIL}),
    (True, True): frozenset({Channel.MAIL, Channel.PUSH}),
}
"""By which ways somebody is reached who has mail, a phone, or both; the copies share them."""


async def lock(tx: Connection, ids: Iterable[FriendId]) -> None:
    """Lock these friends' rows in the order of their ids, so that their counters stand still."""
    wanted = sorted(set(ids))
    if wanted:
        await tx.fetch(sql.lock, wanted)


async def facts(
    tx: Connection, ids: Iterable[FriendId], now: datetime
) -> Mapping[FriendId, Friend]:
    """These friends as their rows say now; live offers are counted as of `now`."""
    wanted = list(set(ids))
    if not wanted:
        return {}
    return {row["id"]: friend(row) for row in await tx.fetch(sql.facts, wanted, now)}


FindCopy = Callable[[FriendId], Friend | None]


async def current(
    tx: Connection, ids: Iterable[FriendId], now: datetime, copy: FindCopy
) -> Mapping[FriendId, Friend]:
    """These friends as `facts` gives them, but read whole only where `copy` is out of date."""
    return await _refresh(tx, sql.fingerprint, ids, now, copy)


async def lock_current(
    tx: Connection, ids: Iterable[FriendId], now: datetime, copy: FindCopy
) -> Mapping[FriendId, Friend]:
    """`lock` and `current` at once."""
    return await _refresh(tx, sql.lock_and_fingerprint, ids, now, copy)


async def _refresh(
    tx: Connection, pulse: str, ids: Iterable[FriendId], now: datetime, copy: FindCopy
) -> Mapping[FriendId, Friend]:
    wanted = list(set(ids))
    if not wanted:
        return {}
    found: dict[FriendId, Friend] = {}
    stale = []
    for friend_id, version, open_jobs, live_offers in await tx.fetch(pulse, wanted, now):
        known = copy(friend_id)
        if known is None or known.version != version:
            stale.append(friend_id)
        elif (known.open_jobs, known.live_offers) != (open_jobs, live_offers):
            found[friend_id] = replace(known, open_jobs=open_jobs, live_offers=live_offers)
        else:
            found[friend_id] = known
    found.update(await facts(tx, stale, now))
    return found


async def all_friends(tx: Connection, now: datetime) -> AsyncIterator[list[Friend]]:
    """All friends, a page at a time, in the order of their ids."""
    last = UUID(int=0)
    while ids := [row["id"] for row in await tx.fetch(sql.ids_after, last, PAGE)]:
        yield list((await facts(tx, ids, now)).values())
        last = ids[-1]


async def horizon(tx: Connection) -> str:
    """A mark in the stream of changes: whatever is not visible yet will lie at or after it."""
    mark: str = await tx.fetchval(sql.horizon)
    return mark


async def changed_since(tx: Connection, mark: str) -> list[FriendId]:
    """The friends changed at or after `mark`; some may be told twice, none is missed."""
    return [row["id"] for row in await tx.fetch(sql.changed_since, mark)]


async def find_id(tx: Connection, word: str) -> FriendId | None:
    """The friend meant by an id or by the `ref` of an imported file."""
    found: UUID | None = await tx.fetchval(sql.find_id, word)
    return FriendId(found) if found else None


def friend(row: asyncpg.Record) -> Friend:
    """A friend from a row of `facts`."""
    quiet = row["quiet_from"] is not None
    return Friend(
        id=FriendId(row["id"]),
        ref=row["ref"],
        state=FriendState(row["state"]),
        tier=Tier(row["tier"]),
        market=Market(row["market"]),
        languages=frozenset(map(Language, row["languages"])),
        lat=row["lat"],
        lon=row["lon"],
        radius_m=row["radius_m"],
        capacity=row["capacity"],
        open_jobs=row["open_jobs"],
        live_offers=row["live_offers"],
        certificates=tuple(
            HeldCertificate(code=code, valid_from=valid.lower, valid_until=valid.upper)
            for code, valid in zip(row["certificates"], row["valid"], strict=True)
        ),
        quiet=QuietHours(from_minute=row["quiet_from"], until_minute=row["quiet_until"])
        if quiet
        else None,
        communities=frozenset(row["communities"]),
        blocked=frozenset(row["blocked"]),
        version=row["version"],
        channels=CHANNELS[row["has_mail"], row["has_phone"]],
    )
