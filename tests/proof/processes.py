"""The tekkie processes of a proof: children of this process, which end when it ends.

Each is stopped, frozen and killed by its own pid, never by name. They are forked from a process
that has only imported the code, so that a start takes 0.3 s instead of two.
"""

import contextlib
import ctypes
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
STARTS_WITHIN_S = 60.0
ENDS_WITHIN_S = 12.0
PR_SET_PDEATHSIG = 1
# Changing the account clears the parent-death signal, so the account is changed first.
RUN_AS_ACCOUNT = """import ctypes, os, sys
uid, gid = int(sys.argv[1]), int(sys.argv[2])
if uid != os.geteuid():
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
ctypes.CDLL(None).prctl(1, 9)
settings = dict(one.split("=", 1) for one in os.environ["AS"].split("\\n"))
os.execve(sys.argv[3], sys.argv[3:], settings)
"""


def free_port() -> int:
    """A TCP port that is free."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def environment(**settings: str) -> dict[str, str]:
    """This process's environment with its TEKKIE_ settings replaced by these.

    A booking without a key is trusted, unless they say otherwise.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith("TEKKIE_")}
    paths = os.pathsep.join(filter(None, [str(ROOT), own.get("PYTHONPATH")]))
    own |= {"PYTHONPATH": paths, "PYTHONUNBUFFERED": "1", "TEKKIE_ANONYMOUS_BOOKINGS": "trust"}
    return own | settings


forkserver = multiprocessing.get_context("forkserver")
forkserver.set_forkserver_preload(
    ["api.server.app", "api.server.process", "api.cli.root", "api.server.logging"]
)


def run_tekkie(words: Sequence[str], env: Mapping[str, str], log: str) -> None:
    """Turn this forked process into `tekkie` with these arguments, settings and log file."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(env)
    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for stream in (1, 2):
        os.dup2(out, stream)
    os.chdir(Path(log).parent)
    sys.argv = ["tekkie", *words]
    from api.__main__ import main

    main()


@dataclass
class TekkieProcess:
    """One `tekkie serve` or `tekkie worker`; it logs `word` once it is ready."""

    name: str
    words: Sequence[str]
    env: Mapping[str, str]
    log: Path
    word: str
    port: int = 0
    starts: int = 0
    frozen: bool = False
    process: multiprocessing.process.BaseProcess | None = None
    _log_offset: int = 0
    _ready: bool = False

    def start(self) -> None:
        """Start it; `is_ready` tells when it works."""
        self._log_offset = self.log.stat().st_size if self.log.exists() else 0
        self._ready = False
        if self.process is not None:
            self.process.close()
        self.process = forkserver.Process(
            target=run_tekkie, args=(list(self.words), dict(self.env), str(self.log)), daemon=True
        )
        self.process.start()
        self.starts += 1
        self.frozen = False

    @property
    def pid(self) -> int:
        assert self.process is not None
        assert self.process.pid is not None
        return self.process.pid

    @property
    def is_dead(self) -> bool:
        return self.process is None or not self.process.is_alive()

    def is_ready(self) -> bool:
        """Whether it has logged its ready word since the last start."""
        if not self._ready and self.log.exists():
            with self.log.open("rb") as log:
                log.seek(self._log_offset)
                self._ready = self.word.encode() in log.read()
        return self._ready

    def wait(self) -> None:
        """Return when it is ready; AssertionError with its log when that takes too long."""
        until = time.monotonic() + STARTS_WITHIN_S
        while not self.is_ready():
            assert not self.is_dead, f"{self.name} ended; see {self.log}"
            assert time.monotonic() < until, self.log.read_text("utf-8", "replace")[-3000:]
            time.sleep(0.05)

    def end(self) -> int | None:
        """Return the exit code when it has ended by itself, or None after STARTS_WITHIN_S."""
        assert self.process is not None
        self.process.join(STARTS_WITHIN_S)
        return self.process.exitcode

    def kill(self) -> None:
        """Send SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
        self.frozen = False

    def freeze(self) -> None:
        """Send SIGSTOP: it keeps its locks and connections and does nothing."""
        if not self.is_dead:
            os.kill(self.pid, signal.SIGSTOP)
            self.frozen = True

    def thaw(self) -> None:
        """Send SIGCONT."""
        if self.frozen and not self.is_dead:
            os.kill(self.pid, signal.SIGCONT)
        self.frozen = False

    def stop(self) -> int | None:
        """Send SIGTERM, SIGKILL after ENDS_WITHIN_S; returns the exit code."""
        if self.process is None:
            return None
        self.thaw()
        self.process.terminate()
        self.process.join(timeout=ENDS_WITHIN_S)
        if self.process.is_alive():
            self.kill()
        return self.process.exitcode


def process_tree(pid: int) -> list[psutil.Process]:
    """A process and all its descendants that still run."""
    with contextlib.suppress(psutil.NoSuchProcess):
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)]
    return []
