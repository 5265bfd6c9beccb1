import re

from tests.architecture.source import ROOT

PAGE = ROOT / "docs" / "operations.md"
# Read by the tests alone, so no field of Settings.
FOR_TESTS = {"TEKKIE_TEST_DATABASE_URL"}


def settings() -> set[str]:
    from data.settings import Settings

    return {f"TEKKIE_{field.upper()}" for field in Settings.model_fields}


def documented() -> set[str]:
    return set(re.findall(r"\bTEKKIE_[A-Z0-9_]+\b", PAGE.read_text("utf-8")))


def test_every_setting_is_documented():
    assert settings() - documented() == set()


def test_no_documented_setting_is_invented():
    assert documented() - settings() - FOR_TESTS == set()
