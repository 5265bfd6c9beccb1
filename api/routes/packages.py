"""The catalogue of packages."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api.http.auth import CurrentCaller, Rt, partner_of
from api.http.languages import AcceptLanguage, preferred_language
from api.http.routing import CompiledRoute
from api.openapi.document import allows_anonymous
from api.schemas import catalogue as catalogue_schemas
from api.schemas import presenters
from data.markets import MARKETS, Language, Market
from dispatch.rules.jobs.matching import first_tier

router = APIRouter(prefix="/v1", tags=["catalogue"], route_class=CompiledRoute)


@router.get("/packages", summary="List packages with prices", openapi_extra=allows_anonymous())
async def list_packages(
    rt: Rt,
    caller: CurrentCaller,
    market: Annotated[Market, Query(description="The country of the address.")],
    language: Annotated[Language | None, Query(description="Overrides `Accept-Language`.")] = None,
    accept_language: AcceptLanguage = None,
) -> catalogue_schemas.CatalogueResponse:
    """All packages sold in a market, with texts in the requested language.

    A partner also gets its own.
    """
    chosen = language or preferred_language(accept_language) or MARKETS[market].language
    items = [
        catalogue_schemas.Package(
            code=package.code,
            category=package.category,
            name=package.texts[chosen].name,
            description=package.texts[chosen].description,
            tier=package.tier,
            minutes=package.minutes,
            certificates=sorted(package.certificates),
            price=presenters.present_money(package.prices[market]),
            **presenters.catalogue_terms(rt.policy.at(first_tier(package), package.code)),
        )
        for package in (one.in_market(market) for one in rt.packages.values())
        if market in package.prices and package.owner in (None, partner_of(caller))
    ]
    return catalogue_schemas.CatalogueResponse(
        items=items, next_cursor=None, markets=presenters.present_markets()
    )
