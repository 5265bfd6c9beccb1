"""GeoJSON (RFC 7946), read without GDAL: the content can name no other file and no host."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from geo.friend_import.points import Features, Position, no_point
from geo.row_errors import FieldError, quote_value

MOST_BYTES = 200_000_000

# The member `crs` of GeoJSON 2008, which QGIS still writes.
_NAMED = re.compile(r"(?:urn:ogc:def:crs:)?(OGC|EPSG):[0-9.]*:?(CRS84|[0-9]{4,6})")


def features_of_file(path: Path) -> Features:
    """Return the features of a file. Raises FieldError."""
    if path.stat().st_size > MOST_BYTES:
        problem = f"the file has more than {MOST_BYTES // 1_000_000} MB"
        raise FieldError("", problem, "split it, or give GeoPackage or CSV")
    return features(path.read_text("utf-8-sig", errors="surrogateescape"))


def features(text: str) -> Features:
    """Return the features of a collection. Raises FieldError."""
    try:
        collection = json.loads(text)
    except (ValueError, RecursionError):
        raise FieldError("", "the file is not JSON", "give a GeoJSON FeatureCollection") from None
    if not isinstance(collection, dict) or collection.get("type") != "FeatureCollection":
        raise FieldError(
            "", "the file is not a FeatureCollection", "give a GeoJSON FeatureCollection"
        )
    found = collection.get("features")
    if not isinstance(found, list):
        raise FieldError("features", "features is not a list", "give a list of features")
    names = list(dict.fromkeys(name for one in found for name in _properties(one) or ()))
    return Features(names=names, reference=_reference(collection), rows=_rows(names, found))


def _rows(names: Sequence[str], found: list[Any]) -> Iterator[tuple[Sequence[Any], Position]]:
    for feature in found:
        properties = _properties(feature)
        if properties is None:
            yield [None] * len(names), FieldError("properties", "they are missing", "add them")
        else:
            yield [properties.get(name) for name in names], _position(feature.get("geometry"))


def _properties(feature: Any) -> Mapping[str, Any] | None:
    properties = feature.get("properties") if isinstance(feature, dict) else None
    return properties if isinstance(properties, dict) else None


def _position(geometry: Any) -> Position:
    if geometry is None:
        return no_point("missing")
    kind = geometry.get("type") if isinstance(geometry, dict) else geometry
    if kind != "Point":
        return no_point(f"a {kind}" if isinstance(kind, str) and kind.isalpha() else "not known")
    match geometry.get("coordinates"):
        case [float() | int() as x, float() | int() as y, *_] if type(x) is not bool:
            try:
                return float(x), float(y)
            except OverflowError:
                return no_point("too far away")
        case [] | None:
            return no_point("missing")
    return no_point("without coordinates")


def _reference(collection: Mapping[str, Any]) -> str | None:
    named = collection.get("crs", "EPSG:4326")
    match named:
        case str():
            name = named
        case {"type": "name", "properties": {"name": str(name)}}:
            pass
        case None:
            return None
        case _:
            cure = "remove crs for degrees on WGS84, or name it, for example EPSG:4326"
            raise FieldError("crs", "crs is not a name, and nothing is fetched", cure)
    if found := _NAMED.fullmatch(name):
        return f"{found[1]}:{found[2]}"
    problem = f"crs {quote_value(name)} is not known"
    raise FieldError("crs", problem, "give it like EPSG:4326")
