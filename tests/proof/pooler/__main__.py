"""`python -m tests.proof.pooler`: bookings through PgBouncer, in transaction and session mode.

Needs the program `pgbouncer` (on Debian, the package of that name).
"""

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg

from data import db
from data.database import Database, database
from data.db import SessionUnfit
from data.hosts import behind_pooler
from data.postgres import initdb, layout
from data.postgres.initdb import run_as
from data.server_session import role_statements
from data.settings import load
from data.store import consistency, events
from dispatch.flows.bootstrap import open_runtime, prepare_database
from dispatch.rules.refusals import Refused
from dispatch.runtime import Runtime
from scheduler.worker import background_worker
from tests.builders import book_and_accept, friend_row, import_friends, north
from tests.proof import page, report
from tests.proof.postmaster import Postmaster
from tests.proof.processes import free_port

SERVER_CONNECTIONS = 6
CALLERS = 24
FRIENDS = 400
ANSWERS_WITHIN_S = 20.0
IGNORED = (
    "extra_float_digits,search_path,timezone,statement_timeout,lock_timeout,jit,role,"
    "idle_in_transaction_session_timeout,enable_seqscan"
)


@contextmanager
def pgbouncer(program: str, server: Postmaster, folder: Path, mode: str) -> Iterator[int]:
    """Run PgBouncer before `server` in this mode; yields its port."""
    port, config = free_port(), folder / f"{mode}.ini"
    target = f"host={server.sockets} dbname={layout.DATABASE}"
    config.write_text(
        f"[databases]\nservice = {target} user={layout.SERVICE}\n"
        f"owner = {target} user={layout.OWNER}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\n"
        f"default_pool_size = {SERVER_CONNECTIONS}\nignore_startup_parameters = {IGNORED}\n",
        encoding="utf-8",
    )
    config.chmod(0o644)
    who = run_as(initdb.choose_account(server.place))
    with (folder / f"{mode}.log").open("wb") as log:
        process = subprocess.Popen([program, str(config)], cwd="/", stdout=log, stderr=log, **who)
    try:
        yield port
    finally:
        process.terminate()
        process.wait()


def url(port: int, name: str) -> str:
    """The URL of one of the two databases behind PgBouncer."""
    return f"postgresql://me@127.0.0.1:{port}/{name}"


async def refusal(dsn: str) -> str:
    """The first line of why a pool is not opened here; empty if it is."""
    try:
        pool = await db.open_pool(dsn, role=db.SERVICE_ROLE, size=1, application="proof")
    except SessionUnfit as error:
        return str(error).splitlines()[0]
    await pool.close()
    return ""


@asynccontextmanager
async def runtime(folder: Path, **settings: str) -> AsyncIterator[Runtime]:
    """A runtime with a worker, as `tekkie serve` opens it."""
    chosen = load(data_dir=folder, secret_key="x" * 32, pool_size=CALLERS, **settings)
    async with (
        database(chosen) as place,
        open_runtime(chosen, place, application="proof") as rt,
        background_worker(rt),
    ):
        yield rt


async def work(rt: Runtime, bookings: int) -> tuple[float, Counter[str]]:
    """Book and accept so many jobs, with a stream of events beside; returns rate and failures."""
    rows = [friend_row(f"f{n}", north(20 * n), capacity=20) for n in range(1, FRIENDS + 1)]
    await import_friends(rt, rows)
    failures: Counter[str] = Counter()
    left, done = iter(range(bookings)), asyncio.Event()

    async def caller() -> None:
        for _ in left:
            await count_failure(book_and_accept(rt), failures)

    streaming = asyncio.create_task(count_failure(stream(rt, done), failures))
    began_s = time.monotonic()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    rate = bookings / (time.monotonic() - began_s)
    done.set()
    await streaming
    async with db.autocommit(rt.pool) as tx:
        count = await consistency.counts(tx)
        wrong = [*await consistency.bookings_without_timer(tx)]
        wrong += await consistency.friends_miscounted(tx)
    if count.bookings % bookings or wrong:
        failures[f"{count.bookings} bookings, inconsistent: {wrong[:3]}"] += 1
    return rate, failures


async def count_failure(act: Awaitable[object], failures: Counter[str]) -> None:
    """Wait for an act and count how it fails, unless the rules refuse it."""
    try:
        await act
    except Refused:
        pass  # of several offers at once to one friend, some are over the friend's limit
    except Exception as error:
        failures[f"{type(error).__name__}: {error}"] += 1


async def stream(rt: Runtime, done: asyncio.Event) -> None:
    """Read new events until `done`, as a process does for its open pages."""
    mark = None
    async with events.dedicated_connection(rt.pool) as tx:
        while not done.is_set():
            mark = (await events.events_since(tx, mark, 1000)).mark
            await asyncio.sleep(0.02)


async def lose_statements(port: int, tries: int) -> int:
    """How many of these statements fail with the driver's own settings, for comparison."""
    pool = await asyncpg.create_pool(url(port, "service"), min_size=CALLERS, max_size=CALLERS)
    done = await asyncio.gather(
        *(pool.fetchval("SELECT $1::int + 1", n) for n in range(tries)), return_exceptions=True
    )
    pool.terminate()
    return sum(isinstance(one, Exception) for one in done)


@contextmanager
def running_server() -> Iterator[tuple[Postmaster, Path]]:
    """A server of its own; yields it and a folder that its account can reach."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)
        server = Postmaster(folder)
        server.create_cluster()
        server.start()
        try:
            server.wait()
            yield server, folder
        finally:
            server.stop()


async def prove(
    server: Postmaster, program: str, folder: Path, bookings: int
) -> tuple[list[str], int]:
    """Run all cases; returns the lines of the section and the number of failures."""
    owner, service = server.dsn(layout.OWNER), server.dsn(layout.SERVICE)
    await prepare_database(
        Database(owner_dsn=owner, service_dsn=service, service_role=db.SERVICE_ROLE)
    )
    refused: list[tuple[str, str]] = []
    with pgbouncer(program, server, folder, "session") as port:
        await _reach(port)
        case = "session mode, as the owner, settings ignored"
        refused.append((case, await refusal(url(port, "owner"))))
    with pgbouncer(program, server, folder, "transaction") as port:
        await _reach(port)
        refused.append(("transaction mode, undeclared", await refusal(url(port, "owner"))))
        marked = behind_pooler(url(port, "service"))
        refused.append(("declared, without the role's settings", await refusal(marked)))
    await _set_role(server)
    with pgbouncer(program, server, folder, "transaction") as port:
        await _reach(port)
        direct = await _measure(folder, bookings, database_url=server.dsn(layout.OWNER))
        through = await _measure(
            folder, bookings, database_url=url(port, "service"), database_pooler="transaction"
        )
        lost = await lose_statements(port, bookings)
    failures = direct[1] + through[1]
    failures += Counter({f"not refused: {case}": 1 for case, text in refused if not text})
    if not lost:
        failures["the driver's own settings lost nothing: the comparison shows nothing"] += 1
    lines = [
        report.table(
            ("way", "bookings", "per second", "failed"),
            [
                ("the server itself", bookings, f"{direct[0]:.0f}", direct[1].total()),
                ("transaction pooler", bookings, f"{through[0]:.0f}", through[1].total()),
                ("the same with the driver's own settings", f"{bookings} statements", "", lost),
            ],
        ),
        "",
        report.table(("refused at the start", "with"), refused),
        "",
        f"**Failures: {failures.total()}.**",
        *(f"- {one}" for one in failures),
    ]
    return lines, failures.total()


async def _measure(folder: Path, bookings: int, **settings: str) -> tuple[float, Counter[str]]:
    async with runtime(folder / "data", **settings) as rt:
        return await work(rt, bookings)


async def _set_role(server: Postmaster) -> None:
    connection = await db.connect(server.dsn(), application="proof", path="pg_catalog")
    for one in await role_statements(connection, layout.SERVICE, layout.DATABASE):
        await connection.execute(one)
    await connection.close()


async def _reach(port: int) -> None:
    until = time.monotonic() + ANSWERS_WITHIN_S
    while True:
        try:
            connection = await asyncpg.connect(url(port, "owner"), statement_cache_size=0)
        except (OSError, asyncpg.PostgresError):
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.05)
        else:
            await connection.close()
            return


def main() -> None:
    """Run the proof; exit code 1 when anything failed."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--bookings", type=int, default=1_000)
    bookings = arguments.parse_args().bookings
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        sys.exit("pgbouncer is missing: on Debian `apt-get install pgbouncer`.")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    with running_server() as (server, folder):
        lines, failures = asyncio.run(prove(server, program, folder, bookings))
    head = (
        f"{version.stdout.splitlines()[0]}, {SERVER_CONNECTIONS} connections to the server for "
        f"{CALLERS} callers, a worker and a stream of events; each booking is accepted."
    )
    command = "python -m tests.proof.pooler"
    page.write("pooler", "Through a pooler", command, [head, "", *lines])
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
