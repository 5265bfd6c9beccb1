"""Imported postcodes, and the cache of the geocoder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple

from data.db import Pool, transaction
from data.markets import Market
from data.store import places
from data.store.places import GeocodeRow, PostcodeRow
from geo.gazetteer.addresses import Postcode
from geo.geocode import GeocodedAddress
from geo.point import Point, Precision


async def load_imported(pool: Pool) -> list[Postcode]:
    """The postcodes an operator imported; they take precedence over the compiled ones."""
    async with transaction(pool) as tx:
        rows = await places.imported_postcodes(tx)
    return [
        Postcode(
            country=Market(row.country),
            postcode=row.postcode,
            town=row.town,
            region=row.region,
            lat=row.lat,
            lon=row.lon,
            precision=Precision(row.precision),
            radius_m=row.radius_m,
        )
        for row in rows
    ]


async def replace_postcodes(pool: Pool, rows: Iterable[Postcode]) -> int:
    """Replace all imported postcodes of these countries; returns how many were written."""
    plain = [
        PostcodeRow(
            *(row.country, row.postcode, row.town, row.region),
            *(row.lat, row.lon, row.precision, row.radius_m),
        )
        for row in rows
    ]
    if plain:
        async with transaction(pool) as tx:
            await places.replace_postcodes(tx, plain)
    return len(plain)


class GeocodeCache:
    """The cache of a geocoder, shared by all processes."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def get(self, key: bytes) -> GeocodedAddress | None:
        """The cached answer to a question, or None."""
        async with transaction(self._pool) as tx:
            row = await places.cached_answer(tx, key)
        if row is None:
            return None
        lat, lon, precision, radius_m = astuple(row)
        return GeocodedAddress(
            point=Point(lat=lat, lon=lon),
            precision=Precision(precision),
            radius_m=radius_m,
            label="",
        )

    async def put(self, key: bytes, located: GeocodedAddress) -> None:
        """Cache an answer without its label, which contains an address."""
        answer = GeocodeRow(
            located.point.lat, located.point.lon, located.precision, located.radius_m
        )
        async with transaction(self._pool) as tx:
            await places.cache_answer(tx, key, answer)
