"""The bundled PostgreSQL as a child of this process, without its guardian: to be killed at will.

It runs with the settings of the bundled server, durable as they are.
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
from data.postgres.layout import Place
from tests.proof.children import AS_ACCOUNT, family

ANSWERS_WITHIN_S = 60.0
TRUST = "local all all trust\n"


class Postmaster:
    """One server in `folder`; `start`, `kill` and `freeze` it as often as you like."""

    def __init__(
        self, folder: Path, *, preload: Mapping[str, str] | None = None, **chosen: str
    ) -> None:
        self.place = Place(folder / "database")
        self.sockets = folder / "s"
        self.starts = 0
        self.frozen = False
        self._env = initdb.ENVIRONMENT | dict(preload or {})
        self._chosen = supervisor.SERVER | {"max_connections": "200"} | chosen
        self._process: subprocess.Popen[bytes] | None = None

    def found(self) -> None:
        """Make the cluster; whoever can reach the socket's folder may come in."""
        initdb.prepare(self.place)
        self.place.folder.parent.chmod(0o711)
        self._who = initdb.account(self.place)
        initdb.found(self.place, self._who, lambda text: None)
        (self.place.cluster / "pg_hba.conf").write_text(TRUST, encoding="utf-8")
        self.sockets.mkdir(mode=0o700)
        os.chown(self.sockets, self._who.uid, self._who.gid)

    def dsn(self, role: str = layout.ADMIN, database: str = layout.DATABASE) -> str:
        """The address by the socket, past any proxy."""
        return f"postgresql://{role}@/{database}?host={quote(str(self.sockets), safe='')}"

    @property
    def socket(self) -> str:
        return str(self.sockets / layout.SOCKET_NAME)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def dead(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def start(self) -> None:
        """Start it; `answers` says when it is there."""
        for leftover in (
            self.place.cluster / "postmaster.pid",
            self.sockets / layout.SOCKET_NAME,
            self.sockets / f"{layout.SOCKET_NAME}.lock",
        ):
            leftover.unlink(missing_ok=True)
        program = str(initdb.programs(self._who) / "postgres")
        options = self._chosen | {"unix_socket_directories": str(self.sockets)}
        parts = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        folder = initdb.told(self.place.cluster, self._who)
        account = [str(self._who.uid), str(self._who.gid)]
        tied = [sys.executable, "-I", "-S", "-c", AS_ACCOUNT, *account]
        with self.place.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*tied, program, "-D", folder, *parts],
                cwd=self.place.cluster,
                env={"AS": "\n".join(f"{name}={value}" for name, value in self._env.items())},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.starts += 1
        self.frozen = False

    def answers(self) -> bool:
        """Whether it lets somebody in right now."""
        return layout.answers(str(self.sockets))

    def wait(self) -> None:
        """Return when it answers."""
        until = time.monotonic() + ANSWERS_WITHIN_S
        while not self.answers():
            assert not self.dead, self.said()[-3000:]
            assert time.monotonic() < until, self.said()[-3000:]
            time.sleep(0.02)

    def said(self) -> str:
        """Its log."""
        return self.place.log.read_text("utf-8", "replace")

    def kill(self) -> None:
        """kill -9, the server and all its processes at once; returns when they are gone."""
        self._signal(signal.SIGKILL, and_wait=True)
        if self._process is not None:
            self._process.wait()
        self.frozen = False

    def freeze(self) -> None:
        """SIGSTOP to all its processes."""
        self._signal(signal.SIGSTOP)
        self.frozen = True

    def thaw(self) -> None:
        """SIGCONT to all its processes."""
        self._signal(signal.SIGCONT)
        self.frozen = False

    def stop(self) -> None:
        """Stop it in order."""
        if self._process is not None and not self.dead:
            self.thaw()
            supervisor.stop(self._process)

    def _signal(self, number: signal.Signals, *, and_wait: bool = False) -> None:
        if self.dead:
            return
        # The first is the server itself: once it stands still or is gone, no other is born.
        all_ = family(self.pid)
        for process in all_:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        for process in family(self.pid)[len(all_) :]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        if and_wait:
            psutil.wait_procs(all_, timeout=10)
