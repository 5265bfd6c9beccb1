"""Fields accept exactly what the reference libraries accept."""

import re

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from api.schemas.fields import RESERVED, Minutes, PersonName, _email, e164

LABEL = st.text("abzAZ059-_.é", min_size=0, max_size=66)
NAME = st.text("abzAZ059-_.+'\"@ é", min_size=0, max_size=66)
WORD = st.text("abAZ09_+-", min_size=1, max_size=30)
LIKELY = st.builds(
    lambda words, labels, end: f"{'.'.join(words)}@{'.'.join([*labels, end])}",
    st.lists(WORD, min_size=1, max_size=3),
    st.lists(st.text("abAZ09-", min_size=1, max_size=32), min_size=1, max_size=4),
    st.text("abAZ", min_size=1, max_size=32),
)
ODD = [
    "a@example.com",
    "A.B+c_d-e@Example.COM",
    "a@example.test",
    "a@test",
    "a@sub.example.invalid",
    "a@localhost",
    "a@printer.local",
    "a@x.onion",
    "a@1.2.3.4",
    "a@example.c",
    "a@example.123",
    "a@xn--zrich-kva.ch",
    "a@ab--cd.ch",
    "a@-ab.ch",
    "a@ab-.ch",
    "a..b@example.com",
    ".a@example.com",
    "a.@example.com",
    "a@example.com.",
    "a@exa_mple.com",
    f"{'a' * 64}@example.com",
    f"{'a' * 65}@example.com",
    f"a@{'b' * 63}.com",
    f"a@{'b' * 64}.com",
    f"a@{'.'.join(['b' * 30] * 8)}.com",
    f"{'a' * 64}@{'.'.join(['b' * 30] * 6)}.com",
    "a@example.com\n",
    "jürg@zürich.ch",
]


def by_library(address):
    try:
        parts = validate_email(address, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return None
    return parts.normalized


def by_us(address):
    try:
        return _email(address)
    except PydanticCustomError:
        return None


@pytest.mark.parametrize("address", ODD)
def test_an_unusual_address_is_accepted_or_refused_like_the_library(address):
    assert by_us(address) == by_library(address)


@given(st.one_of(LIKELY, st.builds("{}@{}.{}".format, NAME, LABEL, LABEL)))
def test_every_address_is_accepted_or_refused_like_the_library(address):
    assert by_us(address) == by_library(address)


def test_reserved_domains_are_refused():
    assert {"localhost", "invalid", "local"} <= RESERVED
    assert all(re.fullmatch("[a-z.]+", name) for name in RESERVED)


def test_an_integer_may_be_written_with_a_decimal_point():
    minutes = TypeAdapter(Minutes)
    assert minutes.json_schema() == {"type": "integer", "minimum": 0, "maximum": 6000}
    assert [minutes.validate_python(value) for value in (40, 40.0)] == [40, 40]
    for other in (40.5, "40", True, float("inf"), 6001.0):
        with pytest.raises(ValidationError):
            minutes.validate_python(other)


@pytest.mark.parametrize("written", ["\u200b", "\u3164", "\u202e", "- 1 -"])
def test_a_name_without_a_letter_is_refused(written):
    with pytest.raises(ValidationError, match="has no letter"):
        TypeAdapter(PersonName).validate_python(written)


def test_a_name_is_kept_without_its_invisible_characters():
    assert TypeAdapter(PersonName).validate_python("\u202eKarl\u200b Muster") == "Karl Muster"


@pytest.mark.parametrize(
    ("number", "region"),
    [
        ("0900 123 456", "CH"),
        ("0901 123 456", "CH"),
        ("0842 123 456", "CH"),
        ("0900 1 234567", "DE"),
        ("0180 1 123456", "DE"),
        ("0900 123456", "AT"),
        ("70 123 45 67", "PL"),
    ],
)
def test_a_number_that_costs_its_callers_extra_is_refused(number, region):
    with pytest.raises(PydanticCustomError, match="costs its callers extra"):
        e164(number, region)


@pytest.mark.parametrize(
    ("number", "region"), [("044 000 17 39", "CH"), ("0800 123 456", "CH"), ("079 123 45 67", "CH")]
)
def test_an_ordinary_number_is_taken(number, region):
    assert e164(number, region).startswith("+41")
