"""What files of points have in common: a position of each feature, brought to WGS84."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from geo.friend_import.columns import Line, check_columns, file_error
from geo.row_errors import FieldError, RowError

IGNORED_COLUMNS = {"id", "fid", "geometry", "geom", "bbox", "__index_level_0__"}
WGS84 = {"EPSG:4326", "OGC:CRS84"}

Position = tuple[float, float] | FieldError
"""x and y in the file's reference system, or what is wrong with the geometry."""
Transform = Callable[[float, float], tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """The features of a file: names of their properties, reference system, values and positions.

    `reference` is what pyproj takes, in the order x, y; None if the file names none.
    """

    names: Sequence[str]
    reference: Any
    rows: Iterator[tuple[Sequence[Any], Position]]


def lines(features: Features) -> Iterator[Line]:
    """Yield every feature with its number from 1, and its position as lat and lon."""
    # The geometry counts; columns lat and lon could only contradict it.
    names = [name.strip().lower() for name in features.names]
    kept = [at for at, name in enumerate(names) if name not in IGNORED_COLUMNS]
    named = [names[at] for at in kept if names[at] not in {"lat", "lon"}]
    errors = check_columns([*named, "lat", "lon"])
    yield from ((0, error) for error in errors)
    if errors:
        return
    transform, number = transform_of(features.reference), 0
    for number, (values, position) in enumerate(features.rows, start=1):
        cells = {names[at]: values[at] for at in kept}
        yield number, _line(number, cells, position, transform)
    if not number:
        yield 0, file_error("the file has no rows", "add a point per friend")


def transform_of(reference: Any) -> Transform | None:
    """Return what turns x and y into degrees; None for degrees on WGS84. Raises FieldError."""
    if reference is None:
        problem = "the file names no coordinate reference system"
        raise FieldError("geometry", problem, "name it, for example EPSG:4326")
    if isinstance(reference, str) and reference in WGS84:
        return None
    import pyproj
    from pyproj import network

    # A definition may name grids to be fetched.
    network.set_network_enabled(active=False)  # type: ignore[attr-defined]
    try:
        system = pyproj.CRS.from_user_input(reference)
        return pyproj.Transformer.from_crs(system, 4326, always_xy=True).transform
    except pyproj.exceptions.ProjError:
        problem = "the coordinate reference system is not known"
        raise FieldError("geometry", problem, "use EPSG:4326") from None


def position_of_wkb(content: bytes | None) -> Position:
    """Return the position of a geometry in well-known binary."""
    import shapely

    if content is None:
        return no_point("missing")
    # A geometry that GEOS refuses (a line of one point) is a fault of its row, not of the file.
    shape: Any = shapely.from_wkb(content, on_invalid="ignore")
    if shape is None:
        return no_point("not valid")
    if shape.is_empty:
        return no_point("missing")
    if shape.geom_type != "Point":
        return no_point(f"a {shape.geom_type}")
    return shape.x, shape.y


def no_point(kind: str) -> FieldError:
    """Return the error of a geometry that is `kind` instead of a point."""
    return FieldError("geometry", f"the geometry is {kind}", "give a point")


def _line(
    number: int, values: Mapping[str, Any], position: Position, transform: Transform | None
) -> Mapping[str, str] | RowError:
    if isinstance(position, FieldError):
        return position.at(number)
    x, y = position if transform is None else transform(*position)
    if not (math.isfinite(x) and math.isfinite(y)):
        return FieldError("geometry", "the point is not finite", "give degrees on WGS84").at(number)
    try:
        cells = {name: _text(name, value) for name, value in values.items()}
    except FieldError as error:
        return error.at(number)
    return {**cells, "lat": f"{y:.9f}", "lon": f"{x:.9f}"}


def _text(name: str, value: Any) -> str:
    """Return a property as text like a CSV cell."""
    if isinstance(value, list):
        return ";".join(_scalar(name, one) for one in value)
    return _scalar(name, value)


def _scalar(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (list, dict, bytes)):
        raise FieldError(name, f"{name} is not a text or a number", "give one")
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.15g}"
    return str(value).strip()
