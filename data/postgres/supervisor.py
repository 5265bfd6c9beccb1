"""The parent process of the bundled PostgreSQL: starts it, watches it, stops it when unused.

One supervisor runs per data folder, detached from the process that started it. It ends with its
server and the server with it (the kernel signals the server when the supervisor is killed). It
never restarts anything: a remaining user notices and starts a new supervisor. So there is a single
way to recover: after any kill the server is restarted if it has users, and gone if not.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from data.postgres import initdb, layout
from data.postgres.layout import ClusterUnusable, DataFolder, ServerRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

    from data.postgres.initdb import Account

START_TIMEOUT_S: Final = 600.0
REPORT_EVERY_S: Final = 5.0
CHECK_EVERY_S: Final = 0.2
CHECK_STARTING_EVERY_S: Final = 0.02
LEFTOVER_TIMEOUT_S: Final = 20.0
LOG_BYTES: Final = 10 * 2**20
TAIL_BYTES: Final = 20_000
PR_SET_PDEATHSIG: Final = 1

# Fast enough for short scripts in sequence, long enough for a last checkpoint.
STOP_SIGNALS: Final = (
    (signal.SIGTERM, 1.0),
    (signal.SIGINT, 30.0),
    (signal.SIGQUIT, 10.0),
    (signal.SIGKILL, 5.0),
)

SERVER: Final = {
    "listen_addresses": "",
    "shared_buffers": "128MB",
    "max_connections": "100",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_lock_waits": "on",
    "log_autovacuum_min_duration": "1s",
    "log_line_prefix": "%m %p %a ",
    "deadlock_timeout": "1s",
    "idle_in_transaction_session_timeout": "60s",
    "unix_socket_permissions": "0700",
}


def main(arguments: Sequence[str]) -> None:
    """Detach and supervise the data folder `arguments[0]`; the others are options `name=value`."""
    if os.fork():
        os._exit(0)
    os.chdir("/")
    data_folder = DataFolder(Path(arguments[0]))
    options = dict(argument.split("=", 1) for argument in arguments[1:])
    try:
        supervise(data_folder, SERVER | options)
    except ClusterUnusable as error:
        _send_report("failed", str(error))
        sys.exit(1)
    except OSError as error:
        _send_report("failed", initdb.explain_failure(data_folder, str(error)))
        raise


def supervise(data_folder: DataFolder, options: dict[str, str]) -> None:
    """Start the server of `data_folder`, report that it is ready, and return when it has ended."""
    stop_signals: list[int] = []

    def request_stop(number: int, _: FrameType | None) -> None:
        stop_signals.append(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, request_stop)
    with layout.hold_lock(data_folder.supervisor):
        users = layout.open_lock(data_folder.users)
        server, socket = start(data_folder, options)
        _send_report("ready", "")
        _detach_streams()
        if _wait_until_unused(server, users, stop_signals, data_folder.log):
            stop(server)
            _remove_record(data_folder, socket)


def _wait_until_unused(
    server: subprocess.Popen[bytes], users: int, stop_signals: Sequence[int], log: Path
) -> bool:
    """Return True when the server should be stopped, False when it has ended.

    An error of the system (no descriptors, no space) ends nothing: the next check may succeed.
    """
    while server.poll() is None:
        with suppress(OSError):
            if stop_signals or layout.try_lock(users, fcntl.LOCK_EX | fcntl.LOCK_NB):
                return True
            _rotate_log(log)
        time.sleep(CHECK_EVERY_S)
    return False


def start(data_folder: DataFolder, options: dict[str, str]) -> tuple[subprocess.Popen[bytes], str]:
    """Start the server and return it with its socket folder when ready. Raises ClusterUnusable."""
    account = initdb.choose_account(data_folder)
    running = layout.open_lock(data_folder.running)
    _end_previous_server(data_folder, running)
    initdb.ensure_cluster(data_folder, account, lambda text: _send_report("report", text))
    is_restart = layout.read_record(data_folder) is not None
    socket = initdb.socket_folder(data_folder, account)
    # No server runs here (we hold the lock): a pid in these files belongs to another process.
    (data_folder.cluster / "postmaster.pid").unlink(missing_ok=True)
    for name in (layout.SOCKET_NAME, f"{layout.SOCKET_NAME}.lock"):
        Path(socket, name).unlink(missing_ok=True)
    begin = data_folder.log.stat().st_size if data_folder.log.exists() else 0
    server = _launch(data_folder, account, socket, options, running)
    os.close(running)
    created_s = psutil.Process(server.pid).create_time()
    ServerRecord(socket=socket, pid=server.pid, created_s=created_s).write(data_folder)
    try:
        _wait_until_ready(data_folder, server, socket, begin)
    except ClusterUnusable:
        # Existing users keep the address of the server for the next attempt.
        if not is_restart:
            _remove_record(data_folder, socket)
        raise
    return server, socket


def _launch(
    data_folder: DataFolder, account: Account, socket: str, options: dict[str, str], running: int
) -> subprocess.Popen[bytes]:
    program = str(initdb.programs_folder(account) / "postgres")
    settings = options | {"unix_socket_directories": _quote(socket)}
    command = [program, "-D", initdb.path_for_server(data_folder.cluster, account)]
    command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    # The server and all its children keep this lock until the last of them ends.
    fcntl.flock(running, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with os.fdopen(layout.open_file(data_folder.log, os.O_WRONLY | os.O_APPEND), "ab") as log:
        try:
            return subprocess.Popen(
                command,
                cwd=data_folder.cluster,
                env=initdb.ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=(running,),
                # This process has one thread, so code between fork and exec is safe.
                preexec_fn=_stop_with_parent(os.getpid()),  # noqa: PLW1509
                **initdb.run_as(account),
            )
        except OSError as error:
            raise ClusterUnusable(f"{program} cannot run: {error}") from error


def _quote(socket: str) -> str:
    return f'"{socket}"' if " " in socket else socket


def _stop_with_parent(supervisor: int) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def set_parent_death_signal() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != supervisor:
            os._exit(1)

    return set_parent_death_signal


def _wait_until_ready(
    data_folder: DataFolder, server: subprocess.Popen[bytes], socket: str, begin: int
) -> None:
    started_s = time.monotonic()
    reported_s = started_s
    while time.monotonic() - started_s < START_TIMEOUT_S:
        if server.poll() is not None:
            problem = initdb.explain_failure(data_folder, _last_errors(data_folder.log, begin))
            raise ClusterUnusable(f"The database did not start: {problem}")
        if layout.accepts_connections(socket):
            return
        if time.monotonic() - reported_s > REPORT_EVERY_S:
            reported_s = time.monotonic()
            _send_report("report", f"the database is recovering … {reported_s - started_s:.0f} s")
        time.sleep(CHECK_STARTING_EVERY_S)
    stop(server)
    raise ClusterUnusable(
        f"The database did not answer within {START_TIMEOUT_S:.0f} s, see {data_folder.log}."
    )


def _last_errors(log: Path, begin: int) -> str:
    with log.open("rb") as lines:
        lines.seek(max(begin, log.stat().st_size - TAIL_BYTES))
        text = lines.read().decode("utf-8", "replace").splitlines()
    errors = [
        line
        for line in text
        if any(word in line for word in ("PANIC:", "FATAL:")) and "is starting up" not in line
    ]
    return " ".join((errors or text)[-2:])


def stop(server: subprocess.Popen[bytes]) -> None:
    """Stop the server, even if frozen: TERM, INT, QUIT, KILL, each with its timeout."""
    for number, timeout_s in STOP_SIGNALS:
        _signal(server.pid, number)
        with suppress(subprocess.TimeoutExpired):
            server.wait(timeout=timeout_s)
            return


def _signal(pid: int, number: int) -> None:
    try:
        process = psutil.Process(pid)
        processes = [process, *process.children(recursive=True)]
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
    except (psutil.Error, OSError):
        # Its children cannot be listed, as without descriptors.
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        return
    for one in processes:
        with suppress(psutil.Error, OSError):
            one.send_signal(signal.SIGCONT)


def _end_previous_server(data_folder: DataFolder, running: int) -> None:
    """Wait until the processes of a previous server have ended; kill them after a timeout."""
    if _wait_for_lock(running, LEFTOVER_TIMEOUT_S):
        return
    record = layout.read_record(data_folder)
    for number, timeout_s in STOP_SIGNALS[1:]:
        if record is not None and _is_recorded_process(record):
            _signal(record.pid, number)
        if _wait_for_lock(running, timeout_s):
            return
    raise ClusterUnusable(
        f"A previous database process still runs in {data_folder.cluster} and does not end: "
        "restart the machine or end the process."
    )


def _wait_for_lock(running: int, timeout_s: float) -> bool:
    until = time.monotonic() + timeout_s
    while not layout.try_lock(running, fcntl.LOCK_EX | fcntl.LOCK_NB):
        if time.monotonic() > until:
            return False
        time.sleep(CHECK_STARTING_EVERY_S)
    return True


def _is_recorded_process(record: ServerRecord) -> bool:
    try:
        created_s: float = psutil.Process(record.pid).create_time()
    except psutil.Error:
        return False
    return abs(created_s - record.created_s) < 1.0


def _remove_record(data_folder: DataFolder, socket: str) -> None:
    data_folder.record.unlink(missing_ok=True)
    if Path(socket) != data_folder.socket:
        shutil.rmtree(socket, ignore_errors=True)


def _rotate_log(log: Path) -> None:
    if log.stat().st_size > LOG_BYTES:
        shutil.copyfile(log, log.with_name(f"{log.name}.1"))
        os.truncate(log, 0)


def _send_report(kind: str, text: str) -> None:
    with suppress(OSError):
        sys.stdout.write(json.dumps([kind, text]) + "\n")
        sys.stdout.flush()


def _detach_streams() -> None:
    try:
        null = os.open(os.devnull, os.O_RDWR)
    except OSError:
        # The reader of the reports waits for their end.
        os.close(1)
        return
    for stream in (0, 1):
        os.dup2(null, stream)
    os.close(null)


if __name__ == "__main__":
    main(sys.argv[1:])
