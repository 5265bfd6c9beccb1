"""What is kept about people as a table: one line for each fact, in CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

HEAD: Final = ("person", "part", "number", "field", "value")
FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""Beginnings that a spreadsheet would take for a formula."""


def as_csv(people: Iterable[Mapping[str, Any]]) -> str:
    """All facts of these exports, with a byte order mark, by which spreadsheets know UTF-8.

    Parts are those of the JSON; `number` counts their items from 1. What could be a formula is
    preceded by an apostrophe. Lists and objects inside a field keep their path: `address.city`.
    """
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(HEAD)
    for at, person in enumerate(people, 1):
        for part, content in person.items():
            items = content if isinstance(content, list) else [content]
            for number, item in enumerate(items, 1):
                for path, value in _facts(item):
                    writer.writerow((at, part, number, _cell(path), _cell(value)))
    return "\ufeff" + file.getvalue()


def _facts(item: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(item, Mapping):
        pairs: Iterable[tuple[Any, Any]] = item.items()
    elif isinstance(item, list):
        pairs = enumerate(item, 1)
    else:
        if item is not None:
            yield path, item
        return
    for name, value in pairs:
        yield from _facts(value, f"{path}.{name}" if path else str(name))


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return disarm(value) if isinstance(value, str) else value


def disarm(text: str) -> str:
    """A text that no spreadsheet takes for a formula: such a one begins with an apostrophe."""
    return f"'{text}" if text.startswith(FORMULAS) or text.lstrip().startswith(FORMULAS) else text
