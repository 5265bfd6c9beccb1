"""The JSON of the catalogue: packages, markets, quotes, places and coverage."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from api.schemas.base import Money, Page, ResponseModel
from data.enums import PackageTier
from data.markets import Currency, Language, Market


class Package(ResponseModel):
    """A service package in the requested language with its price in the requested market."""

    code: str
    category: str
    name: str
    description: str
    tier: PackageTier
    minutes: int
    certificates: list[str]
    price: Money
    fan_out: int
    contact_within_h: int
    cancel_free_until_h: int
    cancel_late_percent: int


class MarketInfo(ResponseModel):
    """A served country; the examples are in its national notation."""

    code: Market
    currency: Currency
    timezone: str
    languages: list[Language]
    calling_code: int
    phone_example: str
    postcode_example: str


class CatalogueResponse(Page[Package]):
    """The packages of a market, and all markets with the home market first."""

    markets: list[MarketInfo]


class QuoteResponse(ResponseModel):
    """A price valid until it expires; `helpers` is `0`, `1-4` or `5+`."""

    id: UUID
    package: str
    market: Market
    serviceable: bool
    price: Money
    helpers: str
    precision: str
    label: str
    note: str
    expires_at: datetime


class Place(ResponseModel):
    """A town with a postcode; `radius_m` is the precision of the point in metres."""

    postcode: str
    town: str
    region: str
    lat: float
    lon: float
    precision: str
    radius_m: int


class PlacesResponse(ResponseModel):
    """The matching places, the most likely first."""

    items: list[Place]


class CoverageArea(ResponseModel):
    """The approximate number of helpers available in an area; never exact."""

    helpers: Literal["1-4", "5+"]
    package: str
    market: Market


class CoverageShape(ResponseModel):
    """A geometry of RFC 7946: WGS84, longitude before latitude."""

    type: Literal["Polygon", "MultiPolygon"]
    coordinates: list[Any]


class CoverageFeature(ResponseModel):
    """A feature of RFC 7946."""

    type: Literal["Feature"]
    properties: CoverageArea
    geometry: CoverageShape


class CoverageResponse(ResponseModel):
    """A feature collection of RFC 7946; places outside all areas cannot be served."""

    type: Literal["FeatureCollection"]
    features: list[CoverageFeature]
