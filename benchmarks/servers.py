"""The designs that query a server: PostGIS and cube in PostgreSQL, GEOSEARCH in Redis.

Each starts its own server on a Unix socket and stops it. Server settings are the defaults:
a move or toggle in PostgreSQL is a durable commit.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.designs import REACH_M, NotInstalled, _Columns
from benchmarks.world import SHARES, WANT, Population, Query, ecef

BEND = 1 / (24 * 6_378_000.0**2)


class _Postgres:
    """A database of friends; `question` gives a coroutine function."""

    def __init__(self, friends: Population) -> None:
        self.friends = friends
        self._stack = ExitStack()
        self._loop = asyncio.new_event_loop()
        self._stack.callback(self._loop.close)
        self._folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="nearest")))

    def run(self, work: Awaitable[Any]) -> Any:
        return self._loop.run_until_complete(work)

    def close(self) -> None:
        self.run(self._db.close())
        self._stack.close()

    def connect(self, address: str) -> None:
        import asyncpg

        # By default the planner collects everybody within 30 km and sorts: three times as slow.
        best = {"enable_bitmapscan": "off", "enable_sort": "off"}
        self._db = self.run(asyncpg.connect(address, server_settings=best))

    def execute(self, text: str) -> None:
        self.run(self._db.execute(text))

    def copy(self, table: str, rows: Any, columns: Sequence[str]) -> None:
        self.run(self._db.copy_records_to_table(table, records=rows, columns=columns))

    def prepare(self, text: str) -> Any:
        return self.run(self._db.prepare(text))

    def size_of(self, like: str) -> int:
        return int(
            self.run(
                self._db.fetchval(
                    "select sum(pg_relation_size(indexrelid)) from pg_stat_user_indexes"
                    " where indexrelname like $1",
                    like,
                )
            )
        )

    def rows(self, answer: Any) -> list[int]:
        return [record[0] for record in answer]


class PostgisKnn(_Postgres):
    """PostGIS geography KNN (<->), a partial GiST index per certificate"""

    def build(self) -> None:
        self.connect(start_debian_server(self._stack, self._folder))
        try:
            self.execute("create extension postgis")
        except Exception as error:
            raise NotInstalled(f"no PostGIS: {error}") from error
        self.execute(
            "create table friend(row int primary key, lat float8, lon float8, open bool, held int,"
            " spoken int, country int, radius_m int, g geography(point))"
        )
        columns = ("lat", "lon", "open", "held", "spoken", "country", "radius_m")
        lists = [getattr(self.friends, name).tolist() for name in columns]
        rows = zip(range(len(self.friends)), *lists, strict=True)
        self.copy("friend", rows, ("row", *columns))
        self.execute("update friend set g = st_point(lon, lat)::geography")
        for bit in range(len(SHARES)):
            self.execute(
                f"create index knn_{bit} on friend using gist(g)"
                f" where open and held & {1 << bit} <> 0"
            )
        self.execute("vacuum analyze friend")
        self._asked = {
            bit: self.prepare(
                f"select row from friend where open and held & {1 << bit} <> 0"
                f" and st_dwithin(g, st_point($1, $2)::geography, {REACH_M})"
                " and st_distance(g, st_point($1, $2)::geography) <= radius_m"
                " and spoken & $3 <> 0 and country = $4 and row <> all($5)"
                f" order by g <-> st_point($1, $2)::geography limit {WANT}"
            )
            for bit in range(len(SHARES))
        }
        self._move = self.prepare(
            "update friend set g = st_point($3, $2)::geography where row = $1"
        )
        self._toggle = self.prepare("update friend set open = $2 where row = $1")

    def question(self, query: Query) -> Callable[[], Any]:
        fetch, excluded = self._asked[query.certificate].fetch, list(query.excluded)
        spoken = 1 << query.language
        return lambda: fetch(query.lon, query.lat, spoken, query.country, excluded)

    def move(self, row: int, lat: float, lon: float) -> Callable[[], Any]:
        return lambda: self._move.fetch(row, lat, lon)

    def toggle(self, row: int, free: bool) -> Callable[[], Any]:
        return lambda: self._toggle.fetch(row, free and bool(self.friends.active[row]))

    def bytes(self) -> int:
        return self.size_of("knn%")


class CubeKnn(_Postgres):
    """PostgreSQL cube KNN (<->) on earth-centred metres, GiST over (certificate, place)"""

    def build(self) -> None:
        from data.postgres.client import EmbeddedPostgres

        server = self._stack.enter_context(EmbeddedPostgres(self._folder / "data"))
        self.connect(server.admin_dsn)
        self.execute("create extension cube")
        self.execute("create extension btree_gist")
        self.execute(
            "create table friend(row int, certificate int, x float8, y float8, z float8, open bool,"
            " spoken int, country int, radius_m int, g cube)"
        )
        self.copy("friend", self._records(), self._names)
        self.execute("update friend set g = cube(array[x, y, z])")
        self.execute("create index knn on friend using gist(certificate, g) where open")
        self.execute("create index by_row on friend(row)")
        self.execute("vacuum analyze friend")
        self._ask = self.prepare(
            "select row from friend where open and certificate = $1"
            f" and g <@ cube_enlarge(cube($2::float8[]), {REACH_M}, 3)"
            f" and (g <-> cube($2::float8[])) * (1 + (g <-> cube($2::float8[]))^2 * {BEND})"
            " <= radius_m"
            " and spoken & $3 <> 0 and country = $4 and row <> all($5)"
            f" order by g <-> cube($2::float8[]) limit {WANT}"
        )
        self._move = self.prepare("update friend set g = cube($2::float8[]) where row = $1")
        self._toggle = self.prepare("update friend set open = $2 where row = $1")

    _names = ("row", "certificate", "x", "y", "z", "open", "spoken", "country", "radius_m")

    def _records(self) -> Any:
        friends = self.friends
        places, held = ecef(friends.lat, friends.lon).tolist(), friends.held.tolist()
        columns = (friends.open, friends.spoken, friends.country, friends.radius_m)
        facts = list(zip(*(column.tolist() for column in columns), strict=True))
        for row, mask in enumerate(held):
            for bit in range(len(SHARES)):
                if mask >> bit & 1:
                    yield (row, bit, *places[row], *facts[row])

    def question(self, query: Query) -> Callable[[], Any]:
        here, excluded = ecef(query.lat, query.lon).tolist(), list(query.excluded)
        fetch, spoken = self._ask.fetch, 1 << query.language
        return lambda: fetch(query.certificate, here, spoken, query.country, excluded)

    def move(self, row: int, lat: float, lon: float) -> Callable[[], Any]:
        there = ecef(lat, lon).tolist()
        return lambda: self._move.fetch(row, there)

    def toggle(self, row: int, free: bool) -> Callable[[], Any]:
        return lambda: self._toggle.fetch(row, free and bool(self.friends.active[row]))

    def bytes(self) -> int:
        return self.size_of("knn")


class RedisGeosearch(_Columns):
    """Redis GEOSEARCH per certificate of the available, growing radius, ranked anew exactly"""

    def build(self) -> None:
        server = shutil.which("redis-server")
        if server is None:
            raise NotInstalled("redis-server is not installed")
        try:
            import redis
        except ModuleNotFoundError as error:
            raise NotInstalled("the Python package redis is not installed") from error
        self._stack = ExitStack()
        folder = self._stack.enter_context(TemporaryDirectory(prefix="nearest"))
        socket = f"{folder}/redis.sock"
        options = ["--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder]
        process = subprocess.Popen([server, *options], stdout=subprocess.DEVNULL)
        self._stack.callback(process.wait)
        self._stack.callback(process.terminate)
        self._db = redis.Redis(unix_socket_path=socket)
        _wait_until(lambda: Path(socket).exists() and self._db.ping())
        self._empty = self._db.info("memory")["used_memory"]
        for bit in range(len(SHARES)):
            rows = self.holders(bit)
            lon, lat = self.friends.lon[rows].tolist(), self.friends.lat[rows].tolist()
            members = list(zip(lon, lat, rows.tolist(), strict=True))
            for start in range(0, len(members), 5_000):
                part = [item for member in members[start : start + 5_000] for item in member]
                self._db.geoadd(f"c{bit}", part)

    def close(self) -> None:
        self._db.close()
        self._stack.close()

    def question(self, query: Query) -> Callable[[], Any]:
        here = tuple(ecef(query.lat, query.lon).tolist())
        key, search = f"c{query.certificate}", self._db.geosearch

        def ask() -> list[tuple[float, int]]:
            reach_m = 1_000.0
            while True:
                wide_m = reach_m * 1.006 + 1
                near = search(key, longitude=query.lon, latitude=query.lat, radius=wide_m, unit="m")
                found = self.best(map(int, near), query, here)
                if reach_m >= REACH_M or (len(found) == WANT and found[-1][0] <= reach_m):
                    return found
                reach_m = min(reach_m * 3, REACH_M)

        return ask

    def move(self, row: int, lat: float, lon: float) -> Callable[[], None]:
        there = ecef(lat, lon).tolist()

        def change() -> None:
            self._x[row], self._y[row], self._z[row] = there
            self.friends.lon[row], self.friends.lat[row] = lon, lat
            if self._open[row]:
                self._each(row, lambda pipe, key: pipe.geoadd(key, (lon, lat, row)))

        return change

    def toggle(self, row: int, free: bool) -> Callable[[], None]:
        def change() -> None:
            self._open[row] = free and bool(self.friends.active[row])
            spot = (float(self.friends.lon[row]), float(self.friends.lat[row]), row)
            if self._open[row]:
                self._each(row, lambda pipe, key: pipe.geoadd(key, spot))
            else:
                self._each(row, lambda pipe, key: pipe.zrem(key, row))

        return change

    def _each(self, row: int, verb: Callable[[Any, str], Any]) -> None:
        pipe = self._db.pipeline(transaction=False)
        for bit in range(len(SHARES)):
            if self._held[row] >> bit & 1:
                verb(pipe, f"c{bit}")
        pipe.execute()

    def bytes(self) -> int:
        return int(self._db.info("memory")["used_memory"]) - int(self._empty)


def start_debian_server(stack: ExitStack, folder: Path) -> str:
    """The address of a server of the installed PostgreSQL, started in `folder`."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    if not found:
        raise NotInstalled("no PostgreSQL is installed under /usr/lib/postgresql")
    programs, user = found[-1].parent, None
    if os.geteuid() == 0:
        user = "postgres"
        shutil.chown(folder, user)

    def run(program: str, *words: str) -> None:
        command = [str(programs / program), *words]
        subprocess.run(
            command, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL, timeout=60
        )

    data = str(folder / "data")
    run("initdb", "-D", data, "-A", "trust", "-U", "bench", "-E", "UTF8", "--locale=C")
    options = f"-c listen_addresses= -c unix_socket_directories={folder}"
    run("pg_ctl", "-D", data, "-l", str(folder / "log"), "-w", "-o", options, "start")
    stack.callback(run, "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    return f"postgresql://bench@/postgres?host={folder}"


def _wait_until(ready: Callable[[], Any]) -> None:
    for _ in range(500):
        if ready():
            return
        time.sleep(0.01)
    raise NotInstalled("the server did not start within 5 s")
