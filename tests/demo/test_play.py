"""The demo itself, in a process of its own, for a few seconds at a great speed."""

import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

WORDS = ("booked", "asks", "taken by", "declined", "called by", "MISSED", "done")
SUMMARY = re.compile(r"(\d+) booked, (\d+) taken, (\d+) declined, (\d+) missed, (\d+) done")

pytestmark = [pytest.mark.xdist_group("demo"), pytest.mark.timeout(150)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The data folder of both demos of this file."""
    return tmp_path_factory.mktemp("demo")


def command(folder, *words):
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    env = {name: value for name, value in os.environ.items() if not name.startswith("TEKKIE_")}
    line = [sys.executable, "-m", "api", "demo", "--port", str(port), "--friends", "60", *words]
    return line, env | {"TEKKIE_DATA_DIR": str(folder), "COLUMNS": "200"}


def counted(text):
    found = SUMMARY.search(text)
    assert found, text[-3000:]
    return [int(number) for number in found.groups()]


def test_a_town_lives_declines_misses_and_completes_and_goes_on_later(folder):
    line, env = command(
        folder, "--speed", "14400", "--bookings-per-minute", "240", "--for", "12s", "--seed", "5"
    )
    done = subprocess.run(line, env=env, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    for word in WORDS:
        assert word in done.stdout
    assert min(counted(done.stdout)) > 0
    assert "Traceback" not in done.stderr
    assert "curl -s http://127.0.0.1:" in done.stdout

    line, env = command(folder, "--speed", "720", "--bookings-per-minute", "600")
    with subprocess.Popen(line, env=env, stdout=subprocess.PIPE, text=True) as again:
        for text in again.stdout:
            if "booked" in text:
                break
        began = time.monotonic()
        again.send_signal(signal.SIGINT)
        rest = again.stdout.read()
        assert again.wait(timeout=15) == 0
    assert time.monotonic() - began < 12
    assert counted(rest)[0] >= 1
