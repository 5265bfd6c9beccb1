"""Five languages say the same: same keys, same placeholders, and every plural form there is."""

import json
import re
from pathlib import Path

import pytest
from babel import Locale

SOURCES = Path(__file__).parents[2] / "api" / "web" / "src"
LANGUAGES = ["de", "en", "fr", "it", "pl"]
FOLDERS = sorted(folder for folder in SOURCES.glob("**/texts") if folder.is_dir())
PLACE = re.compile(r"\{(\w+)\}")
# What the pages' plural rules know of each language, fractions included.
FORMS = {code: {*Locale(code).plural_form.tags, "other"} for code in LANGUAGES}


def texts(folder: Path, language: str) -> dict[str, str | dict[str, str]]:
    return json.loads((folder / f"{language}.json").read_text("utf-8"))


def places(text: str | dict[str, str]) -> set[str]:
    forms = text.values() if isinstance(text, dict) else [text]
    return {name for form in forms for name in PLACE.findall(form)}


def test_there_are_texts():
    assert {folder.parent.name for folder in FOLDERS} >= {"book", "desk", "friend", "job", "shared"}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_all_languages_have_the_same_keys_and_placeholders(folder):
    assert sorted(file.stem for file in folder.iterdir()) == LANGUAGES
    english = {key: places(text) for key, text in texts(folder, "en").items()}
    for language in LANGUAGES:
        assert {key: places(text) for key, text in texts(folder, language).items()} == english


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_what_is_counted_has_every_plural_form_of_its_language(folder):
    counted = {key for key, text in texts(folder, "en").items() if isinstance(text, dict)}
    for language in LANGUAGES:
        found = texts(folder, language)
        assert {key for key, text in found.items() if isinstance(text, dict)} == counted
        wrong = {key: set(found[key]) for key in counted if set(found[key]) != FORMS[language]}
        assert wrong == {}, language


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_no_text_is_empty(folder):
    for language in LANGUAGES:
        for text in texts(folder, language).values():
            forms = text.values() if isinstance(text, dict) else [text]
            assert all(form.strip() for form in forms), (language, text)
