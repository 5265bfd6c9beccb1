"""Postcodes and towns as they are typed, from the offline gazetteer."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response

from api.http.auth import Anybody, Rt
from api.http.routing import Direct
from api.openapi.document import may_be_anonymous
from api.schemas import responses
from api.schemas.fields import Word
from data.markets import Market
from geo.gazetteer.offline import Gazetteer

FOUND_MAX: Final = 20
REMEMBERED: Final = 4096
FRESH_S: Final = 3600

router = APIRouter(prefix="/v1", tags=["catalogue"], route_class=Direct)


@router.get("/places", summary="Which place do you mean?", openapi_extra=may_be_anonymous())
async def find_places(
    *,
    rt: Rt,
    who: Anybody,
    response: Response,
    country: Annotated[Market, Query(description="The country of the address.")],
    q: Annotated[Word, Query(description="The beginning of a postcode or of a town.")],
    limit: Annotated[int, Query(ge=1, le=FOUND_MAX)] = 8,
) -> responses.PlacesResponse:
    """Places whose postcode or town begins so, typing errors and missing accents forgiven."""
    # Towns spelled alike are looked for among all of a country: not while others wait.
    items = await asyncio.to_thread(_found, rt.gazetteer, country, q, limit)
    response.headers["Cache-Control"] = f"public, max-age={FRESH_S}"
    return responses.PlacesResponse(items=list(items))


@lru_cache(maxsize=REMEMBERED)
def _found(
    gazetteer: Gazetteer, country: Market, text: str, limit: int
) -> tuple[responses.Place, ...]:
    return tuple(
        responses.Place(
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
