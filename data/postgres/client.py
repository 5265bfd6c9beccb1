"""Use of the bundled PostgreSQL: one server per data folder, however many processes use it."""

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
LONGEST_CHECK_PAUSE_S: Final = 30.0
START_TIMEOUT_S: Final = 700.0
STOP_TIMEOUT_S: Final = 60.0
WAIT_STEP_S: Final = 0.02

log = logging.getLogger(__name__)


class EmbeddedError(db.DatabaseError):
    """The bundled PostgreSQL cannot run here; the text says why and what helps."""


def _ignore_report(_: str) -> None:
    """Report nothing."""


class EmbeddedPostgres:
    """One user of the bundled PostgreSQL of a data folder.

    `start` and `stop` block. Between them a thread looks twice a second whether the server is
    still guarded and brings it back when it was killed; the addresses stay the same.
    """

    def __init__(self, data_dir: Path, *, chosen: Mapping[str, str] | None = None) -> None:
        self.place: Final = DataFolder(data_dir.absolute())
        self._chosen: Final = [f"{name}={value}" for name, value in (chosen or {}).items()]
        self._users: int | None = None
        self._socket = ""
        self._ended = threading.Event()
        self._keeper: threading.Thread | None = None

    @property
    def owner_dsn(self) -> str:
        """The database as the role that owns it: for migrations."""
        return self.dsn(layout.OWNER, layout.DATABASE)

    @property
    def service_dsn(self) -> str:
        """The database as the role of the service."""
        return self.dsn(layout.SERVICE, layout.DATABASE)

    @property
    def admin_dsn(self) -> str:
        """The server as superuser: for tests that make databases, for nothing else."""
        return self.dsn(layout.ADMIN, "postgres")

    def dsn(self, role: str, database: str) -> str:
        """Return the address of a database on this server; EmbeddedError before `start`."""
        if not self._socket:
            raise EmbeddedError("The bundled database is not started yet.")
        return f"postgresql://{role}@/{quote(database)}?host={quote(self._socket, safe='')}"

    def start(self, report: Callable[[str], None] = _ignore_report) -> None:
        """Use the server, starting it when nobody does yet; EmbeddedError with the cure."""
        if self._users is not None:
            return
        try:
            initdb.prepare_folder(self.place)
            users = self._join(report)
        except ClusterUnusable as error:
            raise EmbeddedError(str(error)) from error
        except OSError as error:
            said = f"{error.filename}: {error.strerror}"
            raise EmbeddedError(f"{initdb.explain_failure(self.place, said)}") from error
        self._users = users
        self._ended.clear()
        self._keeper = threading.Thread(target=self._keep, name="embedded-keeper", daemon=True)
        self._keeper.start()

    def stop(self) -> None:
        """Use the server no longer; when nobody else does, return after it is gone."""
        if self._users is None:
            return
        self._ended.set()
        if self._keeper is not None:
            self._keeper.join()
        os.close(self._users)
        self._users, self._keeper = None, None
        until = time.monotonic() + STOP_TIMEOUT_S
        while time.monotonic() < until and not self._is_settled():
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

    def _join(self, report: Callable[[str], None]) -> int:
        users = layout.open_lock(self.place.users)
        try:
            with layout.hold_lock(self.place.start):
                # Waits for a guardian that is just stopping the server.
                fcntl.flock(users, fcntl.LOCK_SH)
                self._ensure(report)
        except BaseException:
            os.close(users)
            raise
        return users

    def _ensure(self, report: Callable[[str], None]) -> None:
        """Return when a guarded server answers; called under the start lock."""
        until = time.monotonic() + START_TIMEOUT_S
        while layout.is_locked(self.place.guardian):
            note = layout.read_record(self.place)
            if note is not None and layout.accepts_connections(note.socket):
                self._socket = note.socket
                return
            if time.monotonic() > until:
                raise EmbeddedError(f"The database does not answer, see {self.place.log}.")
            time.sleep(WAIT_STEP_S)
        self._spawn(report)

    def _spawn(self, report: Callable[[str], None]) -> None:
        report("starting the database …")
        root = str(Path(__file__).parents[1])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        # -P: a folder `data` where the user happens to stand is not this package.
        command = [sys.executable, "-P", "-m", "data.postgres.supervisor", str(self.place.folder)]
        with (
            os.fdopen(layout.open_file(self.place.log, os.O_WRONLY | os.O_APPEND), "ab") as errors,
            subprocess.Popen(
                [*command, *self._chosen],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            ) as guardian,
        ):
            assert guardian.stdout is not None
            for line in guardian.stdout:
                kind, text = json.loads(line)
                if kind == "failed":
                    raise EmbeddedError(text)
                if kind == "report":
                    report(text)
        note = layout.read_record(self.place)
        if note is None or not layout.is_locked(self.place.guardian):
            raise EmbeddedError(f"The database's guardian ended at once, see {self.place.log}.")
        self._socket = note.socket

    def _keep(self) -> None:
        patience_s = CHECK_EVERY_S
        while not self._ended.wait(patience_s):
            if layout.is_locked(self.place.guardian):
                patience_s = CHECK_EVERY_S
                continue
            try:
                log.warning("the bundled database was killed, bringing it back")
                with layout.hold_lock(self.place.start):
                    self._ensure(log.info)
            except (EmbeddedError, OSError) as error:
                log.error("the bundled database does not come back: %s", error)
                patience_s = min(2 * patience_s, LONGEST_CHECK_PAUSE_S)

    def _is_settled(self) -> bool:
        """Say whether the server is gone or somebody else uses it."""
        if not layout.is_locked(self.place.guardian):
            return True
        with_others = layout.open_lock(self.place.users)
        try:
            if layout.try_lock(with_others, fcntl.LOCK_EX | fcntl.LOCK_NB):
                return False
            # Others share the lock; the guardian that stops the server holds it alone.
            return layout.try_lock(with_others, fcntl.LOCK_SH | fcntl.LOCK_NB)
        finally:
            os.close(with_others)
