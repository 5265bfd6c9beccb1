"""Processes of a proof: each a child of this one, so that nothing is left however it ends.

Everything is ended, frozen and killed by its own number, never by a name. tekkie's processes are
forked from one that has imported the code and done nothing else: a start costs 0.3 s, not two.
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
# The tie is cut when the account changes: the account comes first.
AS_ACCOUNT = """import ctypes, os, sys
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
    """A port nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def environment(**settings: str) -> dict[str, str]:
    """This process's environment without its own settings of tekkie, and with these."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("TEKKIE_")}
    paths = os.pathsep.join(filter(None, [str(ROOT), own.get("PYTHONPATH")]))
    return own | {"PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"} | settings


forked = multiprocessing.get_context("forkserver")
forked.set_forkserver_preload(
    ["api.server.app", "api.server.process", "api.cli.root", "api.server.logging"]
)


def run(words: Sequence[str], env: Mapping[str, str], log: str) -> None:
    """Be `tekkie` from here on: its words, its settings, its output."""
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
class Tekkie:
    """One `tekkie serve` or `tekkie worker`; `word` is what it says when it is at work."""

    name: str
    words: Sequence[str]
    env: Mapping[str, str]
    log: Path
    word: str
    port: int = 0
    starts: int = 0
    frozen: bool = False
    process: multiprocessing.process.BaseProcess | None = None
    _said_before: int = 0
    _began: bool = False

    def start(self) -> None:
        """Start it; it is at work once `at_work` says so."""
        self._said_before = self.log.stat().st_size if self.log.exists() else 0
        self._began = False
        if self.process is not None:
            self.process.close()
        self.process = forked.Process(
            target=run, args=(list(self.words), dict(self.env), str(self.log)), daemon=True
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
    def dead(self) -> bool:
        return self.process is None or not self.process.is_alive()

    def at_work(self) -> bool:
        """Whether it has said so since it was last started."""
        if not self._began and self.log.exists():
            with self.log.open("rb") as log:
                log.seek(self._said_before)
                self._began = self.word.encode() in log.read()
        return self._began

    def wait(self) -> None:
        """Return when it is at work; AssertionError with its words when it is not in time."""
        until = time.monotonic() + STARTS_WITHIN_S
        while not self.at_work():
            assert not self.dead, f"{self.name} ended; see {self.log}"
            assert time.monotonic() < until, self.log.read_text("utf-8", "replace")[-3000:]
            time.sleep(0.05)

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
        self.frozen = False

    def freeze(self) -> None:
        """SIGSTOP: alive, holding all it holds, and saying nothing."""
        if not self.dead:
            os.kill(self.pid, signal.SIGSTOP)
            self.frozen = True

    def thaw(self) -> None:
        """SIGCONT."""
        if self.frozen and not self.dead:
            os.kill(self.pid, signal.SIGCONT)
        self.frozen = False

    def end(self) -> int | None:
        """Stop it in order; kill it when it takes longer than it may. Returns its exit code."""
        if self.process is None:
            return None
        self.thaw()
        self.process.terminate()
        self.process.join(timeout=ENDS_WITHIN_S)
        if self.process.is_alive():
            self.kill()
        return self.process.exitcode


def family(pid: int) -> list[psutil.Process]:
    """A process and all its descendants, those that just ended left out."""
    with contextlib.suppress(psutil.NoSuchProcess):
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)]
    return []
