"""Demand that could not be served, by place."""

from __future__ import annotations

from dataclasses import dataclass

from data import sql_loader
from data.db import Connection
from data.markets import Market

sql = sql_loader.load("coverage")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandRow:
    """Bookings in one square kilometre: all, the unmet, and of these the unfilled."""

    lat: float
    lon: float
    bookings: int
    unmet: int
    unfilled: int


async def unmet_demand(
    tx: Connection, *, days: int, market: Market | None, package: str | None
) -> list[DemandRow]:
    """Return the demand of the last `days` by square kilometre; None matches all."""
    return [DemandRow(**row) for row in await tx.fetch(sql.unmet_demand, days, market, package)]
