"""One PostgreSQL for the whole run, one database per test, and a test clock.

Every test with the fixture `database` gets its own, cloned from a migrated template with the test
clock stopped at `BEGINNING`. TEKKIE_TEST_DATABASE_URL names another server instead of the bundled
one; its user needs CREATEDB and CREATEROLE.
"""

import asyncio
import gc
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from itertools import count
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import hypothesis
import pytest
from hypothesis import HealthCheck
from pydantic import SecretStr

from data import db, migrate, sql_loader
from data.database import Database
from data.postgres import layout
from data.postgres.client import EmbeddedPostgres
from data.seed import catalogue
from data.settings import Settings
from data.store import catalogue as catalogue_rows
from dispatch.flows import bootstrap
from dispatch.flows.bootstrap import open_runtime
from dispatch.runtime import Runtime
from geo.gazetteer.addresses import Postcode
from geo.gazetteer.offline import PATH, Gazetteer
from tests.recycling import KEPT, KeptPool, Recycling, reset

# A slow machine is not a failure: examples have no deadline. The suite draws the same examples in
# every run, so that a change is not judged by chance; TEKKIE_TEST_EXAMPLES draws so many new ones.
EXAMPLES = os.environ.get("TEKKIE_TEST_EXAMPLES")
hypothesis.settings.register_profile(
    "tekkie",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    **(
        {"derandomize": True, "database": None}
        if EXAMPLES is None
        else {"max_examples": int(EXAMPLES)}
    ),
)
hypothesis.settings.load_profile("tekkie")

BEGINNING = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
# Durability is tested on separate servers.
UNSAFE_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "autovacuum": "off",
}

FOLDER = "PYTEST_TEKKIE_FOLDER"
FOLDER_PREFIX = "tekkie-tests-"
STALE_AFTER_S = 3600

# A booking without a key is trusted, unless a test is about that; commands inherit it.
os.environ["TEKKIE_ANONYMOUS_BOOKINGS"] = "trust"

clock_sql = sql_loader.load("clock")


def pytest_configure(config: pytest.Config) -> None:
    """Create the folder of the run's server; workers inherit its name."""
    if FOLDER in os.environ:
        return
    # A clone takes 14 ms in memory and up to 400 ms on a busy disk.
    memory = Path("/dev/shm")
    base = memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())
    for stale in base.glob(f"{FOLDER_PREFIX}*"):
        if stale.stat().st_mtime < time.time() - STALE_AFTER_S:
            delete_run_folder(stale)
    folder = tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=base)
    os.environ[FOLDER] = folder
    config.add_cleanup(lambda: delete_run_folder(Path(os.environ.pop(FOLDER))))


def pytest_collection_finish() -> None:
    """Keep what was imported out of garbage collections, which took a twentieth of the run."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file with a fixture of its own in one process, which makes it once."""
    for item in items:
        fixtures = getattr(item, "_fixtureinfo", None)
        definitions = fixtures.name2fixturedefs.values() if fixtures else ()
        if item.get_closest_marker("xdist_group") is None and any(
            definition.scope == "module" for found in definitions for definition in found
        ):
            item.add_marker(pytest.mark.xdist_group(item.path.name))


def delete_run_folder(folder: Path) -> None:
    """Delete the folder of a run unless its server is running."""
    if os.access(folder, os.W_OK) and not layout.is_locked(layout.DataFolder(folder).supervisor):
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Server:
    """Creates and drops databases on the server of the run, over one connection."""

    admin_dsn: str
    embedded: EmbeddedPostgres | None
    runner: asyncio.Runner
    connection: asyncpg.Connection
    prefix: str
    numbers: Iterator[int]
    recycling: Recycling | None = None

    def create(self, template: str = "template1") -> str:
        name = f"{self.prefix}_{next(self.numbers)}"
        options = "" if self.embedded is None else f" OWNER {layout.OWNER} STRATEGY file_copy"
        self.run(
            self.connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"{options}')
        )
        return name

    def drop(self, name: str) -> None:
        self.run(self.connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))

    @contextmanager
    def lend(self, template: str) -> Iterator[Database]:
        """A database of the template for one test."""
        if self.recycling is None:
            name = self.create(template)
            yield self.database(name)
            self.drop(name)
            return
        used = self.recycling.take(template)
        yield self.database(used.name)
        self.recycling.put(used)

    def run(self, work):
        return self.runner.run(work)

    def database(self, name: str) -> Database:
        if self.embedded is not None:
            return Database(
                owner_dsn=self.embedded.dsn(layout.OWNER, name),
                service_dsn=self.embedded.dsn(layout.SERVICE, name),
                service_role=db.SERVICE_ROLE,
            )
        # asyncpg passes unknown parameters as session settings.
        parts = urlsplit(self.admin_dsn)._replace(path=f"/{name}")
        as_service = "&".join(filter(None, [parts.query, f"role={db.SERVICE_ROLE}"]))
        return Database(
            owner_dsn=parts.geturl(),
            service_dsn=parts._replace(query=as_service).geturl(),
            service_role=db.SERVICE_ROLE,
        )


class Clock:
    """The clock of one database: it stands still until a test moves it."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def now(self) -> datetime:
        return await db.moment(self._connection)

    async def set(self, moment: datetime, speed: float = 0.0) -> None:
        await self._connection.execute(clock_sql.set_test_clock, moment, speed)

    async def advance(self, by: timedelta) -> datetime:
        moment = await self.now() + by
        await self.set(moment)
        return moment


LOAD, WITH_POSTCODES = Gazetteer.load, Gazetteer.with_postcodes


@cache
def read_gazetteer() -> Gazetteer:
    """The one gazetteer of this process, out of garbage collections like what was imported."""
    gazetteer = LOAD()
    gc.freeze()
    return gazetteer


def load_shared(path: Path = PATH) -> Gazetteer:
    return read_gazetteer() if path == PATH else LOAD(path)


def with_postcodes_shared(gazetteer: Gazetteer, rows: Iterable[Postcode]) -> Gazetteer:
    found = list(rows)
    return WITH_POSTCODES(gazetteer, found) if found else gazetteer


@pytest.fixture(scope="session", autouse=True)
def one_gazetteer() -> Iterator[None]:
    """Share one gazetteer: loading it and building its trees takes longer than most tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Gazetteer, "load", load_shared)
        patch.setattr(Gazetteer, "with_postcodes", with_postcodes_shared)
        yield


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The one server of the run, shared by all workers."""
    url = os.environ.get("TEKKIE_TEST_DATABASE_URL")
    if url:
        with asyncio.Runner() as runner:
            yield from connect_server(url, None, runner)
        return
    embedded = EmbeddedPostgres(Path(os.environ[FOLDER]), options=UNSAFE_SETTINGS)
    embedded.start()
    try:
        with asyncio.Runner() as runner:
            yield from connect_server(embedded.admin_dsn, embedded, runner)
    finally:
        embedded.stop()


def connect_server(
    dsn: str, embedded: EmbeddedPostgres | None, runner: asyncio.Runner
) -> Iterator[Server]:
    connection = runner.run(db.connect(dsn, application="tests", path="pg_catalog"))
    prefix = f"tekkie_test_{WORKER}_{os.getpid()}"
    made = Server(dsn, embedded, runner, connection, prefix, count())
    recycling = embedded and Recycling(runner.run, made.create, made.drop, partial(admit, embedded))
    try:
        yield replace(made, recycling=recycling)
    finally:
        if recycling:
            recycling.close()
        runner.run(connection.close())


def admit(embedded: EmbeddedPostgres, name: str) -> Awaitable[asyncpg.Connection]:
    dsn = urlsplit(embedded.admin_dsn)._replace(path=f"/{name}").geturl()
    return db.connect(dsn, application="recycling", path="pg_catalog")


@pytest.fixture(scope="session")
def template(server: Server) -> Iterator[str]:
    """The name of a migrated database with the test clock, to be cloned and never changed."""
    name = server.create()
    server.run(prepare_template(server.database(name).owner_dsn))
    yield name
    server.drop(name)


async def prepare_template(owner_dsn: str) -> None:
    await migrate.migrate(owner_dsn)
    connection = await db.connect(owner_dsn, application="tests")
    try:
        await connection.execute(clock_sql.install_test_clock)
        await Clock(connection).set(BEGINNING)
        await catalogue_rows.put(connection, catalogue.load())
    finally:
        await connection.close()


@pytest.fixture
def empty_database(server: Server) -> Iterator[Database]:
    """A database of this test without a schema."""
    name = server.create()
    yield server.database(name)
    server.drop(name)


@pytest.fixture
def database(server: Server, template: str) -> Iterator[Database]:
    """A migrated database of this test; `owner_dsn`, `service_dsn`."""
    with server.lend(template) as lent:
        yield lent


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[db.Pool]:
    """A pool of the service on the database of this test."""
    opened = await db.open_pool(
        database.service_dsn, role=database.service_role, size=10, application="tests"
    )
    yield opened
    try:
        await asyncio.wait_for(opened.close(), timeout=5)
    finally:
        opened.terminate()


@pytest.fixture(scope="session")
async def recycling(server: Server) -> AsyncIterator[Recycling | None]:
    """What keeps connections to the databases that are used again."""
    yield server.recycling
    if server.recycling:
        await server.recycling.end_kept()


@pytest.fixture
async def owner(
    database: Database, recycling: Recycling | None
) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the owner of the schema, to inspect and change rows."""
    connect = partial(db.connect, database.owner_dsn, application=KEPT)
    if recycling is None:
        connection = await connect()
        yield connection
        await connection.close()
        return
    connection = await recycling.keep(database.owner_dsn, "owner", connect)
    yield connection
    try:
        await reset(connection)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()


async def end_sessions(owner: asyncpg.Connection) -> None:
    """End all other sessions of this test's database; a superuser's cannot be ended."""
    await owner.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity JOIN pg_roles ON oid = usesysid"
        " WHERE pid <> pg_backend_pid() AND datname = current_database() AND NOT rolsuper"
    )


@pytest.fixture
async def clock(owner: asyncpg.Connection) -> Clock:
    """The clock of this test: `await clock.now()`, `.advance(timedelta)`, `.set(datetime)`."""
    return Clock(owner)


@pytest.fixture
async def rt(
    database: Database, clock: Clock, tmp_path: Path, recycling: Recycling | None
) -> AsyncIterator[Runtime]:
    """A runtime on the database of this test, without friends and with a stopped clock."""
    async with open_kept_runtime(settings_in(tmp_path), database, recycling) as runtime:
        yield runtime


@asynccontextmanager
async def open_kept_runtime(
    settings: Settings, database: Database, recycling: Recycling | None
) -> AsyncIterator[Runtime]:
    """A runtime with the pool of the test before on its database, the schema checked once."""
    opening = open_runtime(settings, database, application="tests", chance=Random(7))
    async with AsyncExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            if recycling is not None:
                patch.setattr(bootstrap, "open_pool", partial(keep_pool, recycling))
                patch.setattr(migrate, "check", partial(recycling.once, migrate.check))
            runtime = await stack.enter_async_context(opening)
        yield runtime


async def keep_pool(
    recycling: Recycling, dsn: str, *, application: str, **options: Any
) -> KeptPool:
    async def connect() -> KeptPool:
        return KeptPool(await db.open_pool(dsn, application=KEPT, **options))

    return await recycling.keep(dsn, str(options), connect)


def settings_in(folder: Path) -> Settings:
    """The settings of tests; the secret is fixed, so that a token is valid on every clone."""
    secret = SecretStr("x" * 32)
    return Settings(
        data_dir=folder,
        public_url="https://tekkie.test",
        secret_key=secret,
        anonymous_bookings="trust",
    )
