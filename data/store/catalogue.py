"""Writes the catalogue to its tables."""

from __future__ import annotations

from data import sql_loader
from data.db import Connection
from data.seed.catalogue import Catalogue

sql = sql_loader.load("catalogue")


async def put(tx: Connection, catalogue: Catalogue) -> None:
    """Write what changed; packages no longer sold become inactive, as bookings refer to them."""
    await tx.executemany(
        sql.put_certificate,
        [
            (c.code, {str(k): v for k, v in c.names.items()}, c.valid_months, c.practical)
            for c in catalogue.certificates.values()
        ],
    )
    await tx.executemany(
        sql.put_package,
        [
            (
                p.code,
                p.category,
                p.tier,
                p.minutes,
                sorted(p.certificates),
                {str(k): [t.name, t.description] for k, t in p.texts.items()},
                p.min_age,
            )
            for p in catalogue.packages.values()
        ],
    )
    await tx.execute(sql.retire_others, list(catalogue.packages))
    await tx.executemany(
        sql.put_price,
        [
            (package.code, market, price.amount, price.currency)
            for package in catalogue.packages.values()
            for market, price in package.prices.items()
        ],
    )
