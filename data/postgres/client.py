"""Use of the bundled PostgreSQL: one server per data folder, shared by all processes."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from data import db
from data.postgres import initdb, layout
from data.postgres.layout import ClusterUnusable, DataFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Self

CHECK_EVERY_S: Final = 0.5
LONGEST_CHECK_PAUSE_S: Final = 5.0
START_TIMEOUT_S: Final = 700.0
STOP_TIMEOUT_S: Final = 60.0
WAIT_STEP_S: Final = 0.02

log = logging.getLogger(__name__)


class EmbeddedError(db.DatabaseError):
    """The bundled PostgreSQL cannot run here; the message names the reason and the cure."""


def _ignore_report(_: str) -> None:
    """Do nothing."""


def end_process() -> None:
    """End this process at once: what was answered is committed."""
    os._exit(os.EX_SOFTWARE)


class EmbeddedPostgres:
    """One user of the bundled PostgreSQL of a data folder.

    `start` and `stop` block. Between them a thread checks twice a second that a supervisor runs and
    restarts the server if it was killed; the addresses stay the same. Should that thread fail, the
    process ends, to be started anew: without it a killed server would stay away for ever.
    """

    def __init__(self, data_dir: Path, *, options: Mapping[str, str] | None = None) -> None:
        self.folder: Final = DataFolder(data_dir.absolute())
        self._options: Final = [f"{name}={value}" for name, value in (options or {}).items()]
        self._users: int | None = None
        self._socket = ""
        self._ended = threading.Event()
        self._watcher: threading.Thread | None = None

    @property
    def owner_dsn(self) -> str:
        """The database with the role that owns it, for migrations."""
        return self.dsn(layout.OWNER, layout.DATABASE)

    @property
    def service_dsn(self) -> str:
        """The database with the role of the service."""
        return self.dsn(layout.SERVICE, layout.DATABASE)

    @property
    def admin_dsn(self) -> str:
        """The server with the superuser role, for tests that create databases."""
        return self.dsn(layout.ADMIN, "postgres")

    def dsn(self, role: str, database: str) -> str:
        """Return the address of a database on this server. Raises EmbeddedError before `start`."""
        if not self._socket:
            raise EmbeddedError("The bundled database is not started yet.")
        return f"postgresql://{role}@/{quote(database)}?host={quote(self._socket, safe='')}"

    def start(self, report: Callable[[str], None] = _ignore_report) -> None:
        """Use the server; start it if it does not run yet. Raises EmbeddedError."""
        if self._users is not None:
            return
        try:
            initdb.prepare_folder(self.folder)
            users = self._register(report)
        except ClusterUnusable as error:
            raise EmbeddedError(str(error)) from error
        except OSError as error:
            problem = f"{error.filename}: {error.strerror}"
            raise EmbeddedError(initdb.explain_failure(self.folder, problem)) from error
        self._users = users
        self._ended.clear()
        self._watcher = threading.Thread(target=self._watch, name="postgres-watcher", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """Stop using the server; the last user waits until it has stopped."""
        if self._users is None:
            return
        self._ended.set()
        if self._watcher is not None:
            self._watcher.join()
        os.close(self._users)
        self._users, self._watcher = None, None
        until = time.monotonic() + STOP_TIMEOUT_S
        while time.monotonic() < until and not self._is_released():
            time.sleep(WAIT_STEP_S)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _register(self, report: Callable[[str], None]) -> int:
        users = layout.open_lock(self.folder.users)
        try:
            with layout.hold_lock(self.folder.start):
                # Waits for a supervisor that is stopping the server.
                fcntl.flock(users, fcntl.LOCK_SH)
                self._ensure_server(report)
        except BaseException:
            os.close(users)
            raise
        return users

    def _ensure_server(self, report: Callable[[str], None]) -> None:
        """Return when a supervised server accepts connections; call with the start lock held."""
        until = time.monotonic() + START_TIMEOUT_S
        while layout.is_locked(self.folder.supervisor):
            record = layout.read_record(self.folder)
            if record is not None and layout.accepts_connections(record.socket):
                self._socket = record.socket
                return
            if time.monotonic() > until:
                raise EmbeddedError(f"The database does not answer, see {self.folder.log}.")
            time.sleep(WAIT_STEP_S)
        self._start_supervisor(report)

    def _start_supervisor(self, report: Callable[[str], None]) -> None:
        report("starting the database …")
        root = str(Path(__file__).parents[2])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        # -P: a folder `data` in the current directory is not this package.
        command = [sys.executable, "-P", "-m", "data.postgres.supervisor", str(self.folder.path)]
        with (
            os.fdopen(layout.open_file(self.folder.log, os.O_WRONLY | os.O_APPEND), "ab") as errors,
            subprocess.Popen(
                [*command, *self._options],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            ) as supervisor,
        ):
            assert supervisor.stdout is not None
            for line in supervisor.stdout:
                kind, text = json.loads(line)
                if kind == "failed":
                    raise EmbeddedError(text)
                if kind == "report":
                    report(text)
        record = layout.read_record(self.folder)
        if record is None or not layout.is_locked(self.folder.supervisor):
            raise EmbeddedError(f"The database's supervisor ended at once, see {self.folder.log}.")
        self._socket = record.socket

    def _watch(self) -> None:
        try:
            self._keep_running()
        except BaseException:
            log.critical("nothing watches the bundled database any more; ending", exc_info=True)
            end_process()

    def _keep_running(self) -> None:
        pause_s = CHECK_EVERY_S
        while not self._ended.wait(pause_s):
            try:
                if layout.is_locked(self.folder.supervisor):
                    pause_s = CHECK_EVERY_S
                    continue
                log.warning("the bundled database was killed, restarting it")
                with layout.hold_lock(self.folder.start):
                    self._ensure_server(log.info)
            except (EmbeddedError, OSError) as error:
                # No descriptor, memory, process or disk space is left: there may be, later.
                log.error("the bundled database cannot be checked or restarted: %s", error)
                pause_s = min(2 * pause_s, LONGEST_CHECK_PAUSE_S)

    def _is_released(self) -> bool:
        """Return whether the server has stopped or another process uses it."""
        if not layout.is_locked(self.folder.supervisor):
            return True
        users = layout.open_lock(self.folder.users)
        try:
            if layout.try_lock(users, fcntl.LOCK_EX | fcntl.LOCK_NB):
                return False
            # Users share the lock; a supervisor that stops the server holds it exclusively.
            return layout.try_lock(users, fcntl.LOCK_SH | fcntl.LOCK_NB)
        finally:
            os.close(users)
