"""Reads friends from a file: yields a checked `Row`, or each `RowError` of its line.

CSV is streamed; only `ref` and `email` of earlier rows are kept, to find duplicates. GeoJSON,
GeoPackage and GeoParquet have features: their line is the number of the feature.
"""

import io
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from data.enums import Tier
from data.markets import Language, Market
from geo.friend_import import csv_lines
from geo.friend_import.columns import MOST_ROWS, Line, file_error
from geo.friend_import.fields import (
    capacity_of,
    certificates_of,
    email_of,
    languages_of,
    market_at,
    market_of,
    name_of,
    number_of,
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

MOST_TEXT_ROWS = 20_000
CSV_ENDINGS = {".csv", ".tsv", ".txt"}
JSON_ENDINGS = {".geojson", ".json"}
TEXT_ENDINGS = frozenset(CSV_ENDINGS | JSON_ENDINGS)

Given = ParamSpec("Given")
Found = TypeVar("Found")


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
    """Yield every row of the file in order, or its errors.

    An error of line 0 concerns the whole file and is the last.
    """
    return _rows(_lines(path), gazetteer, known_certificates, MOST_ROWS)


def read_text(
    ending: str, text: str, gazetteer: Gazetteer, known_certificates: Set[str] | None = None
) -> Iterator[Row | RowError]:
    """Yield the rows of a text, like `read`, at most MOST_TEXT_ROWS.

    `ending` is one of TEXT_ENDINGS.
    """
    lines = _lines_of_text(ending, text)
    return _rows(lines, gazetteer, known_certificates, MOST_TEXT_ROWS)


def _rows(
    lines: Iterator[Line], gazetteer: Gazetteer, known: Set[str] | None, most: int
) -> Iterator[Row | RowError]:
    first_lines = _FirstLines()
    for count, (number, cells) in enumerate(lines, start=1):
        if count > most:
            yield file_error(f"the file has more than {most} rows", "split it")
            return
        if isinstance(cells, RowError):
            yield cells
        else:
            row = _row(number, cells, gazetteer, known, first_lines)
            if isinstance(row, Row):
                yield row
            else:
                yield from row


class _Errors:
    """The errors of one row, the first of each field."""

    def __init__(self) -> None:
        self.by_field: dict[str, FieldError] = {}

    def add(self, error: FieldError) -> None:
        self.by_field.setdefault(error.field, error)

    def catch(
        self, find: Callable[Given, Found], *given: Given.args, **named: Given.kwargs
    ) -> Found | None:
        """Return what `find` returns, or None and keep its error."""
        try:
            return find(*given, **named)
        except FieldError as error:
            self.add(error)
            return None


def _row(
    number: int,
    cells: Mapping[str, str],
    gazetteer: Gazetteer,
    known: Set[str] | None,
    first_lines: _FirstLines,
) -> Row | list[RowError]:
    """Return the row, or its errors, one of each field, in the order of the columns."""
    errors = _Errors()
    _check_text(cells, errors)
    placed = _placed(cells, gazetteer, errors)
    values: dict[str, Any] = {
        "ref": errors.catch(text_of, cells, "ref"),
        "name": errors.catch(name_of, cells),
        "email": errors.catch(email_of, cells),
        "phone": errors.catch(phone_of, cells, placed.get("market")),
        "radius_m": errors.catch(radius_m_of, cells),
        "certificates": errors.catch(certificates_of, cells, known),
        "languages": errors.catch(languages_of, cells),
        "tier": errors.catch(tier_of, cells),
        "capacity": errors.catch(capacity_of, cells),
    }
    for name, lines in (("ref", first_lines.refs), ("email", first_lines.emails)):
        if values[name]:
            errors.catch(_check_unique, lines, name, values[name], number)
    if errors.by_field:
        order = [name for name in (*cells, *errors.by_field) if name in errors.by_field]
        return [errors.by_field[name].at(number) for name in dict.fromkeys(order)]
    return Row(line=number, **values, **placed)


def _placed(cells: Mapping[str, str], gazetteer: Gazetteer, errors: _Errors) -> dict[str, Any]:
    """Return market, point and their description, without what is not known for an error."""
    market = errors.catch(market_of, cells)
    if cells.get("lat") or cells.get("lon"):
        return _at_point(cells, market, gazetteer, errors)
    for name in ("postcode", "city"):
        errors.catch(optional_text, cells, name)
    if errors.by_field.keys() & {"market", "country", "postcode", "city"}:
        return {"market": market}
    place = errors.catch(place_of, cells, market, gazetteer)
    if place is None:
        return {"market": market}
    return {
        "market": place.country,
        "point": place.point,
        "precision": place.precision,
        "precision_m": place.radius_m,
        "postcode": place.postcode,
        "city": place.town,
        "note": place.note,
    }


def _at_point(
    cells: Mapping[str, str], market: Market | None, gazetteer: Gazetteer, errors: _Errors
) -> dict[str, Any]:
    lat = errors.catch(number_of, cells, "lat", -180, 180)
    lon = errors.catch(number_of, cells, "lon", -180, 180)
    point = None if lat is None or lon is None else errors.catch(point_of, lat, lon)
    if point is not None and not errors.by_field.keys() & {"market", "country"}:
        market = errors.catch(market_at, cells, market, point, gazetteer)
    return {
        "market": market,
        "point": point,
        "precision": Precision.EXACT,
        "precision_m": 0,
        "postcode": errors.catch(optional_text, cells, "postcode") or None,
        "city": errors.catch(optional_text, cells, "city") or None,
    }


def _check_text(cells: Mapping[str, str], errors: _Errors) -> None:
    text = "".join(cells.values())
    if not NOT_UTF8.search(text) and not UNPRINTABLE.search(text):
        return
    for name, value in cells.items():
        if NOT_UTF8.search(value):
            errors.add(FieldError(name, f"{name} is not UTF-8", "save the file as UTF-8"))
        elif UNPRINTABLE.search(value):
            problem = f"{name} holds control characters or line ends"
            errors.add(FieldError(name, problem, "remove them"))


def _check_unique(lines: dict[str, int], name: str, value: str, number: int) -> None:
    first = lines.setdefault(value.casefold() if name == "email" else value, number)
    if first != number:
        problem = f"{name} {quote_value(value)} occurs on line {first} already"
        raise FieldError(
            name, problem, f"give each friend their own, or remove line {first} or {number}"
        )


def _lines(path: Path) -> Iterator[Line]:
    try:
        if not path.is_file():
            yield 0, file_error("the file does not exist", "check its name")
        elif path.stat().st_size == 0:
            yield 0, file_error("the file is empty", "give a header and a row per friend")
        elif path.suffix.lower() in CSV_ENDINGS:
            yield from csv_lines.lines_of_file(path)
        else:
            from geo.friend_import import features

            yield from features.lines_of_file(path)
    except OSError as error:
        yield 0, file_error(f"the file cannot be read ({error.strerror})", "check its permissions")


def _lines_of_text(ending: str, text: str) -> Iterator[Line]:
    if ending in CSV_ENDINGS:
        return csv_lines.lines(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    from geo.friend_import import features

    return features.lines_of_text(text.removeprefix("\ufeff"))
