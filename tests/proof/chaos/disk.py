"""A small in-memory disk for the database server alone, which can be filled."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

SIZE_MB = 1_000


@contextlib.contextmanager
def small_disk() -> Iterator[Path | None]:
    """A folder on its own disk; None where this user may not mount one."""
    folder = Path(tempfile.mkdtemp(prefix="tekkie-disk-"))
    mounted = False
    try:
        if os.geteuid() == 0:
            how = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m,mode=755", "none", str(folder)]
            mounted = subprocess.run(how, check=False, capture_output=True).returncode == 0
        yield folder if mounted else None
    finally:
        if mounted:
            # Lazily: a process of the server may still be ending.
            subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)
        with contextlib.suppress(OSError):
            folder.rmdir()


def fill(folder: Path) -> Path:
    """Use up all free space; returns the file to delete afterwards."""
    ballast = folder / "ballast"
    room = os.statvfs(folder)
    with contextlib.suppress(OSError), ballast.open("wb") as out:
        os.posix_fallocate(out.fileno(), 0, room.f_bavail * room.f_frsize)
    with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as out:
        while out.write(b"\0" * 4096):
            pass
    return ballast
