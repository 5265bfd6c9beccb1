"""Friends from files of points: GeoJSON, GeoPackage, GeoParquet."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from geo.friend_import import geojson, geopackage, geoparquet, points
from geo.friend_import.columns import Line, file_error
from geo.row_errors import FieldError

READERS = {
    ".geojson": geojson.features_of_file,
    ".json": geojson.features_of_file,
    ".gpkg": geopackage.features_of_file,
    ".parquet": geoparquet.features_of_file,
    ".geoparquet": geoparquet.features_of_file,
}
CURE = "give CSV, GeoJSON, GeoPackage or GeoParquet"


def lines_of_file(path: Path) -> Iterator[Line]:
    """Yield the features of a file; its ending names the format, and nothing else is tried."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        yield 0, file_error(f"{path.suffix or 'a file without ending'} is not read", CURE)
    else:
        yield from _lines(path.suffix, lambda: reader(path))


def lines_of_text(text: str) -> Iterator[Line]:
    """Yield the features of a GeoJSON text."""
    return _lines(".geojson", lambda: geojson.features(text))


def _lines(ending: str, read: Callable[[], points.Features]) -> Iterator[Line]:
    try:
        yield from points.lines(read())
    except FieldError as error:
        yield 0, error.at(0)
    except (sqlite3.Error, ValueError, TypeError, LookupError, RuntimeError, MemoryError):
        yield 0, file_error(f"the file cannot be read as {ending}", CURE)
