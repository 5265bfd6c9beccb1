"""The command line in this process, on the database of a test."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from api.cli.root import app
from data import db
from data.database import Database
from data.db import connect
from data.settings import load as load_settings
from data.sql_loader import load
from dispatch.flows.bootstrap import open_runtime
from dispatch.runtime import Runtime

Tekkie = Callable[..., Result]


@pytest.fixture
def tekkie(database: Database, monkeypatch, tmp_path) -> Tekkie:
    """Runs `tekkie` with these arguments; the test's database is an external server for it."""

    async def accept(dsn: str) -> None:
        """The server of the tests trades durability for speed; that is tested elsewhere."""

    monkeypatch.setattr(db, "check_server", accept)
    monkeypatch.setenv("TEKKIE_DATABASE_URL", database.owner_dsn)
    monkeypatch.setenv("TEKKIE_DATA_DIR", str(tmp_path / "data"))
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def in_service(
    database: Database, tmp_path
) -> Callable[[Callable[[Runtime], Awaitable[Any]]], Any]:
    """Runs a coroutine with a runtime on the database of this test, as the service would."""

    async def work(do: Callable[[Runtime], Awaitable[Any]]) -> Any:
        settings = load_settings(data_dir=tmp_path / "data", public_url="https://tekkie.test")
        async with open_runtime(settings, database, application="tests") as rt:
            return await do(rt)

    return lambda do: asyncio.run(work(do))


@pytest.fixture
def not_durable(database: Database) -> None:
    """Makes the database of this test trade durability for speed."""

    async def change() -> None:
        connection = await connect(database.owner_dsn, application="tests")
        try:
            name = await connection.fetchval("SELECT quote_ident(current_database())")
            await connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
        finally:
            await connection.close()

    asyncio.run(change())


@pytest.fixture
def real_time(database: Database) -> None:
    """Removes the test clock from the database of this test."""

    async def remove() -> None:
        connection = await connect(database.owner_dsn, application="tests")
        try:
            await connection.execute(load("clock").remove_test_clock)
        finally:
            await connection.close()

    asyncio.run(remove())


FRIENDS = """\
ref,name,email,phone,lat,lon,radius_km,certificates,languages,tier,capacity
ana,Ana Muster,ana@example.org,+41 44 000 17 39,47.37,8.54,10,wifi;mac,de;en,friend,2
ben,Ben Muster,ben@example.org,+41 44 668 18 01,47.38,8.55,5,wifi,de,friend,3
eva,Eva Muster,eva@example.org,+41 44 668 18 02,47.39,8.53,20,,fr;de,pro,4
"""


@pytest.fixture
def file(tmp_path):
    """A file of three valid friends."""
    path = tmp_path / "friends.csv"
    path.write_text(FRIENDS, encoding="utf-8")
    return path
