"""The markets: one entry per country, with everything that depends on the country alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Currency(StrEnum):
    CHF = "CHF"
    EUR = "EUR"
    PLN = "PLN"


class Language(StrEnum):
    DE = "de"
    EN = "en"
    FR = "fr"
    IT = "it"
    PL = "pl"


class Market(StrEnum):
    CH = "CH"
    DE = "DE"
    AT = "AT"
    PL = "PL"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketFacts:
    """A country as the trade sees it: currency, time zone and the language spoken by default."""

    currency: Currency
    timezone: str
    language: Language


MARKETS: Mapping[Market, MarketFacts] = {
    Market.CH: MarketFacts(currency=Currency.CHF, timezone="Europe/Zurich", language=Language.DE),
    Market.DE: MarketFacts(currency=Currency.EUR, timezone="Europe/Berlin", language=Language.DE),
    Market.AT: MarketFacts(currency=Currency.EUR, timezone="Europe/Vienna", language=Language.DE),
    Market.PL: MarketFacts(currency=Currency.PLN, timezone="Europe/Warsaw", language=Language.PL),
}
