"""The parent of the bundled PostgreSQL: starts it, watches it, stops it when nobody uses it.

One guardian lives per data folder, detached from whoever started it. It ends with its server and
the server with it (the kernel sends the server the signal to stop when the guardian is killed).
It never restarts anything: whoever still uses the server notices and starts a new guardian. So
there is one way to recover, and after any kill either somebody uses the server and it comes back,
or nobody does and it is gone.
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

# Fast enough for scripts that follow each other, patient enough for a last checkpoint.
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
    """Detach and guard the data folder `arguments[0]`; further arguments are `name=value`."""
    if os.fork():
        os._exit(0)
    os.chdir("/")
    place = DataFolder(Path(arguments[0]))
    chosen = dict(argument.split("=", 1) for argument in arguments[1:])
    try:
        supervise(place, SERVER | chosen)
    except ClusterUnusable as error:
        _send_report("failed", str(error))
        sys.exit(1)


def supervise(place: DataFolder, chosen: dict[str, str]) -> None:
    """Start the server of `place`, say so, and return when it has ended."""
    asked_to_stop: list[int] = []

    def remember(number: int, _: FrameType | None) -> None:
        asked_to_stop.append(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, remember)
    with layout.hold_lock(place.guardian):
        server, socket = start(place, chosen)
        _send_report("ready", "")
        _detach_streams()
        users = layout.open_lock(place.users)
        while server.poll() is None:
            if asked_to_stop or layout.try_lock(users, fcntl.LOCK_EX | fcntl.LOCK_NB):
                stop(server)
                _remove_traces(place, socket)
                return
            _rotate_log(place.log)
            time.sleep(CHECK_EVERY_S)


def start(place: DataFolder, chosen: dict[str, str]) -> tuple[subprocess.Popen[bytes], str]:
    """Start the server and return it with its socket folder once it answers; ClusterBroken."""
    who = initdb.choose_account(place)
    running = layout.open_lock(place.running)
    _end_previous_server(place, running)
    initdb.ensure_cluster(place, who, lambda text: _send_report("report", text))
    is_again = layout.read_record(place) is not None
    socket = initdb.socket_folder(place, who)
    # Nobody runs here (the lock says so): what these name is a number somebody else has by now.
    (place.cluster / "postmaster.pid").unlink(missing_ok=True)
    for name in (layout.SOCKET_NAME, f"{layout.SOCKET_NAME}.lock"):
        Path(socket, name).unlink(missing_ok=True)
    begin = place.log.stat().st_size if place.log.exists() else 0
    server = _launch(place, who, socket, chosen, running)
    os.close(running)
    created_s = psutil.Process(server.pid).create_time()
    ServerRecord(socket=socket, pid=server.pid, created_s=created_s).write(place)
    try:
        _wait_until_ready(place, server, socket, begin)
    except ClusterUnusable:
        # Who uses the server already keeps its address for the next try.
        if not is_again:
            _remove_traces(place, socket)
        raise
    return server, socket


def _launch(
    place: DataFolder, who: Account, socket: str, chosen: dict[str, str], running: int
) -> subprocess.Popen[bytes]:
    program = str(initdb.programs_folder(who) / "postgres")
    options = chosen | {"unix_socket_directories": _quote(socket)}
    command = [program, "-D", initdb.path_for_server(place.cluster, who)]
    command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    # The server and all its children keep this lock until the last of them is gone.
    fcntl.flock(running, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with os.fdopen(layout.open_file(place.log, os.O_WRONLY | os.O_APPEND), "ab") as log:
        try:
            return subprocess.Popen(
                command,
                cwd=place.cluster,
                env=initdb.ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=(running,),
                # One thread lives here, so code between fork and exec is safe.
                preexec_fn=_stop_with_parent(os.getpid()),  # noqa: PLW1509
                **initdb.run_as(who),
            )
        except OSError as error:
            raise ClusterUnusable(f"{program} cannot run: {error}") from error


def _quote(socket: str) -> str:
    return f'"{socket}"' if " " in socket else socket


def _stop_with_parent(guardian: int) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def ask_the_kernel() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != guardian:
            os._exit(1)

    return ask_the_kernel


def _wait_until_ready(
    place: DataFolder, server: subprocess.Popen[bytes], socket: str, begin: int
) -> None:
    began = time.monotonic()
    told = began
    while time.monotonic() - began < START_TIMEOUT_S:
        if server.poll() is not None:
            said = _last_errors(place.log, begin)
            raise ClusterUnusable(
                f"The database did not start: {initdb.explain_failure(place, said)}"
            )
        if layout.accepts_connections(socket):
            return
        if time.monotonic() - told > REPORT_EVERY_S:
            told = time.monotonic()
            _send_report("report", f"the database is recovering … {told - began:.0f} s")
        time.sleep(CHECK_STARTING_EVERY_S)
    stop(server)
    raise ClusterUnusable(
        f"The database did not answer within {START_TIMEOUT_S:.0f} s, see {place.log}."
    )


def _last_errors(log: Path, begin: int) -> str:
    with log.open("rb") as lines:
        lines.seek(max(begin, log.stat().st_size - TAIL_BYTES))
        text = lines.read().decode("utf-8", "replace").splitlines()
    grave = [
        line
        for line in text
        if any(word in line for word in ("PANIC:", "FATAL:")) and "is starting up" not in line
    ]
    return " ".join((grave or text)[-2:])


def stop(server: subprocess.Popen[bytes]) -> None:
    """Stop the server: TERM, INT, QUIT, KILL, each with its time, also when it was frozen."""
    for number, patience_s in STOP_SIGNALS:
        _signal(server.pid, number)
        with suppress(subprocess.TimeoutExpired):
            server.wait(timeout=patience_s)
            return


def _signal(pid: int, number: int) -> None:
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        family[0].send_signal(number)
    except psutil.NoSuchProcess:
        return
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGCONT)


def _end_previous_server(place: DataFolder, running: int) -> None:
    """Wait until no process of a former server lives, and end one that will not."""
    if _wait_for_lock(running, LEFTOVER_TIMEOUT_S):
        return
    note = layout.read_record(place)
    for number, patience_s in STOP_SIGNALS[1:]:
        if note is not None and _is_recorded_process(note):
            _signal(note.pid, number)
        if _wait_for_lock(running, patience_s):
            return
    raise ClusterUnusable(
        f"A former database process still works in {place.cluster} and does not end: "
        "restart the machine or end the process."
    )


def _wait_for_lock(running: int, patience_s: float) -> bool:
    until = time.monotonic() + patience_s
    while not layout.try_lock(running, fcntl.LOCK_EX | fcntl.LOCK_NB):
        if time.monotonic() > until:
            return False
        time.sleep(CHECK_STARTING_EVERY_S)
    return True


def _is_recorded_process(note: ServerRecord) -> bool:
    try:
        created_s: float = psutil.Process(note.pid).create_time()
    except psutil.Error:
        return False
    return abs(created_s - note.created_s) < 1.0


def _remove_traces(place: DataFolder, socket: str) -> None:
    place.note.unlink(missing_ok=True)
    if Path(socket) != place.socket:
        shutil.rmtree(socket, ignore_errors=True)


def _rotate_log(log: Path) -> None:
    with suppress(FileNotFoundError):
        if log.stat().st_size > LOG_BYTES:
            shutil.copyfile(log, log.with_name(f"{log.name}.1"))
            os.truncate(log, 0)


def _send_report(kind: str, text: str) -> None:
    with suppress(BrokenPipeError):
        sys.stdout.write(json.dumps([kind, text]) + "\n")
        sys.stdout.flush()


def _detach_streams() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        os.dup2(nowhere, stream)
    os.close(nowhere)


if __name__ == "__main__":
    main(sys.argv[1:])
