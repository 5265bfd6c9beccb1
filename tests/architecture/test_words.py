"""`make lint` finds gendered pronouns; it must find each and nothing else."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source import ROOT

SCRIPT = ROOT / ".ci" / "words.py"
CHECK = runpy.run_path(str(SCRIPT))
WORDS = CHECK["WORDS"]


def find(folder: Path) -> list[str]:
    """What the check finds below a folder, as it prints it."""
    return [
        f"{file.relative_to(folder).as_posix()}:{line}: {word}"
        for file in CHECK["checked_files"](folder)
        for line, word in CHECK["find_words"](file)
    ]


def test_code_documents_and_english_texts_hold_none_of_the_words():
    assert find(ROOT) == []


def test_a_word_ends_the_check_with_1_and_is_printed(tmp_path):
    (tmp_path / "a.md").write_text(f"One friend and {WORDS[2]} phone.\n", "utf-8")
    done = subprocess.run(
        [sys.executable, SCRIPT, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == f"a.md:1: {WORDS[2]}"


@pytest.mark.parametrize(
    "name",
    ["a.py", "docs/a.md", "data/a.sql", "a.ts", "A.svelte", "pyproject.toml", "texts/en.json",
     "Makefile", ".ci/run", "data/sql/migrations/0005_new.sql"],
)  # fmt: skip
def test_a_planted_word_is_found_in_every_kind_of_file(tmp_path, name):
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"plain\n# what {WORDS[1]} books\n", "utf-8")
    assert find(tmp_path) == [f"{name}:2: {WORDS[1]}"]


@pytest.mark.parametrize("word", WORDS)
def test_every_word_is_found_alone_capitalized_and_in_a_name(tmp_path, word):
    (tmp_path / "a.md").write_text(f"{word}\n{word.title()}’s\ntest_{word}_a\n", "utf-8")
    assert find(tmp_path) == [f"a.md:1: {word}", f"a.md:2: {word.title()}", f"a.md:3: {word}"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.md", "the header, this, there, other, hero, whose"),
        ("a.py", f"assert text == '„Von {WORDS[3]}“'"),
        ("a.py", f"assert text == '« {WORDS[3]} »'"),
        ("a.py", "HE 05 Hessen"),
        ("de.json", WORDS[3]),
        ("a.toml", f'[phone.de]\ntext = "{WORDS[3]}"'),
        ("a.toml", f'names = {{ de = "{WORDS[3]}", en = "a" }}'),
        ("data/sql/migrations/0001_first.sql", WORDS[3]),
        ("node_modules/a.ts", WORDS[3]),
    ],
)
def test_parts_of_words_and_other_languages_are_left_out(tmp_path, name, text):
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")
    assert find(tmp_path) == []
