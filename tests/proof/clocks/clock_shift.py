"""Shifts the wall clock of a running database server, as an operator or bad NTP would."""

import mmap
import shutil
import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("clock_shift.c")


class NoCompiler(Exception):
    """There is no C compiler, which shifting a clock needs."""


class ClockShift:
    """A library for LD_PRELOAD and the file that holds its shift in seconds."""

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
        """The environment of the process whose clock is shifted."""
        return {"LD_PRELOAD": str(self.library), "SHIFT_FILE": str(self.file)}

    def set_seconds(self, seconds: int) -> None:
        """Shift the clock by so many seconds from now on, at once."""
        with self.file.open("r+b") as file, mmap.mmap(file.fileno(), 8) as mapped:
            mapped[:8] = struct.pack("q", seconds)
