"""The catalogue in its tables: certificates, and packages with all their versions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from data import sql_loader
from data.db import Connection, moment
from data.enums import PackageTier
from data.markets import MARKETS, Language, Market
from data.records.catalogue import ALWAYS, Catalogue, Package, PackageText
from data.records.ids import PersonId
from data.records.money import Money
from data.replace import replace
from data.seed.catalogue import Catalogue as Shipped
from data.seed.catalogue import CertificateKind, load

sql = sql_loader.load("catalogue")


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenVersion:
    """A version, when it was written and its author; without one, a release of tekkie wrote it."""

    package: Package
    created_at: datetime
    author: str | None


async def put(tx: Connection, shipped: Shipped) -> None:
    """Write what a release of tekkie ships, where it is new or changed."""
    await _put_certificates(tx, shipped.certificates.values())
    await _put_packages(tx, shipped.packages.values())


async def _put_certificates(tx: Connection, certificates: Iterable[CertificateKind]) -> None:
    await tx.executemany(
        sql.put_certificate,
        [
            (c.code, {str(k): v for k, v in c.names.items()}, c.valid_months, c.practical)
            for c in certificates
        ],
    )


async def certificate_codes(tx: Connection) -> list[str]:
    """Return the codes of all certificates."""
    return [row["code"] for row in await tx.fetch(sql.certificate_codes)]


async def _put_packages(tx: Connection, packages: Iterable[Package]) -> None:
    """Write packages as versions, where they differ from the latest one.

    A package whose latest version was written at the desk stays as it is; one of an earlier release
    that is missing is no longer sold.
    """
    written = await tx.fetch(sql.versions)
    known = Catalogue(map(_package, written))
    by_desk = {row["package"] for row in written if row["author_id"] is not None}
    shipped = {package.code: package for package in packages}
    now = await moment(tx)
    for code in known.codes():
        latest = known.latest(code)
        if latest is None or code in by_desk:
            continue
        wanted = shipped.get(code) or replace(latest, active=False)
        if _content(wanted) != _content(latest):
            await append(tx, replace(wanted, version=latest.version + 1, valid_from=now), None)
    for code in sorted(shipped.keys() - set(known.codes())):
        await append(tx, shipped[code], None)


async def append(tx: Connection, package: Package, author: PersonId | None) -> bool:
    """Write a version, and what an older tekkie reads; returns whether it was not there."""
    texts = {str(k): [t.name, t.description] for k, t in package.texts.items()}
    certificates = sorted(package.certificates)
    await tx.execute(
        sql.put_package,
        *(package.code, package.category, package.tier, package.minutes, certificates, texts),
        *(package.min_age, package.active, package.owner),
    )
    await tx.executemany(
        sql.put_price,
        [(package.code, m, price.amount, price.currency) for m, price in package.prices.items()],
    )
    inserted = await tx.fetchval(
        sql.insert_version,
        *(package.code, package.version, package.valid_from, package.active, package.category),
        *(package.tier, {str(m): str(tier) for m, tier in package.tiers.items()}),
        *(package.minutes, certificates, texts),
        *({str(m): price.amount for m, price in package.prices.items()}, package.min_age, author),
    )
    return inserted is not None


async def lock(tx: Connection, code: str) -> None:
    """Keep others from writing a version of this package until the end of the transaction."""
    await tx.execute(sql.lock_package, code)


async def versions(tx: Connection) -> list[Package]:
    """Return all versions of all packages: first those that a release ships, in its order."""
    order = {code: place for place, code in enumerate(load().packages)}
    rows = [_package(row) for row in await tx.fetch(sql.versions)]
    return sorted(rows, key=lambda one: (order.get(one.code, len(order)), one.code, one.version))


async def read(tx: Connection) -> Catalogue:
    """Return the catalogue as of now."""
    catalogue = Catalogue(await versions(tx))
    catalogue.advance(await moment(tx))
    return catalogue


async def history(tx: Connection, code: str) -> Sequence[WrittenVersion]:
    """Return all versions of a package, the latest first."""
    return [
        WrittenVersion(package=_package(row), created_at=row["created_at"], author=row["author"])
        for row in await tx.fetch(sql.history, code)
    ]


async def count_versions(tx: Connection) -> tuple[datetime, int]:
    """Return the time of the trade, and how many versions there are."""
    [row] = await tx.fetch(sql.count_versions)
    return row["now"], row["versions"]


def _content(package: Package) -> Any:
    """What a version says, whenever it was written."""
    return replace(package, version=1, valid_from=ALWAYS)


def _package(row: asyncpg.Record) -> Package:
    texts = {Language(k): PackageText(name=n, description=d) for k, (n, d) in row["texts"].items()}
    return Package(
        code=row["package"],
        category=row["category"],
        tier=PackageTier(row["tier"]),
        minutes=row["minutes"],
        certificates=frozenset(row["certificates"]),
        texts=texts,
        prices={
            Market(m): Money(amount=amount, currency=MARKETS[Market(m)].currency)
            for m, amount in row["prices"].items()
        },
        tiers={Market(m): PackageTier(tier) for m, tier in row["tiers"].items()},
        min_age=row["min_age"],
        version=row["version"],
        valid_from=row["valid_from"],
        active=row["active"],
        owner=row["owner_id"],
    )
