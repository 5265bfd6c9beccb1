"""Migrates from release to release under load, and goes back one release each time."""

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from data import db
from data.postgres import layout
from data.store import test_clock
from tests.proof.deployment import START
from tests.proof.migrations.latency import WaitSummary
from tests.proof.migrations.release_deployment import ReleaseDeployment
from tests.proof.migrations.releases import Release
from tests.proof.migrations.schema_dump import diff_schemas, dump_schema

HELD_TRIES = 3
NO_TIMEOUT = "SET LOCAL idle_in_transaction_session_timeout = 0"
HOLD = "SELECT count(*) FROM offers WHERE state = 'live'"
IN_USE = "trying again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The numbers of friends, customers and stored jobs, and how long each pairing lasts."""

    seed: int = 1
    each_s: float = 5.0
    friends: int = 24
    customers: int = 4
    pause_s: float = 0.5
    jobs: int = 40
    copies: int = 500


@dataclass(frozen=True, slots=True)
class Pairing:
    """APIs and workers of these releases together on a schema."""

    schema: str
    apis: str
    workers: str
    bookings: int
    waits: WaitSummary


@dataclass
class UpgradeResult:
    """What happened, and every violation found."""

    stored: int = 0
    migrations: list[WaitSummary] = field(default_factory=list)
    output: list[str] = field(default_factory=list)
    pairings: list[Pairing] = field(default_factory=list)
    refusals: list[tuple[str, str]] = field(default_factory=list)
    unanswered: int = 0
    unanswered_then: int = 0
    pause_s: float | None = None
    lines: int = 0
    violations: list[str] = field(default_factory=list)


@dataclass
class Upgrade:
    """Goes from release to release in one deployment and collects the result."""

    deployment: ReleaseDeployment
    plan: Plan
    result: UpgradeResult
    began_s: float = field(default_factory=time.monotonic)

    async def migrate(self, to: Release, *, held: bool) -> None:
        """Run `tekkie migrate` of a release while another serves, `held` up by a transaction."""
        unanswered = self.deployment.history.unanswered
        self.log(f"migrate to {to.name}")
        process = self.deployment.process(to, "migrate", "migrate")
        began_s = time.monotonic()
        if held:
            async with self.deployment.deployment.owner() as reader, reader.transaction():
                await reader.execute(NO_TIMEOUT)
                await reader.fetchval(HOLD)
                process.start()
                await _wait_until(
                    lambda: process.read_log().count(IN_USE) >= HELD_TRIES or process.is_dead
                )
                self._expect(
                    not process.is_dead,
                    "a migration did not wait for a transaction that held a table",
                )
        else:
            process.start()
        await _wait_until(lambda: process.is_dead)
        ended_s = time.monotonic()
        # A request that waited for the change is recorded only when it is answered.
        await asyncio.sleep(1.0)
        assert process.child is not None
        self._expect(process.child.returncode == 0, f"migrate failed: {process.read_log()}")
        what = f"`tekkie migrate` to {to.files[-1]}" + (", a transaction open" if held else "")
        self.result.migrations.append(self.deployment.history.between(what, began_s, ended_s))
        self.result.output += process.read_log().strip().splitlines()
        cut = self.deployment.history.unanswered - unanswered
        self.result.unanswered_then += cut
        self._expect(cut == 0, f"{cut} requests were not answered while it migrated")

    async def pair(self, schema: Release, apis: Release, workers: Release) -> None:
        """Let these work together for a while; every invariant must hold and all be ready."""
        self.log(f"schema {schema.name}, apis {apis.name}, workers {workers.name}")
        began_s = time.monotonic()
        await asyncio.sleep(self.plan.each_s)
        ended_s = time.monotonic()
        where = f"schema {schema.name}, apis {apis.name}, workers {workers.name}"
        ready = await self.deployment.readiness()
        self._expect(
            set(ready) == {200} or not apis.supports_newer_schema,
            f"{where}: /readyz answered {ready}",
        )
        count = await self.deployment.check_invariants(where, schema)
        waits = self.deployment.history.between(where, began_s, ended_s)
        self._expect(waits.requests > 0, f"{where}: no request was answered")
        self.result.pairings.append(Pairing(schema.name, apis.name, workers.name, count, waits))

    async def expect_refusal(self, release: Release, why: str, *words: str, message: str) -> None:
        """A release must refuse to start on the present schema with this message."""
        text = await self.deployment.read_refusal(release, *words)
        self._expect(message in text, f"{why}: {text!r}")
        self.result.refusals.append((why, text.splitlines()[-1] if text else "started"))

    async def upgrade_and_back(self, one: Release, two: Release) -> None:
        """Upgrade from one release to the next process by process, and back on the new schema."""
        await self.pair(one, one, one)
        why = f"{two.name} on the schema of {one.name}"
        await self.expect_refusal(
            two, why, "worker", "--no-migrate", message="run `tekkie migrate`"
        )
        await self.migrate(two, held=False)
        await self.deployment.replace(workers=two)
        await self.pair(two, one, two)
        await self.deployment.replace(apis=two)
        await self.pair(two, two, two)
        await self.deployment.replace(workers=one)
        await self.pair(two, two, one)
        await self.deployment.replace(apis=one)
        await self.pair(two, one, one)

    async def upgrade_with_stop(self, one: Release, two: Release) -> None:
        """Upgrade from a release that does not support a newer schema: with a stop."""
        await self.pair(one, one, one)
        why = f"{two.name} on the schema of {one.name}"
        await self.expect_refusal(
            two, why, "worker", "--no-migrate", message="run `tekkie migrate`"
        )
        self.log("a stop")
        began_s = time.monotonic()
        await self.deployment.stop_all()
        process = self.deployment.process(two, "migrate", "migrate")
        self._expect(await process.run() == 0, f"migrate failed: {process.read_log()}")
        self.result.output += process.read_log().strip().splitlines()
        await self.deployment.start_again(two)
        self.result.pause_s = time.monotonic() - began_s

    async def compare_schemas(self, last: Release) -> None:
        """The schema migrated step by step must equal a new one of the last release."""
        deployment = self.deployment.deployment
        async with deployment.owner(layout.ADMIN) as admin:
            await admin.execute(f"CREATE DATABASE fresh OWNER {layout.OWNER}")
        fresh = self.deployment.process(last, "fresh", "migrate")
        url = deployment.postmaster.dsn(layout.OWNER, "fresh")
        fresh.env = {**fresh.env, "TEKKIE_DATABASE_URL": url}
        self._expect(await fresh.run() == 0, f"migrating a new database failed: {fresh.read_log()}")
        other = await db.connect(url, application="proof")
        async with deployment.owner() as owner:
            await test_clock.set_clock(other, START, 0.0)
            one, two = await dump_schema(owner), await dump_schema(other)
        await other.close()
        self.result.lines = len(two)
        self.result.violations += [f"the schemas differ: {line}" for line in diff_schemas(one, two)]

    def log(self, text: str) -> None:
        """Write progress to stderr."""
        sys.stderr.write(f"{time.monotonic() - self.began_s:5.0f} s  {text}\n")

    def _expect(self, condition: bool, otherwise: str) -> None:
        if not condition:
            self.result.violations.append(otherwise)


async def run_upgrades(
    deployment: ReleaseDeployment, plan: Plan, releases: tuple[Release, Release, Release, Release]
) -> UpgradeResult:
    """Run all upgrades; violations are in the result."""
    before, now, after, still_later = releases
    upgrade = Upgrade(deployment, plan, UpgradeResult(stored=deployment.stored))
    await deployment.start(before)
    deployment.clients.start(plan.customers)
    if before.supports_newer_schema:
        await upgrade.upgrade_and_back(before, now)
        await deployment.replace(apis=now, workers=now)
    else:
        await upgrade.upgrade_with_stop(before, now)
    await upgrade.upgrade_and_back(now, after)
    await upgrade.migrate(still_later, held=True)
    why = "before on the schema of after"
    await upgrade.expect_refusal(
        before, why, "worker", "--no-migrate", message="start the newer tekkie"
    )
    await deployment.finish()
    await upgrade.compare_schemas(still_later)
    upgrade.result.unanswered = deployment.history.unanswered
    upgrade.result.violations += deployment.violations
    return upgrade.result


async def _wait_until(is_done: Callable[[], bool], within_s: float = 90.0) -> None:
    async with asyncio.timeout(within_s):
        while not is_done():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
