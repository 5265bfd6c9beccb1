"""Telephone numbers in what the desk searches for, in whatever form they are written."""

from __future__ import annotations

import re
from typing import Final

from phonenumbers import NumberParseException, parse

from data.markets import MARKETS

# Shorter runs of digits are postcodes, house numbers and references.
DIGITS_MIN: Final = 6
RUN: Final = re.compile(r"(?<!\w)[+(]?\d[\d\s()/.-]*\d(?!\w)")


def split_phone(words: str) -> tuple[str, frozenset[str]]:
    """The other words, and how the first number among them may begin in E.164 without its plus.

    044 668 and 0041 44 668 both give 4144668, and what they mean in the other markets.
    """
    if "@" in words:
        return words, frozenset()
    for run in RUN.finditer(words):
        digits = re.sub(r"\D", "", run[0])
        if len(digits) >= DIGITS_MIN:
            rest = f"{words[: run.start()]} {words[run.end() :]}"
            return rest, frozenset({digits, *_international(run[0])})
    return words, frozenset()


def _international(number: str) -> set[str]:
    found = set()
    for market in MARKETS:
        try:
            read = parse(number, market)
        except NumberParseException:
            continue
        found.add(f"{read.country_code}{read.national_number}")
    return found
