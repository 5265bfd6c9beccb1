"""The database server's wall clock, moved while it runs, as an operator or bad NTP does."""

import mmap
import shutil
import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("shift.c")


class NoCompiler(Exception):
    """Moving a clock takes a C compiler, and there is none."""


class Shift:
    """A library for LD_PRELOAD and the file that says by how many seconds its clock is wrong."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise NoCompiler("the wall clock of the database cannot be moved without a C compiler")
        folder.chmod(0o755)
        self.library = folder / "shift.so"
        self.file = folder / "seconds"
        command = [
            compiler,
            "-shared",
            "-fPIC",
            "-O1",
            "-o",
            str(self.library),
            str(SOURCE),
            "-ldl",
        ]
        subprocess.run(command, check=True, capture_output=True)
        self.file.write_bytes(struct.pack("q", 0))
        self.file.chmod(0o644)

    @property
    def preload(self) -> dict[str, str]:
        """The environment of the process whose clock is to be moved."""
        return {"LD_PRELOAD": str(self.library), "SHIFT_FILE": str(self.file)}

    def by(self, seconds: int) -> None:
        """Let it be so many seconds ahead of the truth, from now on, all at once."""
        with self.file.open("r+b") as file, mmap.mmap(file.fileno(), 8) as seen:
            seen[:8] = struct.pack("q", seconds)
