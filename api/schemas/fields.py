"""The types of fields in requests: their constraints, and the cure for each violation."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import Annotated, Any, Final

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    Strict,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from data.enums import Wish
from data.markets import Language
from data.phones import PhoneInvalid, parse_phone
from data.records.names import visible_name
from dispatch.rules.policy import DAY_LIMIT_MAX
from dispatch.rules.trust.mailed_secrets import DIGITS as CODE_DIGITS

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
CONTROL_BUT_LINES = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]")
PLAIN_EMAIL = re.compile(
    r"(?=[^@]{1,64}@[^@]{1,253}\Z)[a-zA-Z0-9_+-]+(?:\.[a-zA-Z0-9_+-]+)*"
    r"@(?:[a-zA-Z0-9](?:-?[a-zA-Z0-9]){0,30}\.)+[a-zA-Z]{2,31}"
)
URL64 = re.compile(r"[A-Za-z0-9_-]+")
RESERVED = frozenset(SPECIAL_USE_DOMAIN_NAMES) - {"test"}
FIRST_YEAR, LAST_YEAR = 2020, 2100
STROKES_MAX, POINTS_MAX, SIDE_MAX = 200, 4000, 4000
SUMMARY_MAX = TEXT_MAX = 2000


def invalid(problem: str, cure: str, field: str = "") -> PydanticCustomError:
    """The error for a validator to raise; `field` names the part concerned of a whole model."""
    context = {"problem": problem, "cure": cure, "field": field}
    return PydanticCustomError("invalid", "{problem}; {cure}", context)


def refuse_characters(control: re.Pattern[str]) -> Callable[[str], str]:
    """A validator that refuses characters matching `control`."""

    def check(text: str) -> str:
        if found := control.search(text):
            code = f"U+{ord(found[0]):04X}"
            raise invalid(f"contains the control character {code}", "remove it")
        return text

    return check


def require_json(kind: type, what: str) -> BeforeValidator:
    """A validator that refuses any other type of JSON value: there is no coercion."""

    def check(value: Any) -> Any:
        if not isinstance(value, kind):
            raise invalid(f"is not {what}", f"give {what}")
        return value

    return BeforeValidator(check)


def _whole(value: Any) -> Any:
    """Accept 5.0 as an integer, as JSON Schema does."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _email(address: str) -> str:
    # The result of the library for almost every address, at a twentieth of its cost.
    if PLAIN_EMAIL.fullmatch(address) and len(address) <= 254:
        name, _, domain = address.rpartition("@")
        domain = domain.lower()
        if not RESERVED.intersection(_suffixes(domain)):
            return f"{name}@{domain}"
    try:
        # Reserved names such as .test are for testing, and nothing is sent to them.
        parts = validate_email(address, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        raise invalid("is not a mail address", "write it like name@example.com") from None
    return parts.normalized


def _suffixes(domain: str) -> Iterator[str]:
    while domain:
        yield domain
        _, _, domain = domain.partition(".")


def _year(moment: datetime) -> datetime:
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise invalid(f"is in the year {moment.year}", f"give {FIRST_YEAR} to {LAST_YEAR}")
    return moment


def _unique_wishes(wishes: list[Wish]) -> list[Wish]:
    if len(set(wishes)) < len(wishes):
        raise invalid("contains a wish twice", "give each wish once")
    return wishes


def _unique_languages(languages: list[Language]) -> list[Language]:
    if len(set(languages)) < len(languages):
        raise invalid("contains a language twice", "give each language once")
    return languages


def _bytes(length: int) -> Callable[[str], bytes]:
    """A validator for `length` bytes in base64url, with or without padding."""

    def check(text: str) -> bytes:
        plain = text.rstrip("=")
        if not URL64.fullmatch(plain) or len(plain) != (length * 4 + 2) // 3:
            raise invalid(
                f"is not {length} bytes in base64url", "send it exactly as the browser returns it"
            )
        return base64.urlsafe_b64decode(plain + "=" * (-len(plain) % 4))

    return check


def _url64(length: int) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^[A-Za-z0-9_-]{{{length}}}=*$"}


def e164(phone: str, region: str) -> str:
    """A telephone number in E.164 form, parsed by the conventions of `region`. Raises `invalid`."""
    try:
        return parse_phone(phone, region)
    except PhoneInvalid as wrong:
        raise invalid(wrong.problem, wrong.cure, "customer.phone") from None


def _person_name(text: str) -> str:
    name = visible_name(text)
    if name is None:
        raise invalid("has no letter", "write the name with letters that can be seen")
    return name


def _visible_text(text: str) -> str:
    if not any(one.isprintable() and not one.isspace() for one in text):
        raise invalid("has nothing that can be seen", "write some words")
    return text


LINE = AfterValidator(refuse_characters(CONTROL))
LINES = AfterValidator(refuse_characters(CONTROL_BUT_LINES))
MOMENT = require_json(str, "a time like 2026-03-02T14:30:00Z")

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), LINE]
PersonName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    LINE,
    AfterValidator(_person_name),
]
City = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120), LINE]
Postcode = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=12), LINE
]
OptionalLine = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200), LINE]
Code = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60), LINE]
Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), LINE]
PersonWord = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=254), LINE
]
PasskeyName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60), LINE
]
Notes = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000), LINES]
Summary = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=SUMMARY_MAX), LINES
]
ShortNote = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), LINES
]
ThreadText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=TEXT_MAX),
    LINES,
    AfterValidator(_visible_text),
]
Comment = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000), LINES]
Reason = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), LINES
]
Token = Annotated[str, StringConstraints(min_length=1, max_length=200), LINE]
LoginCode = Annotated[
    str,
    StringConstraints(pattern=rf"^[0-9]{{{CODE_DIGITS}}}$"),
    BeforeValidator(lambda typed: "".join(typed.split()) if isinstance(typed, str) else typed),
]
Phone = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=40), LINE]
Email = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=3, max_length=254),
    LINE,
    AfterValidator(_email),
    Field(json_schema_extra={"format": "email"}),
]
Endpoint = Annotated[str, StringConstraints(min_length=10, max_length=1000), LINE]
PhoneKey = Annotated[
    bytes, BeforeValidator(_bytes(65)), require_json(str, "text"), WithJsonSchema(_url64(87))
]
PhoneSecret = Annotated[
    bytes, BeforeValidator(_bytes(16)), require_json(str, "text"), WithJsonSchema(_url64(22))
]
Lat = Annotated[float, Strict(), Field(ge=-90, le=90, allow_inf_nan=False)]
Lon = Annotated[float, Strict(), Field(ge=-180, le=180, allow_inf_nan=False)]
# Last in each annotation: OpenAPI would omit a bound that follows it.
WHOLE = BeforeValidator(_whole)
Stars = Annotated[int, Strict(), Field(ge=1, le=5), WHOLE]
Minutes = Annotated[int, Strict(), Field(ge=0, le=6000), WHOLE]
RadiusM = Annotated[int, Strict(), Field(ge=500, le=100_000), WHOLE]
Capacity = Annotated[int, Strict(), Field(ge=1, le=20), WHOLE]
DayLimit = Annotated[int, Strict(), Field(ge=0, le=DAY_LIMIT_MAX), WHOLE]
FeeMax = Annotated[int, Strict(), Field(ge=0, le=2**31 - 1), WHOLE]
Side = Annotated[float, Strict(), Field(ge=1, le=SIDE_MAX, allow_inf_nan=False)]
Coordinate = Annotated[float, Strict(), Field(ge=0, le=SIDE_MAX, allow_inf_nan=False)]
Stroke = Annotated[list[Coordinate], Field(min_length=2, max_length=2 * POINTS_MAX)]
Strokes = Annotated[list[Stroke], Field(min_length=1, max_length=STROKES_MAX)]
Moment = Annotated[AwareDatetime, MOMENT, AfterValidator(_year)]
Wishes = Annotated[
    list[Wish],
    Field(max_length=len(Wish), json_schema_extra={"uniqueItems": True}),
    AfterValidator(_unique_wishes),
]
Languages = Annotated[
    list[Language],
    Field(min_length=1, max_length=len(Language), json_schema_extra={"uniqueItems": True}),
    AfterValidator(_unique_languages),
]
LocalTime = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


def _day(text: str) -> str:
    try:
        date.fromisoformat(text)
    except ValueError:
        raise invalid("is no day", "give it in the form 2026-12-24") from None
    return text


Day = Annotated[
    str, StringConstraints(pattern=r"^20[0-9]{2}-[0-9]{2}-[0-9]{2}$"), AfterValidator(_day)
]
AREAS_MAX: Final = 5
Corner = Annotated[
    list[Annotated[float, Strict(), Field(ge=-180, le=180, allow_inf_nan=False)]],
    Field(min_length=2, max_length=2),
]
TravelMinutes = Annotated[int, Strict(), Field(ge=5, le=60), WHOLE]
SPANS_MAX: Final = 42
HOLIDAYS_MAX: Final = 20
LocalEnd = Annotated[str, StringConstraints(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]
Flag = Annotated[bool, Strict()]
