"""Writes the results of proofs into docs/proof.md, each between its own two markers.

A short slice of each proof runs with all other tests and writes nothing; `run_whole` sets the
environment variable by which the same tests run at full length and write what they measured.
"""

import fcntl
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROOF = ROOT / "docs" / "proof.md"
WHOLE = "TEKKIE_PROOF"
HEADING = "# Proof\n\nEvery figure on this page was written by the run that measured it.\n"


def is_whole() -> bool:
    """Whether the proof runs at full length."""
    return os.environ.get(WHOLE) == "whole"


def run_whole(folder: str, *arguments: str) -> int:
    """Run the tests of a folder of tests/proof at full length; returns pytest's exit code."""
    os.environ[WHOLE] = "whole"
    return pytest.main([str(ROOT / "tests" / "proof" / folder), "-q", *arguments])


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def write(section: str, text: str, *, page: Path = PROOF) -> None:
    """Put `text` between the markers of `section`; a new section goes to the end of the page."""
    begin, end = f"<!-- begin {section} -->", f"<!-- end {section} -->"
    block = f"{begin}\n{text.strip()}\n{end}"
    page.parent.mkdir(parents=True, exist_ok=True)
    with open(page, "a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        before = file.read() or HEADING
        marked = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        after, found = marked.subn(lambda _: block, before)
        file.truncate(0)
        file.write(after if found else f"{before.rstrip()}\n\n{block}\n")


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
