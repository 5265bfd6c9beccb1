"""Kills what can be killed, always by the pid of something this test started."""

import asyncio
import fcntl
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg
import psutil
import pytest

from data import database, db, migrate, settings
from data.postgres import initdb, layout, supervisor
from data.postgres.client import EmbeddedError, EmbeddedPostgres
from data.postgres.layout import DataFolder

USER = """
import sys
from pathlib import Path
from data.postgres.client import EmbeddedPostgres
embedded = EmbeddedPostgres(Path(sys.argv[1]))
embedded.start()
print(embedded.owner_dsn, flush=True)
sys.stdin.readline()
embedded.stop()
"""
PAUSE = threading.Event()
IS_ROOT = os.geteuid() == 0


@pytest.fixture(scope="module")
def ground():
    """A folder with a space in its name, closed to everybody else, outside the run's own."""
    with tempfile.TemporaryDirectory(prefix="tekkie ground ", dir=fast()) as folder:
        yield Path(folder)


def fast():
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@pytest.fixture(scope="module")
def founded(ground):
    """A data folder in which a server was started and stopped once."""
    folder = ground / "founded"
    with EmbeddedPostgres(folder):
        pass
    return folder


@pytest.fixture
def place(founded, ground):
    """A copy of the founded folder for one test, gone afterwards."""
    folder = ground / f"copy {time.monotonic_ns()}"
    subprocess.run(["cp", "-a", str(founded), str(folder)], check=True)
    yield DataFolder(folder)
    gone(DataFolder(folder))
    shutil.rmtree(folder)


@contextmanager
def user(folder):
    """Another process that uses the server of a folder; yields it and the address it was given."""
    command = [sys.executable, "-c", USER, str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def guardian_of(place):
    """The pid of the guardian: the parent of the server it noted."""
    return psutil.Process(layout.read_record(place).pid).ppid()


def server_of(place):
    return layout.read_record(place).pid


def gone(place):
    """Wait until neither guardian nor any process of the server lives."""
    for file in (place.guardian, place.running):
        with layout.hold_lock(file, fcntl.LOCK_SH):
            pass


def query(dsn, text):
    async def ask():
        connection = await asyncpg.connect(dsn, timeout=5)
        try:
            return await connection.fetchval(text)
        finally:
            await connection.close()

    return asyncio.run(ask())


def eventually(ask, patience_s=15.0):
    """Return what `ask` says as soon as it says it without an error of the connection."""
    until = time.monotonic() + patience_s
    while True:
        try:
            return ask()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            if time.monotonic() > until:
                raise
            PAUSE.wait(0.02)


def test_the_first_start_founds_a_whole_database_and_says_so(ground):
    said = []
    embedded = EmbeddedPostgres(ground / "first")
    embedded.start(said.append)
    try:
        assert said == ["starting the database …", "making the database folder …"]
        assert query(embedded.owner_dsn, "SHOW data_checksums") == "on"
        assert query(embedded.owner_dsn, "SHOW listen_addresses") == ""
        assert query(embedded.owner_dsn, "SHOW fsync") == "on"
        assert query(embedded.owner_dsn, "SELECT lower('ÄÖÜŁ')") == "äöül".replace("l", "ł")
        assert query(embedded.owner_dsn, "SELECT 'a' > 'B'")
        for dsn in (embedded.owner_dsn, embedded.service_dsn):
            mighty = "SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user"
            assert query(dsn, mighty) is False
        asyncio.run(db.check_server(embedded.owner_dsn))
        assert "0001_init.sql" in asyncio.run(migrate.migrate(embedded.owner_dsn))
    finally:
        embedded.stop()
    gone(embedded.place)
    assert "database system is shut down" in embedded.place.log.read_text()


def test_a_second_start_finds_what_was_kept(place):
    with EmbeddedPostgres(place.folder) as embedded:
        query(embedded.owner_dsn, "CREATE TABLE kept AS SELECT 1 AS n")
    with EmbeddedPostgres(place.folder) as embedded:
        assert query(embedded.owner_dsn, "SELECT n FROM kept") == 1


def test_several_processes_on_a_fresh_folder_share_one_server(ground):
    place = DataFolder(ground / "shared")
    with user(place.folder) as (_, first), user(place.folder) as (_, second):
        with EmbeddedPostgres(place.folder) as third:
            start = "SELECT pg_postmaster_start_time()"
            assert first == second == third.owner_dsn
            assert query(first, start) == query(third.owner_dsn, start)
        assert layout.accepts_connections(layout.read_record(place).socket)
    gone(place)


def test_the_server_is_gone_when_its_last_user_was_killed_and_keeps_what_was_committed(place):
    with user(place.folder) as (process, dsn):
        query(dsn, "CREATE TABLE kept AS SELECT 1 AS n")
        process.kill()
    gone(place)
    with EmbeddedPostgres(place.folder) as embedded:
        assert query(embedded.owner_dsn, "SELECT n FROM kept") == 1


def test_a_killed_server_comes_back_at_the_same_address_with_all_that_was_committed(place):
    with EmbeddedPostgres(place.folder) as embedded:
        query(embedded.owner_dsn, "CREATE TABLE kept AS SELECT 1 AS n")
        before = server_of(place)
        os.kill(before, signal.SIGKILL)
        assert eventually(lambda: query(embedded.owner_dsn, "SELECT n FROM kept")) == 1
        assert server_of(place) != before


def test_every_process_of_the_server_and_its_guardian_killed_at_once_loses_nothing(place):
    with EmbeddedPostgres(place.folder) as embedded:
        query(embedded.owner_dsn, "CREATE TABLE kept AS SELECT 1 AS n")
        postmaster = psutil.Process(server_of(place))
        family = [postmaster.parent(), postmaster, *postmaster.children(recursive=True)]
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        assert eventually(lambda: query(embedded.owner_dsn, "SELECT n FROM kept")) == 1


def test_a_killed_guardian_is_replaced_while_somebody_uses_the_server(place):
    with EmbeddedPostgres(place.folder) as embedded:
        former = guardian_of(place)
        os.kill(former, signal.SIGKILL)
        assert eventually(lambda: other_guardian(place, former))
        assert query(embedded.owner_dsn, "SELECT 1") == 1
    gone(place)


def other_guardian(place, former):
    note = layout.read_record(place)
    held = layout.is_locked(place.guardian) and layout.accepts_connections(note.socket)
    if held and guardian_of(place) != former:
        return True
    raise ConnectionError


def test_user_and_guardian_killed_together_leave_no_server_behind(place):
    with user(place.folder) as (process, _):
        os.kill(guardian_of(place), signal.SIGKILL)
        process.kill()
    gone(place)
    with EmbeddedPostgres(place.folder) as embedded:
        assert query(embedded.owner_dsn, "SELECT 1") == 1


def test_user_guardian_and_server_killed_together_do_not_stop_the_next_start(place):
    with user(place.folder) as (process, dsn):
        query(dsn, "CREATE TABLE kept AS SELECT 1 AS n")
        pids = [process.pid, guardian_of(place), server_of(place)]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
    with EmbeddedPostgres(place.folder) as embedded:
        assert query(embedded.owner_dsn, "SELECT n FROM kept") == 1


def test_a_stale_pid_file_that_names_a_stranger_harms_neither(place):
    with subprocess.Popen(["sleep", "600"]) as stranger:
        try:
            lines = f"{stranger.pid}\n{place.cluster}\n1\n5432\n{place.socket}\n\n1 1\nready   \n"
            (place.cluster / "postmaster.pid").write_text(lines)
            layout.ServerRecord(socket=str(place.socket), pid=stranger.pid).write(place)
            with EmbeddedPostgres(place.folder) as embedded:
                assert query(embedded.owner_dsn, "SELECT 1") == 1
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_frozen_server_is_stopped_all_the_same(place):
    embedded = EmbeddedPostgres(place.folder)
    embedded.start()
    frozen = server_of(place)
    os.kill(frozen, signal.SIGSTOP)
    embedded.stop()
    assert not psutil.pid_exists(frozen)
    gone(place)


def test_a_frozen_server_without_guardian_is_ended_by_the_next_one(place, monkeypatch):
    with user(place.folder) as (process, _):
        frozen = server_of(place)
        os.kill(frozen, signal.SIGSTOP)
        os.kill(guardian_of(place), signal.SIGKILL)
        process.kill()
    monkeypatch.setattr(supervisor, "LEFTOVER_TIMEOUT_S", 0.1)
    running = layout.open_lock(place.running)
    supervisor._end_previous_server(place, running)
    os.close(running)
    assert not psutil.pid_exists(frozen) or psutil.Process(frozen).status() == "zombie"
    with EmbeddedPostgres(place.folder) as embedded:
        assert query(embedded.owner_dsn, "SELECT 1") == 1


def test_a_half_made_folder_of_an_interrupted_first_start_is_made_anew(ground):
    place = DataFolder(ground / "interrupted")
    place.aside.mkdir(parents=True)
    (place.aside / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(place.folder) as embedded:
        assert query(embedded.owner_dsn, "SELECT 1") == 1
    assert not place.aside.exists()


def test_the_socket_lies_where_only_its_owner_can_reach_it(place):
    with EmbeddedPostgres(place.folder):
        state = os.stat(layout.read_record(place).socket)
        assert stat.S_IMODE(state.st_mode) == 0o700
        assert state.st_uid == psutil.Process(server_of(place)).uids().real


def test_a_path_too_long_for_a_socket_gets_a_short_folder_that_is_gone_afterwards(ground, founded):
    place = DataFolder(ground / ("long " * 20) / "data")
    place.folder.parent.mkdir()
    subprocess.run(["cp", "-a", str(founded), str(place.folder)], check=True)
    with EmbeddedPostgres(place.folder) as embedded:
        socket = Path(layout.read_record(place).socket)
        assert len(os.fsencode(socket / layout.SOCKET_NAME)) <= 107
        assert query(embedded.owner_dsn, "SELECT 1") == 1
    assert not socket.exists()


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("PG_VERSION", "17\n", "written by PostgreSQL 17 and this tekkie brings 18: dump it"),
        ("PG_VERSION", None, "PG_VERSION cannot be read.*from a backup, or move it away"),
        ("global/pg_control", None, "pg_control is missing.*from a backup, or move it away"),
        ("global/pg_control", "x" * 8192, "did not start: .*from a backup, or move it away"),
    ],
)
def test_a_foreign_or_damaged_folder_is_refused_with_the_cure(place, file, text, said):
    damaged = place.cluster / file
    damaged.unlink() if text is None else damaged.write_text(text)
    with pytest.raises(EmbeddedError, match=rf"(?s){said}"):
        EmbeddedPostgres(place.folder).start()
    gone(place)
    assert not place.note.exists()


def test_a_full_disk_is_told_before_anything_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr(initdb, "SPACE_BYTES", 2**62)
    who = initdb.choose_account(DataFolder(tmp_path))
    with pytest.raises(layout.ClusterUnusable, match="make room or name another folder"):
        initdb.ensure_cluster(DataFolder(tmp_path), who, print)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_in_the_middle_is_told_with_its_cure(tmp_path):
    said = initdb.explain_failure(
        DataFolder(tmp_path), "PANIC: could not write: No space left on device"
    )
    assert "the disk is full" in said
    assert "make room" in said


def test_a_folder_that_is_a_file_is_refused_with_the_cure(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedError, match="file"):
        EmbeddedPostgres(tmp_path / "file").start()


def test_an_address_before_the_start_is_refused(tmp_path):
    with pytest.raises(EmbeddedError, match="not started"):
        _ = EmbeddedPostgres(tmp_path).owner_dsn


async def test_without_a_url_the_database_is_the_bundled_one(place):
    chosen = settings.load(data_dir=place.folder)
    async with database.database(chosen) as found:
        pool = await db.open_pool(
            found.service_dsn, role=found.service_role, size=2, application="tests"
        )
        assert await pool.fetchval("SELECT current_user::text") == "tekkie_service"
        await pool.close()
        url = found.owner_dsn
        async with database.database(settings.load(database_url=url)) as same:
            assert same.owner_dsn == same.service_dsn == url
            as_service = await db.connect(url, application="tests", role=same.service_role)
            assert await as_service.fetchval("SELECT current_user::text") == "tekkie_service"
            await as_service.close()
    gone(place)


def as_nobody(command, **more):
    return subprocess.run(
        command,
        user=NOBODY.pw_uid,
        group=NOBODY.pw_gid,
        extra_groups=[],
        text=True,
        capture_output=True,
        check=False,
        cwd="/",
        **more,
    )


NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def python_for_all():
    """A Python of this version that nobody may run, and the environment that finds tekkie."""
    nobody = initdb._account_of(NOBODY.pw_uid)
    libraries = [Path(db.__file__).parents[1], Path(asyncpg.__file__).parents[1]]
    for candidate in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        if all(initdb.can_reach(path, nobody) for path in (Path(candidate), *libraries)):
            return candidate, {"HOME": "/root", "PYTHONPATH": ":".join(map(str, libraries))}
    pytest.skip("Python lies where nobody may not go")


needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root can become somebody else")


@needs_root
def test_root_hands_the_server_to_somebody_and_opens_no_folder_to_him(place):
    above = place.folder.parent.stat()
    with EmbeddedPostgres(place.folder):
        assert psutil.Process(server_of(place)).uids().real != 0
    assert place.folder.parent.stat() == above
    assert stat.S_IMODE(place.folder.stat().st_mode) == 0o700


@needs_root
def test_another_user_does_not_reach_the_server(place):
    knock = "import socket,sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    with EmbeddedPostgres(place.folder):
        door = os.path.join(layout.read_record(place).socket, layout.SOCKET_NAME)
        done = as_nobody(["/usr/bin/env", "python3", "-c", knock, door])
    assert "PermissionError" in done.stderr


@needs_root
def test_an_ordinary_user_runs_his_own_server_without_a_home(python_for_all):
    python, environment = python_for_all
    with tempfile.TemporaryDirectory(prefix="own ", dir="/tmp") as folder:
        os.chown(folder, NOBODY.pw_uid, NOBODY.pw_gid)
        place = DataFolder(Path(folder, "data"))
        done = as_nobody([python, "-c", USER, str(place.folder)], input="", env=environment)
        assert done.stdout.startswith("postgresql://tekkie_owner@/tekkie?host="), done.stderr
        gone(place)
        # Root may use the folder of another: the server runs as its owner.
        with EmbeddedPostgres(place.folder) as embedded:
            assert query(embedded.owner_dsn, "SELECT 1") == 1
            assert psutil.Process(server_of(place)).uids().real == NOBODY.pw_uid
        gone(place)


@needs_root
def test_root_may_come_first_into_the_folder_of_another(python_for_all):
    python, environment = python_for_all
    with tempfile.TemporaryDirectory(prefix="own ", dir="/tmp") as folder:
        place = DataFolder(Path(folder))
        os.chown(folder, NOBODY.pw_uid, NOBODY.pw_gid)
        with EmbeddedPostgres(place.folder):
            assert psutil.Process(server_of(place)).uids().real == NOBODY.pw_uid
        gone(place)
        done = as_nobody([python, "-c", USER, str(place.folder)], input="", env=environment)
        assert done.returncode == 0, done.stderr
        gone(place)


@needs_root
def test_an_ordinary_user_is_told_that_the_folder_is_not_his(python_for_all):
    python, environment = python_for_all
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        done = as_nobody([python, "-c", USER, f"{folder}/data"], env=environment)
    assert "EmbeddedError" in done.stderr
    assert "name a folder of your own in TEKKIE_DATA_DIR" in done.stderr


@needs_root
def test_binaries_out_of_the_servers_reach_are_copied_once(tmp_path, monkeypatch):
    with tempfile.TemporaryDirectory(dir="/tmp") as caches:
        os.chmod(caches, 0o755)
        closed = tmp_path / "closed" / initdb.PACKAGE / "pginstall"
        (closed / "bin").mkdir(parents=True)
        (closed / "bin" / "postgres").write_text("#!/bin/sh\necho works\n")
        (tmp_path / "closed").chmod(0o700)
        monkeypatch.setattr(initdb, "binaries", lambda: closed / "bin")
        monkeypatch.setattr(initdb, "COPIES", Path(caches, "tekkie"))
        nobody = initdb._account_of(pwd.getpwnam("nobody").pw_uid)
        first, second = initdb.programs_folder(nobody), initdb.programs_folder(nobody)
        assert first == second != closed / "bin"
        assert as_nobody([str(first / "postgres")]).stdout == "works\n"
        assert len(list(Path(caches, "tekkie").iterdir())) == 1
