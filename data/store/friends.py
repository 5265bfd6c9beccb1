"""Friends with the facts that dispatch needs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import date, datetime
from functools import cache, lru_cache
from typing import Any
from uuid import UUID

import asyncpg

from data import sql_loader
from data.db import Connection
from data.enums import AreaKind, Channel, FriendState, Tier
from data.markets import Language, Market
from data.records.ids import CompanyId, FriendId
from data.records.people import Area, Friend, HeldCertificate, Plan, QuietHours
from data.replace import replace

sql = sql_loader.load("friends")

PAGE = 5000
CHANNELS = {
    (False, False): frozenset[Channel](),
    (False, True): frozenset({Channel.PUSH}),
    (True, False): frozenset({Channel.MAIL}),
    (True, True): frozenset({Channel.MAIL, Channel.PUSH}),
}
"""The channels of a friend by (has mail, has phone); the copies share these sets."""


async def lock(tx: Connection, ids: Iterable[FriendId]) -> None:
    """Lock these friends' rows in the order of their ids, so that their counters cannot change."""
    wanted = sorted(set(ids))
    if wanted:
        await tx.fetch(sql.lock, wanted)


async def facts(
    tx: Connection, ids: Iterable[FriendId], now: datetime
) -> Mapping[FriendId, Friend]:
    """Return these friends from their rows; live offers are counted as of `now`."""
    wanted = list(set(ids))
    if not wanted:
        return {}
    return {row["id"]: friend(row) for row in await tx.fetch(sql.facts, wanted, now)}


FindCopy = Callable[[FriendId], Friend | None]


async def current(
    tx: Connection, ids: Iterable[FriendId], now: datetime, copy: FindCopy
) -> Mapping[FriendId, Friend]:
    """Return the same as `facts`, but read in full only friends whose `copy` is out of date."""
    return await _refresh(tx, sql.fingerprint, ids, now, copy)


async def lock_current(
    tx: Connection, ids: Iterable[FriendId], now: datetime, copy: FindCopy
) -> Mapping[FriendId, Friend]:
    """Do `lock` and `current` in one query."""
    return await _refresh(tx, sql.lock_and_fingerprint, ids, now, copy)


async def _refresh(
    tx: Connection, query: str, ids: Iterable[FriendId], now: datetime, copy: FindCopy
) -> Mapping[FriendId, Friend]:
    wanted = list(set(ids))
    if not wanted:
        return {}
    fresh: dict[FriendId, Friend] = {}
    stale = []
    for friend_id, version, *counts in await tx.fetch(query, wanted, now):
        cached = copy(friend_id)
        if cached is None or cached.version != version:
            stale.append(friend_id)
        else:
            fresh[friend_id] = _with_counts(cached, *counts)
    fresh.update(await facts(tx, stale, now))
    return fresh


def _with_counts(
    cached: Friend,
    open_jobs: int,
    live_offers: int,
    taken: int | None = None,
    handed_back: int | None = None,
) -> Friend:
    """The copy with these counts, itself where they agree; None keeps the count of the copy."""
    taken = cached.taken if taken is None else taken
    handed_back = cached.handed_back if handed_back is None else handed_back
    counts = (open_jobs, live_offers, taken, handed_back)
    if (cached.open_jobs, cached.live_offers, cached.taken, cached.handed_back) == counts:
        return cached
    return replace(
        cached, open_jobs=open_jobs, live_offers=live_offers, taken=taken, handed_back=handed_back
    )


async def all_friends(tx: Connection, now: datetime) -> AsyncIterator[list[Friend]]:
    """Yield all friends in pages, ordered by id."""
    last = UUID(int=0)
    while ids := [row["id"] for row in await tx.fetch(sql.ids_after, last, PAGE)]:
        yield list((await facts(tx, ids, now)).values())
        last = ids[-1]


async def horizon(tx: Connection) -> str:
    """Return a mark: every change not visible yet will be at or after it."""
    mark: str = await tx.fetchval(sql.horizon)
    return mark


async def changed_since(tx: Connection, mark: str) -> list[FriendId]:
    """Return the friends changed at or after `mark`: none is missed, some may come twice."""
    return [row["id"] for row in await tx.fetch(sql.changed_since, mark)]


async def find_id(tx: Connection, word: str) -> FriendId | None:
    """Find a friend by id or ref."""
    found: UUID | None = await tx.fetchval(sql.find_id, word)
    return FriendId(found) if found else None


@cache
def _shared(company_id: CompanyId) -> CompanyId:
    """The one id that the copies of all its technicians share."""
    return company_id


def friend(row: asyncpg.Record) -> Friend:
    """Build a friend from a row of `facts`."""
    has_quiet_hours = row["quiet_from"] is not None
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
        taken=row["taken"],
        handed_back=row["handed_back"],
        jobs_per_day=row["jobs_per_day"],
        hand_backs_per_day=row["hand_backs_per_day"],
        certificates=tuple(
            HeldCertificate(code=code, valid_from=valid.lower, valid_until=valid.upper)
            for code, valid in zip(row["certificates"], row["valid"], strict=True)
        ),
        quiet=QuietHours(from_minute=row["quiet_from"], until_minute=row["quiet_until"])
        if has_quiet_hours
        else None,
        plan=plan(row),
        areas=areas(row),
        communities=frozenset(row["communities"]),
        blocked=frozenset(row["blocked"]),
        version=row["version"],
        born=row["born"],
        guarded=row["guarded"],
        company=row["company_id"] and _shared(row["company_id"]),
        level=row["level"],
        channels=CHANNELS[row["has_mail"], row["has_phone"]],
    )


def plan(row: asyncpg.Record | Mapping[str, Any]) -> Plan | None:
    """Return the plan in a friend's row, None if there is none; equal ones are one object."""
    week, holidays = row["week"], row["holidays"]
    if week is None and holidays is None:
        return None
    return _plan(None if week is None else tuple(week), tuple(holidays or ()))


@lru_cache(maxsize=10_000)
def _plan(week: tuple[int, ...] | None, holidays: tuple[date, ...]) -> Plan:
    return Plan(
        week=None if week is None else tuple(zip(week[::2], week[1::2], strict=True)),
        holidays=tuple(zip(holidays[::2], holidays[1::2], strict=True)),
    )


def areas(row: asyncpg.Record | Mapping[str, Any]) -> tuple[Area, ...]:
    """Return the areas in a friend's row."""
    return tuple(
        Area(
            **{
                **one,
                "kind": AreaKind(one["kind"]),
                "ring": tuple((x, y) for x, y in one["ring"]),
            }
        )
        for one in row["areas"] or ()
    )
