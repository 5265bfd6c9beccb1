"""The product's own source, parsed."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("api", "scheduler", "dispatch", "geo", "data")


def files() -> list[Path]:
    """Every Python file of the five packages."""
    found = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
    assert found, f"no source under {ROOT}"
    return [file for file in found if "node_modules" not in file.parts]


@cache
def tree(file: Path) -> ast.Module:
    """The syntax tree of one file."""
    return ast.parse(file.read_text("utf-8"), filename=str(file))


def name(file: Path) -> str:
    """The path from the root, with slashes."""
    return file.relative_to(ROOT).as_posix()


def nodes(*kinds: type[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    """Every node of these kinds in the product, with its file's name."""
    for file in files():
        for node in ast.walk(tree(file)):
            if isinstance(node, kinds):
                yield name(file), node
