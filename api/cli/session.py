"""The settings and the database of a command."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from api.cli.output import Report, status_spinner

if TYPE_CHECKING:
    from data.database import Database
    from data.db import Pool
    from data.settings import Settings
    from dispatch.runtime import Runtime
    from geo.gazetteer.offline import Gazetteer

T = TypeVar("T")

DESK_CONNECTIONS = 4


def load_settings(ctx: typer.Context) -> Settings:
    """The effective settings: options first, then the environment. Raises SettingsInvalid."""
    from data.settings import load

    return load(**(ctx.find_root().obj or {}))


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine to its end."""
    import asyncio

    return asyncio.run(work)


@asynccontextmanager
async def open_database(settings: Settings, report: Report) -> AsyncIterator[Database]:
    """Open the database; a new bundled one gets its schema here."""
    from data import migrate
    from data.database import database
    from dispatch.flows.bootstrap import prepare_database

    async with database(settings, report) as place:
        if settings.database_url is None:
            missing = await migrate.pending(place.owner_dsn)
            if len(missing) == len(migrate.read_migrations(migrate.MIGRATIONS)):
                await prepare_database(place, report)
        yield place


@asynccontextmanager
async def command_runtime(ctx: typer.Context, *, places: bool = False) -> AsyncIterator[Runtime]:
    """A runtime for queries and changes by commands; its index stays empty, so it makes no offers.

    The gazetteer is loaded only with `places`.
    """
    from api.cli.null_index import NullIndex
    from data import migrate
    from data.db import open_pool
    from data.records.catalogue import Catalogue
    from dispatch.flows.catalogue import refresh
    from dispatch.runtime import Runtime
    from geo.gazetteer.offline import Gazetteer
    from geo.geocode import GazetteerGeocoder

    settings = load_settings(ctx)
    async with AsyncExitStack() as stack:
        with status_spinner("opening the database …") as report:
            place = await stack.enter_async_context(open_database(settings, report))
            await migrate.check(place.service_dsn)
            pool = await stack.enter_async_context(
                await open_pool(
                    place.service_dsn,
                    role=place.service_role,
                    size=DESK_CONNECTIONS,
                    application="tekkie desk",
                )
            )
            gazetteer = await _gazetteer(pool) if places else Gazetteer({})
        rt = Runtime(
            pool=pool,
            index=NullIndex(),
            catalogue=Catalogue(),
            gazetteer=gazetteer,
            geocoder=GazetteerGeocoder(gazetteer),
            settings=settings,
        )
        await refresh(rt)
        yield rt


async def _gazetteer(pool: Pool) -> Gazetteer:
    from dispatch.flows.places.postcodes import load_imported
    from geo.gazetteer.offline import Gazetteer

    return Gazetteer.load().with_postcodes(await load_imported(pool))
