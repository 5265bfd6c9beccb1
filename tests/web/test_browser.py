"""Where the browser of the tests comes from: there, Debian's, or playwright's."""

import os
import sys
import time

import psutil
import pytest

from tests.web import browser
from tests.web.conftest import started

STARTS, BROKEN = "exit 0", "echo 'libnss3.so: cannot open shared object file' >&2; exit 127"


def place(path, script=STARTS):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine without a browser: the folder of its programs, its cache, and what was run."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "cache"))
    ran = []
    monkeypatch.setattr(browser, "_run", lambda *command: ran.append(command))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(browser, "DRIVER", (place(tmp_path / "driver"),))
    return tmp_path / "bin", tmp_path / "cache", ran


@pytest.mark.parametrize("name", browser.WHOLE)
def test_a_browser_that_is_there_is_taken_and_nothing_installed(machine, name):
    programs, _, ran = machine
    path = place(programs / name)
    assert browser.provide() == browser.find_shell() == path
    shell = place(programs / "chromium-headless-shell")
    assert (browser.find_shell(), browser.find_whole()) == (shell, path)
    assert ran == []


def test_one_that_playwright_keeps_is_taken_too(machine):
    _, cache, ran = machine
    path = place(cache / "chromium-1255" / "chrome-linux64" / "chrome")
    shell = place(
        cache / "chromium_headless_shell-1255" / "chrome-linux64" / "chrome-headless-shell"
    )
    assert (browser.provide(), browser.find_shell(), ran) == (path, shell, [])


def test_root_gets_the_package_and_anybody_else_the_one_of_playwright(machine, monkeypatch):
    programs, _, ran = machine
    place(programs / "apt-get")
    playwright = (sys.executable, "-m", "playwright", "install", "chromium")
    with pytest.raises(browser.BrowserMissing, match=r"chromium is missing.*Cure: as root"):
        browser.provide()
    assert ran == [playwright]
    ran.clear()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(
        browser,
        "_run",
        lambda *command: ran.append(command) or place(programs / "chromium"),
    )
    assert browser.provide() == str(programs / "chromium")
    assert [command[:3] for command in ran] == [
        ("apt-get", "-qq", "update"),
        ("apt-get", "-qq", "install"),
    ]


def test_root_gets_what_the_driver_lacks_and_anybody_else_its_name(machine, monkeypatch, capsys):
    programs, cache, ran = machine
    place(programs / "chromium")
    place(programs / "apt-get")
    place(cache.parent / "driver", "echo 'libatomic.so.1: cannot open' >&2; exit 127")
    assert browser.main() == 1
    assert ran == []
    [line] = capsys.readouterr().err.splitlines()
    assert "driver of the browser does not start: libatomic.so.1" in line
    assert line.endswith("Cure: as root, apt-get install libatomic1")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(
        browser,
        "_run",
        lambda *command: ran.append(command) or place(cache.parent / "driver"),
    )
    assert browser.provide() == str(programs / "chromium")
    assert ran[1][-1] == "libatomic1"
    assert not set(browser.PACKAGES) & set(ran[1])


def test_a_browser_without_its_libraries_is_named_before_any_test(machine, capsys):
    programs, _, _ = machine
    path = place(programs / "chromium", BROKEN)
    assert browser.main() == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{path} does not start: libnss3.so")
    assert "Cure:" in line


def test_a_browser_that_a_script_starts_ends_too(tmp_path):
    script = tmp_path / "chromium"
    script.write_text(
        f"#!/bin/sh -e\nsleep 600 &\necho $! > '{tmp_path}/browser'\n"
        f"echo 1234 > '{tmp_path}/DevToolsActivePort'\nwait\n"
    )
    script.chmod(0o755)
    running = started(str(script), tmp_path)
    assert next(running) == "http://127.0.0.1:1234"
    process = psutil.Process(int((tmp_path / "browser").read_text()))
    assert process.name() == "sleep"
    assert list(running) == []
    until = time.monotonic() + 10
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until
        time.sleep(0.01)
