"""GeoParquet 1.0 and 1.1, in batches, on the command line alone."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geo.friend_import.columns import MOST_ROWS
from geo.friend_import.points import Features, Position, no_point, position_of_wkb
from geo.row_errors import FieldError

if TYPE_CHECKING:
    from pyarrow.parquet import FileMetaData

MOST_BYTES = 1_000_000_000
BATCH = 1_000
DEGREES = "OGC:CRS84"


def features_of_file(path: Path) -> Features:
    """Return the features of a file. Raises FieldError, ArrowException."""
    try:
        from pyarrow import parquet
    except ImportError:
        cure = "install tekkie[export], or give the friends as CSV"
        raise FieldError("", "GeoParquet needs pyarrow", cure) from None
    metadata = parquet.read_metadata(path)
    _check_size(metadata)
    leaves = [metadata.schema.column(at) for at in range(metadata.num_columns)]
    # As dictionaries, so that a text of many rows is unpacked once.
    texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
    file = parquet.ParquetFile(path, metadata=metadata, read_dictionary=texts)
    geometry, encoding, reference = _described(metadata)
    names = list(file.schema_arrow.names)
    if geometry not in names:
        raise FieldError("geometry", "the file has no geometry", "give a point per friend")
    rows = _rows(file.iter_batches(BATCH), names.index(geometry), encoding)
    return Features(
        names=[name for name in names if name != geometry], reference=reference, rows=rows
    )


def _check_size(metadata: "FileMetaData") -> None:
    """Refuse what would not fit into memory, before anything of it is unpacked."""
    groups = range(metadata.num_row_groups)
    unpacked = sum(metadata.row_group(at).total_byte_size for at in groups)
    if unpacked > MOST_BYTES:
        problem = f"the file unpacks to {unpacked // 1_000_000} MB"
        raise FieldError("", problem, f"give at most {MOST_BYTES // 1_000_000} MB: split it")
    if metadata.num_rows > MOST_ROWS:
        raise FieldError("", f"the file has more than {MOST_ROWS} rows", "split it")


def _described(metadata: "FileMetaData") -> tuple[str, str, Any]:
    """Return column, encoding and reference system of the geometry."""
    described = json.loads((metadata.metadata or {}).get(b"geo", b"null"))
    match described:
        case {"primary_column": str(column), "columns": dict(columns)} if isinstance(
            columns.get(column), dict
        ):
            facts = columns[column]
            return column, str(facts.get("encoding")).lower(), facts.get("crs", DEGREES)
    raise FieldError("geometry", "the file has no geometry", "save it as GeoParquet")


def _rows(
    batches: Iterator[Any], geometry: int, encoding: str
) -> Iterator[tuple[Sequence[Any], Position]]:
    for batch in batches:
        columns = list(batch.columns)
        shapes = columns.pop(geometry)
        for at in range(batch.num_rows):
            shape = shapes[at].as_py()
            yield [column[at].as_py() for column in columns], _position(shape, encoding)


def _position(shape: Any, encoding: str) -> Position:
    if encoding == "point" and isinstance(shape, dict):
        return float(shape["x"]), float(shape["y"])
    if shape is None or isinstance(shape, bytes):
        return position_of_wkb(shape)
    return no_point(f"in the encoding {encoding}")
