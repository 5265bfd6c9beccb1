"""The catalogue: packages, their prices and the certificates they need.

The content is TOML beside this file: `certificates.toml`, and one file per category in
`packages/`. It is checked completely when read, so that a missing translation or price is found at
startup.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Any

from data.enums import PackageTier
from data.markets import MARKETS, Language, Market
from data.records.catalogue import Package, PackageText
from data.records.money import Money

CODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
LONGEST_MINUTES = 480
LONGEST_MONTHS = 120
MIN_AGES = (14, 16, 18)
PACKAGE_KEYS = frozenset({"tier", "minutes", "certificates", "prices", "min_age"})
CERTIFICATE_KEYS = frozenset({"names", "valid_months", "practical"})

Table = Mapping[str, Any]


class CatalogueInvalid(ValueError):
    """The catalogue is invalid; the message names the file, the entry, the key and the cure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateKind:
    """A kind of work a friend can be certified for; without `valid_months` it never expires.

    Where it is `practical`, the desk looks at the work of a friend who passed the exam.
    """

    code: str
    names: Mapping[Language, str]
    valid_months: int | None
    practical: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All packages and certificates by code."""

    packages: Mapping[str, Package]
    certificates: Mapping[str, CertificateKind]


@cache
def load() -> Catalogue:
    """Return the catalogue of the product. Raises CatalogueInvalid."""
    return read(files("data.seed"))


def read(folder: Traversable) -> Catalogue:
    """Read and check the catalogue in `folder`. Raises CatalogueInvalid at the first fault."""
    certificates = {
        code: _certificate(_Entry("certificates.toml", code, table))
        for code, table in _tables(folder / "certificates.toml", "certificates.toml")
    }
    packages: dict[str, Package] = {}
    for entry, category in _package_entries(folder / "packages"):
        if entry.code in packages:
            raise entry.error("is listed twice; keep one of the two entries")
        packages[entry.code] = _package(entry, category, certificates.keys())
    return Catalogue(
        packages=MappingProxyType(packages), certificates=MappingProxyType(certificates)
    )


@dataclass(frozen=True, slots=True)
class _Entry:
    """One table of one file, with checks that name file and entry in errors."""

    file: str
    code: str
    table: Table

    def error(self, problem: str) -> CatalogueInvalid:
        return CatalogueInvalid(f"{self.file}: [{self.code}] {problem}")

    def require(self, key: str, kind: type) -> Any:
        if key not in self.table:
            raise self.error(f"has no {key}; add it")
        value = self.table[key]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self.error(f"{key} must be {kind.__name__}, not {value!r}")
        return value

    def check_keys(self, known: Set[str]) -> None:
        unknown = sorted(self.table.keys() - known)
        if unknown:
            raise self.error(f"has the unknown key {unknown[0]}; known: {_join_words(known)}")


def _package_entries(folder: Traversable) -> Iterator[tuple[_Entry, str]]:
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".toml"):
            name = f"packages/{file.name}"
            for code, table in _tables(file, name):
                yield _Entry(name, code, table), file.name.removesuffix(".toml")


def _tables(file: Traversable, name: str) -> Iterator[tuple[str, Table]]:
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CatalogueInvalid(f"{name}: cannot be read: {error}") from error
    for code, table in content.items():
        if not CODE.fullmatch(code):
            raise CatalogueInvalid(f"{name}: [{code}] must be lower-case words joined by hyphens")
        if not isinstance(table, dict):
            raise CatalogueInvalid(f"{name}: {code} must be a table; write [{code}]")
        yield code, table


def _certificate(entry: _Entry) -> CertificateKind:
    entry.check_keys(CERTIFICATE_KEYS)
    months = None
    if "valid_months" in entry.table:
        months = _number(entry, "valid_months", LONGEST_MONTHS)
    names = entry.require("names", dict)
    practical = entry.table.get("practical", False)
    if not isinstance(practical, bool):
        raise entry.error(f"practical is {practical!r}; write true, or leave it out")
    return CertificateKind(
        code=entry.code,
        names=MappingProxyType(
            {language: _text(entry, names, language, "names") for language in Language}
        ),
        valid_months=months,
        practical=practical,
    )


def _package(entry: _Entry, category: str, certificates: Set[str]) -> Package:
    entry.check_keys(PACKAGE_KEYS | set(Language))
    return Package(
        code=entry.code,
        category=category,
        tier=_tier(entry),
        minutes=_number(entry, "minutes", LONGEST_MINUTES),
        certificates=_required_certificates(entry, certificates),
        texts=MappingProxyType({language: _texts(entry, language) for language in Language}),
        prices=MappingProxyType({market: _price(entry, market) for market in Market}),
        min_age=_min_age(entry),
    )


def _tier(entry: _Entry) -> PackageTier:
    tier = entry.require("tier", str)
    if tier not in set(PackageTier):
        raise entry.error(f"has the unknown tier {tier}; known: {_join_words(set(PackageTier))}")
    return PackageTier(tier)


def _number(entry: _Entry, key: str, highest: int) -> int:
    number: int = entry.require(key, int)
    if not 1 <= number <= highest:
        raise entry.error(f"{key} is {number}; it must be from 1 to {highest}")
    return number


def _min_age(entry: _Entry) -> int:
    age = entry.table.get("min_age", MIN_AGES[-1])
    if age not in MIN_AGES:
        raise entry.error(f"min_age is {age!r}; it must be one of {', '.join(map(str, MIN_AGES))}")
    return int(age)


def _required_certificates(entry: _Entry, certificates: Set[str]) -> frozenset[str]:
    needed = entry.require("certificates", list)
    for code in needed:
        if code not in certificates:
            raise entry.error(f"needs the unknown certificate {code}; add it or correct the code")
    return frozenset(needed)


def _texts(entry: _Entry, language: Language) -> PackageText:
    texts = entry.require(language, dict)
    return PackageText(
        name=_text(entry, texts, "name", language),
        description=_text(entry, texts, "description", language),
    )


def _text(entry: _Entry, table: Table, key: str, where: str) -> str:
    text = table.get(key)
    if not isinstance(text, str) or not text.strip():
        raise entry.error(f"has no {where}.{key}; write the text")
    return text.strip()


def _price(entry: _Entry, market: Market) -> Money:
    amount = entry.require("prices", dict).get(market)
    currency, lowest = MARKETS[market].currency, MARKETS[market].lowest_price_minor
    if not isinstance(amount, int) or amount < lowest:
        raise entry.error(
            f"prices.{market} is {amount}; write an amount in minor units of {currency},"
            f" at least {lowest}"
        )
    return Money(amount=amount, currency=currency)


def _join_words(words: Set[str]) -> str:
    return ", ".join(sorted(words))
