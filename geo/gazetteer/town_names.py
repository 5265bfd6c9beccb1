"""Spellings of town names, from the exact to the folded, and the shorter names of a town."""

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from data.markets import Market
from geo.gazetteer.regions import REGIONS

_LETTERS = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "æ": "a", "œ": "o", "ß": "ss"})
_UMLAUTS = re.compile("([aou])e")
_SAINT = re.compile(r"\b(sankt|saint|sainte|san|st|ste)\b")
_OTHER = re.compile("[^a-z0-9]+")
_AS_TWO_LETTERS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})
_APOSTROPHES = str.maketrans({"’": "'", "`": "'", "´": "'"})
_QUALIFIED = re.compile(
    r"(\s*[(/,].*|\s+(bei|b\.|am|an der|an|im|i\.|in|ob|vor|sur|près|a\.|auf|unter)\s.*)$"
)
_HALF_LENGTH_MIN = 4
_TWO_LETTER_CODES = {
    market: frozenset(region.code for region in group if region.code.isalpha())
    for market, group in REGIONS.items()
}

STROKE_BETWEEN_LANGUAGES: Final = frozenset({Market.CH, Market.AT})
"""Where postal lists write a town's names in two languages with a stroke between them."""


@lru_cache(maxsize=100_000)
def fold(name: str) -> str:
    """Fold to lower case without diacritics and punctuation: ZÜRICH and Zuerich become zurich.

    Fold both sides of a comparison, as "ue" becomes "u" even where it is not an umlaut.
    """
    return _SAINT.sub("st", _UMLAUTS.sub(r"\1", _plain(name.casefold()))).strip()


@lru_cache(maxsize=100_000)
def transliterate(name: str) -> str:
    """Write umlauts as two letters, other letters without diacritics: Münster is not munster."""
    text = unicodedata.normalize("NFC", name.casefold()).translate(_AS_TWO_LETTERS)
    return _SAINT.sub("st", _plain(text))


def spell(name: str) -> str:
    """Return the name as written, in lower case: Eßlingen and Esslingen stay apart."""
    text = unicodedata.normalize("NFC", name).translate(_APOSTROPHES)
    return " ".join(text.lower().split())


SPELLINGS: Final[tuple[Callable[[str], str], ...]] = (spell, transliterate, fold)
"""From the exact to the folded: a name that is found by one is not looked for by the next."""


def without_qualifier(name: str) -> str:
    """Return a name without what tells it from its namesakes: Halle for Halle (Saale)."""
    return _QUALIFIED.sub("", name)


def full_names(town: str, market: Market) -> list[str]:
    """Return the names of a town as its postal list writes them.

    Lists append the canton's code (Buchs SG) or, after a stroke, the name in another language
    (Biel/Bienne).
    """
    bare = _without_code(town, market)
    parts = bare.split("/") if market in STROKE_BETWEEN_LANGUAGES else []
    return list(dict.fromkeys(name for name in (town, bare, *map(str.strip, parts)) if name))


def short_names(town: str, market: Market) -> list[str]:
    """Return the name without what tells the town from its namesakes: Halle for Halle (Saale)."""
    short = without_qualifier(_without_code(town, market))
    return [short] if short and short not in full_names(town, market) else []


def own_names(town: str, market: Market) -> list[str]:
    """Return the names by which a town is known at home, full and short."""
    return full_names(town, market) + short_names(town, market)


def halves_of(town: str) -> list[str]:
    """Return the two towns of a name like Garmisch-Partenkirchen, else nothing."""
    parts = town.split("-")
    if len(parts) != 2 or any(len(part) < _HALF_LENGTH_MIN for part in parts):
        return []
    return parts if all(part[0].isupper() for part in parts) else []


def _without_code(town: str, market: Market) -> str:
    bare, _, last = town.rpartition(" ")
    return bare if bare and last in _TWO_LETTER_CODES[market] else town


def _plain(text: str) -> str:
    text = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    text = "".join(letter for letter in text if not unicodedata.combining(letter))
    return _OTHER.sub(" ", text).strip()
