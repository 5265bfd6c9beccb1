"""Releases out of git's history, each unpacked into a folder of its own, and processes of them."""

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

from tests.proof.children import ENDS_WITHIN_S, ROOT, Tekkie

MIGRATIONS = Path("data/sql/migrations")
GAZETTEER = Path("geo/gazetteer/gazetteer.dat")
GAZETTEER_SOURCES = (
    "build", "interpolate", "regions", "town_names", "offline", "addresses",
)  # fmt: skip
# Newest first: earlier releases name the module that builds the gazetteer differently.
BUILDERS = ("geo.gazetteer.build", "geo.compile")
AS_TEKKIE = """import ctypes
ctypes.CDLL(None).prctl(1, 9)
from api.__main__ import main
main()"""
# What a later release might do to tables that everybody uses, in the way the handbook asks for.
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
    """Git does not know the release before this one."""


@dataclass(frozen=True, slots=True)
class Release:
    """The code of a release in a folder."""

    name: str
    folder: Path

    @property
    def files(self) -> list[str]:
        """Its migrations in their order."""
        return sorted(file.name for file in (self.folder / MIGRATIONS).glob("*.sql"))

    @property
    def looks_ahead(self) -> bool:
        """Whether it can tell a newer schema that it may work on from one that it may not."""
        return "works_from" in (self.folder / "data/migrate.py").read_text("utf-8")

    def environment(self, **settings: str) -> dict[str, str]:
        """This process's environment, with this release's code before any other."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("TEKKIE_")}
        return own | {"PYTHONPATH": str(self.folder), "PYTHONUNBUFFERED": "1"} | settings


@dataclass
class Released(Tekkie):
    """A `tekkie …` of a release."""

    child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it is at work once `at_work` says so."""
        self._said_before = self.log.stat().st_size if self.log.exists() else 0
        self._began = False
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                [sys.executable, "-P", "-c", AS_TEKKIE, *self.words],
                cwd=self.log.parent,
                env=dict(self.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.starts += 1

    @property
    def dead(self) -> bool:
        return self.child is None or self.child.poll() is not None

    def kill(self) -> None:
        """kill -9."""
        if self.child is not None:
            self.child.kill()
            self.child.wait()

    def end(self) -> int | None:
        """Stop it in order; kill it when it takes longer than it may. Returns its exit code."""
        if self.child is None:
            return None
        self.child.send_signal(signal.SIGTERM)
        try:
            return self.child.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.child.returncode

    async def finished(self) -> int:
        """Start it, wait for its own end and return its exit code."""
        self.start()
        assert self.child is not None
        return await asyncio.to_thread(self.child.wait, 120)

    def said(self) -> str:
        """What it said since it was last started."""
        return self.log.read_bytes()[self._said_before :].decode("utf-8", "replace")


def before_and_now() -> tuple[str, str]:
    """The newest commit with fewer migrations, those as they are now, and this one; NoHistory."""
    try:
        now = _git("rev-parse", "HEAD").strip()
        files = _files(now)
        for commit in _git("log", "--format=%H", now, "--", str(MIGRATIONS)).split():
            before = _git("rev-parse", "--verify", f"{commit}^").strip()
            earlier = _files(before)
            if len(earlier) < len(files) and earlier == files[: len(earlier)]:
                return before, now
        raise NoHistory("There is one migration only: no release before it has another schema.")
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoHistory(
            "This proof takes the release before this one from git's history, and cannot "
            f"({error}). It needs a clone with its history: git fetch --unshallow."
        ) from error


def unpacked(commit: str, name: str, folder: Path) -> Release:
    """A release as it was committed."""
    archive = subprocess.run(
        ["git", "archive", "--format=tar", commit], cwd=ROOT, check=True, capture_output=True
    )
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")
    release = Release(name, folder)
    _gazetteer(release)
    return release


def later(now: Release, name: str, folder: Path, kinds: Sequence[str]) -> Release:
    """A release after this one: the same code, and migrations that touch all that is hot."""
    shutil.copytree(now.folder, folder)
    add_later(folder / MIGRATIONS, kinds)
    return Release(name, folder)


def add_later(migrations: Path, kinds: Sequence[str] = tuple(LATER)) -> list[str]:
    """Put files of a later release into a folder of migrations; returns their names.

    Each says that the release before all of them goes on working.
    """
    last = len(list(migrations.glob("*.sql")))
    names = []
    for number, kind in enumerate(kinds, start=last + 1):
        names.append(f"{number:04}_later_{kind}.sql")
        text = f"-- works from {last:04}\n{LATER[kind]}\n"
        (migrations / names[-1]).write_text(text, encoding="utf-8")
    return names


def _gazetteer(release: Release) -> None:
    """What is made at set-up: copied where it would be the same, made anew where it would not."""
    if all(_same(release, GAZETTEER.with_name(f"{name}.py")) for name in GAZETTEER_SOURCES):
        shutil.copy(ROOT / GAZETTEER, release.folder / GAZETTEER)
        return
    builder = next(name for name in BUILDERS if _exists(release, name))
    subprocess.run(
        [sys.executable, "-P", "-m", builder],
        cwd=release.folder,
        check=True,
        env=release.environment(),
        capture_output=True,
    )


def _same(release: Release, path: Path) -> bool:
    file = release.folder / path
    return file.exists() and file.read_bytes() == (ROOT / path).read_bytes()


def _exists(release: Release, module: str) -> bool:
    return (release.folder / f"{module.replace('.', '/')}.py").exists()


def _files(commit: str) -> list[str]:
    """Its migrations in their order, each with what is in it."""
    return _git("ls-tree", commit, f"{MIGRATIONS}/").splitlines()


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
