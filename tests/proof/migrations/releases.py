"""Releases from the git history, each unpacked into a folder, and their processes."""

import asyncio
import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.proof.processes import ENDS_WITHIN_S, ROOT, TekkieProcess

MIGRATIONS = Path("data/sql/migrations")
GAZETTEER = Path("geo/gazetteer/gazetteer.dat")
GAZETTEER_SOURCES = (
    "build", "interpolate", "other_names", "regions", "town_names", "offline", "addresses",
)  # fmt: skip
# Newest first: earlier releases name the module that builds the gazetteer differently.
BUILDERS = ("geo.gazetteer.build", "geo.compile")
RUN_TEKKIE = """import ctypes
ctypes.CDLL(None).prctl(1, 9)
from api.__main__ import main
main()"""
# What a later release might do to busy tables, in the way docs/operations.md prescribes.
LATER = {
    "columns": """
ALTER TABLE bookings ADD COLUMN later_note text, ADD COLUMN later_count integer NOT NULL DEFAULT 0;
ALTER TABLE offers ADD COLUMN later_note text DEFAULT 'none';
ALTER TABLE awards ADD COLUMN later_note text;
ALTER TABLE friends ADD COLUMN later_note text;
ALTER TABLE timers ADD COLUMN later_note text;
ALTER TABLE people ADD COLUMN later_note text;""",
    "rules": """
ALTER TABLE offers ADD CONSTRAINT later_distance CHECK (distance_m >= 0) NOT VALID;
ALTER TYPE offer_state ADD VALUE 'later';
CREATE TABLE later (booking_id uuid PRIMARY KEY REFERENCES bookings);
GRANT SELECT, INSERT ON later TO tekkie_service;""",
    "index": """
ALTER TABLE offers VALIDATE CONSTRAINT later_distance;
CREATE INDEX later_notes ON offers (friend_id, later_note) WHERE later_note <> 'none';""",
}


class NoHistory(Exception):
    """The git history lacks the previous release."""


@dataclass(frozen=True, slots=True)
class Release:
    """The code of a release in a folder."""

    name: str
    folder: Path

    @property
    def files(self) -> list[str]:
        """Its migrations in order."""
        return sorted(file.name for file in (self.folder / MIGRATIONS).glob("*.sql"))

    @property
    def supports_newer_schema(self) -> bool:
        """Whether it recognizes a newer schema that it can work on."""
        return "works_from" in (self.folder / "data/migrate.py").read_text("utf-8")

    def environment(self, **settings: str) -> dict[str, str]:
        """This process's environment with this release's code first in the path."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("TEKKIE_")}
        return own | {"PYTHONPATH": str(self.folder), "PYTHONUNBUFFERED": "1"} | settings


@dataclass
class ReleaseProcess(TekkieProcess):
    """A `tekkie …` process of a release."""

    child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; `is_ready` tells when it works."""
        self._log_offset = self.log.stat().st_size if self.log.exists() else 0
        self._ready = False
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                [sys.executable, "-P", "-c", RUN_TEKKIE, *self.words],
                cwd=self.log.parent,
                env=dict(self.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.starts += 1

    @property
    def is_dead(self) -> bool:
        return self.child is None or self.child.poll() is not None

    def kill(self) -> None:
        """kill -9."""
        if self.child is not None:
            self.child.kill()
            self.child.wait()

    def stop(self) -> int | None:
        """Send SIGTERM, SIGKILL after ENDS_WITHIN_S; returns the exit code."""
        if self.child is None:
            return None
        self.child.send_signal(signal.SIGTERM)
        try:
            return self.child.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.child.returncode

    async def run(self) -> int:
        """Start it, wait until it ends and return its exit code."""
        self.start()
        assert self.child is not None
        return await asyncio.to_thread(self.child.wait, 120)

    def read_log(self) -> str:
        """Its log since the last start."""
        return self.log.read_bytes()[self._log_offset :].decode("utf-8", "replace")


def find_releases() -> tuple[str, str]:
    """The newest commit with fewer migrations, and this one. Raises NoHistory."""
    try:
        now = _git("rev-parse", "HEAD").strip()
        files = _list_migrations(now)
        for commit in _git("log", "--format=%H", now, "--", str(MIGRATIONS)).split():
            before = _git("rev-parse", "--verify", f"{commit}^").strip()
            earlier = _list_migrations(before)
            if len(earlier) < len(files) and earlier == files[: len(earlier)]:
                return before, now
        raise NoHistory("There is only one migration: no previous release has another schema.")
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoHistory(
            "This proof takes the previous release from the git history, and cannot "
            f"({error}). It needs a clone with its history: git fetch --unshallow."
        ) from error


def first_version(path: str) -> str:
    """The text of a file as it was first committed."""
    commit = _git("log", "--diff-filter=A", "--format=%H", "--", path).split()[-1]
    return _git("show", f"{commit}:{path}")


def unpack(commit: str, name: str, folder: Path) -> Release:
    """A release as committed."""
    archive = subprocess.run(
        ["git", "archive", "--format=tar", commit], cwd=ROOT, check=True, capture_output=True
    )
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")
    release = Release(name, folder)
    _provide_gazetteer(release)
    return release


def make_later(now: Release, name: str, folder: Path, kinds: Sequence[str]) -> Release:
    """A later release: the same code, and migrations of all busy tables."""
    shutil.copytree(now.folder, folder)
    add_later(folder / MIGRATIONS, kinds)
    return Release(name, folder)


def add_later(migrations: Path, kinds: Sequence[str] = tuple(LATER)) -> list[str]:
    """Add migrations of a later release to a folder; returns their names.

    Each declares that the release before them keeps working.
    """
    last = len(list(migrations.glob("*.sql")))
    names = []
    for number, kind in enumerate(kinds, start=last + 1):
        names.append(f"{number:04}_later_{kind}.sql")
        text = f"-- works from {last:04}\n{LATER[kind]}\n"
        (migrations / names[-1]).write_text(text, encoding="utf-8")
    return names


def _provide_gazetteer(release: Release) -> None:
    """Copy the compiled gazetteer where its sources are unchanged, or compile it."""
    if all(_is_unchanged(release, GAZETTEER.with_name(f"{name}.py")) for name in GAZETTEER_SOURCES):
        shutil.copy(ROOT / GAZETTEER, release.folder / GAZETTEER)
        return
    builder = next(name for name in BUILDERS if _has_module(release, name))
    subprocess.run(
        [sys.executable, "-P", "-m", builder],
        cwd=release.folder,
        check=True,
        env=release.environment(),
        capture_output=True,
    )


def _is_unchanged(release: Release, path: Path) -> bool:
    file = release.folder / path
    return file.exists() and file.read_bytes() == (ROOT / path).read_bytes()


def _has_module(release: Release, module: str) -> bool:
    return (release.folder / f"{module.replace('.', '/')}.py").exists()


def _list_migrations(commit: str) -> list[str]:
    """Its migrations in order, each with its content hash."""
    return _git("ls-tree", commit, f"{MIGRATIONS}/").splitlines()


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
