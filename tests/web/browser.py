"""The browser of the tests: `python -m tests.web.browser` finds one, or installs it.

One that is there, else Debian's package for root, else playwright's in the cache of the user.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

WHOLE = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
SHELL = ("chromium-headless-shell", "chrome-headless-shell", "headless_shell")
PACKAGES = ("chromium", "chromium-headless-shell")
CURE = "as root, apt-get install chromium; or .venv/bin/python -m playwright install chromium"
# The Node that playwright brings as its driver needs it, and no browser does.
DRIVER_PACKAGE = "libatomic1"
DRIVER = (sys.executable, "-m", "playwright", "--version")
DRIVER_CURE = f"Cure: as root, apt-get install {DRIVER_PACKAGE}"


class BrowserMissing(Exception):
    """No browser that starts; the message names the cure."""


def find_whole() -> str | None:
    """The path of the whole browser, which shows notifications."""
    return _find(WHOLE, "chromium-*")


def find_shell() -> str | None:
    """The path of the headless shell: the same engine at a third of the processor time."""
    return _find(SHELL, "chromium_headless_shell-*") or find_whole()


def _find(names: Sequence[str], cached: str) -> str | None:
    for name in names:
        if path := shutil.which(name):
            return path
    cache = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH", Path.home() / ".cache/ms-playwright"))
    for folder in sorted(cache.glob(f"{cached}/chrome-*"), reverse=True):
        for name in names:
            if path := shutil.which(str(folder / name)):
                return path
    return None


def provide() -> str:
    """Install a browser, and what its driver needs, unless there; returns the browser's path.

    Raises BrowserMissing.
    """
    lacks = [*(PACKAGES if find_whole() is None else ())]
    if _fault(*DRIVER):
        lacks.append(DRIVER_PACKAGE)
    if lacks and os.geteuid() == 0 and shutil.which("apt-get"):
        _run("apt-get", "-qq", "update")
        _run("apt-get", "-qq", "install", "--no-install-recommends", "--yes", *lacks)
    if fault := _fault(*DRIVER):
        raise BrowserMissing(f"the driver of the browser does not start: {fault}. {DRIVER_CURE}")
    if find_whole() is None:
        _run(sys.executable, "-m", "playwright", "install", "chromium")
    path = find_whole()
    if path is None:
        raise BrowserMissing(f"chromium is missing, and could not be installed. Cure: {CURE}")
    shell = find_shell() or path
    for program in {path, shell}:
        if fault := _fault(program, "--version"):
            raise BrowserMissing(f"{program} does not start: {fault}. Cure: {CURE}")
    return path


def _fault(*command: str) -> str | None:
    """The last line that a program says which does not start, as for want of a library."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.returncode:
        return None
    return (done.stderr.strip().splitlines() or [f"it ends with {done.returncode}"])[-1]


def _run(*command: str) -> None:
    sys.stderr.write(f"Installing the browser of the tests: {' '.join(command)}\n")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)


def main() -> int:
    """Exit with 1 and one line when there is no browser."""
    try:
        provide()
    except BrowserMissing as missing:
        sys.stderr.write(f"{missing}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
