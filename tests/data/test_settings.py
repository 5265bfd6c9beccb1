import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import ValidationError

from data import settings
from data.settings import Settings, SettingsInvalid


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
        ("PORT", "99999", "TEKKIE_PORT: .*65535"),
        ("PORT", "http", "TEKKIE_PORT: .*integer"),
        ("DATABASE_URL", "mysql://x/y", "TEKKIE_DATABASE_URL: must begin with postgresql://"),
        ("DATABASE_URL", "postgresql://host", "TEKKIE_DATABASE_URL: must name a database"),
        ("DATABASE_URL", "postgresql://[::1/x", "TEKKIE_DATABASE_URL: "),
        ("PUBLIC_URL", "tekkie.example", "TEKKIE_PUBLIC_URL: must begin with https://"),
        ("PUBLIC_URL", "https://t.example/?a=1", "TEKKIE_PUBLIC_URL: must end before"),
        ("SECRET_KEY", "short", "TEKKIE_SECRET_KEY: must have at least 32"),
        ("SMTP_TLS", "yes", "TEKKIE_SMTP_TLS: .*starttls"),
        ("GEOCODER", "google", "TEKKIE_GEOCODER: .*photon"),
        ("GEOCODER", "photon", "TEKKIE_GEOCODER_URL is needed"),
        ("POOL_SIZE", "0", "TEKKIE_POOL_SIZE: .*2"),
        ("PROXIES", "proxy.example", "TEKKIE_PROXIES: must be addresses or networks"),
        ("OPS_PORT", "8000", "TEKKIE_OPS_PORT must not be TEKKIE_PORT"),
        ("DRAIN_S", "-1", "TEKKIE_DRAIN_S: .*0"),
        ("DATA_DIR", "a\nb", "TEKKIE_DATA_DIR: must be a path"),
    ],
)
def test_an_invalid_value_is_refused_by_its_variable_and_not_printed(
    monkeypatch, name, value, message
):
    monkeypatch.setenv(f"TEKKIE_{name}", value)
    with pytest.raises(SettingsInvalid, match=message):
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
