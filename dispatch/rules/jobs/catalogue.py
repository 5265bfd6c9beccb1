"""Packages by their code."""

from __future__ import annotations

from collections.abc import Mapping

from data.records.catalogue import Package
from dispatch.rules.refusals import Refused


class UnknownPackage(Refused):
    """There is no such package."""

    code = "unknown-package"
    field = "package"


def package_named(packages: Mapping[str, Package], code: str) -> Package:
    """The package of the catalogue with this code. Raises UnknownPackage."""
    try:
        return packages[code]
    except KeyError:
        raise UnknownPackage(f"{code[:60]!r} is not in the catalogue; see /v1/packages") from None
