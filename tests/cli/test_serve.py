"""The command in processes of its own, on a bundled database of its own."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli.root import app
from tests.cli.conftest import FRIENDS
from tests.proof.processes import TekkieProcess, environment, free_port

STARTS_WITHIN_S = 90
ENDS_WITHIN_S = 10
ORDER = {
    "package": "wifi-setup",
    "customer": {
        "name": "Vera Beispiel",
        "email": "vera@example.com",
        "phone": "+41 44 668 18 09",
        "language": "de",
    },
    "address": {
        "street": "Bahnhofstrasse 1",
        "postcode": "8001",
        "city": "Zürich",
        "country": "CH",
        "lat": 47.37,
        "lon": 8.54,
    },
}
HALF = b"POST /v1/bookings HTTP/1.1\r\nHost: t\r\nContent-Length: 60000\r\n\r\n{"

pytestmark = [pytest.mark.xdist_group("serving"), pytest.mark.timeout(150)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A data folder shared by these tests, with a space in its name."""
    return tmp_path_factory.mktemp("the data") / "folder"


def tekkie(folder, *words):
    """The result of a command in this process, which spares an import of everything."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("TEKKIE_")]:
            patch.delenv(name)
        patch.setenv("TEKKIE_DATA_DIR", str(folder))
        return CliRunner().invoke(app, words)


def run_process(folder, *words):
    """The result of the real command."""
    line = [sys.executable, "-m", "api", *words]
    env = environment(TEKKIE_DATA_DIR=str(folder))
    return subprocess.run(line, env=env, capture_output=True, text=True, check=False, timeout=100)


def prepare(folder, word, *words):
    """A long-running command that logs `word` when it is ready, and its log beside the folder."""
    log = folder.parent / "log.txt"
    log.unlink(missing_ok=True)
    env = environment(TEKKIE_DATA_DIR=str(folder))
    return TekkieProcess(words[0], words, env, log, word), log


@contextmanager
def running(folder, word, *words):
    """A command that is ready, killed afterwards."""
    process, log = prepare(folder, word, *words)
    process.start()
    try:
        process.wait()
        yield process, log
    finally:
        process.kill()


def wait_for(process, log, word):
    until = time.monotonic() + STARTS_WITHIN_S
    while word not in log.read_text():
        assert not process.is_dead, log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.05)


@contextmanager
def serving(folder, *words):
    port = free_port()
    with running(folder, "listening", "serve", "--port", str(port), *words) as (process, log):
        yield process, log, f"http://127.0.0.1:{port}"


def ask(url, token=None, body=None):
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def port_of(url):
    return int(url.rpartition(":")[2])


def end(process):
    began = time.monotonic()
    code = process.stop()
    assert time.monotonic() - began < ENDS_WITHIN_S
    return code


@pytest.fixture(scope="module")
def town(folder):
    """The folder with its schema and three friends."""
    path = folder.parent / "friends.csv"
    path.write_text(FRIENDS.replace(",20,,", ",20,wifi,"), encoding="utf-8")
    done = tekkie(folder, "friends", "import", str(path))
    assert done.exit_code == 0, done.stderr
    return folder


def test_an_accepted_job_survives_kill_9_and_a_stopped_service_ends_with_0(town):
    token = tekkie(town, "token", "friend", "ana").stdout.strip()
    with serving(town) as (process, _, url):
        booking = ask(f"{url}/v1/bookings", body=ORDER)
        assert booking["offers"] == {"live": 2}
        [offer] = ask(f"{url}/v1/me/offers", token)["items"]
        award = ask(f"{url}/v1/offers/{offer['id']}/accept", token, {})
        process.kill()
    with serving(town) as (process, log, url):
        assert ask(f"{url}/v1/offers/{offer['id']}/accept", token, {}) == award
        [job] = ask(f"{url}/v1/me/jobs", token)["items"]
        assert job["state"] == "awarded"
        stream = urllib.request.Request(
            f"{url}/v1/live", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(stream, timeout=10) as live:
            live.readline()
            with socket.create_connection(("127.0.0.1", port_of(url))) as upload:
                upload.sendall(HALF)
                assert end(process) == 0
        assert "stopped" in log.read_text()
        assert "Traceback" not in log.read_text()


def test_a_worker_runs_alone_and_ends_with_0(town):
    with running(town, "working", "worker") as (process, _):
        assert end(process) == 0


def test_a_port_in_use_is_reported_before_anything_is_started(town):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run_process(town, "serve", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert "--port" in done.stderr
    assert "database" not in done.stderr


def test_all_checks_pass_for_a_new_service(town):
    done = tekkie(town, "doctor", "--json")
    assert done.exit_code == 0, done.stdout
    found = {one["what"]: one["state"] for one in json.loads(done.stdout)["findings"]}
    to_set_up = {"mail", "SMS", "push", "disk"}
    assert {name for name, state in found.items() if state != "ok"} <= to_set_up


def test_migrate_reports_its_steps_in_a_script_too(tmp_path):
    log = tekkie(tmp_path / "new", "migrate").stderr
    assert "applying 0001_init.sql …" in log


def test_migrate_may_be_repeated_and_openapi_needs_no_database(town, tmp_path):
    assert json.loads(tekkie(town, "migrate", "--json").stdout) == {"applied": []}
    document = json.loads(tekkie(tmp_path / "none", "openapi").stdout)
    assert "/v1/bookings" in document["paths"]
    assert not (tmp_path / "none").exists()


def test_serve_reports_an_allowed_test_clock_and_sends_no_server_header(town):
    assert tekkie(town, "clock", "advance", "1h", "--test-clock").exit_code == 0
    refused, log = prepare(town, "listening", "serve", "--port", str(free_port()))
    refused.start()
    assert refused.end() == 1
    assert "TEKKIE_TEST_CLOCK=1" in log.read_text()
    with serving(town, "--api-only", "--test-clock") as (_, log, url):
        assert "TEST CLOCK" in log.read_text()
        with urllib.request.urlopen(f"{url}/v1/packages?market=CH", timeout=10) as answer:
            assert answer.headers["Server"] is None
        assert "GET" not in log.read_text()
    assert tekkie(town, "clock", "remove", "--test-clock").exit_code == 0
