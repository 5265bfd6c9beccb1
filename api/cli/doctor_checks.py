"""What the doctor looks at, one function per organ; each yields findings and none changes a thing.

A check that cannot be made because an earlier one failed is left out: the earlier finding says
what to do first.
"""

from __future__ import annotations

import asyncio
import os
import platform
import resource
import shutil
import socket
import stat
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Final, Literal

from data import migrate
from data.database import Database, database
from data.db import DatabaseError, connect, server_sql, translate_errors
from data.postgres import layout
from data.seed import catalogue
from data.settings import PREFIX, SECRET_BYTES, Settings, SettingsInvalid
from data.store import consistency, test_clock
from dispatch.flows import maintenance
from dispatch.flows.bootstrap import open_runtime
from dispatch.flows.read_only import read_connection
from dispatch.runtime import Runtime
from geo.gazetteer.offline import Gazetteer, GazetteerMissing
from geo.point import Point, distance_m
from scheduler.senders.vapid_subject import is_reachable, subject

State = Literal["ok", "warning", "failed"]

LITTLE_DISK: Final = 2_000_000_000
TOO_LITTLE_DISK: Final = 200_000_000
LITTLE_MEMORY: Final = 900_000_000
FEW_FILES: Final = 1024
LATE_S: Final = 60.0
MANY_WAITING: Final = 1_000
CLOCKS_APART_S: Final = 5.0
MAIL_WITHIN_S: Final = 5.0
PROBES: Final = 20
PROBED_FRIENDS_MAX: Final = 20_000
NEAREST: Final = 4
GIGABYTE: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at: how it is, and what to do unless it is well."""

    what: str
    state: State
    found: str
    cure: str = ""


def well(what: str, found: str) -> Finding:
    """All is well with it."""
    return Finding(what=what, state="ok", found=found)


def odd(what: str, found: str, cure: str) -> Finding:
    """It works, and deserves a look."""
    return Finding(what=what, state="warning", found=found, cure=cure)


def ill(what: str, found: str, cure: str) -> Finding:
    """It does not work."""
    return Finding(what=what, state="failed", found=found, cure=cure)


async def examine(settings: Settings, report: object = None) -> list[Finding]:
    """Look at everything; never raises for what is ill, but says so."""
    findings = [*machine(settings), *folder(settings), *gazetteer()]
    findings += [one async for one in mail(settings)]
    findings += pushes(settings)
    try:
        async with AsyncExitStack() as stack:
            place = await stack.enter_async_context(database(settings))
            findings += [one async for one in server(settings, place)]
            if not any(one.state == "failed" and one.what == "schema" for one in findings):
                findings += [one async for one in inside(settings, place)]
    except (DatabaseError, OSError) as error:
        findings.append(ill("database", first_line(error), cure_of(settings)))
    findings += list(service(settings))
    return findings


def first_line(error: BaseException) -> str:
    """An error in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def cure_of(settings: Settings) -> str:
    """What to do when the database cannot be reached."""
    if settings.database_url is None:
        return f"See {layout.DataFolder(settings.data_dir).log}, then start again."
    return f"Check that the server of {PREFIX}DATABASE_URL runs and lets this machine in."


def machine(settings: Settings) -> Iterator[Finding]:
    """Python, disk, memory, file descriptors."""
    yield well("python", f"{platform.python_version()} on {platform.machine()}")
    place = next(one for one in (settings.data_dir, *settings.data_dir.parents) if one.exists())
    free = shutil.disk_usage(place).free
    said = f"{free / GIGABYTE:.1f} GB free in {settings.data_dir}"
    cure = "Free some, or name another folder in TEKKIE_DATA_DIR."
    if free < TOO_LITTLE_DISK:
        yield ill("disk", said, cure)
    elif free < LITTLE_DISK:
        yield odd("disk", said, cure)
    else:
        yield well("disk", said)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    said = f"{memory / GIGABYTE:.1f} GB, {os.cpu_count()} processors"
    if memory < LITTLE_MEMORY:
        yield odd("memory", said, "tekkie with its own PostgreSQL wants 1 GB.")
    else:
        yield well("memory", said)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < FEW_FILES:
        cure = "Raise it (ulimit -n 65536): every open phone and page needs one."
        yield odd("open files", f"at most {soft}", cure)
    else:
        yield well("open files", "unlimited" if soft < 0 else f"at most {soft}")


def folder(settings: Settings) -> Iterator[Finding]:
    """The data folder and the key in it."""
    secret = settings.data_dir / "secret"
    if settings.secret_key is not None:
        yield well("secret", f"from {PREFIX}SECRET_KEY")
        return
    if not secret.exists():
        yield well("secret", f"not made yet; the first start makes {secret}")
        return
    yield from _of_secret(secret)


def _of_secret(secret: Path) -> Iterator[Finding]:
    about = secret.stat()
    if about.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield ill("secret", f"{secret} can be read by others", f"chmod 600 {secret}")
    elif about.st_size != SECRET_BYTES:
        yield ill(
            "secret",
            f"{secret} is damaged",
            "Bring it back from a backup, or delete it: everybody signs in again.",
        )
    else:
        yield well("secret", f"{secret}, only its owner reads it")


def gazetteer() -> Iterator[Finding]:
    """The compiled places."""
    try:
        known = Gazetteer.load()
    except GazetteerMissing as missing:
        yield ill("gazetteer", str(missing), "Run make setup.")
    else:
        yield well("gazetteer", f"{len(known):,} postcodes offline")


async def mail(settings: Settings) -> AsyncIterator[Finding]:
    """The mail server, asked for its name and no more."""
    if settings.smtp_host is None:
        yield odd(
            "mail",
            f"no mail server; mails become files in {settings.data_dir / 'mails'}",
            f"Set {PREFIX}SMTP_HOST before anybody relies on mails.",
        )
        return
    where = f"{settings.smtp_host}:{settings.smtp_port}"
    try:
        async with asyncio.timeout(MAIL_WITHIN_S):
            await _greet(settings)
    except Exception as error:
        said = f"{where} does not take us: {type(error).__name__}: {first_line(error)}"
        yield ill("mail", said, f"Check {PREFIX}SMTP_HOST, _PORT, _TLS, _USER and _PASSWORD.")
    else:
        yield well("mail", f"{where} answers")


def pushes(settings: Settings) -> Iterator[Finding]:
    """The key phones know us by, and whom their services write to."""
    try:
        settings.push_secret()
    except SettingsInvalid as error:
        yield ill("push key", first_line(error), f"Bring it back, or set {PREFIX}PUSH_KEY.")
        return
    said = subject(settings)
    if settings.push_key is None and settings.database_url is not None:
        cure = f"Set {PREFIX}PUSH_KEY to the same on every machine, or all but one ring in vain."
        yield odd("push key", "this machine's own, although the database may be shared", cure)
    elif not is_reachable(settings):
        cure = f"Set {PREFIX}MAIL_FROM to an address people read: Apple refuses pushes otherwise."
        yield odd("push", f"services would write to {said}", cure)
    else:
        yield well("push", f"services write to {said}")


async def _greet(settings: Settings) -> None:
    import aiosmtplib

    client = aiosmtplib.SMTP(
        hostname=settings.smtp_host,
        port=settings.smtp_port,
        use_tls=settings.smtp_tls == "tls",
        start_tls=settings.smtp_tls == "starttls",
        username=settings.smtp_user,
        password=settings.smtp_password.get_secret_value() if settings.smtp_password else None,
        timeout=MAIL_WITHIN_S,
    )
    async with client:
        await client.noop()


async def server(settings: Settings, place: Database) -> AsyncIterator[Finding]:
    """The PostgreSQL server, its settings that matter, and the schema."""
    connection = await connect(place.owner_dsn, application="tekkie doctor", path="pg_catalog")
    try:
        with translate_errors():
            facts = await connection.fetchrow(server_sql.facts, place.service_role)
    finally:
        await connection.close()
    assert facts is not None
    whose = "bundled" if settings.database_url is None else "own server"
    yield well("database", f"PostgreSQL {facts['version_text']}, {whose}, as {facts['user_name']}")
    yield _durability(dict(facts))
    if facts["service_is_superuser"]:
        cure = f"An administrator must run: ALTER ROLE {place.service_role} NOSUPERUSER;"
        yield ill("role", f"{place.service_role} is a superuser: no right stops it", cure)
    else:
        yield well("role", f"{place.service_role} is no superuser")
    try:
        found = await migrate.schema_status(place.owner_dsn)
    except migrate.SchemaError as error:
        yield ill("schema", first_line(error), "Start the tekkie that fits this database.")
        return
    if found.missing:
        yield ill("schema", f"lacks {', '.join(found.missing)}", "Run tekkie migrate.")
    elif found.ahead:
        cure = "Fine while two releases stand side by side; then start the newer tekkie."
        yield odd("schema", f"of a newer tekkie: {', '.join(found.ahead)}", cure)
    else:
        names = migrate.read_migrations(migrate.MIGRATIONS)
        yield well("schema", f"up to date at {names[-1].name}")


def _durability(facts: Mapping[str, Any]) -> Finding:
    names = ("fsync", "full_page_writes", "synchronous_commit")
    said = ", ".join(f"{name} {facts[name]}" for name in names)
    off = [name for name in names if facts[name] == "off"]
    if off:
        cure = f"Set {' = on, '.join(off)} = on: without it a crash loses what was answered."
        return ill("durability", said, cure)
    return well("durability", said)


async def inside(settings: Settings, place: Database) -> AsyncIterator[Finding]:
    """What is in the database: clock, rows, index, timers, messages."""
    async with open_runtime(settings, place, application="tekkie doctor") as rt:
        async for one in clocks(settings, rt):
            yield one
        async for one in rows(rt):
            yield one
        async for one in index(rt):
            yield one
        async for one in waiting(rt):
            yield one


async def clocks(settings: Settings, rt: Runtime) -> AsyncIterator[Finding]:
    """The clock of the trade, the server's and this machine's."""
    async with read_connection(rt) as tx:
        both = await consistency.clocks(tx)
        installed = await test_clock.is_installed(tx)
        ours = datetime.now(UTC)  # noqa: TID251 - this machine's clock is what is compared
    apart_s = abs((ours - both.wall).total_seconds())
    if apart_s > CLOCKS_APART_S:
        cure = "Set both machines by NTP: deadlines go by the database's clock."
        yield odd("clock", f"this machine and the database are {apart_s:.0f} s apart", cure)
    else:
        yield well("clock", f"this machine and the database agree within {apart_s:.1f} s")
    if not installed:
        return
    said = f"a test clock says {both.trade:%Y-%m-%d %H:%M:%S} UTC"
    if settings.test_clock:
        yield odd("test clock", said, "Meant for trials; nothing in this database is for real.")
    else:
        cure = "tekkie clock remove --test-clock, or use another database: serve refuses this one."
        yield ill("test clock", said, cure)


async def rows(rt: Runtime) -> AsyncIterator[Finding]:
    """Rows that should never be."""
    async with read_connection(rt) as tx:
        count = await consistency.counts(tx)
        asleep = await consistency.bookings_without_timer(tx)
        miscounted = await consistency.friends_miscounted(tx)
        unplaced = await consistency.friends_without_point(tx)
    yield well(
        "rows",
        f"{count.friends:,} friends, {count.bookings:,} bookings, {count.operators} operators, "
        f"{count.bytes / GIGABYTE:.2f} GB",
    )
    if count.packages != len(catalogue.load().packages):
        yield odd("catalogue", "not that of this tekkie", "Run tekkie migrate.")
    if asleep:
        cure = "Redispatch each at the desk; then report this with `tekkie bookings show`."
        yield ill("bookings", f"no timer wakes {', '.join(map(str, asleep))}", cure)
    if miscounted:
        cure = "Suspend nobody; report this with `tekkie friends show` of each."
        yield ill("counters", f"open jobs are miscounted for {', '.join(miscounted)}", cure)
    if unplaced:
        cure = "Import them again with a place: nobody without one is asked."
        yield odd("friends", f"no place for {', '.join(unplaced)}", cure)


async def index(rt: Runtime) -> AsyncIterator[Finding]:
    """The spatial index, built from the rows and held against them and against brute force."""
    problems = rt.index.check()
    differing = await maintenance.index_differences(rt)
    if differing:
        differing = await maintenance.confirm_differences(rt, differing)
    if problems or differing:
        said = "; ".join([*problems[:3], f"{len(differing)} friends differ from their rows"])
        yield ill("index", said, "Restart every tekkie serve; report this if it comes back.")
    elif len(rt.index) <= PROBED_FRIENDS_MAX and (wrong := _misjudged(rt)):
        yield ill("index", wrong, "Report this: the nearest friends are not found.")
    else:
        yield well("index", f"{len(rt.index):,} friends, as in their rows")


def _misjudged(rt: Runtime) -> str:
    """Hold the index against brute force at a few friends' doors; says where they disagree."""
    everybody = list(rt.index)
    chance = Random(0)  # noqa: S311 - the same doors each time, guards nothing
    for friend in chance.sample(everybody, min(PROBES, len(everybody))):
        door = Point(lat=friend.lat, lon=friend.lon)
        found = [candidate.friend_id for candidate in rt.index.around(door, NEAREST)]
        away = {one.id: distance_m(door, Point(lat=one.lat, lon=one.lon)) for one in everybody}
        if found != sorted(away, key=lambda one: (away[one], one))[:NEAREST]:
            return f"the index does not find the nearest of {friend.ref}"
    return ""


async def waiting(rt: Runtime) -> AsyncIterator[Finding]:
    """Timers and messages that should have been dealt with."""
    async with read_connection(rt) as tx:
        timers = await consistency.timers(tx)
    backlog = await maintenance.backlog(rt)
    idle = "Nobody rings them: run tekkie serve or tekkie worker."
    if timers.overdue and timers.overdue_s > LATE_S:
        said = f"{timers.overdue:,} overdue, the oldest {timers.overdue_s / 60:.0f} min"
        yield ill("timers", said, idle)
    elif timers.failed:
        said = f"{timers.failed:,} could not be acted on and were put off"
        yield odd("timers", said, "The log of the worker says why.")
    else:
        yield well("timers", f"{timers.overdue:,} due, none late")
    if backlog.parked:
        cure = "See tekkie messages parked, mend it, then tekkie messages retry --all."
        yield odd("messages", f"{backlog.parked:,} given up, {backlog.pending:,} waiting", cure)
    elif backlog.pending_late_s > LATE_S or backlog.pending > MANY_WAITING:
        said = f"{backlog.pending:,} waiting, the oldest {backlog.pending_late_s / 60:.0f} min late"
        yield odd("messages", said, "Run tekkie serve or tekkie worker; look at the mail server.")
    else:
        yield well("messages", f"{backlog.pending:,} waiting, none given up")


def service(settings: Settings) -> Iterator[Finding]:
    """Whether anybody listens where the settings say."""
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host  # noqa: S104
    try:
        with socket.create_connection((host, settings.port), timeout=1):
            pass
    except OSError:
        yield well("service", f"nobody listens on {host}:{settings.port}; tekkie serve would")
    else:
        yield well("service", f"somebody listens on {host}:{settings.port}")
