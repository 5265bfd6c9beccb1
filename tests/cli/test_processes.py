"""Several processes on one socket: `tekkie serve --processes`, on a database of its own."""

import asyncio
import errno
import os
import re
import signal
import socket
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


def answering_process(url):
    """The number of the process that answers, over a new connection."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        return int(OWN.search(answer.read().decode())[1])


def wait_for_answers_of(url, wanted):
    seen = set()
    for _ in range(CALLS_MAX):
        seen.add(answering_process(url))
        if seen == wanted:
            return
    raise AssertionError(f"only {seen} answered")


def wait_for_children(log, count):
    """The numbers and process ids of the first `count` listening children."""
    until = time.monotonic() + STARTS_WITHIN_S
    while len(found := CHILD.findall(log.read_text())) < count:
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.05)
    return [(int(number), int(pid)) for number, pid in found]


def has_ended(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_all_processes_answer_and_a_killed_one_is_restarted(town):
    with serving(town, "--processes", "2") as (process, log, url):
        [first] = wait_for_children(log, 1)
        assert first[0] == 1
        wait_for_answers_of(url, {0, 1})
        os.kill(first[1], signal.SIGKILL)
        # Which of them accepts a connection is the kernel's choice; each request is answered.
        assert {answering_process(url) for _ in range(40)} <= {0, 1}
        wait_for(process, log, "restarting it")
        restarted = wait_for_children(log, 2)[1]
        assert restarted[0] == 1
        assert restarted[1] != first[1]
        wait_for_answers_of(url, {0, 1})
        assert end(process) == 0
        assert has_ended(restarted[1])
        assert "stopped" in log.read_text()


async def test_a_child_that_cannot_be_started_is_tried_again(monkeypatch, tmp_path):
    stop, reports, tries = asyncio.Event(), [], []

    async def fails(*_, **__):
        tries.append(1)
        if len(tries) == 3:
            stop.set()
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(prefork, "RESTART_AFTER_S", 0)
    monkeypatch.setattr(asyncio, "create_subprocess_exec", fails)
    with socket.socket() as listener:
        settings = Settings(data_dir=tmp_path)
        await prefork.ProcessPool(settings, [listener], stop, reports.append).supervise(1)
    assert len(tries) == 3
    assert all("cannot be started ([Errno 24] Too many open files)" in one for one in reports)
    assert len(reports) == 2


def test_children_end_when_the_parent_is_killed(town):
    with serving(town, "--processes", "2") as (process, log, _):
        [(_, pid)] = wait_for_children(log, 1)
        process.kill()
        until = time.monotonic() + ENDS_WITHIN_S
        while not has_ended(pid):
            assert time.monotonic() < until
            time.sleep(0.05)


def test_a_child_gets_exactly_the_settings_of_the_parent(monkeypatch, tmp_path):
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


def test_the_number_of_cores_respects_the_affinity():
    assert 1 <= prefork.cores() <= os.cpu_count()
