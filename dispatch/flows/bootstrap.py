"""Prepares the database, and opens and closes the runtime of one process."""

from __future__ import annotations

import gc
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from random import Random

import httpx2

from data import migrate
from data.database import Database
from data.db import Pool, moment, open_pool, transaction
from data.records.catalogue import Catalogue
from data.seed import catalogue, exam_banks
from data.settings import Settings
from data.store import catalogue as catalogue_rows
from data.store import exams, friends
from dispatch.flows.catalogue import refresh
from dispatch.flows.group_commit import group_commit
from dispatch.flows.places import postcodes
from dispatch.rules.jobs.matching import askable_filter, profile, traits
from dispatch.rules.policy import POLICY, Policy
from dispatch.runtime import Runtime
from geo.gazetteer.offline import Gazetteer
from geo.geocode import GazetteerGeocoder, Geocoder, Nominatim, Photon
from geo.index.friend_index import FriendIndex
from geo.routing import Osrm, Router, Valhalla

Report = Callable[[str], None]

CONNECTIONS_MAX = 100
CALL_TIMEOUT_S = 10.0


def discard_report(line: str) -> None:
    """Ignore a progress report."""


async def prepare_database(database: Database, report: Report = discard_report) -> list[str]:
    """Migrate the schema and update the catalogue's rows; returns the migrations applied.

    A database of a newer version is left as it is.
    """
    applied = await migrate.migrate(database.owner_dsn, report)
    if (await migrate.schema_status(database.owner_dsn)).ahead:
        return applied
    pool = await open_pool(
        database.service_dsn, role=database.service_role, size=1, application="tekkie migrate"
    )
    async with pool, transaction(pool) as tx:
        await catalogue_rows.put(tx, catalogue.load())
        await exams.put(tx, exam_banks.load().values())
    return applied


@asynccontextmanager
async def open_runtime(
    settings: Settings,
    database: Database,
    *,
    application: str,
    policy: Policy = POLICY,
    chance: Random | None = None,
    report: Report = discard_report,
) -> AsyncIterator[Runtime]:
    """A runtime on a migrated database, its index loaded. Raises SchemaTooOld or SchemaTooNew."""
    await migrate.check(database.service_dsn, report)
    pool = await open_pool(
        database.service_dsn,
        role=database.service_role,
        size=settings.pool_size,
        application=application,
    )
    trusted = _ssl_context()
    async with pool, httpx2.AsyncClient(verify=trusted) as client, direct_client(trusted) as http:
        report("reading the gazetteer …")
        gazetteer = Gazetteer.load().with_postcodes(await postcodes.load_imported(pool))
        rt = Runtime(
            pool=pool,
            index=FriendIndex(askable_filter(policy), traits, profile),
            catalogue=Catalogue(),
            gazetteer=gazetteer,
            geocoder=_geocoder(settings, client, gazetteer, pool),
            router=_router(settings, client),
            settings=settings,
            http=http,
            policy=policy,
            chance=chance or Random(),  # noqa: S311 - for jitter, not for secrets
        )
        await refresh(rt)
        rt.mark = await load_index(rt, report)
        try:
            yield rt
        finally:
            await group_commit(rt).close()


@cache
def _ssl_context() -> ssl.SSLContext:
    """The system's certificate authorities, loaded once per process: it takes 50 ms."""
    return httpx2.create_ssl_context()


def direct_client(trusted: ssl.SSLContext) -> httpx2.AsyncClient:
    """A client that uses no proxy and follows no redirect."""
    limits = httpx2.Limits(
        max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX // 2
    )
    return httpx2.AsyncClient(
        verify=trusted,
        trust_env=False,
        follow_redirects=False,
        timeout=CALL_TIMEOUT_S,
        limits=limits,
    )


async def load_index(rt: Runtime, report: Report = discard_report) -> str:
    """Load all friends into the index; returns the mark from which to follow their changes."""
    found = []
    with _pause_gc():
        async with transaction(rt.pool) as tx:
            mark = await friends.horizon(tx)
            async for page in friends.all_friends(tx, await moment(tx)):
                found.extend(page)
                report(f"reading friends … {len(found):,}")
        rt.index.load(found)
    return mark


@contextmanager
def _pause_gc() -> Iterator[None]:
    """Disable the garbage collector: traversing the growing index costs more than loading it."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _router(settings: Settings, client: httpx2.AsyncClient) -> Router | None:
    if settings.routing_url is None:
        return None
    kind = Osrm if settings.routing == "osrm" else Valhalla
    return kind(settings.routing_url, client)


def _geocoder(
    settings: Settings, client: httpx2.AsyncClient, gazetteer: Gazetteer, pool: Pool
) -> Geocoder:
    if settings.geocoder == "offline" or settings.geocoder_url is None:
        return GazetteerGeocoder(gazetteer)
    cache = postcodes.GeocodeCache(pool)
    if settings.geocoder == "photon":
        return Photon(url=settings.geocoder_url, client=client, gazetteer=gazetteer, cache=cache)
    return Nominatim(
        url=settings.geocoder_url,
        user_agent=settings.geocoder_user_agent or "tekkie",
        client=client,
        gazetteer=gazetteer,
        cache=cache,
    )
