import json
import logging

import pytest
import structlog

from api.server.logging import configure_logging


@pytest.fixture
def log():
    """The root logger, put back as it was afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:], root.level = handlers, level


@pytest.mark.parametrize("how", ["text", "json"])
def test_no_line_contains_an_address_a_number_or_a_key(log, capsys, how):
    configure_logging(how)
    # Not in the line that raises: a traceback shows source, which holds nobody's name.
    row = "Key (email)=(ana@example.org) exists\nDETAIL:  Key (name)=(Ana Muster)"
    try:
        raise ValueError(row)
    except ValueError:
        log.exception("failed for +41440001739 with tk_live_abcdefghijk and ts_abcdefghijk")
    result = capsys.readouterr().err
    for secret in ("ana@", "Ana Muster", "+4144", "abcdefghijk"):
        assert secret not in result
    assert "ValueError" in result


def test_json_lines_are_json_with_time_level_and_place(log, capsys):
    configure_logging("json")
    logging.getLogger("scheduler.relay").warning("%d messages", 3)
    entry = json.loads(capsys.readouterr().err)
    assert (entry["event"], entry["level"], entry["logger"]) == (
        "3 messages",
        "warning",
        "scheduler.relay",
    )
    assert entry["timestamp"].endswith("Z")


def test_libraries_log_only_warnings(log, capsys):
    configure_logging("text")
    logging.getLogger("apscheduler.executors").info("running job")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("how", ["text", "json"])
async def test_a_row_quoted_by_postgresql_is_not_logged(log, capsys, owner, how):
    configure_logging(how)
    secret = "Ana\n\nMuster of Bahnhofstrasse"
    person = "INSERT INTO people (id, kind, name, email, language, notes)"
    values = "VALUES (gen_random_uuid(), 'friend', $1, 'x', 'de', 'n')"
    try:
        try:
            await owner.execute(f"{person} {values}", secret)
        except Exception as cause:
            raise RuntimeError("not written") from cause
    except RuntimeError:
        log.exception("failed")
    result = capsys.readouterr().err
    assert "not written" in result
    assert "violates check constraint" in result
    assert "Muster" not in result
    assert "Ana" not in result


def test_a_line_has_the_id_of_its_request(log, capsys):
    configure_logging("json")
    with structlog.contextvars.bound_contextvars(request_id="abc12345"):
        logging.getLogger("api").warning("odd")
        structlog.get_logger("api").warning("odd", booking="b1")
    for line in capsys.readouterr().err.splitlines():
        assert json.loads(line)["request_id"] == "abc12345"


def test_requests_are_not_logged_by_their_paths(log, capsys):
    configure_logging("text")
    logging.getLogger("uvicorn.access").error("GET /job/token")
    assert capsys.readouterr().err == ""
