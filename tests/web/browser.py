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
    """Install a browser unless there is one; returns its path. Raises BrowserMissing."""
    if find_whole() is None and os.geteuid() == 0 and shutil.which("apt-get"):
        _run("apt-get", "-qq", "update")
        _run("apt-get", "-qq", "install", "--no-install-recommends", "--yes", *PACKAGES)
    if find_whole() is None:
        _run(sys.executable, "-m", "playwright", "install", "chromium")
    path = find_whole()
    if path is None:
        raise BrowserMissing(f"chromium is missing, and could not be installed. Cure: {CURE}")
    shell = find_shell() or path
    for program in {path, shell}:
        _check_start(program)
    return path


def _check_start(program: str) -> None:
    """Refuse a browser that lacks libraries. Raises BrowserMissing."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    if done.returncode:
        told = done.stderr.strip().splitlines() or [f"it ends with {done.returncode}"]
        raise BrowserMissing(f"{program} does not start: {told[-1]}. Cure: {CURE}")


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
