"""Writes to friends: imports from files, and changes of profile and state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from datetime import date, datetime
from itertools import chain

import asyncpg

from data import sql_loader
from data.db import Connection
from data.enums import FriendState, Tier
from data.markets import Language, Market
from data.records.ids import CustomerKey, FriendId, PartnerId
from data.records.people import Area, HeldCertificate, QuietHours

sql = sql_loader.load("friends")

Pair = tuple[FriendId, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FriendEntry:
    """A friend as imported from a file."""

    id: FriendId
    ref: str
    name: str
    email: str
    phone: str | None
    market: Market
    lat: float
    lon: float
    precision: str
    precision_m: int
    postcode: str | None
    city: str | None
    radius_m: int
    certificates: tuple[str, ...]
    languages: tuple[Language, ...]
    tier: Tier
    capacity: int


async def ids_by_ref(tx: Connection, refs: Sequence[str]) -> Mapping[str, FriendId]:
    """Return the ids of the existing friends with these refs."""
    return {row["ref"]: row["id"] for row in await tx.fetch(sql.ids_by_ref, refs)}


async def refs_by_email(tx: Connection, emails: Sequence[str]) -> Mapping[str, str]:
    """Return the refs of the friends with these case-folded e-mail addresses."""
    rows = await tx.fetch(sql.refs_by_email, emails)
    return {row["email"]: row["ref"] for row in rows}


async def comparable(tx: Connection, refs: Sequence[str]) -> dict[FriendId, Mapping[str, object]]:
    """Return what a file may change of the existing friends with these refs."""
    rows = [dict(row) for row in await tx.fetch(sql.comparable, refs)]
    return {FriendId(row.pop("id")): row for row in rows}


async def vacate_addresses(tx: Connection, refs: Sequence[str]) -> None:
    """Free the addresses of these friends, who get others in the same transaction."""
    if refs:
        ids = await ids_by_ref(tx, refs)
        await tx.execute(sql.lock, list(ids.values()))
        await tx.execute(sql.vacate_addresses, list(ids.values()))


async def put(tx: Connection, entries: Sequence[FriendEntry]) -> set[FriendId]:
    """Insert or update these friends; return those new or changed."""
    if not entries:
        return set()
    people = await tx.fetch(sql.put_people, *_columns(map(_person_row, entries)))
    rows = await tx.fetch(sql.put_friends, *_columns(map(_friend_row, entries)))
    changed = {row["id"] for row in (*people, *rows)}
    changed |= await _put_certificates(tx, entries)
    return changed


def _person_row(e: FriendEntry) -> tuple[object, ...]:
    return (
        *(e.id, e.name, e.email, e.phone, e.languages[0], e.postcode, e.city, e.market),
        *(e.lat, e.lon, e.precision, e.precision_m),
    )


def _friend_row(e: FriendEntry) -> tuple[object, ...]:
    return (e.id, e.ref, e.tier, e.market, " ".join(e.languages), e.radius_m, e.capacity)


async def _put_certificates(tx: Connection, entries: Sequence[FriendEntry]) -> set[FriendId]:
    wanted: set[Pair] = {(e.id, code) for e in entries for code in e.certificates}
    rows = await tx.fetch(sql.held_certificates, [e.id for e in entries])
    held: set[Pair] = {(row["friend_id"], row["certificate"]) for row in rows}
    for statement, pairs in (
        (sql.end_certificates, held - wanted),
        (sql.add_certificates, wanted - held),
    ):
        if pairs:
            await tx.execute(statement, *_columns(sorted(pairs)))
    return {friend_id for friend_id, _ in wanted ^ held}


async def certify(tx: Connection, friend_id: FriendId, code: str) -> bool | None:
    """Add a certificate from now on; False if the friend holds it, None if the kind is unknown."""
    held = await tx.fetch(sql.held_certificates, [friend_id])
    if any(row["certificate"] == code for row in held):
        return False
    done = await tx.execute(sql.add_certificates, [friend_id], [code])
    return True if done.endswith(" 1") else None


async def uncertify(tx: Connection, friend_id: FriendId, code: str) -> bool:
    """Remove a certificate; False if the friend does not hold it."""
    done = await tx.execute(sql.end_certificates, [friend_id], [code])
    return not done.endswith(" 0")


def _columns(rows: Iterable[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]


async def profile(tx: Connection, friend_id: FriendId) -> asyncpg.Record | None:
    """Return a friend's own profile, with mean stars; None if unknown."""
    return await tx.fetchrow(sql.profile, friend_id)


async def certificates(tx: Connection, friend_id: FriendId) -> tuple[HeldCertificate, ...]:
    """Return all certificates of a friend or an applicant, including expired ones."""
    return tuple(
        HeldCertificate(
            code=row["certificate"], valid_from=row["valid"].lower, valid_until=row["valid"].upper
        )
        for row in await tx.fetch(sql.certificates_of, friend_id)
    )


async def lock_friend(tx: Connection, friend_id: FriendId) -> FriendState | None:
    """Lock one friend's row; return the friend's state, None if there is none."""
    found = await tx.fetchval(sql.lock_friend, friend_id)
    return FriendState(found) if found else None


async def set_state(tx: Connection, friend_id: FriendId, state: FriendState) -> bool:
    """Set a friend's state; False if it is unchanged."""
    return await tx.fetchval(sql.set_state, friend_id, state) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class FriendLimits:
    """What the desk allows one friend; None is what the policy allows."""

    jobs_per_day: int | None
    hand_backs_per_day: int | None
    capacity_max: int | None
    radius_max_m: int | None


async def set_limits(tx: Connection, friend_id: FriendId, allowed: FriendLimits) -> bool:
    """Set what the desk allows a friend; False if there is none."""
    return await tx.fetchval(sql.set_limits, friend_id, *astuple(allowed)) is not None


async def set_quiet(tx: Connection, friend_id: FriendId, quiet: QuietHours | None) -> None:
    """Set or clear a friend's quiet hours."""
    span = (quiet.from_minute, quiet.until_minute) if quiet else (None, None)
    await tx.execute(sql.set_quiet, friend_id, *span)


async def set_week(
    tx: Connection, friend_id: FriendId, week: Sequence[tuple[int, int]] | None
) -> None:
    """Set the hours of the week in which a friend may be asked; None is any time."""
    await tx.execute(sql.set_week, friend_id, None if week is None else [*chain(*week)])


async def set_holidays(
    tx: Connection, friend_id: FriendId, holidays: Sequence[tuple[date, date]]
) -> None:
    """Set a friend's holidays."""
    await tx.execute(sql.set_holidays, friend_id, [*chain(*holidays)] or None)


async def set_areas(tx: Connection, friend_id: FriendId, areas: Sequence[Area]) -> None:
    """Set a friend's areas beside the base."""
    await tx.execute(sql.set_areas, friend_id, [asdict(area) for area in areas] or None)


async def set_reach(
    tx: Connection, friend_id: FriendId, radius_m: int, languages: Sequence[Language]
) -> None:
    """Set a friend's radius and languages."""
    await tx.execute(sql.set_reach, friend_id, radius_m, languages)


async def set_base(tx: Connection, friend_id: FriendId, lat: float, lon: float) -> None:
    """Move a friend's base."""
    await tx.execute(sql.set_base, friend_id, lat, lon)


async def record_base_move(tx: Connection, friend_id: FriendId, at: datetime) -> None:
    """Record when a friend last moved the base."""
    await tx.execute(sql.record_base_move, friend_id, at)


async def set_capacity(tx: Connection, friend_id: FriendId, capacity: int) -> None:
    """Set the limit of open jobs. Raises ConstraintViolation if the friend has more."""
    await tx.execute(sql.set_capacity, friend_id, capacity)


async def add_members(tx: Connection, partner: PartnerId, friends: Sequence[FriendId]) -> int:
    """Add friends to a partner's community; returns how many were not in it."""
    return len(await tx.fetch(sql.add_members, partner, friends))


async def remove_members(tx: Connection, partner: PartnerId, friends: Sequence[FriendId]) -> int:
    """Remove friends from a partner's community; returns how many were in it."""
    return len(await tx.fetch(sql.remove_members, partner, friends))


async def block(tx: Connection, friend: FriendId, customer: CustomerKey, by_friend: bool) -> bool:
    """Block offers between a friend and a customer from now on; False if they were blocked."""
    return await tx.fetchval(sql.block, friend, customer, by_friend) is not None


async def hurry_retries(tx: Connection, friends: Sequence[FriendId]) -> None:
    """Retry the unfilled bookings near these friends now."""
    await tx.execute(sql.hurry_retries, friends)


async def hurry_markets(tx: Connection, markets: Sequence[Market]) -> None:
    """Retry all unfilled bookings of these markets now."""
    await tx.execute(sql.hurry_markets, markets)
