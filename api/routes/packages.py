"""The catalogue of packages."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query

from api.http.auth import Rt
from api.http.routing import CompiledRoute
from api.schemas import catalogue as catalogue_schemas
from api.schemas import presenters
from data.markets import MARKETS, Language, Market
from dispatch.rules.jobs.matching import first_tier

router = APIRouter(prefix="/v1", tags=["catalogue"], route_class=CompiledRoute)

LANGUAGES_MAX = 20


@router.get("/packages", summary="List packages with prices")
async def list_packages(
    rt: Rt,
    market: Annotated[Market, Query(description="The country of the address.")],
    language: Annotated[Language | None, Query(description="Overrides `Accept-Language`.")] = None,
    accept_language: Annotated[str | None, Header(max_length=500)] = None,
) -> catalogue_schemas.CatalogueResponse:
    """All packages sold in a market, with texts in the requested language."""
    chosen = language or preferred_language(accept_language or "") or MARKETS[market].language
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
        for package in rt.packages.values()
        if market in package.prices
    ]
    return catalogue_schemas.CatalogueResponse(
        items=items, next_cursor=None, markets=presenters.present_markets()
    )


def preferred_language(header: str) -> Language | None:
    """The supported language that an Accept-Language header prefers, if any."""
    weights: dict[Language, float] = {}
    for part in header.split(",")[:LANGUAGES_MAX]:
        tag, _, weight = part.strip().partition(";q=")
        code = tag.split("-")[0].strip().lower()
        if code in set(Language):
            weights.setdefault(Language(code), _weight(weight))
    best = max(weights, key=lambda language: weights[language], default=None)
    return best if best and weights[best] > 0 else None


def _weight(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0) if text else 1.0
    except ValueError:
        return 0.0
