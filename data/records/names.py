"""Names as people write them: without invisible characters, and with at least one letter."""

from __future__ import annotations

import unicodedata
from typing import Final

# Letters by their category, and blank (Hangul fillers).
BLANK: Final = frozenset("\u115f\u1160\u3164\uffa0")
# They join or part letters of other scripts than the Latin, and parts of an emoji.
JOINERS: Final = frozenset("\u200c\u200d")
LAST_LATIN: Final = "\u02ff"


def visible_name(text: str) -> str | None:
    """Return a name without characters that are invisible or change the direction of writing.

    None without a letter that can be seen.
    """
    kept = [
        character
        for place, character in enumerate(text)
        if unicodedata.category(character) != "Cf" or _is_joining(text, place)
    ]
    name = "".join(kept).strip()
    return name if has_letter(name) else None


def has_letter(name: str) -> bool:
    """Return whether a name has a letter that can be seen."""
    return any(map(is_letter, name))


def is_letter(character: str) -> bool:
    """Return whether a character is a letter that can be seen."""
    return character.isalpha() and character not in BLANK


def _is_joining(text: str, place: int) -> bool:
    around = text[max(place - 1, 0) : place] + text[place + 1 : place + 2]
    return text[place] in JOINERS and len(around) == 2 and min(around) > LAST_LATIN
