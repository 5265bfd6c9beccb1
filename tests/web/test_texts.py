"""Five languages say the same: same keys, same placeholders, and every plural form there is."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel import Locale

from api.schemas.desk import FrameOutcome
from data.enums import Audience, Channel, Outcome, Wish
from data.markets import Language
from data.seed.catalogue import load
from dispatch.rules.jobs.events import EVENTS, TEMPLATES
from dispatch.rules.jobs.nearby import DeskOutcome
from geo.point import Precision

SOURCES = Path(__file__).parents[2] / "api" / "web" / "src"
LANGUAGES = sorted(Language)
FOLDERS = sorted(folder for folder in SOURCES.glob("**/texts") if folder.is_dir())
PLACE = re.compile(r"\{(\w+)\}")
WORD = re.compile(r"""['"`]([\w.-]+)['"`]""")
KIND = re.compile(r"\bword\('(\w+)'")
COMPOSED = re.compile(r"`([\w.-]*\$\{[^`]*)`")
# What the pages' plural rules know of each language, fractions included.
FORMS = {code: {*Locale(code).plural_form.tags, "other"} for code in LANGUAGES}
# Codes that the desk tells in words: whatever has none would stand there as the code.
CODES = {
    "outcome": [*Outcome, *FrameOutcome, *DeskOutcome],
    "certificate": load().certificates,
    "template": {template.name for template in TEMPLATES.values()},
    "channel": Channel,
    "audience": Audience,
    "precision": Precision,
    "wish": Wish,
}


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


def code(folder: Path) -> list[str]:
    """The files that may say these texts: their own face's, and for the shared ones everybody's."""
    face = SOURCES if folder.parent.name == "shared" else folder.parent
    files = [file for file in face.rglob("*") if file.suffix in {".ts", ".svelte"}]
    return [file.read_text("utf-8") for file in files if file.name != "openapi.d.ts"]


def made(source: str, kinds: set[str]) -> Iterator[re.Pattern[str]]:
    """The keys that a file composes; a value they begin with is a word of the file, or a kind."""
    words = "|".join(map(re.escape, {*WORD.findall(source), *kinds}))
    for template in COMPOSED.findall(source):
        first, *rest = re.split(r"\$\{[^}]*\}", template)
        begin = re.escape(first) or f"(?:{words})" + re.escape(rest.pop(0))
        yield re.compile(r"[\w.-]+".join([begin, *map(re.escape, rest)]))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_every_text_is_said_somewhere(folder):
    files = code(folder)
    kinds = {kind for source in files for kind in KIND.findall(source)}
    said = {word for source in files for word in WORD.findall(source)}
    composed = [pattern for source in files for pattern in made(source, kinds)]
    left = texts(folder, "en").keys() - said
    assert {key for key in left if not any(one.fullmatch(key) for one in composed)} == set()


@pytest.mark.parametrize("kind", CODES)
def test_the_desk_has_a_word_for_every_code_and_none_too_many(kind):
    listed = {key for key in texts(SOURCES / "desk" / "texts", "en") if key.startswith(f"{kind}.")}
    assert listed == {f"{kind}.{code}" for code in CODES[kind]}


def test_the_desk_tells_every_event():
    listed = texts(SOURCES / "desk" / "texts", "en")
    assert {f"event.{kind}" for kind in EVENTS} <= set(listed)
