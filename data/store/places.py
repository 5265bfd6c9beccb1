"""Imported postcodes and the cache of geocoder answers.

Rows hold plain values here; their types are defined in `geo`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from data import sql_loader
from data.db import Connection

sql = sql_loader.load("places")

PAGE = 5000


@dataclass(frozen=True, slots=True)
class PostcodeRow:
    country: str
    postcode: str
    town: str
    region: str
    lat: float
    lon: float
    precision: str
    radius_m: int


@dataclass(frozen=True, slots=True)
class GeocodeRow:
    lat: float
    lon: float
    precision: str
    radius_m: int


async def imported_postcodes(tx: Connection) -> list[PostcodeRow]:
    """Return all imported postcodes, ordered by country, code and town."""
    return [PostcodeRow(*row) for row in await tx.fetch(sql.imported_postcodes)]


async def replace_postcodes(tx: Connection, rows: Sequence[PostcodeRow]) -> None:
    """Replace all rows of these rows' countries."""
    await tx.execute(sql.drop_country, sorted({row.country for row in rows}))
    for start in range(0, len(rows), PAGE):
        page = rows[start : start + PAGE]
        columns = zip(
            *(
                (r.country, r.postcode, r.town, r.region, r.lat, r.lon, r.precision, r.radius_m)
                for r in page
            ),
            strict=True,
        )
        await tx.execute(sql.insert, *map(list, columns))


async def cached_answer(tx: Connection, key: bytes) -> GeocodeRow | None:
    """Return the cached answer to the request with this SHA-256, unless it is too old."""
    row = await tx.fetchrow(sql.cached_answer, key)
    return GeocodeRow(*row) if row else None


async def cache_answer(tx: Connection, key: bytes, answer: GeocodeRow) -> None:
    """Store a geocoder's answer."""
    await tx.execute(
        sql.cache_answer, key, answer.lat, answer.lon, answer.precision, answer.radius_m
    )
