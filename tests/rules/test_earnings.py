"""What a friend earned by month: exact sums by cause, and a CSV file that no sheet executes."""

import csv
from datetime import UTC, datetime
from io import StringIO
from types import SimpleNamespace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.schemas import earnings_file
from data.markets import Currency, Language
from data.records.earnings import EarningLine, EarningSum
from data.records.ids import BookingId
from dispatch.rules.money.earnings import Cause, by_month


def one_sum(**changes) -> EarningSum:
    fields = {
        "month": "2026-03",
        "currency": Currency.CHF,
        "for_fee": False,
        "is_reversed": False,
        "charges": 1,
        "pay_minor": 5520,
        "minutes": 0,
        "timed_minor": 0,
    }
    return EarningSum(**fields | changes)


sums = st.lists(
    st.builds(
        one_sum,
        month=st.sampled_from(["2025-12", "2026-01", "2026-03"]),
        currency=st.sampled_from([Currency.CHF, Currency.EUR]),
        for_fee=st.booleans(),
        is_reversed=st.booleans(),
        charges=st.integers(1, 9),
        pay_minor=st.integers(0, 100_000),
    )
)


@given(sums)
def test_no_minor_unit_is_lost_between_what_counts_and_what_was_reversed(given_sums):
    months = by_month(given_sums)
    for currency in Currency:
        whole = sum(one.pay_minor for one in given_sums if one.currency is currency)
        of = [one for one in months if one.currency is currency]
        assert sum(one.total_minor + one.reversed_minor for one in of) == whole
    assert [one.month for one in months] == sorted((m.month for m in months), reverse=True)
    assert len({(one.month, one.currency) for one in months}) == len(months)


def test_a_reversed_job_counts_neither_as_pay_nor_as_a_job_and_a_fee_is_no_job():
    (month,) = by_month(
        [
            one_sum(charges=2, pay_minor=10_000, minutes=90, timed_minor=7_000),
            one_sum(for_fee=True, pay_minor=1_380),
            one_sum(is_reversed=True, pay_minor=5_520),
        ]
    )
    assert month.by_cause == {Cause.JOB: 10_000, Cause.LATE_CANCEL: 1_380}
    assert (month.jobs, month.total_minor, month.reversed_minor) == (2, 11_380, 5_520)
    assert month.hourly_minor == 4_666
    assert by_month([one_sum()])[0].hourly_minor is None


def line(**changes) -> EarningLine:
    fields = {
        "booking_id": BookingId(UUID(int=1)),
        "package": "wifi-setup",
        "package_version": 1,
        "language": Language.DE,
        "at": datetime(2026, 2, 28, 23, 30, tzinfo=UTC),
        "pay_minor": 1_305,
        "currency": Currency.CHF,
        "cancel_fee_minor": 0,
        "reversed_at": None,
        "minutes": 40,
    }
    return EarningLine(**fields | changes)


def written(*lines: EarningLine, name: str = "WLAN") -> list[dict[str, str]]:
    sold = SimpleNamespace(texts={Language.DE: SimpleNamespace(name=name)})
    catalogue = SimpleNamespace(at=lambda code, version: sold)
    text = earnings_file.write(lines, "Europe/Zurich", catalogue)
    assert text.startswith("\ufeff")
    return list(csv.DictReader(StringIO(text.removeprefix("\ufeff"))))


def test_a_line_of_the_file_is_exact_and_in_local_time():
    plain, void = written(line(), line(reversed_at=datetime(2026, 7, 1, tzinfo=UTC), minutes=None))
    assert plain == {
        "at": "2026-03-01 00:30:00+01:00",
        "booking": str(UUID(int=1)),
        "package": "WLAN",
        "cause": "job",
        "pay": "13.05",
        "currency": "CHF",
        "minutes": "40",
        "reversed_at": "",
    }
    assert (void["reversed_at"], void["minutes"]) == ("2026-07-01 02:00:00+02:00", "")


@pytest.mark.parametrize(
    "name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =cmd|' /C calc'!A0", "\n=1"]
)
def test_a_name_that_a_spreadsheet_would_execute_is_disarmed(name):
    (row,) = written(line(), name=name)
    assert row["package"].startswith("'")


def test_a_name_with_signs_inside_stays_as_it_is():
    (row,) = written(line(), name="Wi-Fi = fun, +1")
    assert row["package"] == "Wi-Fi = fun, +1"
