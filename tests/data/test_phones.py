"""Telephone numbers as people write them; bookings and imports read them in one place."""

import pytest

from data.phones import PhoneInvalid, parse_phone


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("044 668 18 01", "CH", "+41446681801"),
        ("+41 (0)44 668 18 01", "CH", "+41446681801"),
        ("0041 44/668.18.01", "DE", "+41446681801"),
        ("+49 (0)30 23125-001", "CH", "+493023125001"),
        ("01 2345678", "AT", "+4312345678"),
        ("+48 (0)22 629 12 34", "PL", "+48226291234"),
        ("022 629 12 34", "PL", "+48226291234"),
        ("(0-22) 629 12 34", "PL", "+48226291234"),
        ("+48 022 629 12 34", "CH", "+48226291234"),
        ("0048 (0) 22 629 12 34", "CH", "+48226291234"),
        ("22 629 12 34", "PL", "+48226291234"),
        ("+39 06 6982", "CH", "+39066982"),
    ],
)
def test_a_number_is_read_as_people_of_its_country_write_it(text, region, number):
    assert parse_phone(text, region) == number


@pytest.mark.parametrize(
    "text",
    [
        *("044 668 18 00 ext. 12", "044 668 18 00 x12", "+41 44 668 18 00 #12"),
        *("044 668 18 00, int. 12", "+41 44 668 18 00 poste 12", "044 668 18 00 Durchwahl 12"),
        *("044 668 18 00 DW 12", "+48 22 629 12 34 wew. 12", "tel:+41446681800;ext=12"),
    ],
)
def test_an_extension_is_named_and_not_dropped(text):
    with pytest.raises(PhoneInvalid, match="extension 12") as refused:
        parse_phone(text, "CH")
    assert refused.value.cure


@pytest.mark.parametrize("text", ["", "12", "call me", "+41 79 123 45", "+999 123456789", "0"])
@pytest.mark.parametrize("region", ["CH", "PL", None])
def test_anything_else_is_refused_with_an_example(text, region):
    with pytest.raises(PhoneInvalid) as refused:
        parse_phone(text, region)
    assert "+" in refused.value.cure
