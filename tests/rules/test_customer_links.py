from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from data.records.ids import BookingId
from dispatch.rules.jobs.customer_links import (
    customer_token,
    is_customer_token_valid,
    named_booking,
)

SECRET = b"a secret of thirty-two characters"
BOOKING = BookingId(UUID("0197f0a0-0000-7000-8000-000000000001"))


def booking_of_token(secret: bytes, token: str) -> BookingId | None:
    booking_id = named_booking(token)
    valid = booking_id is not None and is_customer_token_valid(secret, booking_id, token)
    return booking_id if valid else None


def test_a_token_is_valid_in_its_own_generation_alone():
    tokens = [customer_token(SECRET, BOOKING, generation) for generation in (0, 1, 2, 256)]
    assert len(set(tokens)) == len(tokens)
    for generation, token in zip((0, 1, 2, 256), tokens, strict=True):
        assert len(token) == 65
        valid = [
            one for one in (0, 1, 2, 256) if is_customer_token_valid(SECRET, BOOKING, token, one)
        ]
        assert valid == [generation]


def test_a_token_leads_to_its_booking():
    token = customer_token(SECRET, BOOKING)
    assert booking_of_token(SECRET, token) == BOOKING
    assert is_customer_token_valid(SECRET, BOOKING, token)
    assert len(token) == 65
    assert token.replace("-", "").replace("_", "").isalnum()


def test_a_token_is_valid_for_no_other_booking():
    other = BookingId(uuid4())
    assert not is_customer_token_valid(SECRET, other, customer_token(SECRET, BOOKING))
    forged = customer_token(SECRET, other)[:22] + customer_token(SECRET, BOOKING)[22:]
    assert booking_of_token(SECRET, forged) is None


def test_a_token_of_another_secret_is_invalid():
    assert booking_of_token(b"x" * 32, customer_token(SECRET, BOOKING)) is None


def test_a_token_with_one_changed_character_is_invalid():
    token = customer_token(SECRET, BOOKING)
    for place, was in enumerate(token):
        changed = token[:place] + ("A" if was != "A" else "B") + token[place + 1 :]
        assert booking_of_token(SECRET, changed) is None


@given(st.text(max_size=80))
def test_any_other_text_is_invalid(token: str):
    assert booking_of_token(SECRET, token) is None


@given(st.text(alphabet="AQgw-_é=", min_size=65, max_size=65))
def test_a_forged_token_is_invalid(token: str):
    assert booking_of_token(SECRET, token) is None


@given(st.uuids())
def test_every_booking_has_its_token(booking_id: UUID):
    assert booking_of_token(SECRET, customer_token(SECRET, BookingId(booking_id))) == booking_id
