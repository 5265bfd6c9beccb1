"""The bundled PostgreSQL under kills and damage; processes are killed by pid, and only our own."""

import asyncio
import errno
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
from data.postgres import client, initdb, layout, supervisor
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
WITHOUT_DESCRIPTORS = """
import os, resource, sys
from pathlib import Path
from data.postgres.client import EmbeddedPostgres
embedded = EmbeddedPostgres(Path(sys.argv[1]))
embedded.start()
print(embedded.owner_dsn, flush=True)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
held = []
try:
    while True:
        held.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    sys.stdin.readline()
for descriptor in held:
    os.close(descriptor)
sys.stdin.readline()
"""
PAUSE = threading.Event()
IS_ROOT = os.geteuid() == 0


@pytest.fixture(scope="module")
def base_folder():
    """A private folder with a space in its name, outside the folder of the run."""
    with tempfile.TemporaryDirectory(prefix="tekkie base ", dir=memory_folder()) as folder:
        yield Path(folder)


def memory_folder():
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@pytest.fixture(scope="module")
def initialized(base_folder):
    """A data folder in which a server was started and stopped once."""
    folder = base_folder / "initialized"
    with EmbeddedPostgres(folder):
        pass
    return folder


@pytest.fixture
def data_folder(initialized, base_folder):
    """A copy of the initialized folder for one test, deleted afterwards."""
    folder = base_folder / f"copy {time.monotonic_ns()}"
    subprocess.run(["cp", "-a", str(initialized), str(folder)], check=True)
    yield DataFolder(folder)
    wait_until_gone(DataFolder(folder))
    shutil.rmtree(folder)


@contextmanager
def user_process(folder):
    """Run another process that uses the server of a folder; yield it and its address."""
    command = [sys.executable, "-c", USER, str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def supervisor_pid(data_folder):
    """The pid of the supervisor: the parent of the recorded server."""
    return psutil.Process(layout.read_record(data_folder).pid).ppid()


def server_pid(data_folder):
    return layout.read_record(data_folder).pid


def wait_until_gone(data_folder):
    """Wait until the supervisor and all processes of the server have ended."""
    for file in (data_folder.supervisor, data_folder.running):
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


def eventually(ask, timeout_s=15.0):
    """Return the result of `ask` as soon as it raises no connection error."""
    until = time.monotonic() + timeout_s
    while True:
        try:
            return ask()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            if time.monotonic() > until:
                raise
            PAUSE.wait(0.02)


def test_the_first_start_creates_a_complete_database_and_reports_it(base_folder):
    message = []
    embedded = EmbeddedPostgres(base_folder / "first")
    embedded.start(message.append)
    try:
        assert message == ["starting the database …", "making the database folder …"]
        assert query(embedded.owner_dsn, "SHOW data_checksums") == "on"
        assert query(embedded.owner_dsn, "SHOW listen_addresses") == ""
        assert query(embedded.owner_dsn, "SHOW fsync") == "on"
        assert query(embedded.owner_dsn, "SELECT lower('ÄÖÜŁ')") == "äöül".replace("l", "ł")
        assert query(embedded.owner_dsn, "SELECT 'a' > 'B'")
        for dsn in (embedded.owner_dsn, embedded.service_dsn):
            privileged = (
                "SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user"
            )
            assert query(dsn, privileged) is False
        asyncio.run(db.check_server(embedded.owner_dsn))
        assert "0001_init.sql" in asyncio.run(migrate.migrate(embedded.owner_dsn))
    finally:
        embedded.stop()
    wait_until_gone(embedded.folder)
    assert "database system is shut down" in embedded.folder.log.read_text()


def test_a_second_start_finds_the_stored_data(data_folder):
    with EmbeddedPostgres(data_folder.path) as embedded:
        query(embedded.owner_dsn, "CREATE TABLE kept AS SELECT 1 AS n")
    with EmbeddedPostgres(data_folder.path) as embedded:
        assert query(embedded.owner_dsn, "SELECT n FROM kept") == 1


def test_several_processes_on_a_fresh_folder_share_one_server(base_folder):
    data_folder = DataFolder(base_folder / "shared")
    with (
        user_process(data_folder.path) as (_, first),
        user_process(data_folder.path) as (_, second),
    ):
        with EmbeddedPostgres(data_folder.path) as third:
            start = "SELECT pg_postmaster_start_time()"
            assert first == second == third.owner_dsn
            assert query(first, start) == query(third.owner_dsn, start)
        assert layout.accepts_connections(layout.read_record(data_folder).socket)
    wait_until_gone(data_folder)


def test_the_server_is_gone_when_its_last_user_was_killed_and_keeps_what_was_committed(data_folder):
    with user_process(data_folder.path) as (process, dsn):
        query(dsn, "CREATE TABLE kept AS SELECT 1 AS n")
        process.kill()
    wait_until_gone(data_folder)
    with EmbeddedPostgres(data_folder.path) as embedded:
        assert query(embedded.owner_dsn, "SELECT n FROM kept") == 1


def test_a_killed_server_comes_back_at_the_same_address_with_all_that_was_committed(data_folder):
    with EmbeddedPostgres(data_folder.path) as embedded:
        query(embedded.owner_dsn, "CREATE TABLE kept AS SELECT 1 AS n")
        before = server_pid(data_folder)
        os.kill(before, signal.SIGKILL)
        assert eventually(lambda: query(embedded.owner_dsn, "SELECT n FROM kept")) == 1
        assert server_pid(data_folder) != before


def test_a_server_killed_while_no_descriptor_is_left_comes_back_when_there_are_some(data_folder):
    command = [sys.executable, "-c", WITHOUT_DESCRIPTORS, str(data_folder.path)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, text=True, **pipes) as process:
        try:
            dsn = process.stdout.readline().strip()
            assert "Too many open files" in process.stderr.readline()
            os.kill(server_pid(data_folder), signal.SIGKILL)
            wait_until_gone(data_folder)
            assert "Too many open files" in process.stderr.readline()
            process.stdin.write("close them\n")
            process.stdin.flush()
            assert eventually(lambda: query(dsn, "SELECT 1")) == 1
        finally:
            process.kill()


def test_errors_of_the_system_do_not_end_the_watch(tmp_path, monkeypatch):
    embedded = EmbeddedPostgres(tmp_path)
    errors = [OSError(code, os.strerror(code)) for code in (errno.EMFILE, errno.ENOMEM, errno.EIO)]

    def is_locked(_):
        if errors:
            raise errors.pop()
        embedded._ended.set()
        return True

    monkeypatch.setattr(client, "CHECK_EVERY_S", 0)
    monkeypatch.setattr(client.layout, "is_locked", is_locked)
    monkeypatch.setattr(client, "end_process", lambda: pytest.fail("it would have ended"))
    embedded._watch()
    assert embedded._ended.is_set()


def test_the_process_ends_when_nothing_watches_its_database_any_more(tmp_path, monkeypatch):
    ended = []

    def fail(_):
        raise RuntimeError

    monkeypatch.setattr(client, "CHECK_EVERY_S", 0)
    monkeypatch.setattr(client.layout, "is_locked", fail)
    monkeypatch.setattr(client, "end_process", lambda: ended.append(True))
    EmbeddedPostgres(tmp_path)._watch()
    assert ended == [True]


class Running:
    """A server that ends after so many checks."""

    def __init__(self, checks):
        self.checks = checks

    def poll(self):
        self.checks -= 1
        return None if self.checks >= 0 else 0


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENOSPC, errno.EIO, errno.ENOLCK])
@pytest.mark.parametrize("part", ["try_lock", "rotate"])
def test_an_error_of_the_system_does_not_end_the_supervisor(tmp_path, monkeypatch, part, code):
    checks = []

    def fails(*_):
        checks.append(code)
        raise OSError(code, os.strerror(code))

    if part == "try_lock":
        monkeypatch.setattr(supervisor.layout, "try_lock", fails)
    else:
        monkeypatch.setattr(supervisor.layout, "try_lock", lambda *_: False)
        monkeypatch.setattr(supervisor, "_rotate_log", fails)
    monkeypatch.setattr(supervisor, "CHECK_EVERY_S", 0)
    assert not supervisor._wait_until_unused(Running(3), 0, [], tmp_path / "log")
    assert checks == [code] * 3


def test_a_server_is_stopped_even_if_its_processes_cannot_be_listed(monkeypatch):
    def fails(_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(supervisor.psutil, "Process", fails)
    with subprocess.Popen(["sleep", "600"]) as other:
        supervisor.stop(other)
    assert other.returncode == -signal.SIGTERM


def test_every_process_of_the_server_and_its_supervisor_killed_at_once_loses_nothing(data_folder):
    with EmbeddedPostgres(data_folder.path) as embedded:
        query(embedded.owner_dsn, "CREATE TABLE kept AS SELECT 1 AS n")
        postmaster = psutil.Process(server_pid(data_folder))
        processes = [postmaster.parent(), postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        assert eventually(lambda: query(embedded.owner_dsn, "SELECT n FROM kept")) == 1


def test_a_killed_supervisor_is_replaced_while_the_server_is_in_use(data_folder):
    with EmbeddedPostgres(data_folder.path) as embedded:
        previous = supervisor_pid(data_folder)
        os.kill(previous, signal.SIGKILL)
        assert eventually(lambda: new_supervisor(data_folder, previous))
        # Until it is stopped, the server of the one before accepts connections, to refuse them.
        assert eventually(lambda: query(embedded.owner_dsn, "SELECT 1")) == 1
    wait_until_gone(data_folder)


def new_supervisor(data_folder, previous):
    record = layout.read_record(data_folder)
    held = layout.is_locked(data_folder.supervisor) and layout.accepts_connections(record.socket)
    if held and supervisor_pid(data_folder) != previous:
        return True
    raise ConnectionError


def test_user_and_supervisor_killed_together_leave_no_server_behind(data_folder):
    with user_process(data_folder.path) as (process, _):
        os.kill(supervisor_pid(data_folder), signal.SIGKILL)
        process.kill()
    wait_until_gone(data_folder)
    with EmbeddedPostgres(data_folder.path) as embedded:
        assert query(embedded.owner_dsn, "SELECT 1") == 1


def test_user_supervisor_and_server_killed_together_do_not_stop_the_next_start(data_folder):
    with user_process(data_folder.path) as (process, dsn):
        query(dsn, "CREATE TABLE kept AS SELECT 1 AS n")
        pids = [process.pid, supervisor_pid(data_folder), server_pid(data_folder)]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
    with EmbeddedPostgres(data_folder.path) as embedded:
        assert query(embedded.owner_dsn, "SELECT n FROM kept") == 1


def test_a_stale_pid_file_with_the_pid_of_another_process_harms_neither(data_folder):
    with subprocess.Popen(["sleep", "600"]) as other:
        try:
            fields = (other.pid, data_folder.cluster, 1, 5432, data_folder.socket)
            lines = [*map(str, fields), "", "1 1", "ready   ", ""]
            (data_folder.cluster / "postmaster.pid").write_text("\n".join(lines))
            layout.ServerRecord(socket=str(data_folder.socket), pid=other.pid).write(data_folder)
            with EmbeddedPostgres(data_folder.path) as embedded:
                assert query(embedded.owner_dsn, "SELECT 1") == 1
            assert other.poll() is None
        finally:
            other.kill()


def test_a_frozen_server_is_stopped_too(data_folder):
    embedded = EmbeddedPostgres(data_folder.path)
    embedded.start()
    frozen = server_pid(data_folder)
    os.kill(frozen, signal.SIGSTOP)
    embedded.stop()
    assert not psutil.pid_exists(frozen)
    wait_until_gone(data_folder)


def test_a_frozen_server_without_supervisor_is_ended_by_the_next_one(data_folder, monkeypatch):
    with user_process(data_folder.path) as (process, _):
        frozen = server_pid(data_folder)
        os.kill(frozen, signal.SIGSTOP)
        os.kill(supervisor_pid(data_folder), signal.SIGKILL)
        process.kill()
    monkeypatch.setattr(supervisor, "LEFTOVER_TIMEOUT_S", 0.1)
    running = layout.open_lock(data_folder.running)
    supervisor._end_previous_server(data_folder, running)
    os.close(running)
    assert not psutil.pid_exists(frozen) or psutil.Process(frozen).status() == "zombie"
    with EmbeddedPostgres(data_folder.path) as embedded:
        assert query(embedded.owner_dsn, "SELECT 1") == 1


def test_a_half_made_folder_of_an_interrupted_first_start_is_replaced(base_folder):
    data_folder = DataFolder(base_folder / "interrupted")
    data_folder.staging.mkdir(parents=True)
    (data_folder.staging / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(data_folder.path) as embedded:
        assert query(embedded.owner_dsn, "SELECT 1") == 1
    assert not data_folder.staging.exists()


def test_the_socket_lies_where_only_its_owner_can_reach_it(data_folder):
    with EmbeddedPostgres(data_folder.path):
        state = os.stat(layout.read_record(data_folder).socket)
        assert stat.S_IMODE(state.st_mode) == 0o700
        assert state.st_uid == psutil.Process(server_pid(data_folder)).uids().real


def test_a_path_too_long_for_a_socket_gets_a_short_temporary_folder(base_folder, initialized):
    data_folder = DataFolder(base_folder / ("long " * 20) / "data")
    data_folder.path.parent.mkdir()
    subprocess.run(["cp", "-a", str(initialized), str(data_folder.path)], check=True)
    with EmbeddedPostgres(data_folder.path) as embedded:
        socket = Path(layout.read_record(data_folder).socket)
        assert len(os.fsencode(socket / layout.SOCKET_NAME)) <= 107
        assert query(embedded.owner_dsn, "SELECT 1") == 1
    assert not socket.exists()


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("PG_VERSION", "17\n", "written by PostgreSQL 17 and this tekkie brings 18: dump it"),
        ("PG_VERSION", None, "PG_VERSION cannot be read.*from a backup, or move it away"),
        ("global/pg_control", None, "pg_control is missing.*from a backup, or move it away"),
        ("global/pg_control", "x" * 8192, "did not start: .*from a backup, or move it away"),
    ],
)
def test_a_foreign_or_damaged_folder_is_refused_with_the_cure(data_folder, file, text, message):
    damaged = data_folder.cluster / file
    damaged.unlink() if text is None else damaged.write_text(text)
    with pytest.raises(EmbeddedError, match=rf"(?s){message}"):
        EmbeddedPostgres(data_folder.path).start()
    wait_until_gone(data_folder)
    assert not data_folder.record.exists()


def test_a_full_disk_is_reported_before_anything_is_created(tmp_path, monkeypatch):
    monkeypatch.setattr(initdb, "SPACE_BYTES", 2**62)
    who = initdb.choose_account(DataFolder(tmp_path))
    with pytest.raises(layout.ClusterUnusable, match="make room or name another folder"):
        initdb.ensure_cluster(DataFolder(tmp_path), who, print)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_is_reported_with_the_cure(tmp_path):
    message = initdb.explain_failure(
        DataFolder(tmp_path), "PANIC: could not write: No space left on device"
    )
    assert "the disk is full" in message
    assert "make room" in message


def test_a_folder_that_is_a_file_is_refused_with_the_cure(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedError, match="file"):
        EmbeddedPostgres(tmp_path / "file").start()


def test_an_address_before_the_start_is_refused(tmp_path):
    with pytest.raises(EmbeddedError, match="not started"):
        _ = EmbeddedPostgres(tmp_path).owner_dsn


async def test_without_a_url_the_database_is_the_bundled_one(data_folder):
    chosen = settings.load(data_dir=data_folder.path)
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
    wait_until_gone(data_folder)


NOBODY = pwd.getpwnam("nobody")


def as_nobody(command, account=NOBODY, **more):
    return subprocess.run(
        command,
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=[],
        text=True,
        capture_output=True,
        check=False,
        cwd="/",
        **more,
    )


@pytest.fixture
def python_for_all():
    """A Python of this version that the user `nobody` may run, and an environment for it."""
    nobody = initdb._account_of(NOBODY.pw_uid)
    libraries = [Path(db.__file__).parents[1], Path(asyncpg.__file__).parents[1]]
    for candidate in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        if all(initdb.can_reach(path, nobody) for path in (Path(candidate), *libraries)):
            return candidate, {"HOME": "/root", "PYTHONPATH": ":".join(map(str, libraries))}
    pytest.skip("the user nobody cannot reach a Python")


needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root can change user")


@needs_root
def test_under_root_the_server_runs_as_another_user_and_no_permission_changes(data_folder):
    above = data_folder.path.parent.stat()
    with EmbeddedPostgres(data_folder.path):
        assert psutil.Process(server_pid(data_folder)).uids().real != 0
    assert data_folder.path.parent.stat() == above
    assert stat.S_IMODE(data_folder.path.stat().st_mode) == 0o700


@needs_root
def test_another_user_does_not_reach_the_server(data_folder):
    connect = "import socket,sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    with EmbeddedPostgres(data_folder.path):
        socket = os.path.join(layout.read_record(data_folder).socket, layout.SOCKET_NAME)
        # On a machine without an account postgres the server itself is nobody.
        runs_as = psutil.Process(server_pid(data_folder)).uids().real
        other = next(one for one in (NOBODY, pwd.getpwnam("daemon")) if one.pw_uid != runs_as)
        done = as_nobody(["/usr/bin/env", "python3", "-c", connect, socket], other)
    assert "PermissionError" in done.stderr


@needs_root
def test_an_ordinary_user_runs_a_server_without_a_home_folder(python_for_all):
    python, environment = python_for_all
    with tempfile.TemporaryDirectory(prefix="own ", dir="/tmp") as folder:
        os.chown(folder, NOBODY.pw_uid, NOBODY.pw_gid)
        data_folder = DataFolder(Path(folder, "data"))
        done = as_nobody([python, "-c", USER, str(data_folder.path)], input="", env=environment)
        assert done.stdout.startswith("postgresql://tekkie_owner@/tekkie?host="), done.stderr
        wait_until_gone(data_folder)
        # Root may use the folder of another: the server runs as its owner.
        with EmbeddedPostgres(data_folder.path) as embedded:
            assert query(embedded.owner_dsn, "SELECT 1") == 1
            assert psutil.Process(server_pid(data_folder)).uids().real == NOBODY.pw_uid
        wait_until_gone(data_folder)


@needs_root
def test_root_may_be_the_first_to_use_the_folder_of_another_user(python_for_all):
    python, environment = python_for_all
    with tempfile.TemporaryDirectory(prefix="own ", dir="/tmp") as folder:
        data_folder = DataFolder(Path(folder))
        os.chown(folder, NOBODY.pw_uid, NOBODY.pw_gid)
        with EmbeddedPostgres(data_folder.path):
            assert psutil.Process(server_pid(data_folder)).uids().real == NOBODY.pw_uid
        wait_until_gone(data_folder)
        done = as_nobody([python, "-c", USER, str(data_folder.path)], input="", env=environment)
        assert done.returncode == 0, done.stderr
        wait_until_gone(data_folder)


@needs_root
def test_an_ordinary_user_gets_a_cure_for_a_folder_that_is_not_writable(python_for_all):
    python, environment = python_for_all
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        done = as_nobody([python, "-c", USER, f"{folder}/data"], env=environment)
    assert "EmbeddedError" in done.stderr
    assert "name a folder of your own in TEKKIE_DATA_DIR" in done.stderr


@needs_root
def test_binaries_the_server_cannot_reach_are_copied_once(tmp_path, monkeypatch):
    with tempfile.TemporaryDirectory(dir="/tmp") as caches:
        os.chmod(caches, 0o755)
        closed = tmp_path / "closed" / initdb.PACKAGE / "pginstall"
        (closed / "bin").mkdir(parents=True)
        (closed / "bin" / "postgres").write_text("#!/bin/sh\necho works\n")
        (tmp_path / "closed").chmod(0o700)
        monkeypatch.setattr(initdb, "binaries_folder", lambda: closed / "bin")
        monkeypatch.setattr(initdb, "COPIES_FOLDER", Path(caches, "tekkie"))
        nobody = initdb._account_of(pwd.getpwnam("nobody").pw_uid)
        first, second = initdb.programs_folder(nobody), initdb.programs_folder(nobody)
        assert first == second != closed / "bin"
        assert as_nobody([str(first / "postgres")]).stdout == "works\n"
        assert len(list(Path(caches, "tekkie").iterdir())) == 1
