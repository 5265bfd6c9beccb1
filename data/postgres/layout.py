"""The files and locks of the bundled PostgreSQL in the data folder.

Four locks, all `flock`, so that the kernel releases them when a process dies:

    postgres.start      exclusive while a process starts the server; starters queue here
    postgres.users      shared by every process that uses the server; the supervisor stops the
                        server when it gets this lock exclusively
    postgres.guardian   exclusive while a supervisor runs
    postgres.running    exclusive while any process of the server lives: the server inherits the
                        open file and with it the lock. No pid is trusted for this
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
    """The bundled PostgreSQL cannot run here; the message names the reason and the cure."""


@dataclass(frozen=True, slots=True)
class DataFolder:
    """The paths in a data folder; file names are fixed, as other releases use the same folder."""

    path: Path

    @property
    def cluster(self) -> Path:
        return self.path / "postgres"

    @property
    def staging(self) -> Path:
        return self.path / "postgres.new"

    @property
    def socket(self) -> Path:
        return self.path / "socket"

    @property
    def log(self) -> Path:
        return self.path / "postgres.log"

    @property
    def record(self) -> Path:
        return self.path / "postgres.note"

    @property
    def start(self) -> Path:
        return self.path / "postgres.start"

    @property
    def users(self) -> Path:
        return self.path / "postgres.users"

    @property
    def supervisor(self) -> Path:
        return self.path / "postgres.guardian"

    @property
    def running(self) -> Path:
        return self.path / "postgres.running"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRecord:
    """What a supervisor writes down for other processes: its socket folder and server process."""

    socket: str
    pid: int = 0
    created_s: float = 0.0

    def write(self, data_folder: DataFolder) -> None:
        temporary = data_folder.record.with_name(f"{data_folder.record.name}.new")
        temporary.unlink(missing_ok=True)
        content = {"socket": self.socket, "pid": self.pid, "created_s": self.created_s}
        with os.fdopen(open_file(temporary, os.O_WRONLY | os.O_EXCL), "w", encoding="utf-8") as out:
            json.dump(content, out)
        temporary.replace(data_folder.record)


def read_record(data_folder: DataFolder) -> ServerRecord | None:
    """Return the record of the last supervisor; None if it is missing or unreadable."""
    try:
        content: dict[str, Any] = json.loads(data_folder.record.read_text(encoding="utf-8"))
        return ServerRecord(**content)
    except (OSError, ValueError, TypeError):
        return None


def open_file(file: Path, flags: int) -> int:
    """Open or create a file of the data folder; as root, give it to the folder's owner."""
    # Links are not followed: root may work here in a folder that another user can write to.
    descriptor = os.open(file, flags | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    if os.geteuid() == 0:
        owner = file.parent.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return descriptor


def open_lock(file: Path) -> int:
    """Open a lock file and return its descriptor, which is closed on exec."""
    return open_file(file, os.O_RDWR)


def try_lock(descriptor: int, how: int) -> bool:
    """Take a lock; return False when LOCK_NB is set and another process holds it."""
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        return False
    return True


@contextmanager
def hold_lock(file: Path, how: int = fcntl.LOCK_EX) -> Iterator[int]:
    """Wait for the lock of a file and hold it."""
    descriptor = open_lock(file)
    try:
        fcntl.flock(descriptor, how)
        yield descriptor
    finally:
        os.close(descriptor)


def is_locked(file: Path) -> bool:
    """Return whether a process holds the lock of a file exclusively."""
    descriptor = open_lock(file)
    try:
        return not try_lock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    finally:
        os.close(descriptor)


def accepts_connections(folder: str) -> bool:
    """Return whether the server at the socket in `folder` accepts the service role now."""
    parameters = f"user\0{SERVICE}\0database\0{DATABASE}\0\0".encode()
    startup = struct.pack("!ii", len(parameters) + 8, PROTOCOL_3) + parameters
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_TIMEOUT_S)
        try:
            connection.connect(os.path.join(folder, SOCKET_NAME))
            connection.sendall(startup)
            reply = connection.recv(8192)
            connection.sendall(TERMINATE)
        except OSError:
            return False
        return reply.startswith(b"R")
