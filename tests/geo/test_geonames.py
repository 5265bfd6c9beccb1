import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.markets import Market
from geo.gazetteer.geonames import read
from geo.point import Precision

VALID = "CH\t8004\tZürich\tKanton Zürich\tZH\tBezirk Zürich\t112\tZürich\t261\t47.3776\t8.5214\t6\n"


def fields(**changed):
    names = ("country", "postcode", "place", "a1", "c1", "a2", "c2", "a3", "c3")
    cells = dict(
        zip((*names, "lat", "lon", "accuracy"), VALID.strip("\n").split("\t"), strict=True)
    )
    return "\t".join((cells | changed).values()) + "\n"


def write_file(tmp_path, *lines):
    path = tmp_path / "dump.txt"
    path.write_bytes("".join(lines).encode("utf-8", "surrogateescape"))
    return path


def test_a_line_of_the_dump_becomes_a_row(tmp_path):
    rows, errors = read(write_file(tmp_path, VALID))
    assert errors == []
    assert (rows[0].country, rows[0].postcode, rows[0].town) == (Market.CH, "8004", "Zürich")
    assert (rows[0].lat, rows[0].lon, rows[0].region) == (47.3776, 8.5214, "Kanton Zürich")
    assert (rows[0].precision, rows[0].radius_m) == (Precision.POSTCODE, 1500)


def test_an_estimated_point_has_a_coarse_precision(tmp_path):
    rows, _ = read(write_file(tmp_path, fields(accuracy="1"), fields(postcode="8005", accuracy="")))
    assert {row.precision for row in rows} == {Precision.DISTRICT}


def test_the_zip_is_read_as_it_comes(tmp_path):
    path = tmp_path / "CH.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "about")
        archive.writestr("CH.txt", VALID + fields(postcode="8005"))
    rows, errors = read(path)
    assert (len(rows), errors) == (2, [])


def test_other_countries_and_empty_lines_are_skipped(tmp_path):
    rows, errors = read(write_file(tmp_path, VALID, "\n", fields(country="FR", postcode="75001")))
    assert (len(rows), errors) == (1, [])


def test_a_duplicate_town_is_kept_once(tmp_path):
    assert len(read(write_file(tmp_path, VALID, VALID))[0]) == 1


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"country": "ch"}, "country"),
        ({"country": ""}, "country"),
        ({"postcode": "800"}, "postcode"),
        ({"place": " "}, "place"),
        ({"place": "x" * 181}, "place"),
        ({"lat": "47,37"}, "lat"),
        ({"lat": ""}, "lat"),
        ({"lat": "nan"}, "lat"),
        ({"lat": "91"}, "lat"),
        ({"lon": "181"}, "lon"),
        ({"lat": "8.5214", "lon": "47.3776"}, "lat"),
        ({"lat": "52.5", "lon": "13.4"}, "lat"),
        ({"accuracy": "9"}, "accuracy"),
        ({"place": "Zü\x00rich"}, ""),
        ({"place": "Z\udcfcrich"}, ""),
        ({"place": "Zürich\tmore"}, ""),
        ({"place": "x" * 3000}, ""),
    ],
)
def test_an_invalid_line_is_reported_by_number_field_and_cure_and_no_row_is_kept(
    tmp_path, changed, field
):
    rows, errors = read(write_file(tmp_path, VALID, fields(**changed), VALID))
    assert rows == []
    assert [(error.line, error.field) for error in errors] == [(2, field)]
    assert errors[0].cure


def test_swapped_coordinates_are_reported(tmp_path):
    _, errors = read(write_file(tmp_path, fields(lat="8.5214", lon="47.3776")))
    assert "swapped" in str(errors[0])


def test_every_invalid_line_is_reported(tmp_path):
    lines = [fields(postcode=str(n)) for n in range(7)]
    assert [error.line for error in read(write_file(tmp_path, *lines))[1]] == [1, 2, 3, 4, 5, 6, 7]


def test_a_file_that_is_not_a_dump_is_one_error(tmp_path):
    assert "does not exist" in str(read(tmp_path / "absent.txt")[1][0])
    assert "no postcode of CH" in str(read(write_file(tmp_path, ""))[1][0])
    assert "columns" in str(read(write_file(tmp_path, "geonameid\tname\n"))[1][0])
    broken = tmp_path / "broken.zip"
    with zipfile.ZipFile(broken, "w") as archive:
        archive.writestr("other.csv", "x")
    assert "no single .txt" in str(read(broken)[1][0])
    content = broken.read_bytes()
    broken.write_bytes(content[: len(content) // 2])
    assert read(broken)[1][0].line in {0, 1}
    assert read(tmp_path)[1][0].line == 0


@given(st.binary(max_size=300))
def test_any_bytes_give_rows_or_errors(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("bytes") / "dump.txt"
    path.write_bytes(content)
    rows, errors = read(path)
    assert bool(rows) != bool(errors)
