"""The columns of a file of friends, whatever its format."""

from collections.abc import Mapping, Sequence

from rapidfuzz import process

from geo.row_errors import RowError, quote_value

MOST_COLUMNS = 200
MOST_ROWS = 2_000_000
REQUIRED = ("ref", "name", "email", "phone", "radius_km", "languages")
PLACED_BY = (("lat", "lon"), ("postcode", "country"), ("city", "country"))
COLUMNS = (
    *REQUIRED,
    *("lat", "lon", "postcode", "city", "country"),
    *("certificates", "tier", "capacity", "market"),
)

Line = tuple[int, Mapping[str, str] | RowError]
"""The number of a line or feature, and its cells by column, or its error."""


def check_columns(columns: Sequence[str]) -> list[RowError]:
    """Return the errors of a header: unknown, duplicate and missing columns."""
    errors = []
    for name in dict.fromkeys(columns[:MOST_COLUMNS]):
        if name not in COLUMNS:
            problem = f"column {quote_value(name)} is not known"
            errors.append(file_error(problem, _suggest(name), name[:40]))
        elif columns.count(name) > 1:
            errors.append(file_error(f"column {name} occurs twice", "remove one", name))
    for name in REQUIRED:
        if name not in columns:
            errors.append(file_error(f"column {name} is missing", "add it", name))
    if not any(set(placed) <= set(columns) for placed in PLACED_BY):
        cure = "add lat and lon, or postcode, city and country"
        errors.append(file_error("no columns give the friend's place", cure, "lat"))
    return errors


def file_error(problem: str, cure: str, field: str = "") -> RowError:
    """Return an error of the whole file."""
    return RowError(line=0, field=field, problem=problem, cure=cure)


def _suggest(name: str) -> str:
    best = process.extractOne(name, COLUMNS, score_cutoff=60)
    return f"did you mean {best[0]}?" if best else f"use {', '.join(COLUMNS)}"
