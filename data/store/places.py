"""Postcodes an operator imported, and what a geocoder answered before.

Rows are plain values here: what a postcode means is for the folder `geo` to say.
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
    """Every imported postcode, in the order of country, code and town."""
    return [PostcodeRow(*row) for row in await tx.fetch(sql.imported_postcodes)]


async def replace_postcodes(tx: Connection, rows: Sequence[PostcodeRow]) -> None:
    """Put these rows in the place of all their countries had."""
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
    """What a geocoder answered to the question with this SHA-256, if not too long ago."""
    row = await tx.fetchrow(sql.cached_answer, key)
    return GeocodeRow(*row) if row else None


async def cache_answer(tx: Connection, key: bytes, answer: GeocodeRow) -> None:
    """Keep a geocoder's answer."""
    await tx.execute(sql.cache_answer, key, answer.lat, answer.lon, answer.precision, answer.radius_m)
