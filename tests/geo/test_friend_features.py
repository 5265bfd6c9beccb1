import json
import socket
import sqlite3
import struct
from pathlib import Path

import geopandas
import pyarrow as pa
import pytest
from pyarrow import parquet
from shapely import LineString
from shapely import Point as Spot

from data.markets import Market
from geo.friend_import import geojson, geoparquet
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


LINE_OF_ONE = struct.pack("<BII2d", 1, 2, 1, 8.5, 47.3)


def test_a_line_of_one_point_is_a_fault_of_its_row(tmp_path, small):
    """GEOS refuses to make one at all; in GeoJSON too, where `tests/api` has it."""
    write_file(tmp_path / "friends.parquet", frame())
    table = parquet.read_table(tmp_path / "friends.parquet")
    shapes = [table["geometry"][0].as_py(), LINE_OF_ONE]
    at = table.column_names.index("geometry")
    parquet.write_table(
        table.set_column(at, "geometry", pa.array(shapes, pa.binary())),
        tmp_path / "friends.parquet",
    )
    write_file(tmp_path / "friends.gpkg", frame())
    with sqlite3.connect(tmp_path / "friends.gpkg") as package:
        package.create_function("ST_IsEmpty", 1, lambda shape: 0)
        for name in ("minx", "maxx", "miny", "maxy"):
            package.create_function(f"ST_{name}", 1, lambda shape: 0.0)
        header = struct.pack("<2sBBi", b"GP", 0, 1, 4326)
        package.execute("UPDATE friends SET geom = ? WHERE fid = 2", [header + LINE_OF_ONE])
    for name in ("friends.parquet", "friends.gpkg"):
        ana, error = read(tmp_path / name, small)
        assert ana.line == 1
        assert (error.line, error.field, error.cure) == (2, "geometry", "give a point")


@pytest.fixture
def calls(monkeypatch):
    """Every attempt to reach a host."""
    made = []
    monkeypatch.setattr(socket.socket, "connect", lambda *to: made.append(to))
    yield made
    assert made == []


ELSEWHERE = """<OGRVRTDataSource><OGRVRTLayer name="passwd"><SrcDataSource>{}</SrcDataSource>
<SrcLayer>passwd</SrcLayer></OGRVRTLayer></OGRVRTDataSource>"""


@pytest.mark.parametrize(
    "ending", ["geojson", "json", "gpkg", "parquet", "csv", "vrt", "shp", "gml"]
)
@pytest.mark.parametrize("source", ["{}", "/vsicurl/http://127.0.0.1:9/x.csv", "CSV:{}"])
def test_no_file_makes_another_be_read(*, tmp_path, small, calls, ending, source):
    secret = tmp_path / "passwd.csv"
    secret.write_text("ref,name\nroot:x:0:0,TOP-SECRET\n")
    path = tmp_path / f"friends.{ending}"
    path.write_text(ELSEWHERE.format(source.format(secret)))
    errors = list(read(path, small))
    assert {error.line for error in errors} == {0}
    assert "TOP-SECRET" not in str(errors)
    assert "root" not in str(errors)


@pytest.mark.parametrize(
    "name", ["/vsicurl/http://127.0.0.1:9/f.gpkg", "https://127.0.0.1:9/f.geojson"]
)
def test_an_address_is_no_file(small, calls, name):
    (error,) = read(Path(name), small)
    assert "does not exist" in error.problem


@pytest.mark.parametrize(
    "crs",
    [
        {"type": "link", "properties": {"href": "http://127.0.0.1:9/x", "type": "proj4"}},
        {"type": "name", "properties": {"name": "http://127.0.0.1:9/x"}},
        {"type": "name", "properties": {"name": "+proj=longlat +nadgrids=@/etc/passwd"}},
        {"type": "name", "properties": {"name": "EPSG:999999"}},
        *({}, [], 7, True, None),
    ],
)
def test_a_reference_system_is_a_known_name_or_refused(tmp_path, small, calls, crs):
    write_file(tmp_path / "friends.geojson", frame())
    collection = json.loads((tmp_path / "friends.geojson").read_text()) | {"crs": crs}
    (tmp_path / "friends.geojson").write_text(json.dumps(collection))
    (error,) = read(tmp_path / "friends.geojson", small)
    assert (error.line, error.cure != "") == (0, True)


@pytest.mark.parametrize("name", ["urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:EPSG::2056"])
def test_named_reference_systems_of_geojson_are_read(tmp_path, small, name):
    swiss = frame().to_crs(2056 if name.endswith("2056") else 4326)
    write_file(tmp_path / "friends.geojson", swiss)
    crs = {"type": "name", "properties": {"name": name}}
    collection = json.loads((tmp_path / "friends.geojson").read_text()) | {"crs": crs}
    (tmp_path / "friends.geojson").write_text(json.dumps(collection))
    ana, _ = read(tmp_path / "friends.geojson", small)
    assert (ana.point.lat, ana.point.lon) == pytest.approx((47.3775, 8.5213), abs=1e-6)


def test_a_parquet_that_unpacks_to_too_much_is_refused_before_it_is_read(
    tmp_path, small, monkeypatch
):
    monkeypatch.setattr(geoparquet, "MOST_BYTES", 10_000_000)
    path = tmp_path / "friends.parquet"
    many = frame(notes=["x" * 1_000_000] * 2).loc[[0] * 12]
    many.to_parquet(path, compression="zstd", use_dictionary=False, row_group_size=5)
    assert path.stat().st_size < 100_000
    (error,) = read(path, small)
    assert "unpacks to 12 MB" in error.problem


def test_one_text_of_many_rows_is_unpacked_once(tmp_path):
    path = tmp_path / "friends.parquet"
    frame(name=["x" * 1_000_000] * 2).loc[[0] * 100].to_parquet(path)
    before = pa.total_allocated_bytes()
    rows = geoparquet.features_of_file(path).rows
    assert len(next(rows)[0][1]) == 1_000_000
    assert pa.total_allocated_bytes() - before < 20_000_000


@pytest.mark.parametrize(
    "trap",
    [
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS fid FROM n",
        "SELECT zeroblob(900000000) AS name",
    ],
)
def test_a_view_in_a_geopackage_is_not_computed(tmp_path, small, trap):
    path = write_file(tmp_path / "friends.gpkg", frame())
    with sqlite3.connect(path) as package:
        package.execute("ALTER TABLE friends RENAME TO others")
        package.execute(f"CREATE VIEW friends AS {trap}")
    (error,) = read(path, small)
    assert "not a table" in error.problem


def test_a_value_of_gigabytes_in_a_geopackage_is_refused(tmp_path, small):
    path = write_file(tmp_path / "friends.gpkg", frame())
    with sqlite3.connect(path) as package:
        package.execute("ALTER TABLE friends ADD COLUMN market TEXT AS (hex(zeroblob(400000000)))")
    *_, error = read(path, small)
    assert (error.line, "cannot be read" in error.problem) == (0, True)


def test_too_many_bytes_or_rows_are_refused(tmp_path, small, monkeypatch):
    monkeypatch.setattr(geojson, "MOST_BYTES", 100)
    monkeypatch.setattr(geoparquet, "MOST_ROWS", 1)
    monkeypatch.setattr("geo.friend_import.reader.MOST_ROWS", 1)
    for name, problem in (
        ("friends.geojson", "more than 0 MB"),
        ("friends.parquet", "more than 1 rows"),
        ("friends.gpkg", "more than 1 rows"),
    ):
        *_, error = read(write_file(tmp_path / name, frame()), small)
        assert problem in error.problem
