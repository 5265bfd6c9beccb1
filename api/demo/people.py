"""The people of the demo: invented helpers at real places, a partner, an operator, and you."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import Final

from data.enums import Tier
from data.markets import Language, Market
from data.records.ids import FriendId, PersonId
from data.seed import catalogue, town
from data.seed.town import InventedFriend
from dispatch.flows.partners import accounts
from dispatch.flows.people import friends, sessions
from dispatch.flows.people.friends import ProfileChange
from dispatch.runtime import Runtime
from geo.friend_import.reader import Row
from geo.point import Point, Precision

ACTOR: Final = "demo"
PARTNER: Final = "Demo Shop"
DESK: Final = ("Demo Desk", "desk@example.org")
TOKEN_LIFE: Final = timedelta(days=400)
CONCURRENT_MAX: Final = 6
YOU: Final = "you"
# The location of 8001 Zurich in the gazetteer: bookings there are offered to you first.
YOUR_BASE: Final = Point(lat=47.37060, lon=8.54160)
YOUR_ADDRESS: Final[Mapping[str, object]] = {
    "street": "Münsterhof 1",
    "postcode": "8001",
    "city": "Zürich",
    "country": "CH",
    "lat": 47.37055,
    "lon": 8.54177,
}


@dataclass(frozen=True, slots=True)
class SimulatedFriend:
    """A friend run by the demo; `busy` with offers or jobs from an earlier demo."""

    person: InventedFriend
    id: FriendId
    token: str
    busy: bool


@dataclass(frozen=True, slots=True)
class People:
    """Everybody in the demo; `new` if they were created just now.

    A login link works once in one browser; tokens are for scripts.
    """

    friends: Sequence[SimulatedFriend]
    names: dict[FriendId, str]
    your_token: str
    your_login: str
    desk_token: str
    desk_login: str
    partner_key: str
    new: bool


def invent_friends(count: int, seed: int) -> list[InventedFriend]:
    """`count` friends distributed over the towns, reproducible by `seed`."""
    towns = sorted(town.town_names(), reverse=True)
    people: list[InventedFriend] = []
    for number, name in enumerate(towns):
        share = count // len(towns) + (number < count % len(towns))
        for one in town.invent_friends(name, share, Random(f"{seed}:{name}")):  # noqa: S311
            local, _, domain = one.email.partition("@")
            people.append(replace(one, email=f"{local}.{name}@{domain}"))
    return people


async def create_people(rt: Runtime, count: int, seed: int) -> People:
    """Create everybody; existing ones stay."""
    people = invent_friends(count, seed)
    imported = await friends.import_friends(rt, [*map(_row, people), _your_row()], actor=ACTOR)
    ids = {friend.ref: friend.id for friend in rt.index}
    await _set_quiet_hours(rt, people, ids)
    tokens = await _create_tokens(rt, [ids[one.ref] for one in people])
    desk, you = await sessions.add_operator(rt, *DESK), PersonId(ids[YOU])
    return People(
        friends=[
            SimulatedFriend(one, ids[one.ref], token, _is_busy(rt, ids[one.ref]))
            for one, token in zip(people, tokens, strict=True)
        ],
        names={ids[one.ref]: short_name(one.name) for one in people} | {ids[YOU]: "YOU"},
        your_token=await sessions.create_token(rt, you, TOKEN_LIFE),
        your_login=await sessions.create_login_link(rt, you, TOKEN_LIFE),
        desk_token=await sessions.create_token(rt, desk, TOKEN_LIFE),
        desk_login=await sessions.create_login_link(rt, desk, TOKEN_LIFE),
        partner_key=await _partner_key(rt),
        new=imported.created > 0,
    )


def short_name(name: str) -> str:
    """A short form of a name: Luca B."""
    first, _, last = name.partition(" ")
    return f"{first} {last[:1]}." if last else first


def _is_busy(rt: Runtime, friend_id: FriendId) -> bool:
    friend = rt.index.get(friend_id)
    return friend is not None and friend.open_jobs + friend.live_offers > 0


async def _set_quiet_hours(
    rt: Runtime, people: Sequence[InventedFriend], ids: Mapping[str, FriendId]
) -> None:
    def differs(one: InventedFriend) -> bool:
        friend = rt.index.get(ids[one.ref])
        return friend is not None and friend.quiet != one.quiet

    async def update(one: InventedFriend) -> None:
        change = ProfileChange(quiet=one.quiet, clear_quiet=one.quiet is None)
        async with slots:
            await friends.change_profile(rt, ids[one.ref], change)

    slots = asyncio.Semaphore(CONCURRENT_MAX)
    await asyncio.gather(*(update(one) for one in people if differs(one)))


async def _create_tokens(rt: Runtime, ids: Sequence[FriendId]) -> list[str]:
    async def make(friend_id: FriendId) -> str:
        async with slots:
            return await sessions.create_token(rt, PersonId(friend_id), TOKEN_LIFE)

    slots = asyncio.Semaphore(CONCURRENT_MAX)
    return await asyncio.gather(*map(make, ids))


async def _partner_key(rt: Runtime) -> str:
    for partner in await accounts.list_partners(rt):
        if partner.name == PARTNER:
            for key in partner.keys:
                if key.revoked_at is None:
                    await accounts.revoke_key(rt, key.prefix)
            return await accounts.add_key(rt, PARTNER)
    _, secret = await accounts.add(rt, PARTNER)
    return secret


def _row(one: InventedFriend) -> Row:
    return Row(
        line=0,
        ref=one.ref,
        name=one.name,
        email=one.email,
        phone=one.phone,
        market=one.country,
        point=Point(lat=one.lat, lon=one.lon),
        precision=Precision.ADDRESS,
        precision_m=0,
        postcode=one.postcode,
        city=one.city,
        radius_m=one.radius_m,
        certificates=tuple(sorted(one.certificates)),
        languages=(one.language, *sorted(one.languages - {one.language})),
        tier=one.tier,
        capacity=one.capacity,
    )


def _your_row() -> Row:
    """A friend not run by the demo: all certificates, radius of 500 metres."""
    return Row(
        line=0,
        ref=YOU,
        name="Robin Nebenan",
        email="you@example.org",
        phone="+41440001739",
        market=Market.CH,
        point=YOUR_BASE,
        precision=Precision.ADDRESS,
        precision_m=0,
        postcode="8001",
        city="Zürich",
        radius_m=500,
        certificates=tuple(sorted(catalogue.load().certificates)),
        languages=tuple(Language),
        tier=Tier.FRIEND,
        capacity=20,
    )
