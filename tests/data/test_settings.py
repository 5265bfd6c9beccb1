import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import ValidationError

from data import settings
from data.setting_errors import SettingsInvalid
from data.settings import Settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith("TEKKIE_") or name == "XDG_DATA_HOME":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_every_setting_has_a_default(tmp_path):
    loaded = settings.load()
    assert loaded.data_dir == tmp_path / ".local" / "share" / "tekkie"
    assert loaded.base_url == "http://127.0.0.1:8000"
    assert loaded.database_url is None


def test_every_field_has_a_description():
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_the_environment_is_read_and_options_have_precedence(monkeypatch):
    monkeypatch.setenv("TEKKIE_PORT", "9000")
    monkeypatch.setenv("TEKKIE_HOST", "::")
    assert settings.load().base_url == "http://127.0.0.1:9000"
    assert settings.load(port=9001, host=None).base_url == "http://127.0.0.1:9001"


def test_an_empty_variable_counts_as_none(monkeypatch):
    monkeypatch.setenv("TEKKIE_DATABASE_URL", "")
    assert settings.load().database_url is None


def test_settings_do_not_change():
    with pytest.raises(ValidationError):
        settings.load().port = 1


@pytest.mark.parametrize("home", ["", "relative", "/nonexistent/home"])
def test_without_a_usable_home_folder_the_data_folder_is_var(monkeypatch, home):
    monkeypatch.setenv("HOME", home)
    assert settings.load().data_dir == Path.cwd() / "var"


def test_a_path_with_a_space_stays_whole(monkeypatch, tmp_path):
    monkeypatch.setenv("TEKKIE_DATA_DIR", str(tmp_path / "a b"))
    assert settings.load().data_dir == tmp_path / "a b"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PORT", "99999", "TEKKIE_PORT: must be a whole number from 1 to 65535, as in 8000"),
        ("PORT", "http", "TEKKIE_PORT: must be a whole number from 1 to 65535, as in 8000"),
        ("TEST_CLOCK", "maybe", "TEKKIE_TEST_CLOCK: must be true or false"),
        ("MAIL_FROM", "x", "TEKKIE_MAIL_FROM: must have at least 3 characters"),
        ("DATABASE_URL", "mysql://x/y", "TEKKIE_DATABASE_URL: must begin with postgresql://"),
        ("DATABASE_URL", "postgresql://host", "TEKKIE_DATABASE_URL: must name a database"),
        ("DATABASE_URL", "postgresql://[::1/x", "TEKKIE_DATABASE_URL: has an invalid host"),
        ("DATABASE_URL", "postgresql://me:a/b@h/x", "TEKKIE_DATABASE_URL: has a port that is no"),
        ("DATABASE_URL", "postgresql://h:70000/x", "TEKKIE_DATABASE_URL: must have ports from 1"),
        ("DATABASE_URL", "postgresql://a,,b/x", "TEKKIE_DATABASE_URL: has an empty host"),
        ("DATABASE_URL", "postgresql:///x?host=a,b,c&port=1,2", "must have one port, or one for"),
        ("DATABASE_POOLER", "session", "TEKKIE_DATABASE_POOLER: must be one of none, transaction"),
        ("PUBLIC_URL", "tekkie.example", "TEKKIE_PUBLIC_URL: must begin with https://"),
        ("PUBLIC_URL", "https://t.example/?a=1", "TEKKIE_PUBLIC_URL: must end before"),
        ("SECRET_KEY", "short", "TEKKIE_SECRET_KEY: must have at least 32"),
        ("SMTP_TLS", "yes", "TEKKIE_SMTP_TLS: must be one of none, starttls, tls"),
        ("GEOCODER", "google", "TEKKIE_GEOCODER: must be one of offline, photon, nominatim"),
        ("GEOCODER", "photon", "TEKKIE_GEOCODER_URL is needed"),
        ("POOL_SIZE", "0", "TEKKIE_POOL_SIZE: must be a whole number from 2 to 200"),
        ("PROXIES", "proxy.example", "TEKKIE_PROXIES: must be addresses or networks"),
        ("OPS_PORT", "8000", "TEKKIE_OPS_PORT must not be TEKKIE_PORT"),
        ("OPS_PORT", "0", "TEKKIE_OPS_PORT: must be a whole number from 1 to 65535"),
        ("DRAIN_S", "-1", "TEKKIE_DRAIN_S: must be a number from 0 to 600"),
        ("DRAIN_S", "soon", "TEKKIE_DRAIN_S: must be a number from 0 to 600"),
        ("DATA_DIR", "a\nb", "TEKKIE_DATA_DIR: must be a path"),
    ],
)
def test_an_invalid_value_is_refused_by_its_variable_and_not_printed(
    monkeypatch, name, value, message
):
    monkeypatch.setenv(f"TEKKIE_{name}", value)
    with pytest.raises(SettingsInvalid, match=message):
        settings.load()


@pytest.mark.parametrize(
    ("name", "likely"),
    [
        ("TEKKIE_SECRT_KEY", "TEKKIE_SECRET_KEY"),
        ("TEKKIE_DATABSE_URL", "TEKKIE_DATABASE_URL"),
        ("tekkie_data_dri", "TEKKIE_DATA_DIR"),
        ("TEKKIE_SMTP_PASSWORD_FIL", "TEKKIE_SMTP_PASSWORD_FILE"),
        ("TEKKIE_TEST_CLOK", "TEKKIE_TEST_CLOCK"),
    ],
)
def test_an_unknown_name_is_refused_with_the_likely_one(monkeypatch, name, likely):
    monkeypatch.setenv(name, "x")
    with pytest.raises(SettingsInvalid, match=rf"{name.upper()}: .*did you mean {likely}\?"):
        settings.load()


def test_unknown_names_and_invalid_values_are_reported_together(monkeypatch):
    monkeypatch.setenv("TEKKIE_XYZ", "1")
    monkeypatch.setenv("TEKKIE_PORT", "http")
    with pytest.raises(SettingsInvalid) as refused:
        settings.load(pool_size=1)
    lines = str(refused.value).splitlines()
    assert lines[0] == "TEKKIE_XYZ: there is no such setting; remove it."
    assert [line.partition(":")[0] for line in lines[1:]] == ["TEKKIE_PORT", "TEKKIE_POOL_SIZE"]


def test_names_of_the_build_and_the_tests_are_no_settings_and_no_mistake(monkeypatch):
    for name in settings.OTHER_NAMES:
        monkeypatch.setenv(name, "1")
    assert settings.load() == Settings()


def test_the_secrets_are_those_that_are_masked():
    secrets = ["database_url", "secret_key", "smtp_password", "sms_token", "sms_secret", "push_key"]
    assert settings.secret_names() == secrets


VALUES = {
    "database_url": "postgresql://me:hidden@db.example/tekkie",
    "push_key": "A" * 43,
}


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
@pytest.mark.parametrize("name", settings.secret_names())
def test_every_secret_can_be_in_a_file(monkeypatch, tmp_path, name, ending):
    value = VALUES.get(name, "hidden" * 6)
    (tmp_path / "file").write_text(value + ending, newline="")
    monkeypatch.setenv(f"TEKKIE_{name.upper()}_FILE", str(tmp_path / "file"))
    assert getattr(settings.load(), name).get_secret_value() == value
    other = VALUES.get(name, "other!" * 6)
    assert getattr(settings.load(**{name: other}), name).get_secret_value() == other


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, r"cannot be read \(No such file or directory\); name a file"),
        (b"\n", "is empty; write the value into it"),
        (b"\xff\xfe", "is not text"),
    ],
)
def test_a_file_without_a_secret_is_refused_with_its_cure(monkeypatch, tmp_path, content, problem):
    if content is not None:
        (tmp_path / "file").write_bytes(content)
    monkeypatch.setenv("TEKKIE_DATABASE_URL_FILE", str(tmp_path / "file"))
    with pytest.raises(SettingsInvalid, match=f"TEKKIE_DATABASE_URL_FILE: .*/file {problem}"):
        settings.load()


def test_a_secret_given_twice_is_refused_and_an_invalid_one_is_not_printed(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("hidden")
    monkeypatch.setenv("TEKKIE_SECRET_KEY_FILE", str(tmp_path / "file"))
    with pytest.raises(SettingsInvalid, match="at least 32 characters") as refused:
        settings.load()
    assert "hidden" not in str(refused.value)
    monkeypatch.setenv("TEKKIE_SECRET_KEY", "x" * 32)
    with pytest.raises(SettingsInvalid, match="TEKKIE_SECRET_KEY is set too; remove one"):
        settings.load()


def test_nominatim_requires_a_user_agent(monkeypatch):
    monkeypatch.setenv("TEKKIE_GEOCODER", "nominatim")
    monkeypatch.setenv("TEKKIE_GEOCODER_URL", "https://places.example/")
    with pytest.raises(SettingsInvalid, match="TEKKIE_GEOCODER_USER_AGENT is needed"):
        settings.load()


def test_secrets_are_masked_wherever_settings_are_shown():
    canary = "hidden-" * 6
    loaded = settings.load(
        database_url=f"postgresql://me:{canary}@db.example/tekkie",
        secret_key=canary,
        smtp_password=canary,
    )
    assert canary not in repr(loaded) + str(loaded.effective())
    assert loaded.effective()["database_url"] == "postgresql://me:**********@db.example/tekkie"
    by_query = settings.load(database_url=f"postgresql:///tekkie?user=me&password={canary}")
    assert canary not in repr(by_query) + str(by_query.effective())


def test_a_refused_secret_is_not_printed():
    with pytest.raises(SettingsInvalid) as refused:
        settings.load(database_url="mysql://me:hidden@host/x", secret_key="hidden")
    assert "hidden" not in str(refused.value)


def test_concurrent_callers_create_one_key(tmp_path):
    loaded = settings.load(data_dir=tmp_path / "a b")
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(lambda _: loaded.key(), range(64)))
    assert len(keys) == 1
    assert len(keys.pop()) == 32
    assert [file.name for file in loaded.data_dir.iterdir()] == ["secret"]
    assert stat.S_IMODE((loaded.data_dir / "secret").stat().st_mode) == 0o600
    assert stat.S_IMODE(loaded.data_dir.stat().st_mode) == 0o700


def test_a_given_key_is_used_unchanged(tmp_path):
    assert settings.load(secret_key="k" * 32, data_dir=tmp_path / "x").key() == b"k" * 32
    assert not (tmp_path / "x").exists()


def test_a_damaged_key_is_refused_with_its_cure(tmp_path):
    (tmp_path / "secret").write_bytes(b"short")
    with pytest.raises(SettingsInvalid, match="damaged; delete it"):
        settings.load(data_dir=tmp_path).key()


def test_a_data_folder_that_is_a_file_is_refused_with_its_cure(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsInvalid, match=r"TEKKIE_DATA_DIR: .*cannot be"):
        settings.load(data_dir=tmp_path / "file").key()
