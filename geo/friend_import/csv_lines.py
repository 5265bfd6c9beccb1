"""Lines of CSV, as spreadsheets write it; only one line is held at a time."""

import csv
import re
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import TextIO

from geo.friend_import.columns import Line, check_columns, file_error
from geo.row_errors import NOT_UTF8, RowError, quote_value

LONGEST_LINE = 1_000_000
DELIMITERS = ",;\t"
BLANK = " \xa0"

_SEP_LINE = re.compile(rf'"?sep=([{DELIMITERS}|])"?\r?\n?', re.IGNORECASE)


def lines_of_file(path: Path) -> Iterator[Line]:
    """Yield every line with something in it, by the number that an editor shows."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        yield from lines(file)


def lines(file: TextIO) -> Iterator[Line]:
    """Yield the lines of an open file. Its first line may be Excel's `sep=;`."""
    try:
        first = file.readline(LONGEST_LINE)
        if "\x00" in first or NOT_UTF8.search(first[:2]):
            yield 0, file_error("the file is not UTF-8 text", "save it as CSV in UTF-8")
        elif named := _SEP_LINE.fullmatch(first):
            yield from _records(_physical_lines(file), named[1], 1)
        else:
            skipped = 0
            while first and not first.strip(f'{DELIMITERS}{BLANK}"\r\n'):
                first, skipped = file.readline(LONGEST_LINE), skipped + 1
            delimiter = max(DELIMITERS, key=first.count)
            yield from _records(chain([first], _physical_lines(file)), delimiter, skipped)
    except UnicodeError:
        yield 0, file_error("the file is not UTF-8 text", "save it as CSV in UTF-8")


def _physical_lines(file: TextIO) -> Iterator[str]:
    while line := file.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise csv.Error(f"it is longer than {LONGEST_LINE} characters")
        yield line


def _records(file: Iterator[str], delimiter: str, skipped: int) -> Iterator[Line]:
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    line = skipped + 1
    try:
        columns = [name.strip(BLANK).lower() for name in next(reader, [])]
        errors = check_columns([name for name in columns if name])
        yield from ((0, error) for error in errors)
        if errors:
            return
        line, rows = skipped + reader.line_num + 1, 0
        for values in reader:
            stripped = [value.strip(BLANK) for value in values]
            if any(stripped):
                rows += 1
                yield line, _cells(line, columns, stripped)
            line = skipped + reader.line_num + 1
    except csv.Error as error:
        problem, cure = f"the line is not CSV ({error})", "correct the quotes from here on"
        yield line, RowError(line=line, field="", problem=problem, cure=cure)
    else:
        if not rows:
            yield 0, file_error("the file has a header and no rows", "add a row per friend")


def _cells(line: int, columns: list[str], values: list[str]) -> Mapping[str, str] | RowError:
    """Return the cells of a line; columns without a name must be empty, and may be missing."""
    while len(values) > len(columns) and not values[-1]:
        values.pop()
    if len(values) > len(columns) or any(columns[len(values) :]):
        problem = f"the line has {len(values)} fields, the header {len(columns)}"
        cure = "put fields that hold the delimiter in quotes"
        return RowError(line=line, field="", problem=problem, cure=cure)
    for number, (name, value) in enumerate(zip(columns, values, strict=False), start=1):
        if value and not name:
            problem = f"{quote_value(value)} stands in column {number}, which has no name"
            return RowError(line=line, field="", problem=problem, cure="name it or empty it")
    return {name: value for name, value in zip(columns, values, strict=False) if name}
