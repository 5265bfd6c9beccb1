import json

import geopandas
import pytest
from shapely import LineString
from shapely import Point as Spot

from data.markets import Market
from geo.friend_import.reader import read
from geo.point import Precision
from geo.row_errors import RowError

PEOPLE = {
    "ref": ["f-1", "f-2"],
    "name": ["Ana Müller", "Bo Keller"],
    "email": ["ana@example.org", "bo@example.org"],
    "phone": ["079 123 45 67", "+41791234568"],
    "radius_km": [10, 2.5],
    "certificates": ["wifi", None],
    "languages": ["de;fr", "en"],
    "tier": ["friend", "pro"],
    "capacity": [2, 3],
}
SPOTS = [Spot(8.5213, 47.3775), Spot(8.6, 47.4)]


def frame(crs=4326, spots=None, **changed):
    return geopandas.GeoDataFrame(PEOPLE | changed, geometry=spots or SPOTS, crs=crs)


def write_file(path, content):
    match path.suffix:
        case ".geojson":
            content.to_file(path, driver="GeoJSON")
        case ".gpkg":
            content.to_file(path, driver="GPKG", layer="friends")
        case ".parquet":
            content.to_parquet(path)
    return path


ENDINGS = ["friends.geojson", "friends.gpkg", "friends.parquet"]


@pytest.mark.parametrize("name", ENDINGS)
def test_friends_come_from_every_format_of_points(tmp_path, small, name):
    ana, bo = read(write_file(tmp_path / name, frame()), small, {"wifi"})
    assert (ana.line, bo.line) == (1, 2)
    assert (ana.name, ana.phone, ana.radius_m) == ("Ana Müller", "+41791234567", 10_000)
    assert (bo.radius_m, bo.capacity, bo.certificates) == (2_500, 3, ())
    assert (ana.point.lat, ana.point.lon) == (47.3775, 8.5213)
    assert (ana.precision, ana.market) == (Precision.EXACT, Market.CH)


@pytest.mark.parametrize("name", ["friends.gpkg", "friends.parquet"])
def test_swiss_coordinates_are_turned_into_wgs84(tmp_path, small, name):
    ana, _ = read(write_file(tmp_path / name, frame().to_crs(2056)), small)
    assert ana.point.lat == pytest.approx(47.3775, abs=1e-6)
    assert ana.point.lon == pytest.approx(8.5213, abs=1e-6)


def test_without_a_reference_system_nothing_is_guessed(tmp_path, small):
    (error,) = read(write_file(tmp_path / "friends.parquet", frame(crs=None)), small)
    assert (error.line, error.field) == (0, "geometry")
    assert "EPSG:4326" in error.cure


@pytest.mark.parametrize("name", ENDINGS)
@pytest.mark.parametrize(
    ("shape", "problem"), [(None, "missing"), (LineString([(8, 47), (9, 47)]), "LineString")]
)
def test_a_geometry_that_is_no_point_is_named_by_its_feature(tmp_path, small, name, shape, problem):
    ana, error = read(write_file(tmp_path / name, frame(spots=[SPOTS[0], shape])), small)
    assert not isinstance(ana, RowError)
    assert (error.line, error.field) == (2, "geometry")
    assert problem in error.problem


def test_swapped_coordinates_are_reported_in_features_too(tmp_path, small):
    spots = [SPOTS[0], Spot(47.4, 8.6)]
    _, error = read(write_file(tmp_path / "friends.gpkg", frame(spots=spots)), small)
    assert "swapped" in error.problem


def test_the_geometry_has_precedence_over_columns_of_coordinates(tmp_path, small):
    given = frame(lat=[1.0, 1.0], lon=[2.0, 2.0])
    ana, _ = read(write_file(tmp_path / "friends.gpkg", given), small)
    assert ana.point.lat == 47.3775


def test_columns_of_features_are_checked_like_those_of_csv(tmp_path, small):
    content = frame(emial=["x", "y"]).drop(columns=["phone"])
    errors = list(read(write_file(tmp_path / "friends.gpkg", content), small))
    assert {error.field for error in errors} == {"emial", "phone"}


def test_a_list_in_geojson_is_a_list(tmp_path, small):
    properties = {name: values[0] for name, values in PEOPLE.items()} | {"languages": ["de", "it"]}
    feature = {
        "type": "Feature",
        "id": 7,
        "properties": properties,
        "geometry": {"type": "Point", "coordinates": [8.5213, 47.3775]},
    }
    path = tmp_path / "friends.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    (ana,) = read(path, small)
    assert ana.languages == ("de", "it")


@pytest.mark.parametrize("name", [*ENDINGS, "friends.xyz"])
@pytest.mark.parametrize("content", [b"nonsense", b"SQLite format 3\x00" + b"\xff" * 5000, b"{}"])
def test_a_broken_file_is_one_error_of_the_file(tmp_path, small, name, content):
    (tmp_path / name).write_bytes(content)
    (error,) = read(tmp_path / name, small)
    assert (error.line, error.cure != "") == (0, True)


@pytest.mark.parametrize("name", ["friends.gpkg", "friends.parquet"])
def test_a_truncated_file_is_one_error_of_the_file(tmp_path, small, name):
    path = write_file(tmp_path / name, frame())
    path.write_bytes(path.read_bytes()[:700])
    (error,) = read(path, small)
    assert error.line == 0


def test_several_layers_are_refused(tmp_path, small):
    path = tmp_path / "friends.gpkg"
    for layer in ("one", "two"):
        frame().to_file(path, driver="GPKG", layer=layer)
    (error,) = read(path, small)
    assert "2 layers: one, two" in error.problem


def test_a_file_without_points_is_an_error(tmp_path, small):
    (error,) = read(write_file(tmp_path / "friends.gpkg", frame().iloc[:0]), small)
    assert "no rows" in error.problem
