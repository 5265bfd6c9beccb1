"""Friends from files of points that geopandas reads: GeoJSON, GeoPackage, GeoParquet."""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geo.row_errors import FieldError, RowError

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

PARQUET_ENDINGS = {".parquet", ".geoparquet"}
IGNORED_COLUMNS = {"id", "fid", "geometry", "geom"}


def features(
    path: Path, check_columns: Callable[[Sequence[str]], list[RowError]]
) -> Iterator[tuple[int, Mapping[str, str] | RowError]]:
    """Yield every feature with its number from 1 and its geometry as lat and lon on WGS84."""
    try:
        frame = _frame(path)
    except FieldError as error:
        yield 0, error.at(0)
        return
    # The geometry counts; columns lat and lon could only contradict it.
    columns = [
        c
        for c in frame.columns
        if c != frame.geometry.name and str(c).lower() not in IGNORED_COLUMNS
    ]
    names = [str(column).strip().lower() for column in columns]
    errors = check_columns([*(name for name in names if name not in {"lat", "lon"}), "lat", "lon"])
    yield from ((0, error) for error in errors)
    if errors:
        return
    for number, (shape, *values) in enumerate(
        zip(frame.geometry, *(frame[column] for column in columns), strict=True), start=1
    ):
        cells = {name: _text(value) for name, value in zip(names, values, strict=True)}
        yield number, _add_point(number, cells, shape)


def _frame(path: Path) -> "GeoDataFrame":
    import geopandas

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            frame = _open(path)
        except FieldError:
            raise
        except ImportError:
            cure = "install tekkie[export], or give the friends as CSV"
            raise FieldError("", "GeoParquet needs pyarrow", cure) from None
        except (OSError, ValueError, TypeError, KeyError, RuntimeError):
            problem = f"the file cannot be read as {path.suffix or 'a file of points'}"
            raise FieldError("", problem, "give CSV, GeoJSON, GeoPackage or GeoParquet") from None
        if not isinstance(frame, geopandas.GeoDataFrame):
            raise FieldError("geometry", "the file has no geometry", "give a point per friend")
        if len(frame) == 0:
            raise FieldError("", "the file has no rows", "add a point per friend")
        if frame.crs is None:
            cure = "name it, for example EPSG:4326"
            raise FieldError("geometry", "the file names no coordinate reference system", cure)
        return frame.to_crs(4326)


def _open(path: Path) -> "GeoDataFrame":
    import geopandas

    if path.suffix.lower() in PARQUET_ENDINGS:
        return geopandas.read_parquet(path)
    import pyogrio

    layers = [str(layer[0]) for layer in pyogrio.list_layers(path)]
    if len(layers) != 1:
        named = ", ".join(layers[:5]) or "none"
        raise FieldError(
            "", f"the file has {len(layers)} layers: {named}", "give a file with one layer"
        )
    # A geometry that GEOS refuses (a line of one point) is a fault of its row, not of the file.
    return geopandas.read_file(path, on_invalid="ignore")


def _add_point(number: int, cells: dict[str, str], shape: Any) -> Mapping[str, str] | RowError:
    if shape is None or shape.is_empty or shape.geom_type != "Point":
        kind = "missing" if shape is None or shape.is_empty else f"a {shape.geom_type}"
        return FieldError("geometry", f"the geometry is {kind}", "give a point").at(number)
    if not (math.isfinite(shape.x) and math.isfinite(shape.y)):
        return FieldError("geometry", "the point is not finite", "give degrees on WGS84").at(number)
    return {**cells, "lat": f"{shape.y:.9f}", "lon": f"{shape.x:.9f}"}


def _text(value: Any) -> str:
    """Return a property as text like a CSV cell."""
    if isinstance(value, (list, tuple)) or type(value).__name__ == "ndarray":
        return ";".join(_text(one) for one in value)
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return ""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.15g}"
    return str(value).strip()
