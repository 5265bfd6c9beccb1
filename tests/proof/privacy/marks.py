"""Somebody whose every datum bears a mark that stands nowhere else, and the search for marks."""

import base64
import quopri
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from geo.point import Point

PARTS = ("first_name", "name", "email", "phone", "street", "notes", "lat", "lon")
LETTERS = "bcdfghjkmnpqrstvwxz"
# The seconds of a moment (09:12:47.36885) are no latitude.
LIKE_A_MARK = re.compile(
    rf"(?=((?:fi|na|em|no)[{LETTERS}]{{6}}|st[{LETTERS}]{{6}}weg|4466\d{{5}}"
    r"|(?<!\d)(?<!\d:)(?:47|8)\.\d{5}))"
)
ENCODED = re.compile(
    r"Content-Transfer-Encoding: base64\s.*?\r?\n\r?\n([A-Za-z0-9+/=\s]+)",
    re.DOTALL | re.IGNORECASE,
)


@dataclass(frozen=True)
class Marked:
    """Somebody, and the mark in each part of what is known about him."""

    who: str
    point: Point
    marks: Mapping[str, str]

    @property
    def name(self) -> str:
        return f"{self.marks['first_name']} {self.marks['name']}"

    @property
    def email(self) -> str:
        return f"{self.marks['email']}@example.org"

    @property
    def phone(self) -> str:
        return f"+41{self.marks['phone']}"

    @property
    def street(self) -> str:
        return f"{self.marks['street']} 7"

    @property
    def notes(self) -> str:
        return f"Ring at {self.marks['notes']}, third floor."


def marked(who: str, number: int, point: Point) -> Marked:
    """Somebody near `point`; the same number gives the same marks."""
    lat, lon = round(point.lat, 3) + number * 1.37e-5, round(point.lon, 3) + number * 1.73e-5
    at = Point(lat=round(lat + 7e-7, 7), lon=round(lon + 3e-7, 7))
    word = _word(number)
    return Marked(
        who=who,
        point=at,
        marks={
            "first_name": f"Fi{word}",
            "name": f"Na{word}",
            "email": f"em{word}",
            "phone": f"4466{(number * 7919 + 18_057) % 100_000:05}",
            "street": f"St{word}weg",
            "notes": f"no{word}",
            # Five decimals are a metre: whoever knows them knows the door.
            "lat": f"{at.lat:.7f}"[:8],
            "lon": f"{at.lon:.7f}"[:7],
        },
    )


def _word(number: int) -> str:
    rest, letters = number * 48_271 + 3_141_592, ""
    for _ in range(6):
        rest, digit = divmod(rest, len(LETTERS))
        letters += LETTERS[digit]
    return letters


@dataclass(frozen=True)
class Found:
    """A mark: whose, which part of what is known about him."""

    who: str
    part: str


class Scanner:
    """Finds marks in whatever form they leave: folded, escaped, in base64, with spaces between."""

    def __init__(self, people: Iterable[Marked]) -> None:
        self.people = {one.who: one for one in people}
        self._marks = {
            mark.casefold(): Found(one.who, part)
            for one in self.people.values()
            for part, mark in one.marks.items()
        }
        assert all(LIKE_A_MARK.match(mark) for mark in self._marks)
        self.bytes_seen = 0

    def found(self, text: str) -> set[Found]:
        """Every mark in the text."""
        self.bytes_seen += len(text)
        forms = "\n".join(set(_forms(text))).casefold()
        alike = {match[1] for match in LIKE_A_MARK.finditer(forms)}
        return {self._marks[mark] for mark in alike & self._marks.keys()}


def _forms(text: str) -> Iterator[str]:
    yield text
    yield unquote(text)
    yield text.replace("\r\n ", "").replace("\n ", "")
    yield re.sub(r"(?<=\d)[ ()/.\-]+(?=\d)", "", text)
    yield quopri.decodestring(text.encode()).decode(errors="replace")
    for part in ENCODED.finditer(text):
        content = re.sub(r"\s", "", part[1])
        plain = base64.b64decode(content + "=" * (-len(content) % 4)).decode(errors="replace")
        yield plain.replace("\r\n ", "")


def order_of(one: Marked, **changes: Any) -> dict[str, Any]:
    """The body of a booking by somebody marked."""
    body: dict[str, Any] = {
        "package": "wifi-setup",
        "customer": {
            "name": one.name,
            "email": one.email,
            "phone": one.phone,
            "language": "de",
        },
        "address": {
            "street": one.street,
            "postcode": "8001",
            "city": "Zürich",
            "country": "CH",
            "lat": one.point.lat,
            "lon": one.point.lon,
        },
        "notes": one.notes,
    }
    return body | changes
