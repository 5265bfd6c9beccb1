"""A whole deployment in real processes: database server, proxies, APIs, workers, friends."""

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
from data.secret_files import load_secret
from data.settings import Settings
from data.store import test_clock
from dispatch.flows.bootstrap import open_runtime, prepare_database
from dispatch.flows.people import friends, sessions
from dispatch.runtime import Runtime
from geo.friend_import.reader import Row
from tests.builders import NO_LIMITS, ZURICH, friend_row, north
from tests.proof.postmaster import Postmaster
from tests.proof.processes import TekkieProcess, environment, free_port
from tests.proxy import Proxy

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PUBLIC_URL = "http://tekkie.test"
FOREVER = timedelta(days=400)
MEMORY = Path("/dev/shm")


@dataclass
class Friend:
    """A friend with a session token."""

    ref: str
    id: FriendId
    token: str


@dataclass
class Deployment:
    """Everything that runs, and how to reach it; `is_disk_full` while a nemesis fills the disk."""

    folder: Path
    postmaster: Postmaster
    proxies: list[Proxy]
    apis: list[TekkieProcess] = field(default_factory=list)
    workers: list[TekkieProcess] = field(default_factory=list)
    friends: list[Friend] = field(default_factory=list)
    operator: str = ""
    is_disk_full: bool = False

    @property
    def processes(self) -> list[TekkieProcess]:
        return [*self.apis, *self.workers]

    @asynccontextmanager
    async def owner(self, role: str = layout.OWNER) -> AsyncIterator[asyncpg.Connection]:
        """A connection that bypasses the proxies, to read the tables and set the clock."""
        connection = await db.connect(self.postmaster.dsn(role), application="proof")
        try:
            yield connection
        finally:
            await connection.close()

    async def set_clock(self, at: datetime, speed: float) -> None:
        """Set the test clock to `at`, running `speed` times as fast as real time."""
        async with self.owner() as owner:
            await test_clock.set_clock(owner, at, speed)

    async def start(self) -> None:
        """Start every process and return when all are ready."""
        for process in self.processes:
            process.start()
        for process in self.processes:
            await asyncio.to_thread(process.wait)


@asynccontextmanager
async def deploy(
    rows: Sequence[Row],
    *,
    apis: int = 2,
    workers: int = 0,
    speed: float | None = 1.0,
    at: datetime = START,
    base: Path | None = MEMORY,
    disk: Path | None = None,
    postmaster: dict[str, Any] | None = None,
    is_limited: bool = False,
    **settings: str,
) -> AsyncIterator[Deployment]:
    """A running deployment with these friends; stopped and deleted afterwards.

    Unless `is_limited`, the friends have no limits of a day. It goes by a test clock of this
    `speed`; None means real time. The database lies on `disk`, if given, everything else in a
    folder deployment in `base`.
    """
    folder = _folder(base)
    server = Postmaster(disk or folder, **(postmaster or {}))
    deployment = Deployment(folder, server, [])
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    # On SIGTERM the deployment is torn down before this process ends.
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await asyncio.to_thread(server.create_cluster)
        server.start()
        await asyncio.to_thread(server.wait)
        await _fill(deployment, rows, speed, at)
        if not is_limited:
            async with deployment.owner() as owner:
                await owner.execute(NO_LIMITS)
        deployment.proxies = [Proxy(server.socket), Proxy(server.socket)]
        for proxy in deployment.proxies:
            await proxy.open()
        _create_processes(
            deployment, apis, workers, environment(**_clock_settings(speed), **settings)
        )
        await deployment.start()
        yield deployment
    finally:
        for process in deployment.processes:
            process.kill()
        for proxy in deployment.proxies:
            await proxy.close()
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)
        loop.remove_signal_handler(signal.SIGTERM)


def _database(deployment: Deployment) -> Database:
    server = deployment.postmaster
    return Database(
        owner_dsn=server.dsn(layout.OWNER),
        service_dsn=server.dsn(layout.SERVICE),
        service_role=db.SERVICE_ROLE,
    )


@asynccontextmanager
async def connect_runtime(deployment: Deployment) -> AsyncIterator[Runtime]:
    """A runtime in this process on the deployment's database, bypassing the proxies."""
    settings = Settings(data_dir=deployment.folder / "data")
    async with open_runtime(settings, _database(deployment), application="proof") as rt:
        yield rt


def _folder(base: Path | None) -> Path:
    usable = base if base is not None and base.is_dir() else None
    return Path(tempfile.mkdtemp(prefix="tekkie-proof-", dir=usable))


def _clock_settings(speed: float | None) -> dict[str, str]:
    return {} if speed is None else {"TEKKIE_TEST_CLOCK": "1"}


def _create_processes(deployment: Deployment, apis: int, workers: int, env: dict[str, str]) -> None:
    """Each proxy carries the connections of half of the processes."""

    def tekkie(kind: str, number: int, words: list[str], word: str, port: int = 0) -> TekkieProcess:
        proxy = deployment.proxies[number % len(deployment.proxies)]
        url = f"postgresql://{layout.OWNER}@127.0.0.1:{proxy.port}/{layout.DATABASE}"
        own = {
            "TEKKIE_DATABASE_URL": url,
            "TEKKIE_DATA_DIR": str(deployment.folder / "data"),
            "TEKKIE_PUBLIC_URL": PUBLIC_URL,
        }
        name = f"{kind} {number + 1}"
        log = deployment.folder / f"{kind}{number + 1}.log"
        return TekkieProcess(name, words, env | own, log, word, port)

    for number in range(apis):
        port = free_port()
        words = ["serve", "--api-only", "--port", str(port)]
        deployment.apis.append(tekkie("api", number, words, "listening", port))
    for number in range(workers):
        deployment.workers.append(tekkie("worker", number, ["worker"], "working"))


async def _fill(
    deployment: Deployment, rows: Sequence[Row], speed: float | None, at: datetime
) -> None:
    load_secret(deployment.folder / "data" / "secret")
    await prepare_database(_database(deployment))
    if speed is not None:
        await deployment.set_clock(at, speed)
    async with connect_runtime(deployment) as rt:
        await friends.import_friends(rt, rows, actor="system")
        for friend in sorted(rt.index, key=lambda one: one.ref):
            token = await sessions.create_token(rt, PersonId(friend.id), FOREVER)
            deployment.friends.append(Friend(friend.ref, friend.id, token))


def friend_groups(count: int, size: int = 4, **changes: Any) -> list[Row]:
    """Friends in groups five kilometres apart: a booking in one asks nobody of another."""
    return [
        friend_row(
            f"g{group:02}n{number}",
            north(5_000 * group + 100 * (number + 1)),
            **{"radius_m": 1_000, "capacity": 20} | changes,
        )
        for group in range(count)
        for number in range(size)
    ]


def booking_body(number: int, group: int = 0, away_m: float = 0.0) -> dict[str, Any]:
    """The JSON body of a booking in the middle of a group."""
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
    """The customer's token: the end of their link."""
    return str(booking["customer_link"]).rpartition("/")[2]
