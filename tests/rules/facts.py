"""Invented facts for the pure rules: friends north of a customer, and scenarios of one job."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from data.enums import BookingState, OfferState, PackageTier, Tier
from data.markets import Currency, Language, Market
from data.records.catalogue import Package
from data.records.ids import BookingId, FriendId, PersonId, customer_key
from data.records.jobs import Booking, Changes, Job, Offer
from data.records.messages import Event
from data.records.money import Money
from data.records.people import Friend, HeldCertificate
from dispatch.rules.jobs import fan_out, matching
from dispatch.rules.jobs import job as rules
from dispatch.rules.jobs.draft import Case, PendingFanOut, Verdict
from dispatch.rules.jobs.matching import Nearby, Need
from dispatch.rules.policy import POLICY, Policy
from geo.point import Point, distance_m

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HERE = Point(lat=47.3667, lon=8.5410)
METRES_A_DEGREE = 111_195.0
WIFI = HeldCertificate(code="wifi", valid_from=NOW - timedelta(days=365), valid_until=None)
VERA = customer_key("vera@example.com")
BOOKING = BookingId(UUID("0197f0a0-0000-7000-8000-000000000001"))


def package(tier: PackageTier = PackageTier.FRIEND_THEN_PRO, *certificates: str) -> Package:
    return Package(
        code="wifi-setup",
        category="wifi_network",
        tier=tier,
        minutes=60,
        certificates=frozenset(certificates or ("wifi",)),
        texts={},
        prices={Market.CH: Money(amount=6900, currency=Currency.CHF)},
    )


def friend(number: int, **changes: Any) -> Friend:
    """Friend number n lives n times 100 m north of the customer and may be asked."""
    fields: dict[str, Any] = {
        "id": FriendId(UUID(int=number)),
        "ref": f"f{number}",
        "state": "active",
        "tier": Tier.FRIEND,
        "market": Market.CH,
        "languages": frozenset({Language.DE}),
        "lat": HERE.lat + number * 100 / METRES_A_DEGREE,
        "lon": HERE.lon,
        "radius_m": 20_000,
        "capacity": 3,
        "certificates": (WIFI,),
    }
    fields["state"] = changes.pop("state", matching.FriendState.ACTIVE)
    return Friend(**fields | changes)


def booking(**changes: Any) -> Booking:
    fields: dict[str, Any] = {
        "id": BOOKING,
        "state": BookingState.OPEN,
        "package": "wifi-setup",
        "market": Market.CH,
        "language": Language.DE,
        "customer_id": PersonId(UUID(int=9_000_001)),
        "customer_key": VERA,
        "partner_id": None,
        "partner_reference": None,
        "members_only": False,
        "wishes": (),
        "price": Money(amount=6900, currency=Currency.CHF),
        "pay": Money(amount=5520, currency=Currency.CHF),
        "lat": HERE.lat,
        "lon": HERE.lon,
        "cell_lat": HERE.lat,
        "cell_lon": HERE.lon,
        "cell_label": "8001 Zürich",
        "created_at": NOW,
        "state_at": NOW,
        "tier": Tier.FRIEND,
    }
    return Booking(**fields | changes)


def need(**changes: Any) -> Need:
    fields: dict[str, Any] = {
        "certificates": frozenset({"wifi"}),
        "tier": Tier.FRIEND,
        "market": Market.CH,
        "language": Language.DE,
        "community": None,
        "customer_key": VERA,
        "excluded": frozenset(),
        "live_offers_max": 5,
        "now": NOW,
        "minute": 600,
        "today": NOW.date(),
        "min_age": 18,
    }
    return Need(**fields | changes)


def near(*friends: Friend) -> tuple[Nearby, ...]:
    return tuple(
        Nearby(friend=f, distance_m=distance_m(HERE, Point(lat=f.lat, lon=f.lon))) for f in friends
    )


class Scenario:
    """One job, its friends and its clock; `apply` runs a rule and keeps its changes."""

    def __init__(
        self,
        *friends: Friend,
        package: Package | None = None,
        policy: Policy = POLICY,
        actor: str = "system",
        **changes: Any,
    ) -> None:
        wanted = package or globals()["package"]()
        first = booking(tier=matching.first_tier(wanted), **changes)
        self.job = Job(booking=first, package=wanted)
        self.friends = {f.id: f for f in friends}
        self.policy = policy
        self.actor = actor
        self.now = NOW
        self.applied: list[Changes] = []

    def case(self) -> Case:
        return Case(job=self.job, now=self.now, policy=self.policy, actor=self.actor)

    def apply(self, rule: Callable[..., Verdict], *args: Any) -> Changes | None:
        verdict = rule(self.case(), *args)
        if isinstance(verdict, PendingFanOut):
            verdict = fan_out.finish(verdict, near(*self.friends.values()))
        if verdict is not None:
            self._keep(verdict)
        return verdict

    def _keep(self, changes: Changes) -> None:
        self.job = self.job.after(changes)
        self.applied.append(changes)
        for friend_id, by in changes.open_jobs.items():
            friend = self.friends[friend_id]
            self.friends[friend_id] = replace(friend, open_jobs=friend.open_jobs + by)

    def book(self) -> "Scenario":
        self.apply(rules.book)
        return self

    def award(self) -> "Scenario":
        """The nearest asked friend accepts."""
        self.book()
        return self.accept(self.live[0])

    def accept(self, offer: Offer) -> "Scenario":
        self.apply(rules.accept, offer.id, self.friends[offer.friend_id])
        return self

    def contact(self) -> "Scenario":
        self.award()
        self.apply(rules.confirm_contact)
        return self

    def advance(self, **by: float) -> "Scenario":
        self.now += timedelta(**by)
        return self

    @property
    def live(self) -> list[Offer]:
        return sorted(self.job.live, key=lambda offer: offer.distance_m)

    @property
    def asked(self) -> list[str]:
        return [self.friends[offer.friend_id].ref for offer in self.live]

    @property
    def state(self) -> BookingState:
        return self.job.booking.state

    @property
    def events(self) -> list[Event]:
        return [event for changes in self.applied for event in changes.events]

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    def offers(self, state: OfferState) -> list[str]:
        return [self.friends[o.friend_id].ref for o in self.job.offers if o.state is state]


def friends(count: int, **changes: Any) -> Iterable[Friend]:
    return (friend(number, **changes) for number in range(1, count + 1))
