"""Follows the first recipe of docs/changing.md on a copy of the code and asks whether it holds."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.architecture.source import ROOT

PAGE = ROOT / "docs" / "changing.md"
STEP = re.compile(
    r"^```\w+ in (?P<file>\S+) (?P<where>after|before) (?P<anchor>.+)\n(?P<text>(?:.*\n)*?)```$",
    re.MULTILINE,
)
CODE_FILES_MAX = 10
COPIED = ("api", "data", "dispatch", "geo", "scheduler", "tests")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "node_modules", "dist", "*.dat", "proof")
# The recipe shows English; these are the same texts in the other languages.
TRANSLATED = {
    "de": {
        "{n} day": "{n} Tag",
        "{n} days": "{n} Tage",
        "{first_name} has ordered a part": "{first_name} hat ein Teil bestellt",
        "A part is on order, expected in {days} d": "Ein Teil ist bestellt, Ankunft in {days} T",
    },
    "fr": {"{n} day": "{n} jour", "{n} days": "{n} jours"},
    "it": {"{n} day": "{n} giorno", "{n} days": "{n} giorni"},
    "pl": {"{n} day": "{n} dzień", "{n} days": "{n} dni"},
}
MORE_FORMS = {
    "fr": ', many = "{n} de jours"',
    "it": ', many = "{n} di giorni"',
    "pl": ', few = "{n} dni", many = "{n} dni"',
}
# What holds once the recipe was followed; it runs in the copy.
EXPECTED = """
from api.server.app import create_app
from data.markets import Language
from dispatch.rules.jobs import visit
from scheduler.senders.letters import render
from tests.rules.facts import Scenario, friends
from tests.scheduler.senders.test_letters import facts


def test_the_new_event_is_there():
    job = Scenario(*friends(4)).contact()
    [event] = job.apply(visit.order_part, 3).events
    assert (event.kind, event.data["days"]) == ("visit.part_ordered", 3)
    assert job.apply(visit.order_part, 3) is None
    [message] = job.applied[-1].messages
    assert (message.template, message.audience) == ("part_ordered", "customer")
    for language in Language:
        letter = render("part_ordered", language, facts(days=3), audience=message.audience)
        assert "3" in letter.text and "Luca" in letter.text
    schemas = create_app().openapi()["components"]["schemas"]
    assert "visit.part_ordered" in schemas["Event"]["properties"]["kind"]["enum"]
    assert {"PartRequest"} <= set(schemas)
    assert "part_days" in schemas["BookingResponse"]["properties"]
"""
CHECKS = (
    "tests/test_expected.py",
    "tests/rules/test_notifications.py::test_every_event_of_the_rules_is_declared_and_nothing_else_is",
    "tests/scheduler/senders/test_letters.py::test_every_letter_is_written_in_every_language",
    "tests/web/test_texts.py",
)
PYTEST = ("-q", "-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:xdist", "--tb=line")


@dataclass(frozen=True)
class Step:
    """A text that the recipe puts after or before the line that begins with an anchor."""

    file: str
    where: str
    anchor: str
    text: str


def steps() -> list[Step]:
    """The steps of the page, and those of the languages that it does not show."""
    shown = [Step(**found.groupdict()) for found in STEP.finditer(PAGE.read_text("utf-8"))]
    assert len(shown) > 8, "the recipe in docs/changing.md has lost its steps"
    return shown + [
        Step(
            step.file.replace("/en.", f"/{language}."),
            step.where,
            step.anchor,
            translated(step.text, language),
        )
        for step in shown
        if "/texts/en." in step.file
        for language in TRANSLATED
    ]


def translated(text: str, language: str) -> str:
    for english, other in TRANSLATED[language].items():
        text = text.replace(f'"{english}"', f'"{other}"')
    if text.startswith("days = "):
        return text.replace(" }\n", MORE_FORMS.get(language, "") + " }\n")
    return text


def take(folder: Path, step: Step) -> None:
    """Take a step; an anchor that does not stand there exactly once is a lie of the recipe."""
    file = folder / step.file
    lines = file.read_text("utf-8").splitlines(keepends=True)
    anchor = step.anchor.strip()
    found = [number for number, line in enumerate(lines) if line.strip().startswith(anchor)]
    assert len(found) == 1, f"{step.file} has {len(found)} lines that begin with {step.anchor}"
    place = found[0] + (step.where == "after")
    whole = re.match(r"(async def|def|class|@)", step.text)
    lines.insert(place, step.text + "\n\n" * bool(whole))
    file.write_text("".join(lines), "utf-8")


def follow(folder: Path, taken: list[Step]) -> str:
    """Take these steps in a copy of the code; returns what its tests print."""
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=LEFT_OUT)
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "tests" / "test_expected.py").write_text(EXPECTED, "utf-8")
    for step in taken:
        take(folder, step)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *PYTEST, *CHECKS],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.timeout(180)
def test_following_the_recipe_gives_a_new_event(tmp_path):
    printed = follow(tmp_path, steps())
    assert re.search(r"^\d+ passed in ", printed, re.MULTILINE), printed


@pytest.mark.timeout(180)
def test_forgotten_steps_are_noticed(tmp_path):
    forgotten = ("scheduler/senders/texts/fr.toml", "api/web/src/desk/texts/pl.json")
    printed = follow(tmp_path, [step for step in steps() if step.file not in forgotten])
    noticed = set(re.findall(r"^FAILED \S+::(\w+)", printed, re.MULTILINE))
    assert noticed == {
        "test_the_new_event_is_there",
        "test_every_letter_is_written_in_every_language",
        "test_all_languages_have_the_same_keys_and_placeholders",
        "test_every_code_has_a_text_in_every_language_and_no_other_has_one",
    }, printed


def test_the_recipe_touches_few_files_of_code():
    code = {step.file for step in steps() if "/texts/" not in step.file}
    pages = {"api/web/src/friend/Part.svelte", "api/web/src/friend/Steps.svelte"}
    assert len(code | pages) < CODE_FILES_MAX
