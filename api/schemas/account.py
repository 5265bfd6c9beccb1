"""The JSON about a customer's account: details, bookings and favourites."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import model_validator

from api.schemas.base import RequestModel, ResponseModel, example
from api.schemas.fields import City, Name, PersonName, Phone, Postcode, e164
from api.schemas.requests import ADDRESS_EXAMPLE
from api.schemas.responses import BookingResponse
from data.markets import Language, Market


class AccountAddress(RequestModel):
    """The address that the next booking begins with."""

    street: Name
    postcode: Postcode
    city: City
    country: Market


class AccountRequest(RequestModel):
    """All that a customer keeps in the account; what is left out is removed."""

    model_config = example(
        {
            "name": "Anna Muster",
            "phone": "+41 44 000 17 39",
            "language": "de",
            "address": ADDRESS_EXAMPLE,
        }
    )

    name: PersonName
    language: Language
    phone: Phone | None = None
    address: AccountAddress | None = None

    @model_validator(mode="after")
    def _format_phone(self) -> Self:
        if self.phone is not None:
            country = self.address.country if self.address else Market.CH
            self.phone = e164(self.phone, country)
        return self


class AccountAddressResponse(ResponseModel):
    """The address that the next booking begins with."""

    street: str
    postcode: str
    city: str
    country: str


class Favourite(ResponseModel):
    """A friend to ask first again, named by the last of the jobs they did for this customer."""

    first_name: str
    booking_id: UUID
    ended_at: datetime
    jobs: int


class AccountResponse(ResponseModel):
    """The account of the customer who is signed in; the mail address cannot be changed."""

    name: str
    email: str
    phone: str | None
    language: Language
    address: AccountAddressResponse | None
    favourites: list[Favourite]
    confirmed_at: datetime


class OwnBooking(BookingResponse):
    """A booking of the account with its link, which opens its page."""

    customer_link: str


class FavouriteResponse(ResponseModel):
    """Whether the friend of this booking is a favourite now."""

    favourite: bool


class AccountExportResponse(ResponseModel):
    """Everything kept about the customer: one item for the account and for each booking."""

    items: list[dict[str, Any]]


class AccountErasedResponse(ResponseModel):
    """How many bookings were emptied with the account."""

    bookings: int
