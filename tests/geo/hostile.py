"""Malformed files of friends, for hypothesis: values, geometries, whole collections."""

import json
from typing import Any

from hypothesis import strategies as st

VALID: dict[str, Any] = {
    "name": "Ana Muster",
    "phone": "+41791234567",
    "radius_km": 12.5,
    "certificates": "wifi",
    "languages": "de;en",
    "tier": "friend",
    "capacity": 3,
}
SPOT = [8.5213, 47.3775]
HOSTILE_VALUES = [
    *("", " ", "\x00", "a\x00b", "\x1b[2J", "\u202e", "\u2028", "\ud800", "\ufffe", "é" * 300),
    *("'; DROP TABLE friends; --", "=cmd|' /C calc'!A0", "{{7*7}}", "%s%n", "../../etc/passwd"),
    *("x" * 10_000, "1e400", "NaN", "-0", "٣", "+0041", "null", "true", "[1]", "{}", "🧨"),
]
numbers = st.one_of(st.integers(-(10**30), 10**30), st.floats())
scalars = st.one_of(
    st.none(), st.booleans(), numbers, st.text(max_size=20), st.sampled_from(HOSTILE_VALUES)
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
positions = st.lists(st.one_of(numbers, st.sampled_from([8.5, 47.3, 181, -91])), max_size=4)
SHAPES = [
    *("Point", "MultiPoint", "LineString", "Polygon", "MultiPolygon", "GeometryCollection"),
    *("point", "Feature", "Curve", "", None, 7),
]
geometries = st.one_of(
    st.none(),
    values,
    st.fixed_dictionaries({"type": st.sampled_from(SHAPES), "coordinates": positions}),
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(SHAPES),
            "coordinates": st.lists(positions, max_size=4),
            "geometries": st.lists(st.just({"type": "Point", "coordinates": SPOT}), max_size=2),
        }
    ),
)


def valid_feature(number: int) -> dict[str, Any]:
    """Return a valid feature: ref `good-1` for number 1."""
    identity = {"ref": f"good-{number}", "email": f"good-{number}@example.org"}
    return {
        "type": "Feature",
        "properties": VALID | identity,
        "geometry": {"type": "Point", "coordinates": SPOT},
    }


@st.composite
def features(draw: st.DrawFn, number: int) -> dict[str, Any]:
    """A feature with some of its values, or its geometry, replaced by unusual ones."""
    feature = valid_feature(number)
    feature["properties"] |= {"ref": f"unusual-{number}", "email": f"unusual-{number}@example.org"}
    unusual = draw(
        st.dictionaries(st.sampled_from(sorted(feature["properties"])), values, max_size=3)
    )
    feature["properties"] |= unusual
    if not unusual or draw(st.booleans()):
        feature["geometry"] = draw(geometries)
    return feature


@st.composite
def collections(draw: st.DrawFn) -> tuple[str, list[int]]:
    """The text of a collection, and the lines of the features that are surely valid."""
    are_valid = draw(st.lists(st.booleans(), min_size=1, max_size=5))
    feature = [
        valid_feature(line) if is_valid else draw(features(line))
        for line, is_valid in enumerate(are_valid, start=1)
    ]
    whole = {"type": "FeatureCollection", "features": feature}
    return json.dumps(whole), [line for line, is_valid in enumerate(are_valid, start=1) if is_valid]


malformed = st.one_of(
    st.text(max_size=200),
    values.map(json.dumps),
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["FeatureCollection", "Feature", "Topology", "Point", None]),
            "features": st.one_of(values, st.lists(values, max_size=3)),
            "crs": st.one_of(
                values, st.just({"type": "name", "properties": {"name": "EPSG:2056"}})
            ),
        }
    ).map(json.dumps),
    st.just("[" * 50_000),
    st.just('{"type":"FeatureCollection","features":[' + '{"type":"Feature","properties":' * 5_000),
)
"""Texts that are not a collection."""
