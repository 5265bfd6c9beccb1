"""A whole house in real processes: a database server, APIs and workers, friends who can sign in."""

import asyncio
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

from data import db
from data.database import Database
from data.postgres import layout
from data.records.ids import FriendId, PersonId
from data.settings import Settings, kept_secret
from data.store import test_clock
from dispatch.flows.bootstrap import opened, prepare
from dispatch.flows.people import friends, sessions
from dispatch.runtime import Runtime
from geo.friend_import.reader import Row
from tests.builders import ZURICH, friend_row, north
from tests.proof.children import Tekkie, environment, free_port
from tests.proof.postmaster import Postmaster
from tests.proxy import Proxy

BEGINNING = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PUBLIC_URL = "http://tekkie.test"
FOREVER = timedelta(days=400)
MEMORY = Path("/dev/shm")


@dataclass
class Friend:
    """Somebody who can be asked."""

    ref: str
    id: FriendId
    token: str


@dataclass
class House:
    """Everything that runs, and how to reach it."""

    folder: Path
    postmaster: Postmaster
    proxies: list[Proxy]
    apis: list[Tekkie] = field(default_factory=list)
    workers: list[Tekkie] = field(default_factory=list)
    friends: list[Friend] = field(default_factory=list)
    operator: str = ""
    full: bool = False

    @property
    def processes(self) -> list[Tekkie]:
        return [*self.apis, *self.workers]

    @asynccontextmanager
    async def owner(self, role: str = layout.OWNER) -> AsyncIterator[asyncpg.Connection]:
        """A connection past the proxies, to look and to set the clock."""
        connection = await db.connect(self.postmaster.dsn(role), application="proof")
        try:
            yield connection
        finally:
            await connection.close()

    async def set_clock(self, at: datetime, speed: float) -> None:
        """Let the trade's time be `at`, and pass `speed` times as fast as real time."""
        async with self.owner() as owner:
            await test_clock.put(owner, at, speed)

    async def start(self) -> None:
        """Start every process and return when all are at work."""
        for process in self.processes:
            process.start()
        for process in self.processes:
            await asyncio.to_thread(process.wait)


@asynccontextmanager
async def house(
    rows: Sequence[Row],
    *,
    apis: int = 2,
    workers: int = 0,
    speed: float | None = 1.0,
    at: datetime = BEGINNING,
    base: Path | None = MEMORY,
    disk: Path | None = None,
    postmaster: dict[str, Any] | None = None,
    **settings: str,
) -> AsyncIterator[House]:
    """A house with these friends, at work; all of it is ended and its folder deleted afterwards.

    The trade goes by a test clock of this `speed`; None leaves real time in its place. The
    database lies on `disk`, if given, all else in a folder made in `base`.
    """
    folder = _folder(base)
    server = Postmaster(disk or folder, **(postmaster or {}))
    made = House(folder, server, [])
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    # Whoever is told to end ends its house first.
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await asyncio.to_thread(server.found)
        server.start()
        await asyncio.to_thread(server.wait)
        await _furnish(made, rows, speed, at)
        made.proxies = [Proxy(server.socket), Proxy(server.socket)]
        for proxy in made.proxies:
            await proxy.open()
        _people(made, apis, workers, environment(**_clock(speed), **settings))
        await made.start()
        yield made
    finally:
        for process in made.processes:
            process.kill()
        for proxy in made.proxies:
            await proxy.close()
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)
        loop.remove_signal_handler(signal.SIGTERM)


def _database(made: House) -> Database:
    server = made.postmaster
    return Database(
        owner_dsn=server.dsn(layout.OWNER),
        service_dsn=server.dsn(layout.SERVICE),
        service_role=db.SERVICE_ROLE,
    )


@asynccontextmanager
async def service(made: House) -> AsyncIterator[Runtime]:
    """A runtime of this process on the house's database, past the proxies."""
    settings = Settings(data_dir=made.folder / "data")
    async with opened(settings, _database(made), application="proof") as rt:
        yield rt


def _folder(base: Path | None) -> Path:
    usable = base if base is not None and base.is_dir() else None
    return Path(tempfile.mkdtemp(prefix="tekkie-proof-", dir=usable))


def _clock(speed: float | None) -> dict[str, str]:
    return {} if speed is None else {"TEKKIE_TEST_CLOCK": "1"}


def _people(made: House, apis: int, workers: int, env: dict[str, str]) -> None:
    """One half of the processes reaches the database through each of the proxies."""

    def tekkie(kind: str, number: int, words: list[str], word: str, port: int = 0) -> Tekkie:
        proxy = made.proxies[number % len(made.proxies)]
        url = f"postgresql://{layout.OWNER}@127.0.0.1:{proxy.port}/{layout.DATABASE}"
        own = {
            "TEKKIE_DATABASE_URL": url,
            "TEKKIE_DATA_DIR": str(made.folder / "data"),
            "TEKKIE_PUBLIC_URL": PUBLIC_URL,
        }
        name = f"{kind} {number + 1}"
        log = made.folder / f"{kind}{number + 1}.log"
        return Tekkie(name, words, env | own, log, word, port)

    for number in range(apis):
        port = free_port()
        words = ["serve", "--api-only", "--port", str(port)]
        made.apis.append(tekkie("api", number, words, "listening", port))
    for number in range(workers):
        made.workers.append(tekkie("worker", number, ["worker"], "working"))


async def _furnish(made: House, rows: Sequence[Row], speed: float | None, at: datetime) -> None:
    kept_secret(made.folder / "data" / "secret")
    await prepare(_database(made))
    if speed is not None:
        await made.set_clock(at, speed)
    async with service(made) as rt:
        await friends.take_in(rt, rows, actor="system")
        for friend in sorted(rt.index, key=lambda one: one.ref):
            token = await sessions.token(rt, PersonId(friend.id), FOREVER)
            made.friends.append(Friend(friend.ref, friend.id, token))


def groups(count: int, size: int = 4, **changes: Any) -> list[Row]:
    """Friends in groups five kilometres apart: whoever books in one asks nobody of another."""
    return [
        friend_row(
            f"g{group:02}n{number}",
            north(5_000 * group + 100 * (number + 1)),
            **{"radius_m": 1_000, "capacity": 20} | changes,
        )
        for group in range(count)
        for number in range(size)
    ]


def order(number: int, group: int = 0, away_m: float = 0.0) -> dict[str, Any]:
    """The body of a booking in the middle of a group."""
    point = north(5_000 * group + away_m, ZURICH)
    return {
        "package": "wifi-setup",
        "customer": {
            "name": f"Vera Beispiel {number}",
            "email": f"vera{number}@example.com",
            "phone": "+41440001739",
            "language": "de",
        },
        "address": {
            "street": f"Erfundene Strasse {number}",
            "postcode": "8001",
            "city": "Zürich",
            "country": "CH",
            "lat": round(point.lat, 6),
            "lon": round(point.lon, 6),
        },
    }


def link_token(booking: dict[str, Any]) -> str:
    """What a customer shows to be known: the end of her link."""
    return str(booking["customer_link"]).rpartition("/")[2]
