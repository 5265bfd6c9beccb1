"""Output of commands: data on stdout, messages and progress on stderr."""

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

WIDTH = 200


@cache
def stderr_console() -> Console:
    """The console for messages: stderr."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


@cache
def stdout_console() -> Console:
    """The console for data: stdout."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)


def print_message(text: str) -> None:
    """Print one line to stderr, without markup."""
    stderr_console().print(text, markup=False)


def print_json(value: Any) -> None:
    """Print a value as JSON to stdout."""
    sys.stdout.write(json.dumps(to_json(value), indent=2, ensure_ascii=False) + "\n")


def print_line(text: str) -> None:
    """Print one datum to stdout, for scripts."""
    sys.stdout.write(text + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, none: str) -> None:
    """Print rows under a heading, or the message `none` without rows."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(format_cell(cell)) for cell in row))
    if table.row_count:
        stdout_console().print(table)
    else:
        print_message(none)


def format_cell(value: object) -> str:
    """A value as text in a table."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, set | frozenset | tuple | list):
        return ", ".join(sorted(map(format_cell, value))) or "-"
    return str(value)


def to_json(value: Any) -> Any:
    """A value of records as JSON types."""
    if value is None or isinstance(value, bool | int | float):
        return value
    for kind, convert in CONVERSIONS:
        if isinstance(value, kind):
            return convert(value)
    if is_dataclass(value):
        return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    return [to_json(one) for one in value]


CONVERSIONS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (datetime, lambda at: at.isoformat().replace("+00:00", "Z")),
    (timedelta, lambda span: span.total_seconds()),
    ((str, UUID, Path), str),
    (Mapping, lambda table: {str(key): to_json(value) for key, value in table.items()}),
    (Set, lambda items: sorted(map(to_json, items))),
)


@contextmanager
def status_spinner(first: str) -> Iterator[Report]:
    """Show a spinner on a terminal, nothing elsewhere; yields the function that updates it."""
    if not stderr_console().is_terminal:
        yield lambda line: None
        return
    with stderr_console().status(first) as status:
        yield status.update


@contextmanager
def progress_bar(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a progress bar up to `total`, if known; yields the function that sets it."""
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
    silent = not stderr_console().is_terminal
    with Progress(*columns, console=stderr_console(), transient=True, disable=silent) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)
