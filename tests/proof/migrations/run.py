"""From release to release while everybody works, and back each time."""

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from data import db
from data.postgres import layout
from data.store import test_clock
from tests.proof.house import BEGINNING
from tests.proof.migrations.catalogue import catalogue, differences
from tests.proof.migrations.pace import Waited
from tests.proof.migrations.releases import Release
from tests.proof.migrations.town import Town

HELD_TRIES = 3
PATIENT = "SET LOCAL idle_in_transaction_session_timeout = 0"
HOLD = "SELECT count(*) FROM offers WHERE state = 'live'"
IN_USE = "trying again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How many friends and customers, how large a stock, and how long each pairing lasts."""

    seed: int = 1
    each_s: float = 5.0
    friends: int = 24
    customers: int = 4
    pause_s: float = 0.5
    jobs: int = 40
    copies: int = 500


@dataclass(frozen=True, slots=True)
class Pairing:
    """Who worked with whom on which schema."""

    schema: str
    apis: str
    workers: str
    bookings: int
    waited: Waited


@dataclass
class Story:
    """What happened on the way."""

    stored: int = 0
    migrations: list[Waited] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    pairings: list[Pairing] = field(default_factory=list)
    refusals: list[tuple[str, str]] = field(default_factory=list)
    unanswered: int = 0
    unanswered_then: int = 0
    pause_s: float | None = None
    lines: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass
class Way:
    """Goes from release to release in one town and tells the story."""

    town: Town
    plan: Plan
    story: Story
    began_s: float = field(default_factory=time.monotonic)

    async def migrate(self, to: Release, *, held: bool) -> None:
        """`tekkie migrate` of a release while another serves, behind a long transaction if held."""
        unanswered = self.town.pace.unanswered
        self.say(f"migrate to {to.name}")
        process = self.town.process(to, "migrate", "migrate")
        began_s = time.monotonic()
        if held:
            async with self.town.house.owner() as reader, reader.transaction():
                await reader.execute(PATIENT)
                await reader.fetchval(HOLD)
                process.start()
                await _until(lambda: process.said().count(IN_USE) >= HELD_TRIES or process.dead)
                self._expect(not process.dead, "a migration passed a transaction that held a table")
        else:
            process.start()
        await _until(lambda: process.dead)
        ended_s = time.monotonic()
        # Who came behind the change shows only when he is answered.
        await asyncio.sleep(1.0)
        assert process.child is not None
        self._expect(process.child.returncode == 0, f"migrate failed: {process.said()}")
        what = f"`tekkie migrate` to {to.files[-1]}" + (", a transaction open" if held else "")
        self.story.migrations.append(self.town.pace.between(what, began_s, ended_s))
        self.story.said += process.said().strip().splitlines()
        cut = self.town.pace.unanswered - unanswered
        self.story.unanswered_then += cut
        self._expect(cut == 0, f"{cut} requests were not answered while it migrated")

    async def pair(self, schema: Release, apis: Release, workers: Release) -> None:
        """Let these work together for a while; every promise holds and all are ready."""
        self.say(f"schema {schema.name}, apis {apis.name}, workers {workers.name}")
        began_s = time.monotonic()
        await asyncio.sleep(self.plan.each_s)
        ended_s = time.monotonic()
        where = f"schema {schema.name}, apis {apis.name}, workers {workers.name}"
        ready = await self.town.readiness()
        self._expect(
            set(ready) == {200} or not apis.looks_ahead, f"{where}: /readyz answered {ready}"
        )
        count = await self.town.promises(where, schema)
        waited = self.town.pace.between(where, began_s, ended_s)
        self._expect(waited.requests > 0, f"{where}: nobody was answered")
        self.story.pairings.append(Pairing(schema.name, apis.name, workers.name, count, waited))

    async def refused(self, release: Release, why: str, *words: str, saying: str) -> None:
        """A release that must not start on the schema that is there, and says so."""
        said = await self.town.refusal(release, *words)
        self._expect(saying in said, f"{why}: said {said!r}")
        self.story.refusals.append((why, said.splitlines()[-1] if said else "started"))

    async def forth_and_back(self, one: Release, two: Release) -> None:
        """From one release, which works on its own schema, to the next, and back on its schema."""
        await self.pair(one, one, one)
        why = f"{two.name} on the schema of {one.name}"
        await self.refused(two, why, "worker", "--no-migrate", saying="run `tekkie migrate`")
        await self.migrate(two, held=False)
        await self.town.change(workers=two)
        await self.pair(two, one, two)
        await self.town.change(apis=two)
        await self.pair(two, two, two)
        await self.town.change(workers=one)
        await self.pair(two, two, one)
        await self.town.change(apis=one)
        await self.pair(two, one, one)

    async def with_a_pause(self, one: Release, two: Release) -> None:
        """From a release that does not know the next one's schema, as its own handbook says."""
        await self.pair(one, one, one)
        why = f"{two.name} on the schema of {one.name}"
        await self.refused(two, why, "worker", "--no-migrate", saying="run `tekkie migrate`")
        self.say("a pause")
        began_s = time.monotonic()
        await self.town.leave()
        process = self.town.process(two, "migrate", "migrate")
        self._expect(await process.finished() == 0, f"migrate failed: {process.said()}")
        self.story.said += process.said().strip().splitlines()
        await self.town.come(two)
        self.story.pause_s = time.monotonic() - began_s

    async def same_schema(self, last: Release) -> None:
        """A new database by the last release is what this one became step by step."""
        house = self.town.house
        async with house.owner(layout.ADMIN) as admin:
            await admin.execute(f"CREATE DATABASE fresh OWNER {layout.OWNER}")
        fresh = self.town.process(last, "fresh", "migrate")
        url = house.postmaster.dsn(layout.OWNER, "fresh")
        fresh.env = {**fresh.env, "TEKKIE_DATABASE_URL": url}
        self._expect(await fresh.finished() == 0, f"a new database failed: {fresh.said()}")
        other = await db.connect(url, application="proof")
        async with house.owner() as owner:
            await test_clock.put(other, BEGINNING, 0.0)
            one, two = await catalogue(owner), await catalogue(other)
        await other.close()
        self.story.lines = len(two)
        self.story.wrong += [f"the schemas differ: {line}" for line in differences(one, two)]

    def say(self, text: str) -> None:
        """Tell whoever waits for the whole run."""
        sys.stderr.write(f"{time.monotonic() - self.began_s:5.0f} s  {text}\n")

    def _expect(self, well: bool, otherwise: str) -> None:
        if not well:
            self.story.wrong.append(otherwise)


async def travel(
    town: Town, plan: Plan, releases: tuple[Release, Release, Release, Release]
) -> Story:
    """The whole way; what is wrong stands in the story."""
    before, now, after, still_later = releases
    way = Way(town, plan, Story(stored=town.stored))
    await town.open(before)
    town.crowd.begin(plan.customers)
    if before.looks_ahead:
        await way.forth_and_back(before, now)
        await town.change(apis=now, workers=now)
    else:
        await way.with_a_pause(before, now)
    await way.forth_and_back(now, after)
    await way.migrate(still_later, held=True)
    why = "before on the schema of after"
    await way.refused(before, why, "worker", "--no-migrate", saying="start the newer tekkie")
    await town.close()
    await way.same_schema(still_later)
    way.story.unanswered = town.pace.unanswered
    way.story.wrong += town.wrong
    return way.story


async def _until(well: Callable[[], bool], within_s: float = 90.0) -> None:
    async with asyncio.timeout(within_s):
        while not well():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
