"""The columns of a friend file, one function each; they return the value or raise FieldError.

`cells` is one row by column name, every value stripped, without the columns the file lacks.
"""

import re
from collections.abc import Mapping, Sequence, Set
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email
from rapidfuzz import process

from data.enums import Tier
from data.markets import Language, Market
from data.phones import PhoneInvalid, parse_phone
from data.records.names import visible_name
from geo.gazetteer.addresses import AddressRefused, Place
from geo.gazetteer.offline import Gazetteer
from geo.point import Point, PointInvalid
from geo.row_errors import FieldError, quote_value

Cells = Mapping[str, str]

LONGEST = {"ref": 100, "name": 200, "email": 254, "phone": 40, "postcode": 12, "city": 120}
LEAST_RADIUS_KM, MOST_RADIUS_KM = 0.5, 100.0
LEAST_CAPACITY, MOST_CAPACITY = 1, 20
DEFAULT_CAPACITY = 3
MOST_CERTIFICATES = 40
NAMED = 5

_CERTIFICATE = re.compile("[a-z0-9-]{2,40}")
_LIST = re.compile("[;,|]")
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,20})?")
# Plain addresses need no parser; all others are checked by email-validator.
_PLAIN_EMAIL = re.compile(
    r"[a-z0-9_+-]+(\.[a-z0-9_+-]+)*@([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,24}",
    re.IGNORECASE,
)


def text_of(cells: Cells, field: str) -> str:
    """Return a required text within the length limit of its column."""
    value = optional_text(cells, field)
    if not value:
        raise FieldError(field, f"{field} is missing", f"give a {field}")
    return value


def optional_text(cells: Cells, field: str) -> str:
    """Return a text, possibly empty, within the length limit of its column."""
    value = cells.get(field, "")
    if len(value) > LONGEST[field]:
        problem = f"{field} has {len(value)} characters"
        raise FieldError(field, problem, f"give at most {LONGEST[field]}")
    return value


def name_of(cells: Cells) -> str:
    """Return the name without invisible characters; it has a letter."""
    name = visible_name(text_of(cells, "name"))
    if name is None:
        raise FieldError("name", "name has no letter", "write it with letters that can be seen")
    return name


def email_of(cells: Cells) -> str:
    """Return the e-mail address as written."""
    value = text_of(cells, "email")
    if _PLAIN_EMAIL.fullmatch(value) and value.index("@") <= 64:
        return value
    try:
        return validate_email(value, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        problem = f"{quote_value(value)} is not an e-mail address"
        raise FieldError("email", problem, "give one like ana@example.org") from None


def phone_of(cells: Cells, market: Market | None) -> str:
    """Return the phone number in E.164; national numbers are of the friend's market.

    Without a market, which is an error of its own, they may be of any.
    """
    value = text_of(cells, "phone")
    wrong: list[PhoneInvalid] = []
    for region in [market] if market else Market:
        try:
            return parse_phone(value, region)
        except PhoneInvalid as invalid:
            wrong.append(invalid)
    raise FieldError("phone", f"{quote_value(value)} {wrong[0].problem}", wrong[0].cure)


def number_of(cells: Cells, field: str, least: float, most: float) -> float:
    """Return a number within its range, written with a decimal point."""
    value = cells.get(field, "")
    span = f"{least:g} to {most:g}"
    if not value:
        raise FieldError(field, f"{field} is missing", f"give a number from {span}")
    if not _NUMBER.fullmatch(value):
        cure = (
            "write a decimal point" if _NUMBER.fullmatch(value.replace(",", ".")) else "correct it"
        )
        raise FieldError(field, f"{field} {quote_value(value)} is not a number", f"{cure}: {span}")
    number = float(value)
    if not least <= number <= most:
        raise FieldError(field, f"{field} is {value[:20]}", f"give a number from {span}")
    return number


def radius_m_of(cells: Cells) -> int:
    """Return the friend's radius in metres."""
    return round(number_of(cells, "radius_km", LEAST_RADIUS_KM, MOST_RADIUS_KM) * 1000)


def capacity_of(cells: Cells) -> int:
    """Return the maximum of open jobs; DEFAULT_CAPACITY without this column."""
    if "capacity" not in cells:
        return DEFAULT_CAPACITY
    number = number_of(cells, "capacity", LEAST_CAPACITY, MOST_CAPACITY)
    if number != int(number):
        raise FieldError("capacity", f"capacity is {cells['capacity']}", "give a whole number")
    return int(number)


def tier_of(cells: Cells) -> Tier:
    """Return friend or pro; friend without this column."""
    value = cells.get("tier", Tier.FRIEND)
    try:
        return Tier(value.lower())
    except ValueError:
        problem = f"tier {quote_value(value)} is not known" if value else "tier is missing"
        raise FieldError("tier", problem, f"give {' or '.join(Tier)}") from None


def languages_of(cells: Cells) -> tuple[Language, ...]:
    """Return the languages of the friend, at least one."""
    return _languages(cells.get("languages", ""))


@lru_cache(maxsize=10_000)
def _languages(value: str) -> tuple[Language, ...]:
    known = ", ".join(Language)
    codes = dict.fromkeys(part.lower() for part in _split_list(value))
    unknown = [code for code in codes if code not in set(Language)]
    if unknown:
        problem = f"language {_quote_all(unknown)} is not known"
        raise FieldError("languages", problem, f"use {known}, separated by ;")
    if not codes:
        raise FieldError("languages", "languages is missing", f"give at least one of {known}")
    return tuple(map(Language, codes))


def certificates_of(cells: Cells, known: Set[str] | None) -> tuple[str, ...]:
    """Return the certificate codes, possibly none; each must be in `known` if that is given."""
    codes = _certificates(cells.get("certificates", ""))
    unknown = [] if known is None else [code for code in codes if code not in known]
    if known is not None and unknown:
        problem = f"certificate {_quote_all(unknown)} is not known"
        raise FieldError("certificates", problem, _suggest(unknown, known))
    return codes


@lru_cache(maxsize=10_000)
def _certificates(value: str) -> tuple[str, ...]:
    codes = tuple(dict.fromkeys(code.lower() for code in _split_list(value)))
    if len(codes) > MOST_CERTIFICATES:
        problem = f"{len(codes)} certificates are listed"
        raise FieldError("certificates", problem, f"give at most {MOST_CERTIFICATES}")
    wrong = [code for code in codes if not _CERTIFICATE.fullmatch(code)]
    if wrong:
        problem = f"{_quote_all(wrong)} is not a certificate code"
        raise FieldError("certificates", problem, "use a-z, 0-9 and -, separated by ;")
    return codes


def market_of(cells: Cells) -> Market | None:
    """Return the market, or the country in its place; None if the file has neither."""
    for field in ("market", "country"):
        value = cells.get(field, "")
        if value:
            try:
                return Market(value.upper())
            except ValueError:
                problem = f"{field} {quote_value(value)} is not served"
                raise FieldError(field, problem, f"use one of {', '.join(Market)}") from None
    return None


def point_of(lat: float, lon: float) -> Point:
    """Return the point of a latitude and a longitude. Raises FieldError."""
    try:
        return Point(lat, lon)
    except PointInvalid:
        cure = "lat and lon look swapped" if abs(lon) <= 90 else "give degrees on WGS84"
        raise FieldError("lat", f"lat is {lat:g}, beyond 90 degrees", cure) from None


def market_at(cells: Cells, market: Market | None, point: Point, gazetteer: Gazetteer) -> Market:
    """Return the market of the point. Raises FieldError outside `market` or all markets."""
    if market is None:
        market = gazetteer.country_of(point)
        if not gazetteer.is_near(market, point):
            market = gazetteer.country_if_swapped(point) or market
    try:
        gazetteer.check_plausible(market, point)
    except AddressRefused as refused:
        raise _field_error(refused) from None
    return market


def place_of(cells: Cells, market: Market | None, gazetteer: Gazetteer) -> Place:
    """Return the place of postcode and city. Raises FieldError when it is not found."""
    if market is None:
        raise FieldError("country", "country is missing", f"give one of {', '.join(Market)}")
    if not cells.get("postcode") and not cells.get("city"):
        raise FieldError(
            "lat", "the place is missing", "give lat and lon, or postcode, city and country"
        )
    try:
        return gazetteer.find(market, cells.get("postcode", ""), cells.get("city"))
    except AddressRefused as refused:
        raise _field_error(refused) from None


def _split_list(value: str) -> list[str]:
    return [part for part in (part.strip() for part in _LIST.split(value)) if part]


def _quote_all(values: Sequence[str]) -> str:
    more = f" and {len(values) - NAMED} more" if len(values) > NAMED else ""
    return ", ".join(map(quote_value, values[:NAMED])) + more


def _suggest(values: Sequence[str], known: Set[str]) -> str:
    best = [process.extractOne(value, sorted(known), score_cutoff=60) for value in values]
    found = [one[0] for one in best if one]
    if found and len(found) == len(values):
        return f"did you mean {', '.join(dict.fromkeys(found))}?"
    return f"use one of {', '.join(sorted(known))}"


def _field_error(refused: AddressRefused) -> FieldError:
    return FieldError(refused.field, refused.problem, refused.cure)
