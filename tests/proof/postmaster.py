"""The bundled PostgreSQL as a direct child of this process, without its supervisor, to be killed.

It runs with the durable settings of the bundled server.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import psutil

from data.postgres import initdb, layout, supervisor
from data.postgres.layout import DataFolder
from tests.proof.processes import RUN_AS_ACCOUNT, process_tree

ANSWERS_WITHIN_S = 60.0
TRUST = "local all all trust\n"


class Postmaster:
    """One server in `folder` that can be started, killed and frozen repeatedly."""

    def __init__(
        self, folder: Path, *, preload: Mapping[str, str] | None = None, **options: str
    ) -> None:
        self.place = DataFolder(folder / "database")
        self.sockets = folder / "s"
        self.starts = 0
        self.frozen = False
        self._env = initdb.ENVIRONMENT | dict(preload or {})
        self._options = supervisor.SERVER | {"max_connections": "200"} | options
        self._process: subprocess.Popen[bytes] | None = None

    def create_cluster(self) -> None:
        """Create the cluster; access to the socket's folder is the only authentication."""
        initdb.prepare_folder(self.place)
        self.place.path.parent.chmod(0o711)
        self._who = initdb.choose_account(self.place)
        initdb.ensure_cluster(self.place, self._who, lambda text: None)
        (self.place.cluster / "pg_hba.conf").write_text(TRUST, encoding="utf-8")
        self.sockets.mkdir(mode=0o700)
        os.chown(self.sockets, self._who.uid, self._who.gid)

    def dsn(self, role: str = layout.ADMIN, database: str = layout.DATABASE) -> str:
        """The connection URL by Unix socket, bypassing every proxy."""
        return f"postgresql://{role}@/{database}?host={quote(str(self.sockets), safe='')}"

    @property
    def socket(self) -> str:
        return str(self.sockets / layout.SOCKET_NAME)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_dead(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def start(self) -> None:
        """Start it; `is_accepting` tells when it is up."""
        for leftover in (
            self.place.cluster / "postmaster.pid",
            self.sockets / layout.SOCKET_NAME,
            self.sockets / f"{layout.SOCKET_NAME}.lock",
        ):
            leftover.unlink(missing_ok=True)
        program = str(initdb.programs_folder(self._who) / "postgres")
        settings = self._options | {"unix_socket_directories": str(self.sockets)}
        parts = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        folder = initdb.path_for_server(self.place.cluster, self._who)
        account = [str(self._who.uid), str(self._who.gid)]
        command = [sys.executable, "-I", "-S", "-c", RUN_AS_ACCOUNT, *account]
        with self.place.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, program, "-D", folder, *parts],
                cwd=self.place.cluster,
                env={"AS": "\n".join(f"{name}={value}" for name, value in self._env.items())},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.starts += 1
        self.frozen = False

    def is_accepting(self) -> bool:
        """Whether it accepts connections now."""
        return layout.accepts_connections(str(self.sockets))

    def wait(self) -> None:
        """Return when it accepts connections."""
        until = time.monotonic() + ANSWERS_WITHIN_S
        while not self.is_accepting():
            assert not self.is_dead, self.read_log()[-3000:]
            assert time.monotonic() < until, self.read_log()[-3000:]
            time.sleep(0.02)

    def read_log(self) -> str:
        """The text of its log."""
        return self.place.log.read_text("utf-8", "replace")

    def kill(self) -> None:
        """Send SIGKILL to the server and all its processes; returns when they are gone."""
        self._signal(signal.SIGKILL, and_wait=True)
        if self._process is not None:
            self._process.wait()
        self.frozen = False

    def freeze(self) -> None:
        """Send SIGSTOP to all its processes."""
        self._signal(signal.SIGSTOP)
        self.frozen = True

    def thaw(self) -> None:
        """Send SIGCONT to all its processes."""
        self._signal(signal.SIGCONT)
        self.frozen = False

    def stop(self) -> None:
        """Shut it down cleanly."""
        if self._process is not None and not self.is_dead:
            self.thaw()
            supervisor.stop(self._process)

    def _signal(self, number: signal.Signals, *, and_wait: bool = False) -> None:
        if self.is_dead:
            return
        # The first is the server itself: once it is stopped or gone, it forks no other.
        all_ = process_tree(self.pid)
        for process in all_:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        for process in process_tree(self.pid)[len(all_) :]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        if and_wait:
            psutil.wait_procs(all_, timeout=10)
