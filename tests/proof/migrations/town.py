"""A house of processes of any release, with a stock of bookings and people who ask."""

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
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from random import Random
from types import ModuleType

from data.postgres import layout
from data.records.ids import FriendId
from data.settings import kept_secret
from tests.proof.chaos import witness
from tests.proof.chaos.checker import OVERDUE, Clock, check
from tests.proof.chaos.crowd import Crowd
from tests.proof.children import free_port
from tests.proof.house import BEGINNING, PUBLIC_URL, Friend, House
from tests.proof.line import Line
from tests.proof.migrations import stock
from tests.proof.migrations.pace import Pace
from tests.proof.migrations.releases import Release, Released
from tests.proof.postmaster import Postmaster

FURNISH = Path(__file__).with_name("furnish.py")
SPEED = 600.0
RINGS_WITHIN_S = 30.0


@dataclass
class Town:
    """Who works there, and what they asked and were answered."""

    house: House
    crowd: Crowd
    pace: Pace
    stored: int
    wrong: list[str] = field(default_factory=list)

    def process(self, release: Release, kind: str, *words: str, port: int = 0) -> Released:
        """A process of a release that is not started yet."""
        word = {"serve": "listening", "worker": "working"}.get(words[0], "")
        folder = self.house.folder
        env = release.environment(
            TEKKIE_DATABASE_URL=self.house.postmaster.dsn(layout.OWNER),
            TEKKIE_DATA_DIR=str(folder / "data"),
            TEKKIE_PUBLIC_URL=PUBLIC_URL,
            TEKKIE_TEST_CLOCK="1",
        )
        log = folder / f"{kind} of {release.name}.log"
        return Released(f"{kind} of {release.name}", words, env, log, word, port)

    def api(self, release: Release, number: int, port: int) -> Released:
        """One of its APIs, which never migrates by itself."""
        words = ("serve", "--api-only", "--no-migrate", "--port", str(port))
        return self.process(release, f"api {number + 1}", *words, port=port)

    def worker(self, release: Release, number: int) -> Released:
        """One of its workers, which never migrates by itself."""
        return self.process(release, f"worker {number + 1}", "worker", "--no-migrate")

    async def open(self, release: Release, apis: int = 2, workers: int = 2) -> None:
        """Let this release begin."""
        self.house.apis = [self.api(release, n, free_port()) for n in range(apis)]
        self.house.workers = [self.worker(release, n) for n in range(workers)]
        await self.house.start()

    async def change(self, *, apis: Release | None = None, workers: Release | None = None) -> None:
        """Replace all processes of a kind by those of a release: APIs one after the other."""
        if apis is not None:
            for number, old in enumerate(self.house.apis):
                await _replace(self.house.apis, number, self.api(apis, number, old.port))
        if workers is not None:
            leaving = self.house.workers
            self.house.workers = [self.worker(workers, n) for n in range(len(leaving))]
            await _begin(self.house.workers)
            for code in await asyncio.gather(*(asyncio.to_thread(one.end) for one in leaving)):
                assert code == 0, f"a worker ended with {code}"

    async def leave(self) -> None:
        """Let everybody end in order."""
        for code in await asyncio.gather(
            *(asyncio.to_thread(one.end) for one in self.house.processes)
        ):
            assert code == 0, f"a process ended with {code}"

    async def come(self, release: Release) -> None:
        """Let this release begin where another left."""
        apis = self.house.apis
        self.house.apis = [self.api(release, n, old.port) for n, old in enumerate(apis)]
        self.house.workers = [self.worker(release, n) for n in range(len(self.house.workers))]
        await self.house.start()

    async def refusal(self, release: Release, *words: str) -> str:
        """What it says when it does not start; empty when it does."""
        process = self.process(release, f"stranger {words[0]}", *words)
        code = await process.finished()
        return process.said().strip() if code == 1 else ""

    async def readiness(self) -> list[int]:
        """The status of /readyz of every API."""
        statuses = []
        for api in self.house.apis:
            line = Line(api.port)
            statuses.append((await line.ask("GET", "/readyz")).status)
            line.close()
        return statuses

    async def promises(self, when: str, schema: Release) -> int:
        """Ask for every promise of that release; returns how many bookings there are."""
        violations = _invariants(schema).violations
        async with self.house.owner() as owner:
            self.wrong += [f"{when}: {text}" for text in await violations(owner)]
            count: int = await owner.fetchval("SELECT count(*) FROM bookings")
        return count

    async def close(self) -> None:
        """Let everybody finish, ring what is due, and hold all that was said against the tables."""
        await self.crowd.stop()
        async with self.house.owner() as owner:
            clock = await Clock.of(owner)
            # What came due until now rings before time is moved, and then stands still.
            flowed = await owner.fetchval("SELECT moment()")
            await self.house.set_clock(flowed + timedelta(hours=12, minutes=1), 0.0)
            until_s = time.monotonic() + RINGS_WITHIN_S
            while await owner.fetchval(OVERDUE, 0.0) and time.monotonic() < until_s:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            keys = {row["key"]: row["id"] for row in await owner.fetch(witness.KEYS)}
            rows = await owner.fetch("SELECT id::text FROM bookings WHERE created_at < $1", BEGUN)
            stored = {f"stored {row[0]}": row[0] for row in rows}
            found = await check(owner, self.pace, clock, flowed, keys | stored)
        self.wrong += found.wrong
        self.wrong += _tracebacks(self.house)
        if deadlocks := self.house.postmaster.said().count("deadlock detected"):
            self.wrong.append(f"{deadlocks} deadlocks")


# Between the last job of the stock and the first of the crowd.
BEGUN = BEGINNING + timedelta(hours=1)


@asynccontextmanager
async def town(
    release: Release, *, friends: int, jobs: int, copies: int, pause_s: float, seed: int
) -> AsyncIterator[Town]:
    """A town on the schema of this release; nobody works there before it is opened."""
    folder = Path(tempfile.mkdtemp(prefix="tekkie-proof-"))
    server = Postmaster(folder)
    made = House(folder, server, [])
    try:
        await asyncio.to_thread(server.found)
        server.start()
        await asyncio.to_thread(server.wait)
        kept_secret(folder / "data" / "secret")
        said = await asyncio.to_thread(_furnish, made, release, friends, jobs)
        made.friends = [Friend(one["ref"], FriendId(one["id"]), one["token"]) for one in said]
        async with made.owner(layout.ADMIN) as admin:
            stored = await stock.multiply(admin, copies)
        await made.set_clock(BEGUN + timedelta(minutes=1), SPEED)
        crowd = Crowd(made, Random(seed), pause_s=pause_s)
        pace = Pace()
        crowd.ledger = pace
        yield Town(made, crowd, pace, stored)
    finally:
        for process in made.processes:
            process.kill()
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _furnish(made: House, release: Release, friends: int, jobs: int) -> list[dict[str, str]]:
    server = made.postmaster
    words = [
        server.dsn(layout.OWNER),
        server.dsn(layout.SERVICE),
        str(made.folder / "data"),
        BEGINNING.isoformat(),
        "0",
        str(friends),
        str(jobs),
    ]
    done = subprocess.run(
        [sys.executable, "-P", str(FURNISH), *words],
        check=False,
        env=release.environment(),
        cwd=made.folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    said: list[dict[str, str]] = json.loads(done.stdout)
    return said


async def _replace(everybody: list, number: int, new: Released) -> None:
    """The others go on meanwhile."""
    code = await asyncio.to_thread(everybody[number].end)
    assert code == 0, f"{everybody[number].name} ended with {code}"
    everybody[number] = new
    await _begin([new])


async def _begin(new: list[Released]) -> None:
    for process in new:
        process.start()
    for process in new:
        await asyncio.to_thread(process.wait)


def _invariants(release: Release) -> ModuleType:
    """The promises as that release holds itself to: a later one asks for columns it has not."""
    path = release.folder / "tests" / "flows" / "invariants.py"
    spec = spec_from_file_location("invariants_of_a_release", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _tracebacks(made: House) -> list[str]:
    """Errors nobody foresaw, from everybody's log."""
    return [
        f"{log.stem} met an error nobody foresaw: {part.strip()[-300:]}"
        for log in made.folder.glob("*.log")
        for part in log.read_text("utf-8", "replace").split("Traceback (most recent call last)")[1:]
    ][:10]
