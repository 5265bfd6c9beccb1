import json
import logging

import pytest

from api.commands import logs


@pytest.fixture
def log():
    """The root logger, put back as it was afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:], root.level = handlers, level


@pytest.mark.parametrize("how", ["text", "json"])
def test_no_line_carries_an_address_a_number_or_a_key(log, capsys, how):
    logs.configure(how)
    # Not in the line that raises: a traceback shows source, which holds nobody's name.
    row = "Key (email)=(ana@example.org) exists\nDETAIL:  Key (name)=(Ana Muster)"
    try:
        raise ValueError(row)
    except ValueError:
        log.exception("failed for +41446681800 with tk_live_abcdefghijk and ts_abcdefghijk")
    said = capsys.readouterr().err
    for secret in ("ana@", "Ana Muster", "+4144", "abcdefghijk"):
        assert secret not in said
    assert "ValueError" in said


def test_json_lines_are_json_with_time_level_and_place(log, capsys):
    logs.configure("json")
    logging.getLogger("scheduler.relay").warning("%d messages", 3)
    entry = json.loads(capsys.readouterr().err)
    assert (entry["event"], entry["level"], entry["logger"]) == (
        "3 messages",
        "warning",
        "scheduler.relay",
    )
    assert entry["timestamp"].endswith("Z")


def test_libraries_speak_only_when_something_is_wrong(log, capsys):
    logs.configure("text")
    logging.getLogger("apscheduler.executors").info("running job")
    assert capsys.readouterr().err == ""
