"""Invented friends and orders for tests, by default near the Bürkliplatz in Zurich."""

from collections.abc import Sequence
from typing import Any

from data.enums import OfferState, Tier
from data.markets import Language, Market
from data.records.ids import BookingId, FriendId
from data.records.jobs import Offer
from dispatch.flows.execute import CommandResult
from dispatch.flows.jobs import commands
from dispatch.flows.jobs.orders import Order
from dispatch.flows.people import friends
from dispatch.runtime import Runtime
from geo.friend_import.reader import Row
from geo.geocode import Address
from geo.point import Point, Precision

ZURICH = Point(lat=47.3667, lon=8.5410)
METRES_PER_DEGREE = 111_195.0
SIGNED = "M0 0L600 200"
"""A signature of a customer, which lets a job be completed at once."""
SIGNATURE = {"width": 600, "height": 200, "strokes": [[0, 0, 600, 200]]}
"""The same, as the API takes it."""
NO_LIMIT = 30_000
"""More jobs in a day than are ever counted (DAY_LIMIT_MAX): only the database can lift a limit."""
NO_LIMITS = f"UPDATE friends SET jobs_per_day = {NO_LIMIT}, hand_backs_per_day = {NO_LIMIT}"


def north(metres: float, of: Point = ZURICH) -> Point:
    """Return the point so many metres north of another, to within a few metres."""
    return Point(lat=of.lat + metres / METRES_PER_DEGREE, lon=of.lon)


def friend_row(ref: str, point: Point = ZURICH, **changes: Any) -> Row:
    """Return a friend to import: certified for Wi-Fi and Mac, German and English, radius 20 km."""
    fields: dict[str, Any] = {
        "line": 2,
        "ref": ref,
        "name": f"{ref.capitalize()} Muster",
        "email": f"{ref}@example.org",
        "phone": "+41440000000",
        "market": Market.CH,
        "point": point,
        "precision": Precision.ADDRESS,
        "precision_m": 0,
        "postcode": "8001",
        "city": "Zürich",
        "radius_m": 20_000,
        "certificates": ("wifi", "mac"),
        "languages": (Language.DE, Language.EN),
        "tier": Tier.FRIEND,
        "capacity": 3,
    }
    return Row(**fields | changes)


async def import_friends(rt: Runtime, rows: Sequence[Row]) -> dict[str, FriendId]:
    """Import these friends; return their ids by ref."""
    await friends.import_friends(rt, rows, actor="system")
    return {friend.ref: friend.id for friend in rt.index}


async def import_neighbours(rt: Runtime, count: int, **changes: Any) -> dict[str, FriendId]:
    """Import friends f1, f2, … at 100 m, 200 m, … from the customer; return their ids by ref."""
    return await import_friends(
        rt, [friend_row(f"f{n}", north(100 * n), **changes) for n in range(1, count + 1)]
    )


def order(**changes: Any) -> Order:
    """Return the order of a customer in Zurich whose Wi-Fi does not work."""
    fields: dict[str, Any] = {
        "package": "wifi-setup",
        "address": Address(street="Bahnhofstrasse 1", postcode="8001", city="Zürich", country="CH"),
        "point": ZURICH,
        "name": "Vera Beispiel",
        "email": "vera@example.com",
        "phone": "+41440000001",
        "language": Language.DE,
        "notes": "Third floor, ring twice.",
    }
    return Order(**fields | changes)


async def book_job(rt: Runtime, **changes: Any) -> CommandResult:
    """Book and return the result."""
    done = await commands.book(
        rt, order(**changes), actor="customer", claim=None, build_response=lambda done: {}
    )
    assert isinstance(done, CommandResult)
    return done


def live_offers_of(done: CommandResult) -> list[Offer]:
    """Return the live offers of a job, nearest first."""
    offers = [offer for offer in done.job.offers if offer.state is OfferState.LIVE]
    return sorted(offers, key=lambda offer: offer.distance_m)


def asked_refs(done: CommandResult, refs: dict[str, FriendId]) -> list[str]:
    """Return the refs of the friends with live offers, nearest first."""
    names = {friend_id: ref for ref, friend_id in refs.items()}
    return [names[offer.friend_id] for offer in live_offers_of(done)]


async def book_and_accept(rt: Runtime) -> tuple[BookingId, Offer]:
    """Book and let the nearest friend accept; return the booking and that friend's offer."""
    done = await book_job(rt)
    offer = live_offers_of(done)[0]
    await commands.accept(rt, offer.id, offer.friend_id)
    return done.job.booking.id, offer
