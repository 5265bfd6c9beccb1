"""The built pages: light enough for a phone, from no named registry."""

import json
import re
from pathlib import Path

import pytest

from data.markets import Language
from data.seed import exam_banks

WEB = Path(__file__).parents[2] / "api" / "web"
FACES = ["book", "job", "friend", "desk", "login", "exam", "account", "company"]
LIMIT_BYTES = 100_000
LOADED = re.compile(r'(?:src|href)="(/[^"]+\.(?:js|css))"')
IMPORTED = re.compile(r'(?:from|import)\s*"(\./[^"]+\.js)"')


def first_load(built: Path, face: str) -> set[Path]:
    """The page, what it names, and what that imports before the first paint."""
    page = built / f"{face}.html"
    found, waiting = {page}, [built / path[1:] for path in LOADED.findall(page.read_text("utf-8"))]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found.add(file)
        if file.suffix == ".js":
            waiting += [file.parent / path for path in IMPORTED.findall(file.read_text("utf-8"))]
    return found


def sent(file: Path) -> int:
    packed = file.with_name(f"{file.name}.gz")
    return (packed if packed.exists() else file).stat().st_size


@pytest.mark.parametrize("face", FACES)
def test_the_first_load_of_a_face_is_under_a_hundred_kilobytes(built, face):
    files = first_load(built, face)
    assert len(files) >= 3
    # Its own words and the shared ones, in the largest of the five languages.
    words = 2 * max(sent(file) for file in (built / "assets").glob("pl-*.js"))
    assert sum(map(sent, files)) + words < LIMIT_BYTES
    assert not [file.name for file in files if "maplibre" in file.read_text("utf-8")]


def test_no_question_of_an_exam_is_in_the_built_pages(built):
    banks = exam_banks.load().values()
    texts = [one.texts[Language.EN] for bank in banks for one in bank.questions]
    words = {text.text for text in texts} | {text.why for text in texts}
    shipped = [file.read_text("utf-8") for file in built.rglob("*.js")]
    assert words
    assert not [word for word in words for file in shipped if word in file]


def test_the_lock_of_npm_carries_hashes_and_no_address():
    lock = json.loads((WEB / "package-lock.json").read_text("utf-8"))
    packages = {name: one for name, one in lock["packages"].items() if name}
    assert [name for name, one in packages.items() if "resolved" in one] == []
    assert [name for name, one in packages.items() if not one.get("integrity")] == []
