"""Street and house number of an address as people write it, made comparable."""

import re

from rapidfuzz import fuzz

from geo.gazetteer.town_names import fold

SIMILAR_SCORE = 85

_NUMBER = r"\d{1,4}\s?[a-zA-Z]?(?:\s?[-/–+]\s?\d{0,4}\s?[a-zA-Z]?)?"
_AT_END = re.compile(rf"(?P<street>.*?\D)[\s,]+(?:nr\.?\s*|no\.?\s*)?(?P<number>{_NUMBER})", re.I)
_AT_START = re.compile(rf"(?P<number>{_NUMBER})(?:bis|ter)?[\s,]+(?P<street>\D.*)", re.I)
_FLAT = re.compile(r"[\s,]+(?:m|lok|apt|app|top|whg)\b\.?\s*\w+$", re.I)
_WRITTEN = {
    "strasse": "str", "strase": "str", "str": "str",
    "ul": "", "ulica": "", "al": "al", "aleja": "al", "aleje": "al", "pl": "pl", "plac": "pl",
    "os": "os", "osiedle": "os",
    "av": "av", "avenue": "av", "bd": "bd", "boulevard": "bd", "ch": "ch", "chemin": "ch",
    "rte": "rte", "route": "rte", "r": "rue", "rue": "rue", "place": "pl",
    "v": "via", "via": "via", "g": "gasse", "w": "weg",
}  # fmt: skip
_KINDS = {fold(kind): short for kind, short in _WRITTEN.items()}
_COMPOUND = re.compile(r"(?<=\w)stras+e\b")


def split_street(line: str) -> tuple[str, str]:
    """Return street and house number of a line of an address; the number may be empty."""
    line = _FLAT.sub("", " ".join(line.split()))
    found = _AT_END.fullmatch(line) or _AT_START.fullmatch(line)
    return (found["street"].strip(" ,"), found["number"]) if found else (line, "")


def fold_street(name: str) -> str:
    """Fold a name, and its kind of street to one spelling: Hauptstraße and Hauptstr. are equal."""
    words = _COMPOUND.sub("str", fold(name)).split()
    return " ".join(filter(None, (_KINDS.get(word, word) for word in words)))


def is_same_number(asked: str, found: str) -> bool:
    """Return whether a number is the one asked for, or the house of the flat asked for: 10/12."""
    one, other = (re.sub(r"\s", "", number).casefold() for number in (asked, found))
    return bool(one) and other in {one, re.split(r"[-/–+]", one)[0]}


def is_similar_street(one: str, other: str) -> bool:
    """Return whether two folded names differ by a typing error at most."""
    return bool(fuzz.ratio(one, other) >= SIMILAR_SCORE)
