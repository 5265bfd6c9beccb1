"""Quotes: price and availability before a booking."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from api.http.auth import CurrentCaller, Partner, Rt
from api.http.idempotency import REPLAYED, Key, claim, principal
from api.http.rate_limit import TooManyRequests, limit_network, rate_limit
from api.http.routing import CompiledRoute
from api.openapi.document import REPLAY, allows_anonymous, problems
from api.schemas import catalogue as catalogue_schemas
from api.schemas import presenters, requests
from dispatch.flows.execute import KeyReused
from dispatch.flows.jobs import orders
from dispatch.flows.jobs.orders import QuoteExpired
from dispatch.rules.jobs.catalogue import UnknownPackage
from dispatch.rules.money.prices import NotSoldHere
from geo.gazetteer.addresses import AddressRefused

router = APIRouter(prefix="/v1", tags=["bookings"], route_class=CompiledRoute)


async def limit_quotes(request: Request, rt: Rt, caller: CurrentCaller) -> None:
    """Count a quote of this caller. Raises TooManyRequests."""
    if isinstance(caller, Partner):
        most = rt.policy.quotes_per_minute_of_partner
        rate_limit(request).use(f"quotes of partner {caller.partner_id}", most)
    else:
        limit_network(request, "quotes", rt.policy.quotes_per_minute)


@router.post(
    "/quotes",
    status_code=201,
    summary="Create a quote",
    openapi_extra=allows_anonymous(),
    responses={
        201: REPLAY,
        **problems(
            UnknownPackage, NotSoldHere, AddressRefused, KeyReused, QuoteExpired, TooManyRequests
        ),
    },
)
async def create_quote(
    *,
    rt: Rt,
    caller: CurrentCaller,
    limited: Annotated[None, Depends(limit_quotes)],
    body: requests.QuoteRequest,
    response: Response,
    key: Key = None,
) -> catalogue_schemas.QuoteResponse:
    """The price, the precision of the address, and the number of helpers; nothing is booked.

    Helpers are counted from the square kilometre of the address, and anew every quarter of an hour.
    """
    address, point = body.address.to_geocode()
    result = await orders.quote(
        rt,
        package=body.package,
        address=address,
        point=point,
        partner_id=caller.partner_id if isinstance(caller, Partner) else None,
        claim=claim(key, principal(caller), "POST /v1/quotes", body),
    )
    if result.repeated:
        response.headers[REPLAYED] = "true"
    return catalogue_schemas.QuoteResponse(
        id=result.quote.id,
        package=result.quote.package,
        market=result.quote.market,
        serviceable=result.serviceable,
        price=presenters.present_money(result.quote.price),
        helpers=result.helpers,
        precision=result.located.precision,
        label=result.located.label,
        note=result.located.note,
        expires_at=result.quote.expires_at,
    )
