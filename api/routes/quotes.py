"""What it would cost, and whether anybody could come."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.http.auth import Anybody, Partner, Rt
from api.http.idempotency import REPLAYED, Key, claim, principal
from api.http.routing import Direct
from api.openapi.document import REPLAY, may_be_anonymous, problems
from api.schemas import presenters, requests, responses
from dispatch.flows.execute import KeyReused
from dispatch.flows.jobs import orders
from dispatch.flows.jobs.orders import QuoteExpired
from dispatch.rules.jobs.catalogue import UnknownPackage
from dispatch.rules.money.prices import NotSoldHere
from geo.gazetteer.addresses import AddressRefused

router = APIRouter(prefix="/v1", tags=["bookings"], route_class=Direct)


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
    rt: Rt, who: Anybody, asked: requests.QuoteRequest, response: Response, key: Key = None
) -> responses.QuoteResponse:
    """The price, how exactly the address is known, and how many could come; nothing is booked."""
    address, point = asked.address.located()
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
    return responses.QuoteResponse(
        id=offered.quote.id,
        package=offered.quote.package,
        market=offered.quote.market,
        serviceable=offered.serviceable,
        price=presenters.money(offered.quote.price),
        helpers=offered.helpers,
        precision=offered.located.precision,
        label=offered.located.label,
        note=offered.located.note,
        expires_at=offered.quote.expires_at,
    )
