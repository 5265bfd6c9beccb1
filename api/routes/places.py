"""Suggestions for postcodes and towns, from the offline gazetteer."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response

from api.http.auth import CurrentCaller, Rt
from api.http.routing import CompiledRoute
from api.openapi.document import allows_anonymous
from api.schemas import catalogue as catalogue_schemas
from api.schemas.fields import Word
from data.markets import Market
from geo.gazetteer.offline import Gazetteer

FOUND_MAX: Final = 20
CACHE_MAX: Final = 4096
FRESH_S: Final = 3600

router = APIRouter(prefix="/v1", tags=["catalogue"], route_class=CompiledRoute)


@router.get("/places", summary="Suggest places", openapi_extra=allows_anonymous())
async def find_places(
    *,
    rt: Rt,
    caller: CurrentCaller,
    response: Response,
    country: Annotated[Market, Query(description="The country of the address.")],
    q: Annotated[Word, Query(description="The beginning of a postcode or of a town.")],
    limit: Annotated[int, Query(ge=1, le=FOUND_MAX)] = 8,
) -> catalogue_schemas.PlacesResponse:
    """Places whose postcode or town begins with `q`, despite typing errors and missing accents."""
    # The search for similar spellings scans a whole country: keep it off the event loop.
    items = await asyncio.to_thread(_suggest, rt.gazetteer, country, q, limit)
    response.headers["Cache-Control"] = f"public, max-age={FRESH_S}"
    return catalogue_schemas.PlacesResponse(items=list(items))


@lru_cache(maxsize=CACHE_MAX)
def _suggest(
    gazetteer: Gazetteer, country: Market, text: str, limit: int
) -> tuple[catalogue_schemas.Place, ...]:
    return tuple(
        catalogue_schemas.Place(
            postcode=place.postcode,
            town=place.town,
            region=place.region,
            lat=place.point.lat,
            lon=place.point.lon,
            precision=place.precision,
            radius_m=place.radius_m,
        )
        for place in gazetteer.suggest(country, text, limit)
    )
