"""Booking and accepting over HTTP, beside a straightforward service and the database's limit.

    python -m benchmarks.dispatch [--quick | --below] [--friends 10000,100000]

Writes benchmarks/results/dispatch.json and the section "Dispatch" of benchmarks/report.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import asyncpg
import numpy as np
import uvloop

from benchmarks import below, customers, load, report, sections, servers, stage
from benchmarks.below import CALLERS, WARM_UP, Measurements
from benchmarks.customers import Site
from benchmarks.designs import NotInstalled
from benchmarks.load import LoadResult, Plan, Unit
from benchmarks.stage import ExternalServer, Stage, progress
from benchmarks.world import population
from data import migrate, sql_loader
from data.records.ids import FriendId
from data.seed import catalogue
from data.store import catalogue as catalogue_rows
from dispatch.flows.people import sessions

PROCESSES = (1, 2)
RACERS = 4
CLEANERS = 32
ROUNDS_MAX = 4
TOKENS_AT_ONCE = 8
STRAIGHT = "benchmarks.straightforward.app:app"

checks = sql_loader.load("checks", folder=stage.SQL)
straight_sql = sql_loader.load("straightforward", folder=Path(__file__).parent / "straightforward")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much is measured: seconds per window, and at what connections and rates."""

    friends: tuple[int, ...]
    seconds: float
    sites: int
    connections: tuple[int, ...]
    racing: tuple[int, ...]
    rates: tuple[int, ...]
    straight_connections: tuple[int, ...]


WHOLE = Scale(
    friends=(100_000,),
    seconds=4.0,
    sites=6_000,
    connections=(1, 8, 64, 128),
    racing=(32, 128),
    rates=(100, 400, 800, 1_200, 1_600, 2_000, 2_500, 3_000),
    straight_connections=(1, 8, 64, 128),
)
QUICK = Scale(
    friends=(10_000,),
    seconds=1.5,
    sites=1_000,
    connections=(8, 64),
    racing=(32,),
    rates=(100,),
    straight_connections=(64,),
)


def main() -> None:
    arguments = _parse_arguments()
    started = time.monotonic()
    machine = sections.machine()
    if arguments.below:
        _measure_below_again(arguments.scale)
        return
    rows: list[dict[str, Any]] = []
    checked: list[dict[str, Any]] = []
    for count in arguments.scale.friends:
        book = Measurements(count)
        with (
            stage.open_stage() as made,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            places = runner.run(_measure(made, arguments.scale, book))
        if not arguments.quick and count == arguments.scale.friends[-1]:
            _measure_postgis(arguments.scale, book, places)
        rows += book.rows
        checked += book.checks
    took_s = time.monotonic() - started
    result = {"machine": machine, "took_s": took_s}
    sections.save(arguments.quick, "dispatch", {**result, "rows": rows, "checks": checked})
    progress(f"{took_s:.0f} s")


def _measure_below_again(scale: Scale) -> None:
    """Measure the rows below HTTP again and replace them in the stored result."""
    result = json.loads((report.RESULTS / "dispatch.json").read_text())
    for count in scale.friends:
        book = Measurements(count)
        with (
            stage.open_stage() as made,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            runner.run(_measure_below(made, scale, book))
        anew = {row["design"] for row in book.rows}
        others = [r for r in result["rows"] if r["design"] not in anew or r["friends"] != count]
        result |= {"rows": book.rows + others, "checks": book.checks + result["checks"]}
    sections.save(quick=False, name="dispatch", result=result)


async def _measure_below(made: Stage, scale: Scale, book: Measurements) -> list[Site]:
    friends = population(book.friends, np.random.default_rng(book.friends))
    await stage.insert_friends(made, friends)
    for name in ("direct", "raw", "straightforward"):
        await made.clone(name)
    async with stage.connect_runtime(made, "direct") as rt:
        places = customers.find_sites(rt, scale.sites, seed=book.friends)
        progress(f"{book.friends:>7,} friends; room for {len(places):,} bookings at a time")
        written = await below.measure_flow(made, rt, places, scale.seconds, book)
    await below.measure_raw(made, written, book)
    return places


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one size, under a minute")
    parser.add_argument("--below", action="store_true", help="only what lies below HTTP, again")
    parser.add_argument("--friends", help="numbers of friends, separated by commas")
    parser.add_argument("--seconds", type=float, help="of measuring per window")
    arguments = parser.parse_args()
    arguments.scale = QUICK if arguments.quick else WHOLE
    if arguments.friends:
        sizes = tuple(int(n) for n in arguments.friends.split(","))
        arguments.scale = replace(arguments.scale, friends=sizes)
    if arguments.seconds:
        arguments.scale = replace(arguments.scale, seconds=arguments.seconds)
    return arguments


async def _measure(made: Stage, scale: Scale, book: Measurements) -> list[Site]:
    places = await _measure_below(made, scale, book)
    await _measure_straightforward(made, places, scale, book)
    await _measure_http(made, places, scale, book)
    return places


async def _measure_http(
    made: Stage, places: Sequence[Site], scale: Scale, book: Measurements
) -> None:
    async with stage.connect_runtime(made) as rt:
        operator = await sessions.add_operator(rt, "Bench", "bench@example.org")
        desk = await sessions.create_token(rt, operator)
        tokens: dict[UUID, str] = {}

        async def grant(friend_ids: Sequence[UUID]) -> dict[UUID, str]:
            missing = iter([one for one in friend_ids if one not in tokens])

            async def some() -> None:
                for one in missing:
                    tokens[one] = await sessions.create_token(rt, FriendId(one))

            await asyncio.gather(*(some() for _ in range(TOKENS_AT_ONCE)))
            return tokens

        def clean(port: int) -> Callable[[], Awaitable[None]]:
            return lambda: _cancel_all(made, port, desk)

        for processes in PROCESSES:
            serving = stage.run_tekkie(made, "--api-only", processes=processes)
            with serving as (pid, port):
                name = sections.design("tekkie", processes)
                server = ServerUnderLoad(
                    made, book, scale, name, port, pid, places, clean(port), grant
                )
                rates = scale.rates if processes == PROCESSES[-1] else ()
                await server.measure(scale.connections, rates)
        with stage.run_tekkie(made) as (pid, port):
            name = "tekkie, delivering"
            server = ServerUnderLoad(made, book, scale, name, port, pid, places, clean(port), grant)
            await server.warm_up()
            await server.books(64)


async def _measure_straightforward(
    made: Stage, places: Sequence[Site], scale: Scale, book: Measurements
) -> None:
    async with made.owner("straightforward") as owner:
        await owner.execute(straight_sql.prepare_cube)
        await owner.execute(straight_sql.settle)
    dsn = made.database("straightforward").owner_dsn
    clean, grant = _straightforward_helpers(lambda: made.owner("straightforward"))
    for processes in PROCESSES:
        with _run_straightforward(made.folder, dsn, "cube", processes) as (pid, port):
            name = sections.design("straightforward", processes)
            server = ServerUnderLoad(
                made, book, scale, name, port, pid, places, clean, grant, "straightforward"
            )
            await server.measure(scale.straight_connections)


@contextmanager
def _run_straightforward(
    folder: Path, dsn: str, knn: str, processes: int
) -> Iterator[tuple[int, int]]:
    port = stage.free_port()
    env = {"STRAIGHTFORWARD_DSN": dsn, "STRAIGHTFORWARD_KNN": knn}
    arguments = ["-m", "uvicorn", STRAIGHT, "--port", str(port), "--log-level", "warning"]
    arguments += ["--workers", str(processes)]
    with stage.run_server(folder, arguments, port, env, ready="/healthz") as pid:
        yield pid, port


def _straightforward_helpers(connect: Callable[[], Any]) -> tuple[Any, Any]:
    tokens: dict[UUID, str] = {}

    async def clean() -> None:
        async with connect() as owner:
            await owner.execute(checks.end_bookings)

    async def grant(friend_ids: Sequence[UUID]) -> dict[UUID, str]:
        new = {one: token_urlsafe() for one in friend_ids if one not in tokens}
        tokens.update(new)
        hashes = [sha256(token.encode()).digest() for token in new.values()]
        async with connect() as owner:
            await owner.execute(checks.grant_sessions, hashes, list(new))
        return tokens

    return clean, grant


@dataclass(slots=True)
class ServerUnderLoad:
    """One server under load, with access to its database."""

    made: Stage | ExternalServer
    book: Measurements
    scale: Scale
    design: str
    port: int
    pid: int
    places: Sequence[Site]
    clean: Callable[[], Awaitable[None]]
    grant: Callable[[Sequence[UUID]], Awaitable[dict[UUID, str]]]
    database: str = "tekkie"

    async def measure(self, connections: Sequence[int], rates: Sequence[int] = ()) -> None:
        """Bookings in a closed loop, at rates, and races."""
        await self.warm_up()
        for count in connections:
            await self.books(count)
        await self.at_rates(rates)
        for count in self.scale.racing:
            await self.races(count)

    async def warm_up(self) -> None:
        """Book without measuring: the first bookings fill caches."""
        plan = self._bookings(CALLERS, self.scale.seconds, None)
        load.run(replace(plan, units=plan.units[: 2 * WARM_UP]))
        await self.clean()

    async def books(self, connections: int) -> None:
        """Bookings in a closed loop, in as many rounds as fill the time."""
        whole, spent = LoadResult(), dict[str, float]()
        for _ in range(ROUNDS_MAX):
            left_s = self.scale.seconds - whole.elapsed_s
            if left_s < self.scale.seconds / 10:
                break
            plan = self._bookings(connections, left_s, None)
            loaded = await self._under_load(plan, spent)
            await self._check_bookings(loaded, f"{connections} connections")
            whole = _add(whole, loaded)
            await self.clean()
        self.book.row(
            self.design, "book", f"{connections} connections", **_load_figures(whole, spent, 201)
        )

    async def at_rates(self, rates: Sequence[int]) -> None:
        """Bookings at fixed rates, until the server no longer keeps up."""
        for rate in rates:
            seconds = min(self.scale.seconds, len(self.places) / rate)
            spent: dict[str, float] = {}
            plan = self._bookings(256, seconds, rate)
            loaded = await self._under_load(plan, spent)
            await self.clean()
            row = self.book.row(
                self.design, "book", f"{rate} a second", **_load_figures(loaded, spent, 201)
            )
            if row["per_s"] < 0.9 * rate:
                break

    async def races(self, connections: int) -> None:
        """Four friends accept the same job at once; as many jobs at a time as fit."""
        booked = load.run(self._bookings(CLEANERS, self.scale.seconds, None))
        async with self.made.owner(self.database) as owner:
            offers = await owner.fetch(checks.live_offers)
        tokens = await self.grant(list({row["friend_id"] for row in offers}))
        units: dict[UUID, list[bytes]] = {}
        for row in offers:
            path, token = f"/v1/offers/{row['id']}/accept", tokens[row["friend_id"]]
            units.setdefault(row["booking_id"], []).append(load.request("POST", path, token=token))
        plan = Plan(
            port=self.port,
            units=list(units.values()),
            connections=max(RACERS, connections),
            seconds=self.scale.seconds,
        )
        assert len(units) == booked.units
        spent: dict[str, float] = {}
        loaded = await self._under_load(plan, spent)
        async with self.made.owner(self.database) as owner:
            name = f"{self.design}, races by {connections} connections"
            self.book.check(name, await owner.fetchrow(checks.races), loaded.units)
        _expect(loaded, {200: loaded.units, 409: loaded.units * (RACERS - 1)})
        await self.clean()
        figures = _load_figures(loaded, spent, 200)
        lost = np.percentile(loaded.taken_ns[409], (50, 99)) / 1e6
        figures |= {"lost_p50_ms": float(lost[0]), "lost_p99_ms": float(lost[1])}
        self.book.row(self.design, "accept", f"{connections} connections", **figures)

    def _bookings(self, connections: int, seconds: float, rate: float | None) -> Plan:
        units: list[Unit] = [
            (load.request("POST", "/v1/bookings", customers.booking_body(site, number)),)
            for number, site in enumerate(self.places)
        ]
        if rate is not None:
            units = units[: int(rate * seconds)]
        return Plan(
            port=self.port, units=units, connections=connections, seconds=seconds, rate=rate
        )

    async def _under_load(self, plan: Plan, spent: dict[str, float]) -> LoadResult:
        before = (stage.cpu_s(self.pid), self.made.database_cpu_s())
        loaded = load.run(plan)
        after = (stage.cpu_s(self.pid), self.made.database_cpu_s())
        for who, start, end in zip(("server", "database"), before, after, strict=True):
            spent[who] = spent.get(who, 0.0) + end - start
        return loaded

    async def _check_bookings(self, loaded: LoadResult, name: str) -> None:
        _expect(loaded, {201: loaded.units})
        async with self.made.owner(self.database) as owner:
            found = await owner.fetchrow(checks.bookings)
        self.book.check(f"{self.design}, {name}", found, loaded.units)


async def _cancel_all(made: Stage, port: int, desk: str) -> None:
    """Cancel through the API, as the desk does, so that the server's index follows."""
    async with made.owner() as owner:
        ids = [row["id"] for row in await owner.fetch(checks.open_bookings)]
    if not ids:
        return
    words = b'{"reason":"mistake"}'
    units = [
        (load.request("POST", f"/v1/bookings/{one}/cancel", words, token=desk),) for one in ids
    ]
    plan = Plan(port=port, units=units, connections=CLEANERS, seconds=120)
    _expect(load.run(plan), {200: len(ids)})


def _measure_postgis(scale: Scale, book: Measurements, places: Sequence[Site]) -> None:
    """The straightforward service with PostGIS, on Debian's server if installed."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="tekkie-bench-")))
        try:
            address = servers.start_debian_server(stack, folder)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_measure_on_debian(address, folder, places, scale, book))
        except NotInstalled as error:
            progress(f"straightforward with PostGIS skipped: {error}")
            book.rows.append(
                {"design": "straightforward, PostGIS", "what": "book", "skipped": str(error)}
            )


async def _measure_on_debian(
    address: str, folder: Path, places: Sequence[Site], scale: Scale, book: Measurements
) -> None:
    made = ExternalServer(folder, address)
    await migrate.migrate(address)
    async with made.owner() as owner:
        await catalogue_rows.put(owner, catalogue.load())
    friends = population(book.friends, np.random.default_rng(book.friends))
    await stage.insert_friends(made, friends)
    async with made.owner() as owner:
        try:
            await owner.execute(straight_sql.prepare_postgis)
        except asyncpg.PostgresError as error:
            raise NotInstalled(f"no PostGIS: {error}") from error
        await owner.execute(straight_sql.settle)
    with _run_straightforward(folder, address, "postgis", PROCESSES[-1]) as (pid, port):
        clean, grant = _straightforward_helpers(made.owner)
        name = sections.design("straightforward, PostGIS", PROCESSES[-1])
        server = ServerUnderLoad(made, book, scale, name, port, pid, places, clean, grant)
        await server.warm_up()
        await server.books(64)
        await server.races(32)


def _load_figures(loaded: LoadResult, spent: dict[str, float], good: int) -> dict[str, Any]:
    p50, p99 = np.percentile(loaded.taken_ns[good], (50, 99)) / 1e6
    cpu_us = {who: s / loaded.units * 1e6 for who, s in spent.items()}
    return {
        "per_s": loaded.units / loaded.elapsed_s,
        "count": loaded.units,
        "p50_ms": float(p50),
        "p99_ms": float(p99),
        "cpu_us": {**cpu_us, "load": loaded.cpu_s / loaded.units * 1e6},
        "statuses": {str(status): n for status, n in loaded.statuses.items()},
    }


def _add(one: LoadResult, other: LoadResult) -> LoadResult:
    return LoadResult(
        taken_ns={
            status: one.taken_ns.get(status, []) + other.taken_ns.get(status, [])
            for status in one.taken_ns.keys() | other.taken_ns.keys()
        },
        units=one.units + other.units,
        elapsed_s=one.elapsed_s + other.elapsed_s,
        cpu_s=one.cpu_s + other.cpu_s,
    )


def _expect(loaded: LoadResult, statuses: dict[int, int]) -> None:
    if dict(loaded.statuses) != {status: n for status, n in statuses.items() if n}:
        raise AssertionError(f"answered {dict(loaded.statuses)} where {statuses} was expected")


if __name__ == "__main__":
    main()
