"""People whose every datum contains a unique marker, and the search for markers."""

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
# The seconds of a timestamp (09:12:47.36885) are no latitude.
MARKER = re.compile(
    rf"(?=((?:fi|na|em|no)[{LETTERS}]{{6}}|st[{LETTERS}]{{6}}weg|4466\d{{5}}"
    r"|(?<!\d)(?<!\d:)(?:47|8)\.\d{5}))"
)
ENCODED = re.compile(
    r"Content-Transfer-Encoding: base64\s.*?\r?\n\r?\n([A-Za-z0-9+/=\s]+)",
    re.DOTALL | re.IGNORECASE,
)


@dataclass(frozen=True)
class MarkedPerson:
    """A person, and the marker in each part of their data."""

    who: str
    point: Point
    markers: Mapping[str, str]

    @property
    def name(self) -> str:
        return f"{self.markers['first_name']} {self.markers['name']}"

    @property
    def email(self) -> str:
        return f"{self.markers['email']}@example.org"

    @property
    def phone(self) -> str:
        return f"+41{self.markers['phone']}"

    @property
    def street(self) -> str:
        return f"{self.markers['street']} 7"

    @property
    def notes(self) -> str:
        return f"Ring at {self.markers['notes']}, third floor."


def create_person(who: str, number: int, point: Point) -> MarkedPerson:
    """A person near `point`; the same number gives the same markers."""
    lat, lon = round(point.lat, 3) + number * 1.37e-5, round(point.lon, 3) + number * 1.73e-5
    at = Point(lat=round(lat + 7e-7, 7), lon=round(lon + 3e-7, 7))
    word = _word(number)
    return MarkedPerson(
        who=who,
        point=at,
        markers={
            "first_name": f"Fi{word}",
            "name": f"Na{word}",
            "email": f"em{word}",
            "phone": f"4466{(number * 7919 + 18_057) % 100_000:05}",
            "street": f"St{word}weg",
            "notes": f"no{word}",
            # Five decimals are a metre, which is enough to find the address.
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
    """A marker found: whose, and of which part of their data."""

    who: str
    part: str


class Scanner:
    """Finds markers however encoded: folded, escaped, in base64, with spaces."""

    def __init__(self, people: Iterable[MarkedPerson]) -> None:
        self.people = {one.who: one for one in people}
        self._markers = {
            marker.casefold(): Found(one.who, part)
            for one in self.people.values()
            for part, marker in one.markers.items()
        }
        assert all(MARKER.match(marker) for marker in self._markers)
        self.bytes_seen = 0

    def find(self, text: str) -> set[Found]:
        """Every marker in the text."""
        self.bytes_seen += len(text)
        forms = "\n".join(set(_forms(text))).casefold()
        candidates = {match[1] for match in MARKER.finditer(forms)}
        return {self._markers[marker] for marker in candidates & self._markers.keys()}


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


def booking_body(one: MarkedPerson, **changes: Any) -> dict[str, Any]:
    """The JSON body of a booking by a marked person."""
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
