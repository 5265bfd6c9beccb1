"""GeoPackage (OGC 12-128), read as the SQLite database that it is.

Without GDAL the content can name no other file and no host. Rows are streamed.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from data import sql_loader
from geo.friend_import.points import Features, Position, no_point, position_of_wkb
from geo.row_errors import FieldError

LONGEST_VALUE = 1_000_000
HEADER_BYTES = 8
ENVELOPE_BYTES = (0, 32, 48, 48, 64)
NEEDED = {"gpkg_contents", "gpkg_geometry_columns", "gpkg_spatial_ref_sys"}

sql = sql_loader.load("geopackage")


def features_of_file(path: Path) -> Features:
    """Return the features of the one layer. Raises FieldError, sqlite3.Error."""
    rows = _read(path)
    names, reference = next(rows)
    return Features(names=names, reference=reference, rows=rows)


def _read(path: Path) -> Iterator[Any]:
    """Yield names and reference system, then the values and the position of every feature."""
    # Changes not yet written into the file lie beside it; then SQLite needs to lock it.
    mode = "mode=ro" if Path(f"{path}-wal").exists() else "mode=ro&immutable=1"
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True)) as package:
        package.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
        package.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        package.execute("PRAGMA trusted_schema = OFF")
        table, geometry, reference = _layer(package)
        quoted = table.replace('"', '""')
        cursor = package.execute(sql.features.format(table=f'"{quoted}"'))
        names = [str(column[0]) for column in cursor.description]
        if geometry not in names:
            raise FieldError("geometry", "the layer has no geometry", "give a point per friend")
        at = names.index(geometry)
        yield [name for name in names if name != geometry], reference
        for row in cursor:
            yield [*row[:at], *row[at + 1 :]], _position(row[at])


def _layer(package: sqlite3.Connection) -> tuple[str, str, str | None]:
    """Return table, geometry column and reference system of the only layer."""
    tables = {str(name) for (name,) in package.execute(sql.real_tables)}
    if not tables >= NEEDED:
        raise FieldError("", "the file is not a GeoPackage", "save it as GeoPackage")
    layers = [str(name) for (name,) in package.execute(sql.layers)]
    if len(layers) != 1:
        named = ", ".join(layers[:5]) or "none"
        problem = f"the file has {len(layers)} layers: {named}"
        raise FieldError("", problem, "give a file with one layer")
    if layers[0] not in tables:
        raise FieldError("", "the layer is not a table", "save its rows as a table")
    found = package.execute(sql.geometry, layers).fetchone()
    if found is None:
        raise FieldError("geometry", "the layer has no geometry", "give a point per friend")
    column, organization, code, definition = found
    return layers[0], str(column), _reference(str(organization), code, str(definition))


def _reference(organization: str, code: Any, definition: str) -> str | None:
    if organization.upper() == "EPSG":
        return f"EPSG:{code}"
    return definition if "[" in definition else None


def _position(content: Any) -> Position:
    """Return the position of a geometry: a header, perhaps an envelope, then WKB."""
    if content is None:
        return no_point("missing")
    if not isinstance(content, bytes) or content[:2] != b"GP" or len(content) <= HEADER_BYTES:
        return no_point("not valid")
    kind = content[3] >> 1 & 7
    if kind >= len(ENVELOPE_BYTES):
        return no_point("not valid")
    return position_of_wkb(content[HEADER_BYTES + ENVELOPE_BYTES[kind] :])
