"""Reads the postcode dump of GeoNames, as text or zip, as rows of the gazetteer.

Twelve tab-separated columns: country, postcode, place, three pairs of admin name and code, lat,
lon, accuracy (geonames.org/export/zip; CC BY 4.0). Countries without a market are skipped.
"""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from data.markets import MARKETS, Market
from geo.gazetteer.addresses import FORMATS, Postcode, normalize_postcode
from geo.point import Point, PointInvalid, Precision
from geo.row_errors import UNPRINTABLE, FieldError, RowError, quote_value

COLUMNS = 12
LONGEST_LINE = 2_000
MOST_ERRORS = 1_000
MOST_BYTES = 600_000_000

# Accuracy 1 is GeoNames' own estimate, 3 to 5 a known place, 6 the middle of addresses.
_BY_ACCURACY: dict[str, tuple[Precision, int]] = {
    "1": (Precision.DISTRICT, 8_000),
    "2": (Precision.DISTRICT, 8_000),
    "3": (Precision.POSTCODE, 3_000),
    "4": (Precision.POSTCODE, 2_500),
    "5": (Precision.POSTCODE, 2_500),
    "6": (Precision.POSTCODE, 1_500),
    "": (Precision.DISTRICT, 8_000),
}


def read(path: Path) -> tuple[list[Postcode], list[RowError]]:
    """Return the rows of all markets, or all errors of the file and no rows."""
    rows: dict[tuple[str, str, str], Postcode] = {}
    errors: list[RowError] = []
    for row in _read(path):
        if isinstance(row, RowError):
            errors.append(row)
            if len(errors) >= MOST_ERRORS:
                break
        elif not errors:
            rows.setdefault((row.country, row.postcode, row.town), row)
    if not errors and not rows:
        errors.append(_file_error(f"the file holds no postcode of {', '.join(Market)}"))
    return ([], errors) if errors else (list(rows.values()), [])


def _read(path: Path) -> Iterator[Postcode | RowError]:
    try:
        with _open(path) as file:
            for number, raw in enumerate(file, start=1):
                row = _line(number, raw)
                if row is not None:
                    yield row
    except FileNotFoundError:
        yield _file_error("the file does not exist", "check its name")
    except (OSError, zipfile.BadZipFile, EOFError) as error:
        yield _file_error(f"the file cannot be read ({type(error).__name__})", "fetch it again")
    except FieldError as error:
        yield _file_error(error.problem, error.cure)


@contextmanager
def _open(path: Path) -> Iterator[IO[bytes]]:
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive:
        members = [
            member
            for member in archive.infolist()
            if member.filename.endswith(".txt") and "readme" not in member.filename.lower()
        ]
        if len(members) != 1:
            raise FieldError(
                "", "the zip holds no single .txt of postcodes", "use the zip of GeoNames"
            )
        if members[0].file_size > MOST_BYTES:
            raise FieldError(
                "", f"the zip unpacks to more than {MOST_BYTES} bytes", "import one country"
            )
        with archive.open(members[0]) as packed:
            yield packed


def _line(number: int, raw: bytes) -> Postcode | RowError | None:
    try:
        return _row(raw)
    except FieldError as error:
        return error.at(number)


def _row(raw: bytes) -> Postcode | None:
    if not raw.strip():
        return None
    fields = _fields(raw)
    try:
        country = Market(fields[0])
    except ValueError:
        _check_country(fields[0])
        return None
    postcode, town, region = (
        normalize_postcode(country, fields[1]),
        fields[2].strip(),
        fields[3].strip(),
    )
    pattern, form = FORMATS[country]
    if not pattern.fullmatch(postcode):
        raise FieldError(
            "postcode", f"{quote_value(postcode)} is not a postcode of {country}", f"give {form}"
        )
    if not town or len(town) > 180 or len(region) > 100:
        raise FieldError("place", "the place is missing or too long", "give at most 180 letters")
    if fields[11].strip() not in _BY_ACCURACY:
        raise FieldError(
            "accuracy", f"{quote_value(fields[11])} is not an accuracy", "give 1 to 6 or nothing"
        )
    point = _point(country, fields[9], fields[10])
    precision, radius_m = _BY_ACCURACY[fields[11].strip()]
    return Postcode(
        country=country,
        postcode=postcode,
        town=town,
        region=region,
        lat=point.lat,
        lon=point.lon,
        precision=precision,
        radius_m=radius_m,
    )


def _fields(raw: bytes) -> list[str]:
    if len(raw) > LONGEST_LINE:
        raise FieldError(
            "", f"the line is longer than {LONGEST_LINE} bytes", "use GeoNames' own file"
        )
    try:
        text = raw.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        raise FieldError("", "the line is not UTF-8", "save the file as UTF-8") from None
    if UNPRINTABLE.search(text.replace("\t", "")):
        raise FieldError("", "the line holds control characters", "remove them")
    fields = text.split("\t")
    if len(fields) != COLUMNS:
        problem = f"the line has {len(fields)} columns between tabs instead of {COLUMNS}"
        raise FieldError("", problem, "use the postal dump of GeoNames, not its list of places")
    return fields


def _point(country: Market, lat: str, lon: str) -> Point:
    for field, text in (("lat", lat), ("lon", lon)):
        try:
            float(text)
        except ValueError:
            raise FieldError(
                field, f"{quote_value(text)} is not a number", "give degrees"
            ) from None
    try:
        point = Point(float(lat), float(lon))
    except PointInvalid as invalid:
        raise FieldError(invalid.field, str(invalid), "give degrees on WGS84") from None
    south, north, west, east = MARKETS[country].frame
    if south <= point.lat <= north and west <= point.lon <= east:
        return point
    swapped = south <= point.lon <= north and west <= point.lat <= east
    problem = "lat and lon look swapped" if swapped else f"{lat}, {lon} lies outside {country}"
    raise FieldError("lat", problem, f"{country} lies between {south} and {north} north")


def _check_country(country: str) -> None:
    if not (len(country) == 2 and country.isascii() and country.isupper()):
        raise FieldError(
            "country", f"{quote_value(country)} is not a country code", "give two capital letters"
        )


def _file_error(
    problem: str, cure: str = "use GeoNames' postal dump, for example CH.zip"
) -> RowError:
    return RowError(line=0, field="", problem=problem, cure=cure)
