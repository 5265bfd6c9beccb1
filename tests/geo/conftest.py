"""The compiled gazetteer, and a small one for the tests."""

import gzip
from pathlib import Path

import pytest

from data.markets import Market
from geo.gazetteer.addresses import OtherName, Postcode
from geo.gazetteer.offline import PATH, Gazetteer, compose
from geo.point import Precision

SMALL_ROWS = [
    (Market.CH, "8001", "Zürich", "Zürich", 47.3705, 8.5418, Precision.POSTCODE, 1000),
    (Market.CH, "8004", "Zürich", "Zürich", 47.3775, 8.5213, Precision.POSTCODE, 1000),
    (Market.CH, "8600", "Dübendorf", "Zürich", 47.3972, 8.6187, Precision.POSTCODE, 2000),
    (Market.CH, "3011", "Bern", "Bern", 46.9481, 7.4474, Precision.TOWN, 4300),
    (Market.CH, "1201", "Genève", "Genève", 46.2022, 6.1457, Precision.TOWN, 5300),
    (Market.DE, "10115", "Berlin", "Berlin", 52.5321, 13.3847, Precision.POSTCODE, 1000),
    (Market.AT, "8010", "Graz", "Steiermark", 47.0707, 15.4395, Precision.TOWN, 6200),
    (Market.AT, "8010", "Kainbach", "Steiermark", 47.0833, 15.5167, Precision.POSTCODE, 1000),
    (Market.AT, "1070", "Wien", "Wien", 48.2017, 16.3472, Precision.POSTCODE, 1000),
    (Market.PL, "00-001", "Warszawa", "Mazowieckie", 52.2354, 21.0104, Precision.POSTCODE, 1000),
    (Market.PL, "31-002", "Kraków", "Małopolskie", 50.0579, 19.9391, Precision.POSTCODE, 1000),
]

SMALL_OTHER_NAMES = [
    (Market.CH, "Geneva", "Genève", "Genève"),
    (Market.CH, "Zurigo", "Zürich", "Zürich"),
    (Market.PL, "Warsaw", "Mazowieckie", "Warszawa"),
]


FIELDS = ("country", "postcode", "town", "region", "lat", "lon", "precision", "radius_m")


def row(*values) -> Postcode:
    return Postcode(**dict(zip(FIELDS, values, strict=True)))


def write_compressed(path: Path, lines: list[str]) -> Path:
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0))
    return path


def small_lines() -> list[str]:
    names = (OtherName(*fields) for fields in SMALL_OTHER_NAMES)
    return compose((row(*fields) for fields in SMALL_ROWS), names).splitlines()


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Gazetteer:
    path = tmp_path_factory.mktemp("gazetteer") / "small.dat"
    return Gazetteer.load(write_compressed(path, small_lines()))


@pytest.fixture(scope="session")
def compiled() -> Gazetteer:
    if not PATH.exists():
        pytest.fail(f"{PATH.name} is missing: run make setup, which compiles it")
    return Gazetteer.load()
