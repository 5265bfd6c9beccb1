"""A server to measure: in a temporary folder, filled with an invented world.

The bundled PostgreSQL runs with its durable defaults. Everything started here is stopped here, each
process by its own pid.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen
from uuid import UUID

import asyncpg
import numpy as np
import psutil

from benchmarks.world import COUNTRIES, LANGUAGES, Population
from data import db, sql_loader
from data.database import Database
from data.postgres import layout
from data.postgres.client import EmbeddedPostgres
from data.seed import catalogue
from data.settings import Settings
from dispatch.flows.bootstrap import open_runtime, prepare_database
from dispatch.rules.policy import POLICY, Policy
from dispatch.runtime import Runtime

SQL = Path(__file__).parent / "sql"
CAPACITY = 20
STARTS_WITHIN_S = 180.0
ENDS_WITHIN_S = 15.0
FIRST_MS = 0x0190_0000_0000

sql = sql_loader.load("stage", folder=SQL)


@dataclass(frozen=True, slots=True)
class Stage:
    """A server and its folder."""

    folder: Path
    embedded: EmbeddedPostgres

    def database(self, name: str = layout.DATABASE) -> Database:
        return Database(
            owner_dsn=self.embedded.dsn(layout.OWNER, name),
            service_dsn=self.embedded.dsn(layout.SERVICE, name),
            service_role=db.SERVICE_ROLE,
        )

    @asynccontextmanager
    async def owner(
        self, name: str = layout.DATABASE, *, role: str = layout.OWNER
    ) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        """A connection as owner of the schema, or as superuser."""
        connection = await db.connect(self.embedded.dsn(role, name), application="benchmarks")
        try:
            yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def filler(
        self, name: str = layout.DATABASE
    ) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        """A connection without triggers and foreign keys, as a restore uses."""
        async with self.owner(name, role=layout.ADMIN) as owner:
            await owner.execute(sql.disable_triggers)
            yield owner

    async def clone(self, name: str, template: str = layout.DATABASE) -> None:
        """Copy a database without connections."""
        async with self.owner("postgres", role=layout.ADMIN) as admin:
            await admin.execute(sql.clone.format(name=name, template=template, owner=layout.OWNER))

    async def drop(self, name: str) -> None:
        async with self.owner("postgres", role=layout.ADMIN) as admin:
            await admin.execute(sql.drop.format(name=name))

    def database_cpu_s(self) -> float:
        """Processor seconds of the database server, with its ended processes."""
        return postmaster_cpu_s(self.folder / "postgres")


@dataclass(frozen=True, slots=True)
class ExternalServer:
    """A server other than the bundled one, with one database."""

    folder: Path
    address: str

    @asynccontextmanager
    async def owner(self, name: str = "") -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        """A connection to the one database."""
        connection = await db.connect(self.address, application="benchmarks", path="tekkie, public")
        try:
            yield connection
        finally:
            await connection.close()

    filler = owner

    def database_cpu_s(self) -> float:
        """Processor seconds of the database server."""
        return postmaster_cpu_s(self.folder / "data")


def postmaster_cpu_s(cluster_folder: Path) -> float:
    """Processor seconds of a PostgreSQL server and all its processes, with ended ones."""
    postmaster = psutil.Process(int((cluster_folder / "postmaster.pid").read_text().split()[0]))
    times = postmaster.cpu_times()
    spent = times.user + times.system + times.children_user + times.children_system
    for child in postmaster.children():
        with suppress(psutil.NoSuchProcess):
            spent += cpu_s(child.pid)
    return float(spent)


@contextmanager
def open_stage() -> Iterator[Stage]:
    """A server with an empty, migrated database, deleted afterwards."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    folder = Path(tempfile.mkdtemp(prefix="tekkie-bench-"))
    embedded = EmbeddedPostgres(folder)
    try:
        embedded.start()
        made = Stage(folder, embedded)
        asyncio.run(prepare_all(made))
        yield made
    finally:
        embedded.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def prepare_all(made: Stage) -> None:
    await prepare_database(made.database())


@asynccontextmanager
async def connect_runtime(
    made: Stage, name: str = layout.DATABASE, *, policy: Policy = POLICY
) -> AsyncIterator[Runtime]:
    """A runtime with a loaded index on one of the stage's databases."""
    settings = Settings(data_dir=made.folder)
    async with open_runtime(
        settings, made.database(name), application="bench", policy=policy
    ) as rt:
        yield rt


async def insert_friends(
    made: Stage | ExternalServer, friends: Population, name: str = layout.DATABASE
) -> None:
    """Copy these friends into the tables, as a restore does."""
    async with made.filler(name) as owner:
        # An index built at once takes a tenth of the time of one built row by row.
        exclusions = await owner.fetch(sql.exclusions)
        for one in exclusions:
            await owner.execute(sql.without.format(**one))
        for table, columns, records in _tables(friends):
            await owner.copy_records_to_table(
                table, records=records, columns=columns, schema_name="tekkie"
            )
        for one in exclusions:
            await owner.execute(sql.again.format(**one))
        await owner.execute(sql.settle)


def friend_id(row: int) -> UUID:
    """A UUIDv7 that begins with the friend's number, so that ids ascend."""
    return UUID(int=(FIRST_MS + row) << 80 | 7 << 76 | 2 << 62 | row)


def _tables(friends: Population) -> Iterator[tuple[str, tuple[str, ...], Iterator[Any]]]:
    codes = list(catalogue.load().certificates)
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    held, spoken = friends.held.tolist(), friends.spoken.tolist()
    country = friends.country.tolist()
    ids = [friend_id(row) for row in range(len(friends))]
    yield (
        "people",
        ("id", "kind", "name", "email", "phone", "language", "city", "country", "lat", "lon"),
        (
            (
                *(id_, "friend", f"Friend {row}", f"friend{row}@example.org", "+41440000000", "de"),
                *("Invented", COUNTRIES[land], lat, lon),
            )
            for row, (id_, land, lat, lon) in enumerate(
                zip(ids, country, friends.lat.tolist(), friends.lon.tolist(), strict=True)
            )
        ),
    )
    facts = (friends.active, friends.free, friends.radius_m)
    yield (
        "friends",
        (
            "id",
            "ref",
            "state",
            "tier",
            "market",
            "languages",
            "radius_m",
            "capacity",
            "open_jobs",
            "created_at",
        ),
        (
            (
                *(id_, f"f{row}", "active" if active else "paused", "friend"),
                *(COUNTRIES[country[row]], _language_codes(spoken[row]), radius_m),
                *(CAPACITY, 0 if free else CAPACITY, begun),
            )
            for row, (id_, active, free, radius_m) in enumerate(
                zip(ids, *(column.tolist() for column in facts), strict=True)
            )
        ),
    )
    yield (
        "friend_certificates",
        ("friend_id", "certificate", "valid"),
        (
            (id_, code, asyncpg.Range(begun, None))
            for row, id_ in enumerate(ids)
            for bit, code in enumerate(codes)
            if held[row] >> bit & 1
        ),
    )


def _language_codes(mask: int) -> list[str]:
    return [word for bit, word in enumerate(LANGUAGES) if mask >> bit & 1]


def make_all_available(friends: Population) -> Population:
    """The same friends, all active, free and certified for Wi-Fi."""
    friends.active[:] = friends.free[:] = True
    friends.held[:] = friends.held & 0b11 | 1
    friends.radius_m[:] = np.maximum(friends.radius_m, 10_000)
    return friends


@contextmanager
def run_process(command: Sequence[str], env: Mapping[str, str], log: Path) -> Iterator[int]:
    """A child process; stopped by SIGTERM, and killed if it does not end."""
    with log.open("wb") as out:
        started = subprocess.Popen(
            [sys.executable, *command],
            env={**os.environ, **env},
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    try:
        yield started.pid
    finally:
        started.terminate()
        try:
            started.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


@contextmanager
def run_server(
    folder: Path, command: Sequence[str], port: int, env: Mapping[str, str], *, ready: str
) -> Iterator[int]:
    """A server process that answers at the path `ready`; yields its pid."""
    log = folder / "server.log"
    with run_process(command, env, log) as pid:
        wait_until(lambda: _is_answering(f"http://127.0.0.1:{port}{ready}"), pid, log)
        yield pid


@contextmanager
def run_tekkie(made: Stage, *words: str, processes: int = 1) -> Iterator[tuple[int, int]]:
    """`tekkie serve` on the stage's database, all its processes ready; yields pid and port."""
    port = free_port()
    env = {
        "TEKKIE_DATA_DIR": str(made.folder),
        "TEKKIE_PORT": str(port),
        "TEKKIE_ANONYMOUS_BOOKINGS": "trust",
    }
    command = ["-m", "api", "serve", *words, "--processes", str(processes)]
    log = made.folder / "server.log"
    with run_server(made.folder, command, port, env, ready="/healthz") as pid:
        wait_until(lambda: log.read_text().count("is listening") == processes - 1, pid, log)
        yield pid, port


def wait_until(ready: Callable[[], bool], pid: int, log: Path) -> None:
    """Wait until something is ready; RuntimeError with the log when its process ended."""
    give_up_at = time.monotonic() + STARTS_WITHIN_S
    while not ready():
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            raise RuntimeError(f"it ended:\n{log.read_text()[-3000:]}")
        if time.monotonic() > give_up_at:
            raise RuntimeError(f"it is not ready:\n{log.read_text()[-3000:]}")
        time.sleep(0.05)


def _is_answering(address: str) -> bool:
    try:
        with urlopen(address, timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def cpu_s(pid: int) -> float:
    """Processor seconds of a process and its descendants, with ended ones."""
    run_process = psutil.Process(pid)
    times = run_process.cpu_times()
    spent = times.user + times.system + times.children_user + times.children_system
    for child in run_process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            times = child.cpu_times()
            spent += times.user + times.system
    return float(spent)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def progress(line: str) -> None:
    """Print a line of progress."""
    print(line, flush=True)
