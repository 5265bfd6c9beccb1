"""Files of friends that mean no good, for hypothesis: values, geometries, whole collections."""

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
    """A feature that can be taken: ref `good-1` for number 1."""
    told = {"ref": f"good-{number}", "email": f"good-{number}@example.org"}
    return {
        "type": "Feature",
        "properties": VALID | told,
        "geometry": {"type": "Point", "coordinates": SPOT},
    }


@st.composite
def features(draw: st.DrawFn, number: int) -> dict[str, Any]:
    """A feature with some of its values, or its geometry, changed for something odd."""
    made = valid_feature(number)
    made["properties"] |= {"ref": f"odd-{number}", "email": f"odd-{number}@example.org"}
    odd = draw(st.dictionaries(st.sampled_from(sorted(made["properties"])), values, max_size=3))
    made["properties"] |= odd
    if not odd or draw(st.booleans()):
        made["geometry"] = draw(geometries)
    return made


@st.composite
def collections(draw: st.DrawFn) -> tuple[str, list[int]]:
    """The text of a collection, and the lines of the features that are good for certain."""
    kinds = draw(st.lists(st.booleans(), min_size=1, max_size=5))
    made = [
        valid_feature(line) if fine else draw(features(line))
        for line, fine in enumerate(kinds, start=1)
    ]
    whole = {"type": "FeatureCollection", "features": made}
    return json.dumps(whole), [line for line, fine in enumerate(kinds, start=1) if fine]


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
"""Texts that are hardly a collection at all."""
