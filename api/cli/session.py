"""How a command comes to its settings and its database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from api.cli.output import Report, reporting

if TYPE_CHECKING:
    from data.database import Database
    from data.db import Pool
    from data.settings import Settings
    from dispatch.runtime import Runtime
    from geo.gazetteer.offline import Gazetteer

T = TypeVar("T")

DESK_CONNECTIONS = 4


def settings_of(ctx: typer.Context) -> Settings:
    """The settings in force: options first, then the environment. Raises SettingsInvalid."""
    from data.settings import load

    return load(**(ctx.find_root().obj or {}))


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work to its end."""
    import asyncio

    return asyncio.run(work)


@asynccontextmanager
async def prepared(settings: Settings, report: Report) -> AsyncIterator[Database]:
    """The database; the bundled one gets its schema here when it is quite new."""
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
async def at_desk(ctx: typer.Context, *, places: bool = False) -> AsyncIterator[Runtime]:
    """A runtime that looks up and changes rows, and asks nobody: its index stays empty.

    The gazetteer is read only when `places` are wanted.
    """
    from api.cli.null_index import Unindexed
    from data import migrate
    from data.db import open_pool
    from data.seed import catalogue
    from dispatch.runtime import Runtime
    from geo.gazetteer.offline import Gazetteer
    from geo.geocode import GazetteerGeocoder

    settings = settings_of(ctx)
    async with AsyncExitStack() as stack:
        with reporting("opening the database …") as report:
            place = await stack.enter_async_context(prepared(settings, report))
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
        yield Runtime(
            pool=pool,
            index=Unindexed(),
            packages=catalogue.load().packages,
            gazetteer=gazetteer,
            geocoder=GazetteerGeocoder(gazetteer),
            settings=settings,
        )


async def _gazetteer(pool: Pool) -> Gazetteer:
    from dispatch.flows.places.postcodes import load_imported
    from geo.gazetteer.offline import Gazetteer

    return Gazetteer.load().with_postcodes(await load_imported(pool))
