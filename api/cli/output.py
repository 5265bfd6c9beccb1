"""What a command prints: data on stdout, words and progress on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias
from uuid import UUID

import typer

if TYPE_CHECKING:
    from rich.console import Console

AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]

Report = Callable[[str], None]

WIDE = 200


@cache
def words() -> Console:
    """Where words go: stderr."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


@cache
def paper() -> Console:
    """Where data goes: stdout."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)


def say(text: str) -> None:
    """One line of words, as it is."""
    words().print(text, markup=False)


def print_json(value: Any) -> None:
    """A value as JSON on stdout."""
    sys.stdout.write(json.dumps(plain(value), indent=2, ensure_ascii=False) + "\n")


def print_line(text: str) -> None:
    """One datum on stdout, as it is, to be taken by a script."""
    sys.stdout.write(text + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, none: str) -> None:
    """Rows under a heading, or the words `none` when there are none."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(shown(cell)) for cell in row))
    if table.row_count:
        paper().print(table)
    else:
        say(none)


def shown(value: object) -> str:
    """A value as a person reads it in a table."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, set | frozenset | tuple | list):
        return ", ".join(sorted(map(shown, value))) or "-"
    return str(value)


def plain(value: Any) -> Any:
    """A value of records as JSON knows it."""
    if value is None or isinstance(value, bool | int | float):
        return value
    for kind, turn in PLAIN:
        if isinstance(value, kind):
            return turn(value)
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    return [plain(one) for one in value]


PLAIN: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (datetime, lambda at: at.isoformat().replace("+00:00", "Z")),
    (timedelta, lambda span: span.total_seconds()),
    ((str, UUID, Path), str),
    (Mapping, lambda table: {str(key): plain(value) for key, value in table.items()}),
    (Set, lambda few: sorted(map(plain, few))),
)


@contextmanager
def reporting(first: str) -> Iterator[Report]:
    """A spinner on a terminal, silence elsewhere; yields what tells it the news."""
    if not words().is_terminal:
        yield lambda line: None
        return
    with words().status(first) as status:
        yield status.update


@contextmanager
def counting(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar that counts up to `total`, or without an end; yields what sets it."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    silent = not words().is_terminal
    with Progress(*columns, console=words(), transient=True, disable=silent) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)
