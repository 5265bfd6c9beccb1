"""Every file, folder, module and name that a document mentions exists."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.architecture.source import PACKAGES, ROOT, files, name, tree

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("tests/**/*.md"),
                *ROOT.glob("benchmarks/*.md")])  # fmt: skip
FOLDERS = (*PACKAGES, "tests", "benchmarks")

FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
FILE = re.compile(r"(?<![\w/.<$:*-])([\w-][\w./-]*\.(?:py|md|sql|toml|ts|svelte|mjs))(?![\w/])")
FOLDER = re.compile(rf"^(?:{'|'.join((*FOLDERS, 'docs'))})/(?:[\w-]+/)*$")
DOTTED = re.compile(rf"(?<![\w./-])(?:{'|'.join(FOLDERS)})(?:\.\w+)+(?![\w/])")
NO_NAMES = {"csv", "geojson", "gpkg", "json", "md", "parquet", "py", "sql", "toml"}
SHORT = re.compile(r"^([a-z]\w*)\.([A-Za-z]\w*)(?:\(.*\))?$")


def mentions(text: str) -> Iterator[tuple[str, str]]:
    """What a page names outside its fenced blocks, each with its kind."""
    prose = FENCED.sub("", text)
    yield from (("link", link) for link in LINK.findall(prose) if "://" not in link)
    for span in SPAN.findall(prose):
        yield from named_in(span)


def named_in(span: str) -> Iterator[tuple[str, str]]:
    """What one piece of code in a page names."""
    for file in FILE.findall(span):
        if "/" in file or file.endswith((".py", ".sql")):
            yield "file", file
    if FOLDER.match(span):
        yield "folder", span
    yield from (("dotted", dotted) for dotted in DOTTED.findall(span))
    short = SHORT.match(span)
    if short and short[1] in modules() and short[2] not in NO_NAMES:
        yield "short", f"{short[1]}.{short[2]}"


def missing(text: str, page: Path) -> list[str]:
    """What a page names and nobody finds."""
    return [word for kind, word in mentions(text) if not exists(kind, word, page)]


def exists(kind: str, word: str, page: Path) -> bool:
    """Whether a file, folder, module or name of a module is there."""
    if kind == "link":
        return (page.parent / word).exists()
    if kind in {"file", "folder"}:
        return (ROOT / word).exists() or (page.parent / word).exists() or ends_a_path(word)
    if kind == "short":
        head, _, last = word.partition(".")
        return any(defines(file, last) for file in modules()[head])
    if word.rpartition(".")[2] in NO_NAMES:
        return True  # a file, seen above
    return module_or_name(word.split("."))


def module_or_name(parts: list[str]) -> bool:
    """Whether dotted parts lead to a module, a package or a name in one."""
    path = ROOT.joinpath(*parts)
    if path.is_dir() or path.with_suffix(".py").is_file():
        return True
    for end in range(len(parts) - 1, 0, -1):
        file = ROOT.joinpath(*parts[:end]).with_suffix(".py")
        if file.is_file():
            return defines(file, parts[end])
    return False


def defines(file: Path, wanted: str) -> bool:
    """Whether a module binds a name at its top level."""
    return any(wanted in bound(node) for node in tree(file).body)


def bound(node: ast.stmt) -> set[str]:
    """The names that a statement binds."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name for alias in node.names}
    return {leaf.id for leaf in ast.walk(node) if isinstance(leaf, ast.Name)}


@cache
def modules() -> dict[str, list[Path]]:
    """The product's modules by their last name."""
    found: dict[str, list[Path]] = {}
    for file in files():
        found.setdefault(file.stem, []).append(file)
    return found


@cache
def paths() -> tuple[str, ...]:
    """Every file that a document may name by the end of its path."""
    return tuple(
        name(file)
        for house in (*FOLDERS, "docs", ".ci")
        for file in (ROOT / house).rglob("*")
        if file.is_file() and "node_modules" not in file.parts and file.suffix != ".pyc"
    )


def ends_a_path(word: str) -> bool:
    return any(path.endswith(f"/{word}") for path in paths())


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_everything_a_document_names_exists(page):
    assert missing(page.read_text("utf-8"), page) == []


@pytest.mark.parametrize(
    "planted",
    [
        "`dispatch/rules/jobs/nowhere.py`",
        "`nowhere.py`",
        "[a page](docs/nowhere.md)",
        "`dispatch/nowhere/`",
        "`dispatch.rules.jobs.nowhere`",
        "`data.replace.nowhere`",
        "`matching.nowhere`",
        "`python -m tests.proof.nowhere`",
    ],
)
def test_what_does_not_exist_is_found(planted):
    assert missing(f"See {planted}.", ROOT / "README.md") != []


@pytest.mark.parametrize(
    "named",
    [
        "`data/enums.py`",
        "`enums.py`",
        "[a page](docs/architecture.md#the-house)",
        "`dispatch/rules/`",
        "`data.enums.Tier`",
        "`python -m geo.gazetteer.build --measure`",
        "`GET /v1/me/why`, `friends.csv`, `https://example.org/a.py`",
    ],
)
def test_what_exists_is_accepted(named):
    assert missing(f"See {named}.", ROOT / "README.md") == []
