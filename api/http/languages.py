"""The language a caller reads: what browsers send in Accept-Language."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Header

from data.markets import Language

LANGUAGES_MAX: Final = 20
AcceptLanguage = Annotated[str | None, Header(max_length=500)]


def preferred_language(header: str | None) -> Language | None:
    """The supported language that an Accept-Language header prefers, if any."""
    weights: dict[Language, float] = {}
    for part in (header or "").split(",")[:LANGUAGES_MAX]:
        tag, _, weight = part.strip().partition(";q=")
        code = tag.split("-")[0].strip().lower()
        if code in set(Language):
            weights.setdefault(Language(code), _weight(weight))
    best = max(weights, key=lambda language: weights[language], default=None)
    return best if best and weights[best] > 0 else None


def _weight(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0) if text else 1.0
    except ValueError:
        return 0.0
