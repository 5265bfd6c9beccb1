"""The demo in a process of its own, for a few seconds at high speed."""

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest

from api.demo.run import FOLDER

WORDS = ("booked", "asks", "taken by", "declined", "called by", "MISSED", "done")
JOINS = ("joins", "certified", "accepted", "asks        Mara N.")
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
    line = [sys.executable, "-m", "api", "demo", "--port", str(port), "--friends", "50", *words]
    return line, env | {"TEKKIE_DATA_DIR": str(folder), "COLUMNS": "200"}


@contextmanager
def running_demo(folder, *words):
    """A running demo; killed afterwards if still running."""
    line, env = command(folder, *words)
    with (
        (folder / "errors").open("a") as errors,
        subprocess.Popen(line, env=env, stdout=subprocess.PIPE, stderr=errors, text=True) as demo,
    ):
        try:
            yield demo
        finally:
            demo.kill()


def watch(demo, words):
    """Read lines until each of these words was seen, then stop the demo; returns the output."""
    output, missing = "", set(words)
    for line in demo.stdout:
        output += line
        missing -= {word for word in missing if word in line}
        if not missing:
            break
    demo.send_signal(signal.SIGINT)
    output += demo.stdout.read()
    assert demo.wait(timeout=15) == 0
    return output


def parse_summary(text):
    found = SUMMARY.search(text)
    assert found, text[-3000:]
    return [int(number) for number in found.groups()]


def test_a_town_declines_misses_and_completes_and_continues_for_the_given_time(folder):
    fast = ("--speed", "7200", "--bookings-per-minute", "150", "--seed", "5", "--for", "90s")
    former = folder / FOLDER / "former"
    former.parent.mkdir()
    former.touch()
    with running_demo(folder, *fast, "--fresh") as demo:
        output = watch(demo, (*WORDS, *JOINS))
    assert min(parse_summary(output)) > 0
    assert not former.exists()
    assert "/join; the mail's link and code" in output
    assert "curl -s http://127.0.0.1:" in output
    again = ("--speed", "720", "--bookings-per-minute", "600", "--for", "2s")
    with running_demo(folder, *again) as demo:
        assert parse_summary(demo.stdout.read())[0] >= 1
        assert demo.wait(timeout=15) == 0
    errors = (folder / "errors").read_text()
    assert "Traceback" not in errors
    assert "unexpected responses" not in errors, errors[-3000:]
