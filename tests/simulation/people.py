"""The friends, packages, bookings and customers of a simulated town."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from data.enums import BookingState, FriendState, PackageTier, Tier
from data.markets import Currency, Language, Market
from data.records.catalogue import Package
from data.records.ids import BookingId, FriendId, PersonId, customer_key
from data.records.jobs import Booking
from data.records.money import Money
from data.records.people import Friend, HeldCertificate, Person
from geo.point import Point

START = datetime(2026, 3, 28, 12, 0, tzinfo=UTC)
PLACES = 6
CELL = Point(47.004, 8.004)
WIFI = HeldCertificate(code="wifi", valid_from=START - timedelta(days=9), valid_until=None)
KEYS = [customer_key(f"customer{n}@example.com") for n in range(9)]


def happens(chance: Random, percent: float) -> bool:
    """True in so many of a hundred cases."""
    return chance.random() * 100 < percent


def distances(friends: Collection[FriendId], chance: Random) -> list[dict[FriendId, float]]:
    """The distance of each friend from each place, in metres."""
    return [
        {friend_id: float(chance.randrange(50, 6000)) for friend_id in friends}
        for _ in range(PLACES)
    ]


def friend(number: int, chance: Random) -> Friend:
    return Friend(
        id=FriendId(UUID(int=number)),
        ref=f"f{number}",
        state=FriendState.ACTIVE,
        tier=Tier.PRO if number % 3 == 0 else Tier.FRIEND,
        market=Market.CH,
        languages=frozenset({Language.DE}) | ({Language.FR} if happens(chance, 40) else set()),
        lat=47.0,
        lon=8.0,
        radius_m=chance.choice([2_000, 5_000, 20_000, 20_000]),
        capacity=chance.choice([1, 2, 4]),
        certificates=(WIFI,) if happens(chance, 85) else (),
        blocked=frozenset({KEYS[0]}) if happens(chance, 20) else frozenset(),
    )


def package(tier: PackageTier) -> Package:
    return Package(
        code=f"wifi-{tier}",
        category="wifi_network",
        tier=tier,
        minutes=60,
        certificates=frozenset({"wifi"}),
        texts={},
        prices={},
    )


def booking(id_: BookingId, number: int, now: datetime, chance: Random) -> Booking:
    return Booking(
        id=id_,
        state=BookingState.OPEN,
        package="wifi",
        market=Market.CH,
        language=Language.FR if happens(chance, 20) else Language.DE,
        customer_id=PersonId(UUID(int=10_000 + number)),
        customer_key=KEYS[number % len(KEYS)],
        partner_id=None,
        partner_reference=None,
        members_only=False,
        wishes=(),
        price=Money(amount=6900, currency=Currency.CHF),
        pay=Money(amount=5520, currency=Currency.CHF),
        lat=47.0,
        lon=8.0,
        cell_lat=CELL.lat,
        cell_lon=CELL.lon,
        cell_label="",
        created_at=now,
        state_at=now,
        tier=Tier.FRIEND,
        favourite_id=FriendId(UUID(int=number % 24 + 1)) if number % 7 == 3 else None,
    )


def customer(booking: Booking) -> Person:
    empty = dict.fromkeys(
        ("phone", "street", "postcode", "city", "country", "lat", "lon", "precision"), None
    )
    return Person(
        id=booking.customer_id,
        name="Vera Beispiel",
        email="vera@example.com",
        language=booking.language,
        radius_m=None,
        notes=None,
        **empty,
    )
