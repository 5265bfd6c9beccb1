"""The JSON of applications to become a friend, and of the consent of guardians."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from api.schemas.base import RequestModel, ResponseModel, example
from api.schemas.fields import (
    LINE,
    City,
    Email,
    Flag,
    Languages,
    Lat,
    LoginCode,
    Lon,
    PersonName,
    Phone,
    Postcode,
    RadiusM,
    Reason,
    ShortNote,
    Token,
)
from api.schemas.people import Base
from data.enums import ApplicationState, FriendState
from data.markets import Language, Market
from dispatch.rules.people.applications import DeclineReason, Education, Skill

LongToken = Annotated[str, StringConstraints(min_length=1, max_length=3000), LINE]
ConsentCode = Annotated[str, StringConstraints(pattern="^[a-z_]{2,40}$")]
CertificateCode = Annotated[str, StringConstraints(pattern="^[a-z0-9-]{2,40}$")]
WHO = {
    "name": "Mara Muster",
    "email": "mara@example.com",
    "language": "de",
    "market": "CH",
}


class JoinRequest(RequestModel):
    """Who would like to become a friend; the address is confirmed by mail."""

    model_config = example(WHO)

    name: PersonName
    email: Email
    language: Language
    market: Market


class JoinCodeRequest(JoinRequest):
    """The same again, with the secret of the request and the code of its mail."""

    model_config = example({**WHO, "request": "The-request-of-the-response", "code": "123456"})

    request: Token
    code: LoginCode


class JoinLinkRequest(RequestModel):
    """What the link of the mail carries."""

    model_config = example({"token": "The-token-of-the-mailed-link"})

    token: LongToken


class BaseChange(RequestModel):
    """The home place in degrees."""

    lat: Lat
    lon: Lon


class Guardian(RequestModel):
    """Another person, of age, who may consent for a friend who is not."""

    name: PersonName
    email: Email
    phone: Phone


class ApplicationRequest(RequestModel):
    """The fields to change; omitted ones stay. `consents` are texts agreed to now."""

    model_config = example(
        {
            "phone": "079 123 45 67",
            "birth_date": "1990-05-14",
            "postcode": "8001",
            "city": "Zürich",
            "base": {"lat": 47.37, "lon": 8.54},
            "radius_m": 5000,
            "education": "university",
            "interests": ["wifi"],
            "skills": ["explaining"],
        }
    )

    name: PersonName | None = None
    phone: Phone | None = None
    birth_date: date | None = None
    postcode: Postcode | None = None
    city: City | None = None
    base: BaseChange | None = None
    radius_m: RadiusM | None = None
    languages: Languages | None = None
    education: Education | None = None
    interests: list[CertificateCode] | None = Field(None, max_length=20)
    skills: list[Skill] | None = Field(None, max_length=20)
    about: ShortNote | None = None
    guardian: Guardian | None = None
    consents: list[ConsentCode] = Field(default_factory=list, max_length=10)


class DeclineRequest(RequestModel):
    """Why an application is declined; the applicant learns the reasons, never the note."""

    model_config = example({"reasons": ["knowledge"], "note": "Failed three exams."})

    reasons: list[DeclineReason] = Field(min_length=1, max_length=len(DeclineReason))
    note: Reason | None = None


class GuardianRequest(RequestModel):
    """What the link to a guardian carries."""

    model_config = example({"token": "The-token-of-the-link"})

    token: Token


class GuardianConsentRequest(GuardianRequest):
    """The consent of a guardian, who states to be of age."""

    model_config = example({"token": "The-token-of-the-link", "of_age": True})

    of_age: Annotated[Flag, Field(json_schema_extra={"const": True})]


class JoinResponse(ResponseModel):
    """The response whether or not the address is known."""

    message: str = "A mail with a link and a code is on its way."
    request: str = Field(description="Needed to confirm by the code.")
    expires_in_s: int


class ConsentText(ResponseModel):
    """A text to agree to in its present version; `agreed_at` is null before."""

    code: str
    version: str
    text: str
    agreed_at: datetime | None


class Choice(ResponseModel):
    """A certificate to aim at, by name."""

    code: str
    name: str


class GuardianStatus(ResponseModel):
    """The guardian of an applicant, and whether the consent stands."""

    name: str
    email: str
    phone: str
    confirmed_at: datetime | None
    ended_at: datetime | None


class ApplicationResponse(ResponseModel):
    """One's own application; `missing` names the fields it still needs, by step."""

    state: ApplicationState
    friend_state: FriendState
    name: str
    email: str
    phone: str | None
    birth_date: date | None
    market: Market
    language: Language
    postcode: str | None
    city: str | None
    base: Base | None
    radius_m: int
    languages: list[Language]
    education: Education | None
    interests: list[str]
    skills: list[Skill]
    about: str | None
    guardian: GuardianStatus | None
    needs_guardian: bool
    consents: list[ConsentText]
    choices: list[Choice]
    missing: list[str]
    submitted_at: datetime | None
    ended_at: datetime | None
    reasons: list[DeclineReason]
    again_at: datetime | None = Field(description="From when on one may apply after a decline.")


class ApplicationRow(ResponseModel):
    """An application that was submitted, for the desk."""

    id: UUID
    friend_id: UUID
    state: ApplicationState
    name: str
    market: Market
    postcode: str | None
    city: str | None
    submitted_at: datetime
    certificates: list[str]


class GuardianResponse(ResponseModel):
    """What a guardian is asked: for which friend, and where it stands."""

    first_name: str
    guardian: str
    confirmed_at: datetime | None
    ended_at: datetime | None
