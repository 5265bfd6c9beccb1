"""The price of a package and the friend's share of it."""

from __future__ import annotations

from data.markets import Market
from data.records.catalogue import Package
from data.records.money import Money
from dispatch.rules.policy import Policy
from dispatch.rules.refusals import Refused


class NotSoldHere(Refused):
    """This package is not sold in that country."""

    code = "package-not-sold-here"
    field = "package"


def price(package: Package, market: Market) -> Money:
    """The catalogue price in `market`. Raises NotSoldHere."""
    try:
        return package.prices[market]
    except KeyError:
        sold = ", ".join(sorted(package.prices)) or "nowhere"
        raise NotSoldHere(f"{package.code} is sold in: {sold}") from None


def pay(price: Money, policy: Policy) -> Money:
    """The friend's share: the price less the commission, rounded down to the minor unit."""
    return Money(
        amount=price.amount * (100 - policy.commission_percent) // 100, currency=price.currency
    )
