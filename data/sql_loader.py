"""Reads the named SQL blocks of `data/sql/queries`; Python files hold no SQL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.resources.abc import Traversable

NAME = re.compile(r"^-- name:\s*(?P<name>.*?)\s*$")
PARAMETER = re.compile(r"\$([0-9]+)")
QUERIES = files("data") / "sql" / "queries"


class QueryFileBroken(Exception):
    """A file of named SQL blocks is invalid; the message names file, line and cure."""


@dataclass(frozen=True, slots=True)
class Queries:
    """The named blocks of one file: `sql.lock_jobs` is the text of the block `lock_jobs`."""

    source: str
    blocks: Mapping[str, str]

    def __getattr__(self, name: str) -> str:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self.blocks[name]
        except KeyError:
            known = ", ".join(sorted(self.blocks)) or "none"
            raise AttributeError(
                f"{self.source} has no block '-- name: {name}'; it has: {known}"
            ) from None

    def combine(self, *names: str) -> str:
        """Return one statement that executes several blocks as CTEs and returns no rows.

        All blocks see the rows as they were before. Their parameters are numbered consecutively.
        """
        if len(names) == 1:
            return self.blocks[names[0]]
        parts, offset = [], 0
        for name in names:
            text = self.blocks[name]
            parts.append(f"{name} AS (\n{_renumber(text, offset)}\n)")
            offset += max(map(int, PARAMETER.findall(text)), default=0)
        return "\n".join(["WITH", ",\n".join(parts), "SELECT"])


def load(table: str, *, folder: Traversable = QUERIES) -> Queries:
    """Return the named blocks of `<table>.sql`. Raises QueryFileBroken."""
    source = f"{table}.sql"
    try:
        text = (folder / source).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise QueryFileBroken(f"{source} is missing in data/sql/queries") from None
    blocks: dict[str, str] = {}
    for line, name, body in _split_blocks(source, text):
        if name in blocks:
            raise QueryFileBroken(f"{source}:{line}: the block '{name}' occurs twice")
        if not body:
            raise QueryFileBroken(f"{source}:{line}: the block '{name}' is empty")
        blocks[name] = body
    return Queries(source=source, blocks=MappingProxyType(blocks))


def _renumber(text: str, offset: int) -> str:
    return PARAMETER.sub(lambda match: f"${int(match[1]) + offset}", text)


def _split_blocks(source: str, text: str) -> Iterator[tuple[int, str, str]]:
    start, name, body = 0, "", list[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        heading = NAME.match(line)
        if heading is None:
            _refuse_stray(source, number, line, name)
            body.append(line)
            continue
        if name:
            yield start, name, _join_statement(body)
        start, name, body = number, heading["name"], []
        if not name.isidentifier():
            raise QueryFileBroken(
                f"{source}:{number}: '{name}' is not a name; write one like lock_jobs"
            )
    if name:
        yield start, name, _join_statement(body)


def _refuse_stray(source: str, number: int, line: str, name: str) -> None:
    if not name and line.strip() and not line.startswith("--"):
        raise QueryFileBroken(f"{source}:{number}: SQL before the first '-- name: …' line")


def _join_statement(lines: list[str]) -> str:
    if all(not line.strip() or line.lstrip().startswith("--") for line in lines):
        return ""
    return "\n".join(lines).strip()
