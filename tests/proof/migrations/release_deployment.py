"""A deployment of processes of any release, with stored bookings and clients."""

import ast
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random

from data.postgres import layout
from data.records.ids import FriendId
from data.secret_files import load_secret
from tests.proof.chaos import monitor
from tests.proof.chaos.checker import OVERDUE, Clock, check
from tests.proof.chaos.clients import Clients
from tests.proof.connection import Connection
from tests.proof.deployment import PUBLIC_URL, START, Deployment, Friend
from tests.proof.migrations import bulk_copy
from tests.proof.migrations.latency import TimedHistory
from tests.proof.migrations.releases import Release, ReleaseProcess, first_version
from tests.proof.postmaster import Postmaster
from tests.proof.processes import free_port

FILL_SCRIPTS = ("tests/proof/migrations/fill_release.py", "tests/proof/migrations/furnish.py")
INVARIANTS = "tests/flows/invariants.py"
SPEED = 600.0
FIRED_WITHIN_S = 30.0


@dataclass
class ReleaseDeployment:
    """The processes of one or two releases, their clients, and every violation found."""

    deployment: Deployment
    clients: Clients
    history: TimedHistory
    stored: int
    violations: list[str] = field(default_factory=list)

    def process(self, release: Release, kind: str, *words: str, port: int = 0) -> ReleaseProcess:
        """A process of a release, not started yet."""
        word = {"serve": "listening", "worker": "working"}.get(words[0], "")
        folder = self.deployment.folder
        env = release.environment(
            TEKKIE_DATABASE_URL=self.deployment.postmaster.dsn(layout.OWNER),
            TEKKIE_DATA_DIR=str(folder / "data"),
            TEKKIE_PUBLIC_URL=PUBLIC_URL,
            TEKKIE_TEST_CLOCK="1",
            TEKKIE_ANONYMOUS_BOOKINGS="trust",
        )
        log = folder / f"{kind} of {release.name}.log"
        return ReleaseProcess(f"{kind} of {release.name}", words, env, log, word, port)

    def api(self, release: Release, number: int, port: int) -> ReleaseProcess:
        """An API process that does not migrate."""
        words = ("serve", "--api-only", "--no-migrate", "--port", str(port))
        return self.process(release, f"api {number + 1}", *words, port=port)

    def worker(self, release: Release, number: int) -> ReleaseProcess:
        """A worker that does not migrate."""
        return self.process(release, f"worker {number + 1}", "worker", "--no-migrate")

    async def start(self, release: Release, apis: int = 2, workers: int = 2) -> None:
        """Start processes of this release."""
        self.deployment.apis = [self.api(release, n, free_port()) for n in range(apis)]
        self.deployment.workers = [self.worker(release, n) for n in range(workers)]
        await self.deployment.start()

    async def replace(self, *, apis: Release | None = None, workers: Release | None = None) -> None:
        """Replace all APIs, one after the other, or all workers by those of a release."""
        if apis is not None:
            for number, old in enumerate(self.deployment.apis):
                await _replace(self.deployment.apis, number, self.api(apis, number, old.port))
        if workers is not None:
            leaving = self.deployment.workers
            self.deployment.workers = [self.worker(workers, n) for n in range(len(leaving))]
            await _start(self.deployment.workers)
            for code in await asyncio.gather(*(asyncio.to_thread(one.stop) for one in leaving)):
                assert code == 0, f"a worker ended with {code}"

    async def stop_all(self) -> None:
        """Stop every process cleanly."""
        for code in await asyncio.gather(
            *(asyncio.to_thread(one.stop) for one in self.deployment.processes)
        ):
            assert code == 0, f"a process ended with {code}"

    async def start_again(self, release: Release) -> None:
        """Start this release on the same ports."""
        apis = self.deployment.apis
        self.deployment.apis = [self.api(release, n, old.port) for n, old in enumerate(apis)]
        self.deployment.workers = [
            self.worker(release, n) for n in range(len(self.deployment.workers))
        ]
        await self.deployment.start()

    async def read_refusal(self, release: Release, *words: str) -> str:
        """The message of a release that refuses to start; empty when it starts."""
        process = self.process(release, f"refused {words[0]}", *words)
        code = await process.run()
        return process.read_log().strip() if code == 1 else ""

    async def readiness(self) -> list[int]:
        """The status of /readyz of every API."""
        statuses = []
        for api in self.deployment.apis:
            connection = Connection(api.port)
            statuses.append((await connection.request("GET", "/readyz")).status)
            connection.close()
        return statuses

    async def check_invariants(self, when: str, schema: Release) -> int:
        """Check the invariants of the schema's release; returns the number of bookings."""
        async with self.deployment.owner() as owner:
            for name, query in _read_invariants(schema).items():
                rows = await owner.fetch(query)
                self.violations += [f"{when}: {name}: {row[0]}" for row in rows]
            count: int = await owner.fetchval("SELECT count(*) FROM bookings")
        return count

    async def finish(self) -> None:
        """Stop the clients, let due timers fire, and check the history against the tables."""
        await self.clients.stop()
        async with self.deployment.owner() as owner:
            clock = await Clock.read(owner)
            # Timers that are due fire before the clock is moved and stopped.
            until = await owner.fetchval("SELECT moment()")
            await self.deployment.set_clock(until + timedelta(hours=12, minutes=1), 0.0)
            until_s = time.monotonic() + FIRED_WITHIN_S
            while await owner.fetchval(OVERDUE, 0.0) and time.monotonic() < until_s:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            keys = {row["key"]: row["id"] for row in await owner.fetch(monitor.KEYS)}
            rows = await owner.fetch(
                "SELECT id::text FROM bookings WHERE created_at < $1", TRAFFIC_START
            )
            stored = {f"stored {row[0]}": row[0] for row in rows}
            findings = await check(owner, self.history, clock, until, keys | stored)
        self.violations += findings.violations
        self.violations += _find_tracebacks(self.deployment)
        if deadlocks := self.deployment.postmaster.read_log().count("deadlock detected"):
            self.violations.append(f"{deadlocks} deadlocks")


# Between the last stored job and the first of the clients.
TRAFFIC_START = START + timedelta(hours=1)


@asynccontextmanager
async def deploy_release(
    release: Release, *, friends: int, jobs: int, copies: int, pause_s: float, seed: int
) -> AsyncIterator[ReleaseDeployment]:
    """A deployment on the schema of this release; no process runs before `start`."""
    folder = Path(tempfile.mkdtemp(prefix="tekkie-proof-"))
    server = Postmaster(folder)
    deployment = Deployment(folder, server, [])
    try:
        await asyncio.to_thread(server.create_cluster)
        server.start()
        await asyncio.to_thread(server.wait)
        load_secret(folder / "data" / "secret")
        filled = await asyncio.to_thread(_fill, deployment, release, friends, jobs)
        deployment.friends = [
            Friend(one["ref"], FriendId(one["id"]), one["token"]) for one in filled
        ]
        async with deployment.owner(layout.ADMIN) as admin:
            stored = await bulk_copy.copy_jobs(admin, copies)
        await deployment.set_clock(TRAFFIC_START + timedelta(minutes=1), SPEED)
        clients = Clients(deployment, Random(seed), pause_s=pause_s)
        clients.history = history = TimedHistory()
        yield ReleaseDeployment(deployment, clients, history, stored)
    finally:
        for process in deployment.processes:
            process.kill()
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _fill(
    deployment: Deployment, release: Release, friends: int, jobs: int
) -> list[dict[str, str]]:
    server = deployment.postmaster
    words = [
        server.dsn(layout.OWNER),
        server.dsn(layout.SERVICE),
        str(deployment.folder / "data"),
        START.isoformat(),
        "0",
        str(friends),
        str(jobs),
    ]
    done = subprocess.run(
        [sys.executable, "-P", str(_fill_script(release)), *words],
        check=False,
        env=release.environment(),
        cwd=deployment.folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    filled: list[dict[str, str]] = json.loads(done.stdout)
    return filled


def _fill_script(release: Release) -> Path:
    """The release's own script; for a release from before there was one, the first in history."""
    for name in FILL_SCRIPTS:
        if (release.folder / name).exists():
            return release.folder / name
    script = release.folder / "fill.py"
    script.write_text(first_version(FILL_SCRIPTS[-1]), encoding="utf-8")
    return script


async def _replace(processes: list, number: int, new: ReleaseProcess) -> None:
    """Replace one process while the others go on."""
    code = await asyncio.to_thread(processes[number].stop)
    assert code == 0, f"{processes[number].name} ended with {code}"
    processes[number] = new
    await _start([new])


async def _start(new: list[ReleaseProcess]) -> None:
    for process in new:
        process.start()
    for process in new:
        await asyncio.to_thread(process.wait)


def _read_invariants(release: Release) -> dict[str, str]:
    """The queries for violations of that release: a later one names columns that it lacks.

    They are read, not imported: the imports of that file belong to its own release.
    """
    module = ast.parse((release.folder / INVARIANTS).read_text("utf-8"))
    dicts = (node.value for node in module.body if isinstance(node, ast.Assign))
    return ast.literal_eval(next(value for value in dicts if isinstance(value, ast.Dict)))


def _find_tracebacks(deployment: Deployment) -> list[str]:
    """Unexpected errors in all logs."""
    return [
        f"{log.stem} logged an unexpected error: {part.strip()[-300:]}"
        for log in deployment.folder.glob("*.log")
        for part in log.read_text("utf-8", "replace").split("Traceback (most recent call last)")[1:]
    ][:10]
