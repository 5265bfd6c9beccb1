"""Where a package is available, as a map that discloses nobody's location."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse

from api.http.auth import CurrentCaller, Rt, partner_of
from api.http.routing import CompiledRoute
from api.openapi.document import allows_anonymous, problems
from api.schemas import catalogue as catalogue_schemas
from api.schemas.fields import Code
from data.markets import Market
from dispatch.flows.places.coverage import PublicMaps
from dispatch.rules.jobs.catalogue import UnknownPackage
from dispatch.rules.money.prices import NotSoldHere
from geo.coverage.maps import feature_collection

FRESH_S = 300

router = APIRouter(prefix="/v1", tags=["catalogue"], route_class=CompiledRoute)


class GeoJson(JSONResponse):
    """A response in GeoJSON."""

    media_type = "application/geo+json"


def public_maps(request: Request, rt: Rt) -> PublicMaps:
    """The coverage maps of this process."""
    state = request.app.state
    if not hasattr(state, "public_maps"):
        state.public_maps = PublicMaps(rt)
    maps = state.public_maps
    assert isinstance(maps, PublicMaps)
    return maps


@router.get(
    "/coverage",
    summary="Get the coverage of a package",
    response_class=GeoJson,
    response_model=catalogue_schemas.CoverageResponse,
    openapi_extra=allows_anonymous(),
    responses=problems(UnknownPackage, NotSoldHere),
)
async def show_coverage(
    caller: CurrentCaller,
    maps: Annotated[PublicMaps, Depends(public_maps)],
    package: Annotated[Code, Query(description="The package's code.")],
    market: Annotated[Market, Query(description="The country of the addresses.")],
) -> GeoJson:
    """Areas of about 5 km precision with 1-4 or 5+ available helpers; a quote is more exact.

    The map is up to fifteen minutes old.
    """
    partner = partner_of(caller)
    found = feature_collection(await maps.areas(package, market, partner), package, market)
    # The map of a partner's own package is for no cache that others share.
    whose = "private" if partner else "public"
    return GeoJson(found, headers={"Cache-Control": f"{whose}, max-age={FRESH_S}"})
