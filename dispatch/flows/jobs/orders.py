"""Quotes and new bookings: locate the address, find the price, prepare the booking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from data.db import Connection, moment, transaction
from data.enums import BookingState, Wish
from data.markets import Language, Market
from data.records.ids import (
    BookingId,
    FriendId,
    PartnerId,
    PersonId,
    QuotaKey,
    contact_key,
    customer_key,
)
from data.records.jobs import Booking
from data.records.money import Money
from data.records.people import Person
from data.store import idempotency_keys, quotes, read_models
from data.store.idempotency_keys import Claim
from data.store.quotes import Quote
from dispatch.flows.execute import KeyReused
from dispatch.flows.places.supply import supply_steps
from dispatch.flows.read_only import read_connection
from dispatch.rules.jobs import matching
from dispatch.rules.jobs.catalogue import package_named, package_sold
from dispatch.rules.money import prices
from dispatch.rules.refusals import NotFound, Refused
from dispatch.runtime import Runtime
from geo import cells
from geo.geocode import Address, GeocodedAddress
from geo.point import Point, Precision


class QuoteExpired(Refused):
    """This quote is no longer valid."""

    code = "quote-expired"
    field = "quote_id"


class NoSuchFavourite(Refused):
    """The friend of that booking cannot be asked first."""

    code = "no-such-favourite"
    field = "ask_first"
    detail = "Name a completed booking of the same mail address, or leave it out."


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A validated request for a booking: one package, one place, one customer.

    Unless the caller is `vouched` for, the booking is counted by `quotas`, and the customer must
    confirm the mail address, which being signed in has `confirmed`; `proof` is a proof of work. The
    friend of the booking `ask_first`, which is the caller's own, is asked first.
    """

    package: str
    address: Address
    name: str
    email: str
    phone: str | None
    language: Language
    point: Point | None = None
    notes: str | None = None
    wishes: tuple[Wish, ...] = ()
    quote_id: UUID | None = None
    partner_id: PartnerId | None = None
    partner_reference: str | None = None
    members_only: bool = False
    vouched: bool = True
    confirmed: bool = False
    quotas: tuple[QuotaKey, ...] = ()
    proof: QuotaKey | None = None
    ask_first: BookingId | None = None

    @property
    def contact(self) -> str | None:
        """The pseudonym of mail address and telephone number; None where somebody vouches."""
        return None if self.vouched else contact_key(customer_key(self.email), self.phone)

    @property
    def reference(self) -> tuple[PartnerId, str] | None:
        """The partner and the partner's own reference, if given."""
        if self.partner_id is None or self.partner_reference is None:
            return None
        return self.partner_id, self.partner_reference


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteResult:
    """A quote, how many helpers could come, and where the address lies."""

    quote: Quote
    helpers: str
    located: GeocodedAddress
    repeated: bool = False

    @property
    def serviceable(self) -> bool:
        """Whether at least one helper could come."""
        return self.helpers != "0"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedBooking:
    """An order with its place and price; `create` makes its booking."""

    cell: Point
    create: Callable[[BookingId, datetime], tuple[Booking, Person]]


async def locate(rt: Runtime, address: Address, point: Point | None) -> GeocodedAddress:
    """Where an address lies; a given point is used as it is if it lies in country and postcode."""
    if point is None:
        return await rt.geocoder.locate(address)
    rt.gazetteer.check_plausible(address.country, point)
    rt.gazetteer.check_postcode(address.country, address.postcode, point)
    return GeocodedAddress(point=point, precision=Precision.ADDRESS, radius_m=0, label="")


async def quote(
    rt: Runtime,
    *,
    package: str,
    address: Address,
    point: Point | None,
    partner_id: PartnerId | None,
    claim: Claim | None = None,
) -> QuoteResult:
    """Price and number of helpers for an address; the price is valid until the quote expires.

    Helpers are counted by cells and steps of time, so that nobody's base can be measured.

    A repeat under the same claim gets the same quote. Raises KeyReused.
    """
    market = Market(address.country)
    wanted = package_named(rt.packages, package, partner_id).in_market(market)
    price = prices.price(wanted, market)
    located = await locate(rt, address, point)
    async with read_connection(rt) as tx:
        now = await moment(tx)
    # Counted before the transaction, which would hold a connection meanwhile.
    supply = await supply_steps(rt).supply(wanted, market, now)
    helpers = supply.helpers(located.point)
    async with transaction(rt.pool) as tx:
        if claim is not None and (before := await _find_repeated_quote(tx, claim, located)):
            return before
        kept = await quotes.insert(
            tx,
            quote_id=rt.new_id(),
            package=package,
            market=market,
            price=price,
            partner_id=partner_id,
            lifetime=rt.policy.quote_life,
        )
        if claim is not None:
            await idempotency_keys.store_responses(
                tx, {claim.name: {"quote": str(kept.id), "helpers": helpers}}
            )
    return QuoteResult(quote=kept, helpers=helpers, located=located)


async def _find_repeated_quote(
    tx: Connection, claim: Claim, located: GeocodedAddress
) -> QuoteResult | None:
    stored = (await idempotency_keys.claim(tx, [claim])).get(claim.name)
    if stored is None:
        return None
    if stored.request_sha256 != claim.request_sha256:
        raise KeyReused
    kept = await quotes.find(tx, UUID(stored.body["quote"]))
    if kept is None:
        raise QuoteExpired("ask for a new one under a new key")
    return QuoteResult(quote=kept, helpers=stored.body["helpers"], located=located, repeated=True)


async def prepare_booking(rt: Runtime, order: Order) -> PreparedBooking:
    """Find the place, the price and the favourite of an order. Raises NoSuchFavourite."""
    market = Market(order.address.country)
    prices.price(package_named(rt.packages, order.package, order.partner_id), market)
    located = await locate(rt, order.address, order.point)
    quoted = await _load_quote(rt, order) if order.quote_id else None
    favourite = await _find_favourite(rt, order) if order.ask_first else None
    cell = cells.cell(located.point, rt.gazetteer)

    def create(booking_id: BookingId, now: datetime) -> tuple[Booking, Person]:
        sold = package_sold(rt.catalogue, order.package, now, order.partner_id)
        package = sold.in_market(market)
        price = prices.price(package, market)
        if quoted:
            price = _check_quote(order, market, quoted, now)
        tier = matching.first_tier(package)
        customer = _customer(rt, order, located)
        booking = Booking(
            id=booking_id,
            state=BookingState.OPEN,
            package=package.code,
            package_version=package.version,
            market=market,
            language=order.language,
            customer_id=customer.id,
            customer_key=customer_key(order.email),
            partner_id=order.partner_id,
            partner_reference=order.partner_reference,
            members_only=order.members_only,
            wishes=order.wishes,
            price=price,
            pay=prices.pay(price, rt.policy.at(tier, package.code)),
            lat=located.point.lat,
            lon=located.point.lon,
            cell_lat=cell.lat,
            cell_lon=cell.lon,
            cell_label=cell.label,
            created_at=now,
            state_at=now,
            tier=tier,
            favourite_id=favourite,
        )
        return booking, customer

    return PreparedBooking(cell=cell.centre, create=create)


async def _find_favourite(rt: Runtime, order: Order) -> FriendId:
    assert order.ask_first is not None
    async with read_connection(rt) as tx:
        done = await read_models.done_job(tx, order.ask_first)
    if done is None or done[0] != customer_key(order.email):
        raise NoSuchFavourite
    return done[1]


async def _load_quote(rt: Runtime, order: Order) -> Quote:
    assert order.quote_id is not None
    async with transaction(rt.pool) as tx:
        kept = await quotes.find(tx, order.quote_id)
    if kept is None or kept.partner_id != order.partner_id:
        raise NotFound("there is no such quote, or it is not yours")
    return kept


def _check_quote(order: Order, market: Market, quoted: Quote, now: datetime) -> Money:
    if now >= quoted.expires_at:
        raise QuoteExpired("ask for a new one, or book without")
    if (quoted.package, quoted.market) != (order.package, market):
        raise QuoteExpired("it is for another package or country; ask for a new one")
    return quoted.price


def _customer(rt: Runtime, order: Order, located: GeocodedAddress) -> Person:
    where = order.address
    return Person(
        id=PersonId(rt.new_id()),
        name=order.name,
        email=order.email,
        phone=order.phone,
        language=order.language,
        street=where.street,
        postcode=where.postcode,
        city=where.city,
        country=where.country,
        lat=located.point.lat,
        lon=located.point.lon,
        precision=located.precision,
        radius_m=located.radius_m,
        notes=order.notes,
    )
