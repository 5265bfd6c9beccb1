import ast
import re

import pytest

from tests.architecture.source import ROOT, tree

PAGE = ROOT / "docs" / "guarantees.md"
RULER = re.compile(r"^\|[\s:|-]+\|$")
PROOF = re.compile(r"(tests/[\w/]+\.py)::([\w:]+)")


def promises(text: str) -> list[str]:
    """The rows of the page's tables, without their headings."""
    lines = text.splitlines()
    headings = {number - 1 for number, line in enumerate(lines) if RULER.match(line.strip())}
    return [
        line
        for number, line in enumerate(lines)
        if line.startswith("|") and number not in headings and not RULER.match(line.strip())
    ]


def exists(path: str, test: str) -> bool:
    file = ROOT / path
    if not file.is_file():
        return False
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    names = {node.name for node in ast.walk(tree(file)) if isinstance(node, functions)}
    return test.rpartition("::")[2] in names


def unproved(text: str) -> list[str]:
    return [
        row
        for row in promises(text)
        if not PROOF.search(row) or not all(exists(*proof) for proof in PROOF.findall(row))
    ]


def test_every_promise_names_a_test_that_exists():
    text = PAGE.read_text("utf-8")
    assert promises(text), "docs/guarantees.md holds no table of promises"
    assert unproved(text) == []


@pytest.mark.parametrize(
    "cell",
    ["", "`tests/nowhere.py::test_a`", "`tests/architecture/test_guarantees.py::test_gone`"],
)
def test_a_promise_without_its_test_is_found(cell):
    assert len(unproved(f"| promise | test |\n| --- | --- |\n| One winner. | {cell} |\n")) == 1


def test_a_proved_promise_is_accepted():
    proof = "tests/architecture/test_guarantees.py::test_a_proved_promise_is_accepted"
    assert unproved(f"| promise | test |\n|---|---|\n| One winner. | `{proof}` |\n") == []
