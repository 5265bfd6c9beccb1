"""Reads friends from a file: yields a checked `Row` or a `RowError` per line.

CSV is streamed; only `ref` and `email` of earlier rows are kept, to find duplicates. GeoJSON,
GeoPackage and GeoParquet have features: their line is the number of the feature.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from rapidfuzz import process

from data.enums import Tier
from data.markets import Language, Market
from geo.friend_import.fields import (
    capacity_of,
    certificates_of,
    email_of,
    languages_of,
    market_at,
    market_of,
    optional_text,
    phone_of,
    place_of,
    point_of,
    radius_m_of,
    text_of,
    tier_of,
)
from geo.gazetteer.offline import Gazetteer
from geo.point import Point, Precision
from geo.row_errors import NOT_UTF8, UNPRINTABLE, FieldError, RowError, quote_value

MOST_ROWS = 2_000_000
MOST_COLUMNS = 200
REQUIRED = ("ref", "name", "email", "phone", "radius_km", "languages")
PLACED_BY = (("lat", "lon"), ("postcode", "country"), ("city", "country"))
COLUMNS = (
    *REQUIRED,
    *("lat", "lon", "postcode", "city", "country"),
    *("certificates", "tier", "capacity", "market"),
)
CSV_ENDINGS = {".csv", ".tsv", ".txt"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One friend of a file, all fields checked.

    `precision_m` is the possible error of the point. `note` describes a problem of the address, if
    any.
    """

    line: int
    ref: str
    name: str
    email: str
    phone: str
    market: Market
    point: Point
    precision: Precision
    precision_m: int
    postcode: str | None
    city: str | None
    radius_m: int
    certificates: tuple[str, ...]
    languages: tuple[Language, ...]
    tier: Tier
    capacity: int
    note: str = ""


@dataclass(slots=True)
class _FirstLines:
    """The first lines of each ref and e-mail address."""

    refs: dict[str, int] = field(default_factory=dict)
    emails: dict[str, int] = field(default_factory=dict)


def read(
    path: Path, gazetteer: Gazetteer, known_certificates: Set[str] | None = None
) -> Iterator[Row | RowError]:
    """Yield every row of the file in order, or its error.

    An error of line 0 concerns the whole file and is the last.
    """
    first_lines = _FirstLines()
    for number, cells in _lines(path):
        if isinstance(cells, RowError):
            yield cells
            continue
        if number > MOST_ROWS:
            yield _file_error("", f"the file has more than {MOST_ROWS} rows", "split it")
            return
        try:
            row = _row(number, cells, gazetteer, known_certificates)
            _check_unique(first_lines.refs, "ref", row.ref, number)
            _check_unique(first_lines.emails, "email", row.email.casefold(), number)
        except FieldError as error:
            yield error.at(number)
        else:
            yield row


def check_columns(columns: Sequence[str]) -> list[RowError]:
    """Return the errors of a header: unknown, duplicate and missing columns."""
    errors = []
    for name in dict.fromkeys(columns):
        if name not in COLUMNS:
            errors.append(
                _file_error(
                    name[:40], f"column {quote_value(name)} is not known", _suggest_column(name)
                )
            )
        elif columns.count(name) > 1:
            errors.append(_file_error(name, f"column {name} occurs twice", "remove one"))
    for name in REQUIRED:
        if name not in columns:
            errors.append(_file_error(name, f"column {name} is missing", "add it"))
    if not any(set(placed) <= set(columns) for placed in PLACED_BY):
        cure = "add lat and lon, or postcode, city and country"
        errors.append(_file_error("lat", "no columns give the friend's place", cure))
    return errors


def _row(
    number: int, cells: Mapping[str, str], gazetteer: Gazetteer, known: Set[str] | None
) -> Row:
    _check_text(cells)
    market, point = market_of(cells), point_of(cells)
    precision, precision_m, note = Precision.EXACT, 0, ""
    postcode, city = optional_text(cells, "postcode") or None, optional_text(cells, "city") or None
    if point is None:
        place = place_of(cells, market, gazetteer)
        market, point = place.country, place.point
        precision, precision_m, note = place.precision, place.radius_m, place.note
        postcode, city = place.postcode, place.town
    else:
        market = market_at(cells, market, point, gazetteer)
    return Row(
        line=number,
        ref=text_of(cells, "ref"),
        name=text_of(cells, "name"),
        email=email_of(cells),
        phone=phone_of(cells, market),
        market=market,
        point=point,
        precision=precision,
        precision_m=precision_m,
        postcode=postcode,
        city=city,
        radius_m=radius_m_of(cells),
        certificates=certificates_of(cells, known),
        languages=languages_of(cells),
        tier=tier_of(cells),
        capacity=capacity_of(cells),
        note=note,
    )


def _check_text(cells: Mapping[str, str]) -> None:
    text = "".join(cells.values())
    if not NOT_UTF8.search(text) and not UNPRINTABLE.search(text):
        return
    for name, value in cells.items():
        if NOT_UTF8.search(value):
            raise FieldError(name, f"{name} is not UTF-8", "save the file as UTF-8")
        if UNPRINTABLE.search(value):
            raise FieldError(name, f"{name} holds control characters or line ends", "remove them")


def _check_unique(lines: dict[str, int], name: str, value: str, number: int) -> None:
    first = lines.setdefault(value, number)
    if first != number:
        problem = f"{name} {quote_value(value)} occurs on line {first} already"
        raise FieldError(
            name, problem, f"give each friend their own, or remove line {first} or {number}"
        )


def _lines(path: Path) -> Iterator[tuple[int, Mapping[str, str] | RowError]]:
    try:
        if not path.is_file():
            yield 0, _file_error("", "the file does not exist", "check its name")
        elif path.stat().st_size == 0:
            yield 0, _file_error("", "the file is empty", "give a header and a row per friend")
        elif path.suffix.lower() in CSV_ENDINGS:
            yield from _csv(path)
        else:
            from geo.friend_import.features import features

            yield from features(path, check_columns)
    except OSError as error:
        yield (
            0,
            _file_error("", f"the file cannot be read ({error.strerror})", "check its permissions"),
        )


def _csv(path: Path) -> Iterator[tuple[int, Mapping[str, str] | RowError]]:
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        start = file.readline(100_000)
        if "\x00" in start or NOT_UTF8.search(start[:2]):
            yield 0, _file_error("", "the file is not UTF-8 text", "save it as CSV in UTF-8")
            return
        file.seek(0)
        yield from _records(file, _delimiter(start))


def _records(file: TextIO, delimiter: str) -> Iterator[tuple[int, Mapping[str, str] | RowError]]:
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    line, columns = 1, [""]
    try:
        columns = [name.strip().lower() for name in next(reader, [])]
        errors = check_columns(columns[:MOST_COLUMNS])
        yield from ((0, error) for error in errors)
        if errors:
            return
        line, rows = reader.line_num + 1, 0
        for values in reader:
            if values:
                rows += 1
                yield line, _cells(line, columns, values)
            line = reader.line_num + 1
    except csv.Error as error:
        problem, cure = f"the line is not CSV ({error})", "correct the quotes from here on"
        yield line, RowError(line=line, field="", problem=problem, cure=cure)
    else:
        if not rows:
            yield 0, _file_error("", "the file has a header and no rows", "add a row per friend")


def _cells(line: int, columns: list[str], values: list[str]) -> Mapping[str, str] | RowError:
    if len(values) == len(columns):
        return {name: value.strip(" \xa0") for name, value in zip(columns, values, strict=True)}
    problem = f"the line has {len(values)} fields, the header {len(columns)}"
    cure = "put fields that hold the delimiter in quotes"
    return RowError(line=line, field="", problem=problem, cure=cure)


def _delimiter(header: str) -> str:
    return max(",;\t", key=header.count)


def _suggest_column(name: str) -> str:
    best = process.extractOne(name, COLUMNS, score_cutoff=60)
    return f"did you mean {best[0]}?" if best else f"use {', '.join(COLUMNS)}"


def _file_error(name: str, problem: str, cure: str) -> RowError:
    return RowError(line=0, field=name, problem=problem, cure=cure)
