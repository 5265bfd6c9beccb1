"""Several processes on one socket: `tekkie serve --processes`, on a database of its own."""

import os
import re
import signal
import time
import urllib.request

import psutil
import pytest

from api.server import prefork
from data.settings import Settings
from tests.cli.test_serve import (
    ENDS_WITHIN_S,
    STARTS_WITHIN_S,
    end,
    folder,
    serving,
    town,
    wait_for,
)

__all__ = ["folder", "town"]  # fixtures

CALLS_MAX = 400
OWN = re.compile(r'tekkie_index_friends\{process="(\d)"\}')
CHILD = re.compile(r"process (\d) \(pid (\d+)\) is listening")

pytestmark = [pytest.mark.xdist_group("serving"), pytest.mark.timeout(150)]


def who_answers(url):
    """The number of the process that answers, over a connection of its own."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        return int(OWN.search(answer.read().decode())[1])


def until_all_have_answered(url, wanted):
    seen = set()
    for _ in range(CALLS_MAX):
        seen.add(who_answers(url))
        if seen == wanted:
            return
    raise AssertionError(f"only {seen} answered")


def siblings_of(said, count):
    """The numbers and process ids of those that began to listen, once there were so many."""
    until = time.monotonic() + STARTS_WITHIN_S
    while len(found := CHILD.findall(said.read_text())) < count:
        assert time.monotonic() < until, said.read_text()
        time.sleep(0.05)
    return [(int(number), int(pid)) for number, pid in found]


def gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_all_processes_answer_and_one_that_is_killed_comes_back(town):
    with serving(town, "--processes", "3") as (process, said, url):
        first, second = siblings_of(said, 2)
        assert {first[0], second[0]} == {1, 2}
        until_all_have_answered(url, {0, 1, 2})
        os.kill(first[1], signal.SIGKILL)
        answered = {who_answers(url) for _ in range(40)}
        assert 0 in answered
        wait_for(process, said, "restarting it")
        again = siblings_of(said, 3)[2]
        assert again[0] == first[0]
        assert again[1] != first[1]
        until_all_have_answered(url, {0, 1, 2})
        assert end(process) == 0
        assert gone(second[1])
        assert gone(again[1])
        assert "stopped" in said.read_text()


def test_when_the_first_process_is_killed_the_others_end(town):
    with serving(town, "--processes", "2") as (process, said, _):
        [(_, pid)] = siblings_of(said, 1)
        process.kill()
        process.wait()
        until = time.monotonic() + ENDS_WITHIN_S
        while not gone(pid):
            assert time.monotonic() < until
            time.sleep(0.05)


def test_a_sibling_gets_exactly_the_settings_of_the_first(monkeypatch, tmp_path):
    monkeypatch.setenv("TEKKIE_PORT", "1234")
    monkeypatch.setenv("TEKKIE_SMTP_HOST", "mail.example.com")
    settings = Settings(
        port=4321,
        smtp_host=None,
        data_dir=tmp_path,
        database_url="postgresql://me:secret@host/tekkie",
        secret_key="x" * 32,
    )
    with monkeypatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("TEKKIE_")]:
            patch.delenv(name)
        for name, value in prefork.environment(settings).items():
            patch.setenv(name, value)
        assert Settings() == settings


def test_there_is_a_process_for_each_core_this_one_may_use():
    assert 1 <= prefork.cores() <= os.cpu_count()
