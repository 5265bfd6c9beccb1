import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.markets import Currency, Market
from data.records.money import Money
from dispatch.rules.money import prices
from dispatch.rules.policy import Policy
from tests.rules.facts import package


def test_the_price_is_the_catalogues():
    assert prices.price(package(), Market.CH) == Money(amount=6900, currency=Currency.CHF)


def test_a_package_without_a_price_in_a_country_is_not_sold_there():
    with pytest.raises(prices.NotSoldHere, match="sold in: CH") as refused:
        prices.price(package(), Market.PL)
    assert refused.value.field == "package"


@given(st.integers(1, 10_000_000), st.integers(0, 99))
def test_pay_and_commission_are_whole_and_make_up_the_price(amount: int, percent: int):
    money = Money(amount=amount, currency=Currency.EUR)
    share = prices.pay(money, Policy(commission_percent=percent))
    assert share.currency is Currency.EUR
    assert 0 <= share.amount <= amount
    exact = amount * (100 - percent) / 100
    assert exact - 1 < share.amount <= exact + 1e-6
