"""The people of the demo: invented helpers on real places, a partner, the desk, and you."""

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
LIFE: Final = timedelta(days=400)
AT_ONCE: Final = 6
YOU: Final = "you"
# Where the gazetteer sees 8001 Zurich: whoever books there and moves no pin rings you first.
YOUR_PLACE: Final = Point(lat=47.37060, lon=8.54160)
YOUR_ADDRESS: Final[Mapping[str, object]] = {
    "street": "Münsterhof 1",
    "postcode": "8001",
    "city": "Zürich",
    "country": "CH",
    "lat": 47.37055,
    "lon": 8.54177,
}


@dataclass(frozen=True, slots=True)
class Player:
    """A friend whom the demo plays; `busy` when an earlier demo left him offers or jobs."""

    person: InventedFriend
    id: FriendId
    token: str
    busy: bool


@dataclass(frozen=True, slots=True)
class Cast:
    """Everybody. `new` says that they were invented just now.

    A login opens one browser once; tokens are for scripts.
    """

    players: Sequence[Player]
    names: Mapping[FriendId, str]
    your_token: str
    your_login: str
    desk_token: str
    desk_login: str
    partner_key: str
    new: bool


def invented(count: int, seed: int) -> list[InventedFriend]:
    """`count` friends, shared out among the towns; the same seed gives the same."""
    towns = sorted(town.town_names(), reverse=True)
    people: list[InventedFriend] = []
    for number, name in enumerate(towns):
        share = count // len(towns) + (number < count % len(towns))
        for one in town.invent_friends(name, share, Random(f"{seed}:{name}")):  # noqa: S311
            local, _, domain = one.email.partition("@")
            people.append(replace(one, email=f"{local}.{name}@{domain}"))
    return people


async def assemble(rt: Runtime, count: int, seed: int) -> Cast:
    """Bring everybody in; whoever is there already stays."""
    people = invented(count, seed)
    done = await friends.import_friends(rt, [*map(_row, people), _you()], actor=ACTOR)
    ids = {friend.ref: friend.id for friend in rt.index}
    await _quiet_hours(rt, people, ids)
    tokens = await _tokens(rt, [ids[one.ref] for one in people])
    desk, you = await sessions.add_operator(rt, *DESK), PersonId(ids[YOU])
    return Cast(
        players=[
            Player(one, ids[one.ref], token, _is_busy(rt, ids[one.ref]))
            for one, token in zip(people, tokens, strict=True)
        ],
        names={ids[one.ref]: short(one.name) for one in people} | {ids[YOU]: "YOU"},
        your_token=await sessions.create_token(rt, you, LIFE),
        your_login=await sessions.create_login_link(rt, you, LIFE),
        desk_token=await sessions.create_token(rt, desk, LIFE),
        desk_login=await sessions.create_login_link(rt, desk, LIFE),
        partner_key=await _key(rt),
        new=done.created > 0,
    )


def short(name: str) -> str:
    """A name as it is called across the street: Luca B."""
    first, _, last = name.partition(" ")
    return f"{first} {last[:1]}." if last else first


def _is_busy(rt: Runtime, friend_id: FriendId) -> bool:
    friend = rt.index.get(friend_id)
    return friend is not None and friend.open_jobs + friend.live_offers > 0


async def _quiet_hours(
    rt: Runtime, people: Sequence[InventedFriend], ids: Mapping[str, FriendId]
) -> None:
    def differs(one: InventedFriend) -> bool:
        friend = rt.index.get(ids[one.ref])
        return friend is not None and friend.quiet != one.quiet

    async def change(one: InventedFriend) -> None:
        wish = ProfileChange(quiet=one.quiet, clear_quiet=one.quiet is None)
        async with few:
            await friends.change_profile(rt, ids[one.ref], wish)

    few = asyncio.Semaphore(AT_ONCE)
    await asyncio.gather(*(change(one) for one in people if differs(one)))


async def _tokens(rt: Runtime, ids: Sequence[FriendId]) -> list[str]:
    async def make(friend_id: FriendId) -> str:
        async with few:
            return await sessions.create_token(rt, PersonId(friend_id), LIFE)

    few = asyncio.Semaphore(AT_ONCE)
    return await asyncio.gather(*map(make, ids))


async def _key(rt: Runtime) -> str:
    for partner in await accounts.list_partners(rt):
        if partner.name == PARTNER:
            for former in partner.keys:
                if former.revoked_at is None:
                    await accounts.revoke_key(rt, former.prefix)
            return await accounts.add_key(rt, PARTNER)
    _, key = await accounts.add(rt, PARTNER)
    return key


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


def _you() -> Row:
    """A friend whom nobody plays: he can do everything and goes 500 metres."""
    return Row(
        line=0,
        ref=YOU,
        name="Robin Nebenan",
        email="you@example.org",
        phone="+41440001739",
        market=Market.CH,
        point=YOUR_PLACE,
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
