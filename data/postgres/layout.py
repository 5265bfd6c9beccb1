"""The folder of the bundled PostgreSQL: which file means what, who holds which lock.

Four locks, all `flock`, so that the kernel lets go of them whatever is killed:

    postgres.start      exclusive while somebody starts the server; starters queue here
    postgres.users      shared by every process that uses the server; the guardian stops the
                        server when it gets this one exclusively
    postgres.guardian   exclusive while a guardian lives
    postgres.running    exclusive while any process of the server lives: the server inherits the
                        open file and with it the lock. No pid is ever believed for this
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ADMIN: Final = "tekkie_admin"
OWNER: Final = "tekkie_owner"
SERVICE: Final = "tekkie_service"
DATABASE: Final = "tekkie"
SOCKET_NAME: Final = ".s.PGSQL.5432"
ANSWER_TIMEOUT_S: Final = 2.0
PROTOCOL_3: Final = 196608
TERMINATE: Final = b"X\0\0\0\4"


class ClusterUnusable(Exception):
    """The bundled PostgreSQL cannot run here; the text says why and what helps."""


@dataclass(frozen=True, slots=True)
class DataFolder:
    """The data folder and the names in it."""

    folder: Path

    @property
    def cluster(self) -> Path:
        return self.folder / "postgres"

    @property
    def aside(self) -> Path:
        return self.folder / "postgres.new"

    @property
    def socket(self) -> Path:
        return self.folder / "socket"

    @property
    def log(self) -> Path:
        return self.folder / "postgres.log"

    @property
    def note(self) -> Path:
        return self.folder / "postgres.note"

    @property
    def start(self) -> Path:
        return self.folder / "postgres.start"

    @property
    def users(self) -> Path:
        return self.folder / "postgres.users"

    @property
    def guardian(self) -> Path:
        return self.folder / "postgres.guardian"

    @property
    def running(self) -> Path:
        return self.folder / "postgres.running"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRecord:
    """What a guardian leaves for others: where the socket lies and whom it started."""

    socket: str
    pid: int = 0
    created_s: float = 0.0

    def write(self, place: DataFolder) -> None:
        aside = place.note.with_name(f"{place.note.name}.new")
        aside.unlink(missing_ok=True)
        content = {"socket": self.socket, "pid": self.pid, "created_s": self.created_s}
        with os.fdopen(open_file(aside, os.O_WRONLY | os.O_EXCL), "w", encoding="utf-8") as out:
            json.dump(content, out)
        aside.replace(place.note)


def read_record(place: DataFolder) -> ServerRecord | None:
    """Return the note of the last guardian, None when there is none or it cannot be read."""
    try:
        content: dict[str, Any] = json.loads(place.note.read_text(encoding="utf-8"))
        return ServerRecord(**content)
    except (OSError, ValueError, TypeError):
        return None


def open_file(file: Path, flags: int) -> int:
    """Open or make a file of the data folder; under root it belongs to the folder's owner."""
    # No link is followed: root may work here in a folder that somebody else can write to.
    descriptor = os.open(file, flags | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    if os.geteuid() == 0:
        owner = file.parent.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return descriptor


def open_lock(file: Path) -> int:
    """Open a lock file and return its descriptor, which no child inherits by itself."""
    return open_file(file, os.O_RDWR)


def try_lock(descriptor: int, how: int) -> bool:
    """Take a lock; False when LOCK_NB was asked and somebody else holds it."""
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        return False
    return True


@contextmanager
def hold_lock(file: Path, how: int = fcntl.LOCK_EX) -> Iterator[int]:
    """Hold the lock of a file, waiting for it."""
    descriptor = open_lock(file)
    try:
        fcntl.flock(descriptor, how)
        yield descriptor
    finally:
        os.close(descriptor)


def is_locked(file: Path) -> bool:
    """Say whether somebody holds the lock of a file exclusively."""
    descriptor = open_lock(file)
    try:
        return not try_lock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    finally:
        os.close(descriptor)


def accepts_connections(folder: str) -> bool:
    """Say whether a server behind the socket in `folder` lets the service in right now."""
    parameters = f"user\0{SERVICE}\0database\0{DATABASE}\0\0".encode()
    hello = struct.pack("!ii", len(parameters) + 8, PROTOCOL_3) + parameters
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(ANSWER_TIMEOUT_S)
        try:
            line.connect(os.path.join(folder, SOCKET_NAME))
            line.sendall(hello)
            welcome = line.recv(8192)
            line.sendall(TERMINATE)
        except OSError:
            return False
        return welcome.startswith(b"R")
