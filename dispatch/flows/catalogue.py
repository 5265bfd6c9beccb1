"""The catalogue of this process, and its changes at the desk.

A version begins some seconds after it was written at the soonest, by when every process knows it:
all begin to sell it in the same moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from data.db import Connection, moment, transaction
from data.records.catalogue import Package
from data.records.ids import PersonId
from data.store import audit, partners
from data.store import catalogue as rows
from data.store.catalogue import WrittenVersion
from dispatch.rules.jobs.catalogue import Known, PackageChanged, next_version
from dispatch.rules.refusals import NotFound
from dispatch.runtime import Runtime

BEGINS_AFTER: Final = timedelta(seconds=5)


async def refresh(rt: Runtime) -> None:
    """Read the versions that other processes wrote, and set what is on sale now."""
    async with transaction(rt.pool) as tx:
        now, count = await rows.count_versions(tx)
        if count != len(rt.catalogue):
            rt.catalogue.add(await rows.versions(tx))
    rt.catalogue.advance(now)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageState:
    """The latest version of a package; `planned` is when it begins, if it has not."""

    latest: Package
    partner: str | None
    on_sale: bool
    planned: datetime | None


async def overview(rt: Runtime) -> list[PackageState]:
    """All packages in their order."""
    async with transaction(rt.pool) as tx:
        now, found = await moment(tx), await rows.read(tx)
        owners = {one.id: one.name for one in await partners.all_partners(tx)}
    latest = [one for code in found.codes() if (one := found.latest(code)) is not None]
    return [
        PackageState(
            latest=one,
            partner=owners[one.owner] if one.owner else None,
            on_sale=one.code in found.on_sale,
            planned=one.valid_from if one.valid_from > now else None,
        )
        for one in latest
    ]


async def history(rt: Runtime, code: str) -> Sequence[WrittenVersion]:
    """All versions of a package, the latest first. Raises NotFound."""
    async with transaction(rt.pool) as tx:
        found = await rows.history(tx, code)
    if not found:
        raise NotFound("there is no such package")
    return found


async def change(
    rt: Runtime, wanted: Package, *, by: PersonId, actor: str, replaces_planned: bool = False
) -> Sequence[WrittenVersion]:
    """Write the next version of a package, or a new package; returns all its versions.

    The same content again writes nothing. Raises what `next_version` raises.
    """
    async with transaction(rt.pool) as tx:
        await rows.lock(tx, wanted.code)
        if wanted.owner is not None and await partners.find(tx, str(wanted.owner)) is None:
            raise NotFound("there is no such partner")
        written = await rows.history(tx, wanted.code)
        version = next_version(
            wanted,
            written[0].package if written else None,
            await moment(tx) + BEGINS_AFTER,
            Known(
                certificates=await rows.certificate_codes(tx),
                categories=rt.catalogue.categories(),
            ),
            replaces_planned=replaces_planned,
        )
        if version is not None:
            await _append(tx, version, by, actor)
            written = await rows.history(tx, wanted.code)
    rt.catalogue.add(one.package for one in written)
    return written


async def _append(tx: Connection, version: Package, by: PersonId, actor: str) -> None:
    if not await rows.append(tx, version, by):
        raise PackageChanged
    data = {"version": version.version}
    await audit.record(tx, actor=actor, act="package.changed", subject=version.code, data=data)
