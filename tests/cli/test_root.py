import os
import subprocess
import sys

import pytest

from api.cli.options import FLAGS, SETTINGS, move_settings_first, option_name
from data.settings import Settings

SLOW = {"pydantic", "asyncpg", "fastapi", "uvicorn", "shapely", "numpy", "httpx2", "asyncio"}


def test_help_imports_nothing_slow():
    script = "import sys, api.cli.root; print(*{n.partition('.')[0] for n in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert SLOW & set(done.stdout.split()) == set()


def test_every_setting_is_an_option_with_the_same_words():
    fields = Settings.model_fields
    assert {name: field.description for name, field in fields.items()} == SETTINGS


def test_flags_are_the_settings_that_are_true_or_false():
    assert {name for name, field in Settings.model_fields.items() if field.annotation is bool} == (
        FLAGS
    )


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_every_option_is_known_to_the_command(tekkie, name):
    words = [option_name(name)] if name in FLAGS else [option_name(name), ""]
    assert "No such option" not in tekkie(*words, "settings").output


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["serve", "--port", "9"], ["--port", "9", "serve"]),
        (["serve", "--port=9", "--api-only"], ["--port=9", "serve", "--api-only"]),
        (["clock", "--test-clock", "advance", "1h"], ["--test-clock", "clock", "advance", "1h"]),
        (["token", "friend", "--", "--port"], ["token", "friend", "--", "--port"]),
        (["serve", "--port"], ["--port", "serve"]),
        (["doctor", "--json", "--debug"], ["--debug", "doctor", "--json"]),
    ],
)
def test_a_setting_may_follow_the_command(typed, meant):
    assert move_settings_first(typed) == meant


def test_settings_are_listed_with_their_values_and_secrets_masked(tekkie):
    done = tekkie("settings", "--port", "9001", "--smtp-password", "do-not-tell")
    assert done.exit_code == 0
    assert "9001" in done.stdout
    assert "do-not-tell" not in done.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--port", "x", "migrate"], "TEKKIE_PORT"),
        (["token", "nobody", "x"], "nobody"),
        (["nonsense"], "nonsense"),
        (["friends", "list", "--limit", "0"], "--limit"),
        (["clock", "advance", "soon"], "12h"),
        (["operators", "add", "no-address", "--name", "X"], "e-mail"),
    ],
)
def test_invalid_usage_ends_with_2_and_names_the_argument(tekkie, words, message):
    done = tekkie(*words)
    assert done.exit_code == 2
    assert message in done.stderr


def test_a_failure_is_one_sentence_without_a_traceback(tekkie):
    done = tekkie("token", "friend", "nobody")
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr == ("error There is no friend 'nobody'; `tekkie friends list` shows them.\n")


def test_debug_raises_the_failure(tekkie):
    done = tekkie("--debug", "token", "friend", "nobody")
    assert type(done.exception).__name__ == "NotFound"


def test_an_unavailable_server_is_reported_in_a_sentence(tekkie, tmp_path):
    url = f"postgresql://nobody@/none?host={tmp_path}"
    done = subprocess.run(
        [sys.executable, "-m", "api", "migrate"],
        env=os.environ | {"TEKKIE_DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "The database does not answer" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_internal_error_is_reported_as_such(tekkie, monkeypatch):
    from dispatch.flows.partners import accounts

    async def broken(rt):
        raise RuntimeError("oh")

    monkeypatch.setattr(accounts, "list_partners", broken)
    done = tekkie("partners", "list")
    assert done.exit_code == 1
    assert "Internal error (RuntimeError: oh); --debug shows the traceback." in done.stderr


def test_ctrl_c_ends_silently_with_130(tekkie, monkeypatch):
    from dispatch.flows.partners import accounts

    async def interrupted(rt):
        raise KeyboardInterrupt

    monkeypatch.setattr(accounts, "list_partners", interrupted)
    done = tekkie("partners", "list")
    assert done.exit_code == 130
    assert "Traceback" not in done.output
