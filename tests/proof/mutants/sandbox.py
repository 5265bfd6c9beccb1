"""A copy of the tree in which bugs are planted and tests are run."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.proof.report import ROOT, WHOLE

FOLDERS = ("api", "data", "dispatch", "geo", "scheduler", "tests")
FILES = ("pyproject.toml", "Makefile", "README.md", "requirements.lock", "requirements-dev.lock")
CAUGHT = re.compile(r"^(?:FAILED|ERROR) (tests/\S+?)(?:\[.*?)?(?: - .*)?$", re.MULTILINE)
RUN_TIMEOUT_S = 240
# Only the two plugins that the tests need: pytest starts twice as fast.
PLUGINS = ("-p", "pytest_asyncio.plugin", "-p", "pytest_timeout")
PYTEST = ("-x", "-q", *PLUGINS, "-p", "no:cacheprovider", "--tb=no", "-o", "timeout=40")


@dataclass(frozen=True)
class Patch:
    """A text that occurs once in a file, and its replacement."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    """A planted bug: what it breaks, and tests of which one must fail."""

    name: str
    breaks: str
    patches: tuple[Patch, ...]
    tests: tuple[str, ...]


def mutant(name: str, breaks: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    """A mutant with a single patch."""
    return Mutant(name, breaks, (Patch(file, old, new),), tests)


class CannotApply(Exception):
    """A mutant no longer applies, or breaks more than intended."""


@dataclass(frozen=True)
class Sandbox:
    """The copy; `server` is the folder of a running PostgreSQL for its tests."""

    folder: Path
    server: Path

    @classmethod
    def create(cls, folder: Path, server: Path) -> "Sandbox":
        """Copy what the tests need."""
        for name in FOLDERS:
            ignored = shutil.ignore_patterns("__pycache__", "node_modules", "proof.md")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        for name in FILES:
            shutil.copy(ROOT / name, folder / name)
        return cls(folder, server)

    def find_failure(self, planted: Mutant) -> str | None:
        """The test that fails with this bug; None when it survives."""
        with self._planted(planted):
            return self._first_failure(planted.tests)

    def passes(self, test: str) -> bool:
        """Whether this test passes without a bug."""
        return self._first_failure((test,)) is None

    def _first_failure(self, tests: tuple[str, ...]) -> str | None:
        try:
            done = subprocess.run(
                [sys.executable, "-m", "pytest", *PYTEST, *tests],
                cwd=self.folder,
                env=self._environment(),
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=RUN_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"{tests[0]} (never ends)"
        if done.returncode == 0:
            return None
        found = CAUGHT.search(done.stdout)
        if done.returncode != 1 or found is None or "::" not in found[1]:
            raise CannotApply(f"the tests cannot run: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return found[1]

    def _environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if name != WHOLE and not name.startswith(("PYTEST_", "TEKKIE_TEST"))
        }
        return kept | {
            "PYTHONPATH": str(self.folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_TEKKIE_FOLDER": str(self.server),
        }

    def _is_there(self, test: str) -> bool:
        return (self.folder / test.partition("::")[0]).exists()

    @contextmanager
    def _planted(self, planted: Mutant) -> Iterator[None]:
        before = {}
        for patch in planted.patches:
            path = self.folder / patch.file
            text = path.read_text(encoding="utf-8")
            before.setdefault(path, text)
            if text.count(patch.old) != 1 or not all(map(self._is_there, planted.tests)):
                raise CannotApply(
                    f"{planted.name}: {patch.file} holds the text {text.count(patch.old)} times, "
                    f"not once, or one of {planted.tests} is gone: {patch.old!r}"
                )
            path.write_text(text.replace(patch.old, patch.new), encoding="utf-8")
        try:
            yield
        finally:
            for path, text in before.items():
                path.write_text(text, encoding="utf-8")
