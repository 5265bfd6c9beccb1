import csv
import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.enums import Tier
from data.markets import Language, Market
from geo.friend_import.columns import COLUMNS
from geo.friend_import.reader import Row, read
from geo.point import Point, Precision
from geo.row_errors import RowError

BASE = {
    "ref": "f-1",
    "name": "Ana Muster",
    "email": "ana@example.org",
    "phone": "079 123 45 67",
    "lat": "47.3775",
    "lon": "8.5213",
    "radius_km": "12.5",
    "certificates": "wifi;smart-home",
    "languages": "de;EN",
    "tier": "pro",
    "capacity": "4",
}
PLACED = {k: v for k, v in BASE.items() if k not in {"lat", "lon"}} | {
    "postcode": "8004",
    "city": "Zuerich",
    "country": "CH",
}


def write_file(path, rows, delimiter=",", encoding="utf-8"):
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(text.getvalue().encode(encoding, "surrogateescape"))
    return path


@pytest.fixture
def of(tmp_path, small):
    def read_rows(*rows, known=None, **how):
        return list(read(write_file(tmp_path / "friends.csv", list(rows), **how), small, known))

    return read_rows


@pytest.fixture
def raw(tmp_path, small):
    def read_bytes(content, name="friends.csv"):
        (tmp_path / name).write_bytes(content)
        return list(read(tmp_path / name, small))

    return read_bytes


def test_a_row_with_coordinates_keeps_them(of):
    assert of(BASE) == [
        Row(
            line=2,
            ref="f-1",
            name="Ana Muster",
            email="ana@example.org",
            phone="+41791234567",
            market=Market.CH,
            point=Point(47.3775, 8.5213),
            precision=Precision.EXACT,
            precision_m=0,
            postcode=None,
            city=None,
            radius_m=12_500,
            certificates=("wifi", "smart-home"),
            languages=(Language.DE, Language.EN),
            tier=Tier.PRO,
            capacity=4,
        )
    ]


def test_a_row_with_a_postcode_is_located_by_the_gazetteer(of):
    (row,) = of(PLACED)
    assert (row.point, row.precision) == (Point(47.3775, 8.5213), Precision.POSTCODE)
    assert (row.precision_m, row.postcode, row.city) == (1000, "8004", "Zürich")


def test_coordinates_have_precedence_over_a_postcode(of):
    (row,) = of(PLACED | {"lat": "47.4", "lon": "8.6"})
    assert (row.point, row.precision) == (Point(47.4, 8.6), Precision.EXACT)
    (row,) = of(PLACED | {"lat": "", "lon": ""})
    assert row.precision is Precision.POSTCODE


def test_a_contradicting_city_is_noted_on_the_row(of):
    (row,) = of(PLACED | {"city": "Bern"})
    assert "not to Bern" in row.note


def test_tier_capacity_and_certificates_may_be_left_out_as_columns(of):
    (row,) = of({k: v for k, v in BASE.items() if k not in {"tier", "capacity", "certificates"}})
    assert (row.tier, row.capacity, row.certificates) == (Tier.FRIEND, 3, ())


def test_a_market_may_be_named_and_must_fit(of):
    (row,) = of(BASE | {"market": "ch"})
    assert row.market is Market.CH
    (error,) = of(BASE | {"market": "PL"})
    assert "km from the nearest place of PL" in error.problem


@pytest.mark.parametrize("number", ["+41 79 123 45 67", "0041791234567", "079/123.45.67"])
def test_a_phone_number_becomes_e164_by_the_country_of_the_friend(of, number):
    (row,) = of(BASE | {"phone": number})
    assert row.phone == "+41791234567"


def test_numbers_of_other_countries_keep_their_code(of):
    (row,) = of(BASE | {"phone": "+33 6 12 34 56 78"})
    assert row.phone == "+33612345678"
    (row,) = of(PLACED | {"phone": "512 345 678", "postcode": "00001", "city": "", "country": "PL"})
    assert row.phone == "+48512345678"


INVALID = [
    ("ref", "", "missing"),
    ("ref", "x" * 101, "at most 100"),
    ("name", "", "missing"),
    ("name", "x" * 201, "at most 200"),
    ("name", "Ana\x00", "control"),
    ("name", "Ana\nMuster", "control"),
    ("name", "Ana\x1b[2J", "control"),
    ("name", "An\udce4", "UTF-8"),
    ("email", "", "missing"),
    ("email", "ana", "e-mail"),
    ("email", "ana@", "e-mail"),
    ("email", "a..b@example.org", "e-mail"),
    ("email", "ana@example..org", "e-mail"),
    ("email", "ana@example.org, bo@example.org", "e-mail"),
    ("email", "x" * 250 + "@example.org", "at most 254"),
    ("phone", "", "missing"),
    ("phone", "12", "phone number"),
    ("phone", "call me", "phone number"),
    ("phone", "+41 79 123 45", "phone number"),
    ("phone", "+999 123456789", "phone number"),
    ("phone", "044 668 18 00 ext. 12", "extension 12"),
    ("lat", "", "missing"),
    ("lat", "north", "not a number"),
    ("lat", "47,3775", "decimal point"),
    ("lat", "nan", "not a number"),
    ("lat", "1e1", "not a number"),
    ("lat", "95", "beyond 90"),
    ("lat", "300", "-180 to 180"),
    ("lat", "52.5", "km from the nearest place"),
    ("lon", "", "missing"),
    ("lon", "181", "-180 to 180"),
    ("radius_km", "", "missing"),
    ("radius_km", "0.4", "0.5 to 100"),
    ("radius_km", "100.5", "0.5 to 100"),
    ("radius_km", "-3", "0.5 to 100"),
    ("radius_km", "ten", "not a number"),
    ("radius_km", "inf", "not a number"),
    ("certificates", "wifi;SMART HOME", "certificate code"),
    ("certificates", "wifii;smart", "did you mean wifi, smart-home?"),
    ("certificates", ";".join(f"c{n}" for n in range(41)), "at most 40"),
    ("languages", "", "missing"),
    ("languages", ";", "missing"),
    ("languages", "de;xx;yy", "'xx', 'yy' is not known"),
    ("tier", "", "missing"),
    ("tier", "master", "friend or pro"),
    ("capacity", "", "missing"),
    ("capacity", "0", "1 to 20"),
    ("capacity", "21", "1 to 20"),
    ("capacity", "2.5", "whole number"),
    ("market", "FR", "not served"),
]


@pytest.mark.parametrize(("field", "value", "problem"), INVALID)
def test_an_invalid_value_is_reported_by_line_and_field_with_its_cure(of, field, value, problem):
    known = {"wifi", "smart-home"}
    good, invalid = (
        {"market": "CH", **BASE},
        {"market": "CH", **BASE, "ref": "f-2", "email": "b@b.ch"},
    )
    first, error = of(good, invalid | {field: value}, known=known)
    assert isinstance(first, Row)
    assert isinstance(error, RowError)
    assert (error.line, error.cure != "") == (3, True)
    assert problem in str(error)
    if field != "lon":
        assert error.field == field


@pytest.mark.parametrize(
    ("changed", "field", "problem"),
    [
        ({"country": ""}, "country", "missing"),
        ({"country": "FR"}, "country", "not served"),
        ({"postcode": "8999"}, "postcode", "nearest known"),
        ({"postcode": "80"}, "postcode", "four digits"),
        ({"postcode": "8" * 13}, "postcode", "at most 12"),
        ({"postcode": "", "city": ""}, "lat", "place is missing"),
        ({"postcode": "", "city": "Nirgendwo"}, "city", "not known"),
        ({"city": "x" * 121}, "city", "at most 120"),
    ],
)
def test_an_unknown_place_is_reported_with_its_cure(of, changed, field, problem):
    (error,) = of(PLACED | changed)
    assert error.field == field
    assert problem in str(error)


def test_every_fault_of_every_row_is_named(of):
    worst = {"ref": "", "email": "ana", "phone": "12", "lat": "north", "lon": "", "tier": "x"}
    found = of(BASE, BASE | worst | {"radius_km": "far", "languages": "xx"})
    assert isinstance(found[0], Row)
    assert {error.line for error in found[1:]} == {3}
    fields = ["ref", "email", "phone", "lat", "lon", "radius_km", "languages", "tier"]
    assert [error.field for error in found[1:]] == fields


def test_a_fault_of_the_place_hides_no_other(of):
    found = of(PLACED | {"postcode": "8999", "phone": "12", "name": ""})
    assert {error.field for error in found} == {"postcode", "phone", "name"}
    found = of(PLACED | {"country": "FR", "phone": "044 668 18 00", "name": ""})
    assert {error.field for error in found} == {"country", "name"}


@pytest.mark.parametrize("extra", [{}, {"market": "CH"}, {"country": "CH"}])
def test_swapped_coordinates_are_reported(of, extra):
    (error,) = of(BASE | {"lat": "8.5213", "lon": "47.3775"} | extra)
    assert error.field == "lat"
    assert "swapped" in str(error)
    assert "lat 47.3775, lon 8.5213" in str(error)


def test_a_duplicate_ref_or_address_names_both_lines(of):
    other = {"ref": "f-2", "email": "bo@example.org"}
    _, _, ref, email = of(
        BASE,
        BASE | other,
        BASE | {"email": "c@c.ch"},
        BASE | {"ref": "f-3", "email": "BO@example.org"},
    )
    assert (ref.line, ref.field) == (4, "ref")
    assert "line 2" in ref.problem
    assert (email.line, email.field) == (5, "email")
    assert "line 3" in email.problem


def test_unknown_columns_are_named_with_the_nearest_known_one(of):
    (error,) = of({**BASE, "emial": "x"})
    assert (error.line, error.field) == (0, "emial")
    assert "did you mean email?" in error.cure


def test_missing_columns_are_named_each(of):
    errors = of({"ref": "f-1", "name": "Ana", "city": "Bern"})
    assert {error.field for error in errors} == {"email", "phone", "radius_km", "languages", "lat"}
    assert {error.line for error in errors} == {0}


def test_a_duplicate_column_is_an_error_of_the_file(raw):
    (error,) = raw((",".join([*BASE, "ref"]) + "\n").encode())
    assert (error.line, error.field) == (0, "ref")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "empty"),
        (b"\n", "missing"),
        (",".join(BASE).encode(), "no rows"),
        (",".join(BASE).encode() + b"\n\n\n", "no rows"),
        ("ref,name".encode("utf-16"), "not UTF-8"),
        (b"\x00\x01\x02", "not UTF-8"),
        (b'"ref\n', "not CSV"),
    ],
)
def test_a_file_without_a_table_is_reported(raw, content, problem):
    errors = raw(content)
    assert problem in " ".join(map(str, errors))
    assert all(isinstance(error, RowError) for error in errors)


def test_a_missing_file_is_reported(small, tmp_path):
    (error,) = read(tmp_path / "absent.csv", small)
    assert "does not exist" in error.problem
    (error,) = read(tmp_path, small)
    assert "does not exist" in error.problem


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_delimiter_and_byte_order_mark_are_recognised(of, delimiter, encoding):
    (row,) = of(BASE | {"name": "Zoë Müller"}, delimiter=delimiter, encoding=encoding)
    assert (row.name, row.certificates) == ("Zoë Müller", ("wifi", "smart-home"))


def test_a_latin_1_file_is_named_by_line(of):
    (error,) = of(BASE | {"name": "Müller"}, encoding="latin-1")
    assert (error.line, error.field) == (2, "name")
    assert "UTF-8" in error.cure


def test_lines_are_counted_like_in_an_editor(raw):
    good = ",".join(BASE.values())
    broken = good.replace("Ana Muster", '"Ana\nMuster"')
    other = good.replace("f-1", "f-2").replace("ana@", "bo@")
    lines = [",".join(BASE), "", broken, other, "short,line"]
    errors = raw("\n".join(lines).encode())
    assert [error.line for error in errors] == [3, 5, 6]
    assert isinstance(errors[1], Row)
    assert "2 fields, the header 11" in errors[2].problem


HEADER, CELLS = ";".join(BASE), ";".join(BASE.values()).replace("wifi;smart-home", "wifi")
CELLS = CELLS.replace("de;EN", "de")


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        (["sep=;", HEADER, CELLS], 3),
        (['"sep=;"', HEADER, CELLS], 3),
        (["SEP=,", HEADER.replace(";", ","), CELLS.replace(";", ",")], 3),
        (["", " ", HEADER, CELLS], 4),
        ([";;;;", HEADER, CELLS], 3),
        ([HEADER, ";" * 10, CELLS, ";" * 10, " ; ;\xa0;" + ";" * 7], 3),
        ([f"{HEADER};;", f"{CELLS};;", ";" * 12], 2),
        ([f"{HEADER};;", CELLS], 2),
        ([HEADER, f"{CELLS};;"], 2),
        ([f";{HEADER}", f";{CELLS}"], 2),
    ],
)
def test_what_a_spreadsheet_adds_is_passed_over(raw, lines, line):
    (row,) = raw("\r\n".join(lines).encode())
    assert (row.line, row.ref, row.capacity) == (line, "f-1", 4)


def test_a_value_in_a_column_without_a_name_is_reported(raw):
    (error,) = raw(f"{HEADER};\n{CELLS};oops\n".encode())
    assert (error.line, "column 12, which has no name" in error.problem) == (2, True)


def test_a_line_without_end_is_not_held_in_memory(raw):
    errors = raw(f"{HEADER}\n{CELLS}\n".encode() + b'"' + b"x," * 600_000)
    assert "not CSV" in errors[-1].problem
    assert isinstance(errors[0], Row)


def test_an_unclosed_quote_ends_the_file_with_an_error(raw):
    good = ",".join(BASE.values())
    errors = raw("\n".join([",".join(BASE), good, f'"{good}']).encode())
    assert isinstance(errors[0], Row)
    assert (errors[1].line, "quotes" in errors[1].cure) == (3, True)


@given(st.binary(max_size=400))
def test_any_bytes_give_errors_and_no_exception(tmp_path_factory, small, content):
    path = tmp_path_factory.mktemp("bytes") / "friends.csv"
    path.write_bytes(content)
    assert all(isinstance(error, RowError) for error in read(path, small))


@given(st.dictionaries(st.sampled_from(COLUMNS), st.text(max_size=30), min_size=1))
def test_any_values_give_a_row_or_errors_per_line(tmp_path_factory, small, changed):
    path = tmp_path_factory.mktemp("values") / "friends.csv"
    rows = [PLACED | BASE | changed, PLACED | BASE | {"ref": "good", "email": "g@example.org"}]
    for row in rows:
        row.setdefault("market", "")
    found = list(read(write_file(path, [*rows]), small))
    assert 1 <= len({one.line for one in found}) <= 2


def test_every_invalid_row_of_a_long_file_is_found_with_work_that_grows_with_the_rows(
    tmp_path, small
):
    def read_rows(count: int) -> tuple[list[Row | RowError], int]:
        """What is read of so many rows, and how many calls of functions it took."""
        rows = [
            BASE | {"ref": f"f{n}", "email": f"f{n}@example.org", "lat": f"{47.2 + n / 20_000:.4f}"}
            for n in range(count)
        ]
        for invalid in range(7, count, 400):
            rows[invalid]["radius_km"] = "far"
        path = write_file(tmp_path / f"{count}.csv", rows)
        calls = 0

        def count_call(frame: object, event: str, argument: object) -> None:
            nonlocal calls
            calls += event in {"call", "c_call"}

        sys.setprofile(count_call)
        try:
            found = list(read(path, small))
        finally:
            sys.setprofile(None)
        return found, calls

    read_rows(1)  # what the first row loads counts for no file
    _, few = read_rows(400)
    found, many = read_rows(4_000)
    errors = [one for one in found if isinstance(one, RowError)]
    assert [error.line for error in errors] == [invalid + 2 for invalid in range(7, 4_000, 400)]
    assert len(found) == 4_000
    assert many < 11 * few


@pytest.mark.parametrize("name", ["\u200b", "\u3164", "\u202e"])
def test_a_name_without_a_letter_is_an_error_with_its_cure(of, name):
    (error,) = of(BASE | {"name": name})
    assert (error.field, error.cure) == ("name", "write it with letters that can be seen")


def test_invisible_characters_of_a_name_are_stripped(of):
    (row,) = of(BASE | {"name": "\u202eKarl\u200b Muster"})
    assert row.name == "Karl Muster"


@pytest.mark.parametrize("phone", ["0900 123 456", "+49 900 1 234567", "0842 123 456"])
def test_a_number_that_costs_its_callers_extra_is_an_error(of, phone):
    (error,) = of(BASE | {"phone": phone})
    assert (error.field, error.cure) == ("phone", "give an ordinary telephone number")
