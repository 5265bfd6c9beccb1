"""What it would cost, and whether anybody could come."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api import requests, schemas, showing
from api.auth import Anybody, Partner, Rt
from api.direct import Direct
from api.idempotency import REPLAYED, Key, claim, principal
from api.openapi import REPLAY, may_be_anonymous, problems
from dispatch.flows.execute import KeyReused
from dispatch.flows.jobs import orders
from dispatch.flows.jobs.orders import QuoteExpired, UnknownPackage
from dispatch.rules.money.prices import NotSoldHere
from geo.gazetteer.addresses import AddressRefused
from geo.geocode import Address
from geo.point import Point

router = APIRouter(prefix="/v1", tags=["bookings"], route_class=Direct)


def located(asked: requests.QuoteAddress | requests.Address) -> tuple[Address, Point | None]:
    """The address, and the point given with it."""
    address = Address(
        street=asked.street,
        postcode=asked.postcode,
        city=asked.city,
        country=asked.country,
    )
    if asked.lat is None or asked.lon is None:
        return address, None
    return address, Point(asked.lat, asked.lon)


@router.post(
    "/quotes",
    status_code=201,
    summary="Ask for a price",
    openapi_extra=may_be_anonymous(),
    responses={
        201: REPLAY,
        **problems(UnknownPackage, NotSoldHere, AddressRefused, KeyReused, QuoteExpired),
    },
)
async def create_quote(
    rt: Rt, who: Anybody, asked: requests.QuoteAsked, response: Response, key: Key = None
) -> schemas.Quote:
    """The price, how exactly the address is known, and how many could come; nothing is booked."""
    address, point = located(asked.address)
    offered = await orders.quote(
        rt,
        package=asked.package,
        address=address,
        point=point,
        partner_id=who.partner_id if isinstance(who, Partner) else None,
        claim=claim(key, principal(who), "POST /v1/quotes", asked),
    )
    if offered.repeated:
        response.headers[REPLAYED] = "true"
    return schemas.Quote(
        id=offered.quote.id,
        package=offered.quote.package,
        market=offered.quote.market,
        serviceable=offered.serviceable,
        price=showing.money(offered.quote.price),
        helpers=offered.helpers,
        precision=offered.located.precision,
        label=offered.located.label,
        note=offered.located.note,
        expires_at=offered.quote.expires_at,
    )
