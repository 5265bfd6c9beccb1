"""The checks of `tekkie doctor`, one function per part; each yields findings and changes nothing.

A check that depends on an earlier failed one is left out: the earlier finding says what to do
first.
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
from data.secret_files import SECRET_BYTES
from data.setting_errors import PREFIX, SettingsInvalid
from data.settings import PUSH_KEY_FILE, Settings
from data.store import consistency, test_clock
from data.store.outbox import Backlog
from dispatch.flows import maintenance
from dispatch.flows.bootstrap import open_runtime
from dispatch.flows.people import files
from dispatch.flows.read_only import read_connection
from dispatch.runtime import Runtime
from geo.gazetteer.offline import Gazetteer, GazetteerMissing
from geo.point import Point, distance_m
from scheduler.senders.vapid_subject import is_reachable, subject

State = Literal["ok", "warning", "failed"]

DISK_LOW: Final = 2_000_000_000
DISK_MIN: Final = 200_000_000
MEMORY_MIN: Final = 900_000_000
FILES_MIN: Final = 1024
LATE_S: Final = 60.0
PENDING_MAX: Final = 1_000
CLOCK_SKEW_S: Final = 5.0
MAIL_WITHIN_S: Final = 5.0
PROBES: Final = 20
PROBED_FRIENDS_MAX: Final = 20_000
NEAREST: Final = 4
FILES_LISTED: Final = 5
GIGABYTE: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check, with the cure unless it passed."""

    what: str
    state: State
    found: str
    cure: str = ""


def passed(what: str, found: str) -> Finding:
    """A check that passed."""
    return Finding(what=what, state="ok", found=found)


def warning(what: str, found: str, cure: str) -> Finding:
    """Something works but needs attention."""
    return Finding(what=what, state="warning", found=found, cure=cure)


def failed(what: str, found: str, cure: str) -> Finding:
    """Something does not work."""
    return Finding(what=what, state="failed", found=found, cure=cure)


async def run_checks(settings: Settings, report: object = None) -> list[Finding]:
    """Run all checks; failures are findings, not exceptions."""
    findings = [*check_machine(settings), *check_folder(settings), *check_secret(settings)]
    findings += check_gazetteer()
    findings += [one async for one in check_mail(settings)] + [check_texts(settings)]
    findings += check_push(settings)
    if is_fresh(settings):
        text = f"none yet; the first tekkie serve creates it in {settings.data_dir}"
        return [*findings, passed("database", text), *check_service(settings)]
    try:
        async with AsyncExitStack() as stack:
            place = await stack.enter_async_context(database(settings))
            findings += [one async for one in check_server(settings, place)]
            if not any(one.state == "failed" and one.what == "schema" for one in findings):
                findings += [one async for one in check_data(settings, place)]
    except (DatabaseError, OSError) as error:
        findings.append(failed("database", one_line(error), database_cure(settings)))
    findings += list(check_service(settings))
    return findings


def is_fresh(settings: Settings) -> bool:
    """Whether opening the database would create it."""
    bundled = settings.database_url is None
    return bundled and not layout.DataFolder(settings.data_dir).cluster.exists()


def one_line(error: BaseException) -> str:
    """The text of an error in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def database_cure(settings: Settings) -> str:
    """What to do when the database cannot be reached."""
    if settings.database_url is None:
        return f"See {layout.DataFolder(settings.data_dir).log}, then start again."
    return f"Check that the server of {PREFIX}DATABASE_URL runs and lets this machine in."


def check_machine(settings: Settings) -> Iterator[Finding]:
    """Python, disk, memory, file descriptors."""
    yield passed("python", f"{platform.python_version()} on {platform.machine()}")
    place = next(one for one in (settings.data_dir, *settings.data_dir.parents) if one.exists())
    free = shutil.disk_usage(place).free
    text = f"{free / GIGABYTE:.1f} GB free in {settings.data_dir}"
    cure = "Free some space, or set another folder in TEKKIE_DATA_DIR."
    if free < DISK_MIN:
        yield failed("disk", text, cure)
    elif free < DISK_LOW:
        yield warning("disk", text, cure)
    else:
        yield passed("disk", text)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    text = f"{memory / GIGABYTE:.1f} GB, {os.cpu_count()} processors"
    if memory < MEMORY_MIN:
        yield warning("memory", text, "tekkie with the bundled PostgreSQL needs 1 GB.")
    else:
        yield passed("memory", text)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < FILES_MIN:
        cure = "Raise it (ulimit -n 65536): every connected phone and page needs one."
        yield warning("open files", f"at most {soft}", cure)
    else:
        yield passed("open files", "unlimited" if soft < 0 else f"at most {soft}")


def check_folder(settings: Settings) -> Iterator[Finding]:
    """Whether other users of the machine can look into the data folder."""
    folder = settings.data_dir
    if not folder.exists():
        return
    if folder.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        text = f"other users of this machine can look into {folder}"
        yield warning("data folder", text, f"chmod 700 {folder}")
    else:
        yield passed("data folder", f"{folder}, only for its owner")


def check_secret(settings: Settings) -> Iterator[Finding]:
    """The secret key in the data folder."""
    secret = settings.data_dir / "secret"
    if settings.secret_key is not None:
        yield passed("secret", f"from {PREFIX}SECRET_KEY")
        return
    if not secret.exists():
        yield passed("secret", f"not created yet; the first start creates {secret}")
        return
    yield from _check_secret_file(secret)


def _check_secret_file(secret: Path) -> Iterator[Finding]:
    info = secret.stat()
    if info.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield failed("secret", f"{secret} is readable by others", f"chmod 600 {secret}")
    elif info.st_size != SECRET_BYTES:
        yield failed(
            "secret",
            f"{secret} is damaged",
            "Restore it from a backup, or delete it: all sessions and links end.",
        )
    else:
        yield passed("secret", f"{secret}, readable only by its owner")


def check_gazetteer() -> Iterator[Finding]:
    """The compiled gazetteer."""
    try:
        known = Gazetteer.load()
    except GazetteerMissing as missing:
        yield failed("gazetteer", str(missing), "Run make setup.")
    else:
        yield passed("gazetteer", f"{len(known):,} postcodes offline")


async def check_mail(settings: Settings) -> AsyncIterator[Finding]:
    """The mail server, by a connection without a mail."""
    if settings.smtp_host is None:
        yield warning(
            "mail",
            f"no mail server; mails are written to {settings.data_dir / 'mails'}",
            f"Set {PREFIX}SMTP_HOST before real use.",
        )
        return
    where = f"{settings.smtp_host}:{settings.smtp_port}"
    try:
        async with asyncio.timeout(MAIL_WITHIN_S):
            await _connect_to_mail_server(settings)
    except Exception as error:
        text = f"{where} refused: {type(error).__name__}: {one_line(error)}"
        yield failed("mail", text, f"Check {PREFIX}SMTP_HOST, _PORT, _TLS, _USER and _PASSWORD.")
    else:
        yield passed("mail", f"{where} answers")


def check_push(settings: Settings) -> Iterator[Finding]:
    """The VAPID key, and its contact address."""
    file = settings.data_dir / PUSH_KEY_FILE
    try:
        if settings.push_key is not None or file.exists():
            settings.push_secret()
    except SettingsInvalid as error:
        yield failed("push key", one_line(error), f"Restore it, or set {PREFIX}PUSH_KEY.")
        return
    contact = subject(settings)
    if settings.push_key is None and settings.database_url is not None:
        cure = f"Set the same {PREFIX}PUSH_KEY on every machine, or most pushes fail."
        yield warning(
            "push key", "generated on this machine, although the database may be shared", cure
        )
    elif not is_reachable(settings):
        cure = f"Set {PREFIX}MAIL_FROM to a real address: Apple refuses pushes otherwise."
        yield warning("push", f"the contact address would be {contact}", cure)
    else:
        yield passed("push", f"the contact address is {contact}")


async def _connect_to_mail_server(settings: Settings) -> None:
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


async def check_server(settings: Settings, place: Database) -> AsyncIterator[Finding]:
    """The PostgreSQL server, its settings for durability, and the schema."""
    connection = await connect(place.owner_dsn, application="tekkie doctor", path="pg_catalog")
    try:
        with translate_errors():
            facts = await connection.fetchrow(server_sql.facts, place.service_role)
    finally:
        await connection.close()
    assert facts is not None
    origin = "bundled" if settings.database_url is None else "own server"
    yield passed(
        "database", f"PostgreSQL {facts['version_text']}, {origin}, as {facts['user_name']}"
    )
    yield _durability(dict(facts))
    for one in check_replicas(dict(facts)):
        yield one
    if facts["service_is_superuser"]:
        cure = f"An administrator must run: ALTER ROLE {place.service_role} NOSUPERUSER;"
        yield failed(
            "role", f"{place.service_role} is a superuser, so no permission applies to it", cure
        )
    else:
        yield passed("role", f"{place.service_role} is not a superuser")
    try:
        found = await migrate.schema_status(place.owner_dsn)
    except migrate.SchemaError as error:
        yield failed("schema", one_line(error), "Start the tekkie release of this database.")
        return
    if found.missing:
        yield failed("schema", f"lacks {', '.join(found.missing)}", "Run tekkie migrate.")
    elif found.ahead:
        cure = "Expected during an update; then start the newer tekkie."
        yield warning("schema", f"of a newer tekkie: {', '.join(found.ahead)}", cure)
    else:
        names = migrate.read_migrations(migrate.MIGRATIONS)
        yield passed("schema", f"up to date at {names[-1].name}")


def _durability(facts: Mapping[str, Any]) -> Finding:
    names = ("fsync", "full_page_writes", "synchronous_commit")
    text = ", ".join(f"{name} {facts[name]}" for name in names)
    off = [name for name in names if facts[name] == "off"]
    if off:
        cure = f"Set {' = on, '.join(off)} = on: without it a crash loses confirmed changes."
        return failed("durability", text, cure)
    return passed("durability", text)


def check_replicas(facts: Mapping[str, Any]) -> Iterator[Finding]:
    """Whether commits wait for the replicas there are."""
    if not facts["replicas"]:
        return
    text = f"{facts['replicas']} connected, synchronous_standby_names: "
    names = facts["synchronous_standby_names"]
    if names:
        yield passed("replicas", text + names)
    else:
        cure = "Set synchronous_standby_names: a failover loses what no replica has confirmed."
        yield warning("replicas", f"{text}none, so no commit waits for one", cure)


async def check_data(settings: Settings, place: Database) -> AsyncIterator[Finding]:
    """The data: clock, rows, index, timers, messages."""
    async with open_runtime(settings, place, application="tekkie doctor") as rt:
        async for one in check_clocks(settings, rt):
            yield one
        async for one in check_rows(rt):
            yield one
        async for one in check_files(rt):
            yield one
        async for one in check_index(rt):
            yield one
        async for one in check_queues(rt):
            yield one


async def check_clocks(settings: Settings, rt: Runtime) -> AsyncIterator[Finding]:
    """The clocks of the database and of this machine, and the test clock."""
    async with read_connection(rt) as tx:
        both = await consistency.clocks(tx)
        installed = await test_clock.is_installed(tx)
        local = datetime.now(UTC)  # noqa: TID251 - this machine's clock is what is compared
    apart_s = abs((local - both.wall).total_seconds())
    if apart_s > CLOCK_SKEW_S:
        cure = "Synchronize both machines by NTP: deadlines use the database's clock."
        yield warning("clock", f"this machine and the database are {apart_s:.0f} s apart", cure)
    else:
        yield passed("clock", f"this machine and the database agree within {apart_s:.1f} s")
    if not installed:
        return
    text = f"a test clock at {both.trade:%Y-%m-%d %H:%M:%S} UTC"
    if settings.test_clock:
        yield warning("test clock", text, "Only for tests; no time in this database is real.")
    else:
        cure = (
            "Run tekkie clock remove --test-clock, or use another database; serve refuses this one."
        )
        yield failed("test clock", text, cure)


async def check_rows(rt: Runtime) -> AsyncIterator[Finding]:
    """Inconsistent rows."""
    async with read_connection(rt) as tx:
        count = await consistency.counts(tx)
        without_timer = await consistency.bookings_without_timer(tx)
        broken = await consistency.journals_broken(tx)
        miscounted = await consistency.friends_miscounted(tx)
        without_point = await consistency.friends_without_point(tx)
    yield passed(
        "rows",
        f"{count.friends:,} friends, {count.bookings:,} bookings, {count.operators} operators, "
        f"{count.bytes / GIGABYTE:.2f} GB",
    )
    if not count.packages:
        yield warning("catalogue", "holds no package", "Run tekkie migrate.")
    if without_timer:
        cure = "Redispatch each at the desk; then report it with `tekkie bookings show`."
        yield failed("bookings", f"no timer for {', '.join(map(str, without_timer))}", cure)
    if broken:
        cure = "Report it: entries are missing, or were made by hand."
        yield failed("journals", f"wrong counts of entries for {', '.join(broken)}", cure)
    if miscounted:
        cure = "Suspend none of them; report it with `tekkie friends show` of each."
        yield failed("counters", f"wrong counts of open jobs for {', '.join(miscounted)}", cure)
    if without_point:
        cure = "Import them again with a location; without one they get no offers."
        yield warning("friends", f"no location for {', '.join(without_point)}", cure)


async def check_files(rt: Runtime) -> AsyncIterator[Finding]:
    """Uploaded pictures whose content is missing."""
    if missing := await files.missing(rt):
        listed = ", ".join(map(str, missing[:FILES_LISTED]))
        text = f"{len(missing):,} without content: {listed}"
        cure = f"Restore them from a backup, or correct {PREFIX}FILES_FOLDER."
        yield failed("pictures", text, cure)


async def check_index(rt: Runtime) -> AsyncIterator[Finding]:
    """The spatial index, compared with the rows and with brute force."""
    problems = rt.index.check()
    differing = await maintenance.index_differences(rt)
    if differing:
        differing = await maintenance.confirm_differences(rt, differing)
    if problems or differing:
        text = "; ".join([*problems[:3], f"{len(differing)} friends differ from their rows"])
        yield failed("index", text, "Restart every tekkie serve; report it if it happens again.")
    elif len(rt.index) <= PROBED_FRIENDS_MAX and (wrong := _index_mismatch(rt)):
        yield failed("index", wrong, "Report it: the nearest friends are not found.")
    else:
        yield passed("index", f"{len(rt.index):,} friends, equal to their rows")


def _index_mismatch(rt: Runtime) -> str:
    """Compare the index with brute force at a few friends' bases; returns a difference, if any."""
    friends = list(rt.index)
    chance = Random(0)  # noqa: S311 - reproducible, not for security
    for friend in chance.sample(friends, min(PROBES, len(friends))):
        base = Point(lat=friend.lat, lon=friend.lon)
        found = [candidate.friend_id for candidate in rt.index.nearest_any(base, NEAREST)]
        distances = {one.id: distance_m(base, Point(lat=one.lat, lon=one.lon)) for one in friends}
        if found != sorted(distances, key=lambda one: (distances[one], one))[:NEAREST]:
            return f"the index does not find the friends nearest to {friend.ref}"
    return ""


async def check_queues(rt: Runtime) -> AsyncIterator[Finding]:
    """Overdue timers and messages."""
    async with read_connection(rt) as tx:
        timers = await consistency.timers(tx)
    backlog = await maintenance.backlog(rt)
    cure = "No worker is running: start tekkie serve or tekkie worker."
    if timers.overdue and timers.overdue_s > LATE_S:
        text = f"{timers.overdue:,} overdue, the oldest {timers.overdue_s / 60:.0f} min"
        yield failed("timers", text, cure)
    elif timers.failed:
        text = f"{timers.failed:,} failed and were postponed"
        yield warning("timers", text, "See the log of the worker.")
    else:
        yield passed("timers", f"{timers.overdue:,} due, none late")
    if backlog.parked:
        cure = "See tekkie messages parked, correct the cause, then tekkie messages retry --all."
        yield warning("messages", f"{backlog.parked:,} parked, {backlog.pending:,} pending", cure)
    elif backlog.pending_late_s > LATE_S or backlog.pending > PENDING_MAX:
        text = f"{backlog.pending:,} pending, the oldest {backlog.pending_late_s / 60:.0f} min late"
        yield warning("messages", text, "Run tekkie serve or tekkie worker; check the mail server.")
    else:
        yield passed("messages", f"{backlog.pending:,} pending, none parked")
    yield check_errands(backlog)


def check_errands(backlog: Backlog) -> Finding:
    """Calls of providers that wait or are parked."""
    if backlog.errands_parked:
        text = f"{backlog.errands_parked:,} parked, {backlog.errands_pending:,} pending"
        return warning("errands", text, "Correct the cause, then retry them at the desk.")
    if backlog.errands_late_s > LATE_S:
        text = f"the oldest is {backlog.errands_late_s / 60:.0f} min late"
        return warning("errands", text, "Run tekkie serve or tekkie worker; see its log.")
    return passed("errands", f"{backlog.errands_pending:,} pending, none parked")


def check_texts(settings: Settings) -> Finding:
    """Who sends SMS."""
    if settings.sms_provider == "none":
        cure = (
            "Set TEKKIE_SMS_PROVIDER=gatewayapi with TEKKIE_SMS_TOKEN, or =folder for a trial: "
            "until then nobody can confirm a telephone number."
        )
        return warning("SMS", "no provider, so none is sent", cure)
    if settings.sms_provider == "folder":
        cure = "Set TEKKIE_SMS_PROVIDER=gatewayapi to send them."
        return warning("SMS", f"written to {settings.text_folder}, not sent", cure)
    if settings.sms_secret is None:
        cure = "Set TEKKIE_SMS_SECRET to the token of the provider's webhook."
        return warning("SMS", f"{settings.sms_provider}, whose events are refused", cure)
    return passed("SMS", f"{settings.sms_provider}, events to /v1/notices/sms")


def check_service(settings: Settings) -> Iterator[Finding]:
    """Whether something listens on the configured port."""
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host  # noqa: S104
    try:
        with socket.create_connection((host, settings.port), timeout=1):
            pass
    except OSError:
        yield passed("service", f"nothing listens on {host}:{settings.port}; start tekkie serve")
    else:
        yield passed("service", f"something listens on {host}:{settings.port}")
