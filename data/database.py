"""The database to use: the bundled PostgreSQL, or the server in TEKKIE_DATABASE_URL."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data import db, hosts
from data.postgres.client import EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from data.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """Where to connect: as owner for migrations, as the service for everything else."""

    owner_dsn: str
    service_dsn: str
    service_role: str


@asynccontextmanager
async def database(
    settings: Settings, report: Callable[[str], None] = lambda _: None
) -> AsyncIterator[Database]:
    """Yield the database of these settings and keep it running meanwhile.

    The schema may be missing or old: see `data.migrate`. Raises EmbeddedError, ServerUnfit.
    """
    if settings.database_url is not None:
        url = settings.database_url.get_secret_value()
        pooled = settings.database_pooler == hosts.TRANSACTION
        yield await _external(hosts.behind_pooler(url) if pooled else url)
        return
    embedded = EmbeddedPostgres(settings.data_dir)
    await asyncio.to_thread(embedded.start, report)
    try:
        yield Database(
            owner_dsn=embedded.owner_dsn,
            service_dsn=embedded.service_dsn,
            service_role=db.SERVICE_ROLE,
        )
    finally:
        await asyncio.to_thread(embedded.stop)


async def _external(url: str) -> Database:
    await db.check_server(url)
    return Database(owner_dsn=url, service_dsn=url, service_role=db.SERVICE_ROLE)
