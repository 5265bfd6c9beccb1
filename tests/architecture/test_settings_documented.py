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
    from data.settings import FILE, secret_names

    files = {f"TEKKIE_{name.upper()}{FILE}" for name in secret_names()}
    assert documented() - settings() - files - FOR_TESTS == set()


def test_a_name_that_build_or_tests_read_is_known_to_be_no_setting():
    from data.settings import OTHER_NAMES

    reading = re.compile(r"""(?:environ\S*?[("\[]+|\$\{|^[A-Z]+ = ")(TEKKIE_[A-Z_]+)""", re.M)
    folders = (ROOT.glob("*.py"), ROOT.glob(".ci/*"), (ROOT / "tests").rglob("*.py"))
    texts = [file.read_text("utf-8") for found in folders for file in found if file.is_file()]
    read = {name for text in texts for name in reading.findall(text)}
    assert read > FOR_TESTS | {"TEKKIE_PROOF"}
    assert read - settings() - OTHER_NAMES == set()
