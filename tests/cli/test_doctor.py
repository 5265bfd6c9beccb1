import json
from datetime import timedelta

import pytest

from api.cli.doctor_checks import check_folder, check_replicas
from data.db import transaction
from data.settings import load
from tests.builders import book_job, import_neighbours

INCONSISTENCIES = [
    ("UPDATE friends SET open_jobs = 1 WHERE ref = 'f1'", "counters", "f1"),
    ("DELETE FROM timers", "bookings", "no timer for"),
    ("UPDATE messages SET state = 'parked', problem = 'refused'", "messages", "parked"),
    ("UPDATE timers SET attempts = 3", "timers", "postponed"),
]


def states(done):
    return {one["what"]: one for one in json.loads(done.stdout)["findings"]}


def one_booking(in_service, statement=None):
    async def make(rt):
        await import_neighbours(rt, 5)
        await book_job(rt)
        if statement:
            async with transaction(rt.pool) as tx:
                await tx.execute(statement)

    in_service(make)


def test_a_server_that_may_lose_confirmed_changes_fails(tekkie, in_service, not_durable):
    one_booking(in_service)
    done = tekkie("doctor", "--json", "--test-clock")
    found = states(done)
    assert found["durability"]["state"] == "failed"
    assert done.exit_code == 1
    passed = {name for name, one in found.items() if one["state"] == "ok"}
    assert passed >= {"python", "secret", "gazetteer", "role", "schema", "rows", "index", "timers"}


@pytest.mark.parametrize(("statement", "check", "text"), INCONSISTENCIES)
def test_an_inconsistency_is_found_and_has_a_cure(tekkie, in_service, statement, check, text):
    one_booking(in_service, statement)
    found = states(tekkie("doctor", "--json", "--test-clock"))[check]
    assert found["state"] != "ok"
    assert text in found["found"]
    assert found["cure"]


def test_overdue_timers_are_found(tekkie, in_service):
    one_booking(in_service)
    tekkie("clock", "advance", "3h", "--test-clock")
    found = states(tekkie("doctor", "--json", "--test-clock"))["timers"]
    assert found["state"] == "failed"
    assert "120 min" in found["found"]
    assert timedelta(hours=3) > timedelta(minutes=120)


def test_a_test_clock_is_a_failure_unless_it_is_allowed(tekkie):
    assert states(tekkie("doctor", "--json"))["test clock"]["state"] == "failed"
    assert states(tekkie("doctor", "--json", "--test-clock"))["test clock"]["state"] == "warning"


def test_settings_are_shown_without_their_secrets(tekkie):
    done = tekkie("doctor", "--json", "--smtp-password", "do-not-tell", "--smtp-host", "127.0.0.1",
                  "--smtp-port", "1")  # fmt: skip
    assert "do-not-tell" not in done.output
    assert states(done)["mail"]["state"] == "failed"


def test_a_key_that_others_can_read_is_found(tekkie, tmp_path):
    secret = tmp_path / "data" / "secret"
    secret.parent.mkdir()
    secret.write_bytes(b"x" * 32)
    secret.chmod(0o644)
    found = states(tekkie("doctor", "--json"))["secret"]
    assert found["state"] == "failed"
    assert found["cure"] == f"chmod 600 {secret}"


def test_a_fresh_folder_is_left_as_it_is(tekkie, tmp_path, monkeypatch):
    monkeypatch.delenv("TEKKIE_DATABASE_URL")
    done = tekkie("doctor", "--json")
    found = states(done)
    assert done.exit_code == 0, found
    assert found["database"]["found"].startswith("none yet; the first tekkie serve creates it")
    assert not (tmp_path / "data").exists()


def test_the_folder_of_another_database_is_left_as_it_is_too(tekkie, tmp_path):
    assert states(tekkie("doctor", "--json", "--test-clock"))["database"]["state"] == "ok"
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(("mode", "state"), [(0o700, "ok"), (0o750, "warning"), (0o701, "warning")])
def test_a_data_folder_that_others_can_look_into_is_found(tmp_path, mode, state):
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(mode)
    [found] = check_folder(load(data_dir=tmp_path / "data"))
    assert found.state == state
    assert found.cure == ("" if state == "ok" else f"chmod 700 {tmp_path / 'data'}")


def test_a_replica_that_no_commit_waits_for_is_found():
    facts = {"replicas": 1, "synchronous_standby_names": ""}
    [found] = check_replicas(facts)
    assert found.state == "warning"
    assert "synchronous_standby_names" in found.cure
    assert [one.state for one in check_replicas(facts | {"synchronous_standby_names": "*"})] == [
        "ok"
    ]
    assert list(check_replicas(facts | {"replicas": 0})) == []


def test_the_text_output_has_cures(tekkie, not_durable):
    done = tekkie("doctor")
    assert "→ Set " in done.stdout
    assert "synchronous_commit = on" in done.stdout
    assert "need attention." in done.stderr
