"""Names: what is refused as a name, and the first name of a friend in letters and on pages."""

from __future__ import annotations

from typing import Final

from data.records.names import has_letter, visible_name
from dispatch.rules.refusals import Refused

NAMELESS: Final = "tekkie"
"""What stands for a friend whose name has no letter."""
# Forms of address and titles of the languages with texts; whatever else ends with a point is one.
TITLES: Final = frozenset(
    [
        *("herr", "frau", "mr", "mrs", "ms", "miss", "mx", "sir"),
        *("madame", "monsieur", "mademoiselle", "mme", "mlle"),
        *("signor", "signora", "signorina", "sig", "pan", "pani"),
        *("dr", "prof", "professor", "ing", "dipl", "mag", "med", "doc", "hab", "inż", "mgr"),
        *("dott", "dottor", "dottoressa", "dottssa", "phd", "msc", "bsc", "mba"),
    ]
)


class NameRefused(Refused):
    """A name needs a letter."""

    code = "name-refused"
    field = "name"
    detail = "Write the name with letters that can be seen."


def checked_name(text: str) -> str:
    """The name without invisible characters. Raises NameRefused without a letter."""
    name = visible_name(text)
    if name is None:
        raise NameRefused
    return name


def first_name(name: str) -> str:
    """The first name in a full name, without titles: Anna for “Dr. Anna Muster” or “Muster, Anna”.

    A name with one word beside its titles is a family name and stays whole: “Herr Muster”. A name
    in capitals is written with one capital a word; `NAMELESS` stands for a name without letters.
    """
    words = _in_order(name)
    kept = [word for word in words if not _is_title(word)]
    chosen = kept[:1] if len(kept) > 1 or kept == words else words
    return " ".join(map(_in_lower_case, chosen)) or NAMELESS


def _in_order(name: str) -> list[str]:
    """The words with letters, the given name before the family name: “Muster, Anna”."""
    family, _, given = (_words(part) for part in name.partition(","))
    return family + given if all(map(_is_title, given)) else given + family


def _words(text: str) -> list[str]:
    return [word for word in text.split() if has_letter(word)]


def _is_title(word: str) -> bool:
    """Whether a word is a title, a form of address or an initial."""
    return word.endswith(".") or word.replace(".", "").casefold() in TITLES


def _in_lower_case(word: str) -> str:
    shouts = word.isupper() and sum(map(str.isalpha, word)) > 2
    return "-".join(map(str.capitalize, word.split("-"))) if shouts else word
