"""The JSON of packages for the desk: their versions, and a change of one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, Field, Strict, StringConstraints, model_validator

from api.schemas.base import Money, RequestModel, ResponseModel, example
from api.schemas.fields import LINE, WHOLE, Code, Flag, Moment, invalid
from data.enums import PackageTier
from data.markets import Language, Market
from data.seed.catalogue import MIN_AGES


def _one_of_the_ages(age: int) -> int:
    if age not in MIN_AGES:
        raise invalid(f"is {age}", f"give one of {', '.join(map(str, MIN_AGES))}")
    return age


PackageName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80), LINE
]
Description = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=400), LINE
]
Category = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{2,40}$")]
PackageMinutes = Annotated[int, Strict(), Field(ge=1, le=480), WHOLE]
MinAge = Annotated[
    int,
    Strict(),
    Field(json_schema_extra={"enum": [*MIN_AGES]}),
    AfterValidator(_one_of_the_ages),
    WHOLE,
]
Amount = Annotated[int, Strict(), Field(ge=1, le=2**31 - 1), WHOLE]
VersionNumber = Annotated[int, Strict(), Field(ge=0, le=2**15 - 2), WHOLE]


class PackageText(RequestModel):
    """The name and description of a package in one language."""

    name: PackageName
    description: Description


def _in_all_languages(texts: dict[Language, PackageText]) -> dict[Language, PackageText]:
    for language in Language:
        if language not in texts:
            raise invalid(f"has no texts in {language}", "write name and description in each")
    return texts


Texts = Annotated[
    dict[Language, PackageText],
    AfterValidator(_in_all_languages),
    Field(json_schema_extra={"required": list(Language)}),
]


class PackageRequest(RequestModel):
    """What a package is from a time on.

    `version` is the one that this change was made from, 0 for a new package. `tiers` are the
    markets whose tier is another; a market without a price does not sell it.
    """

    model_config = example(
        {
            "version": 1,
            "active": True,
            "category": "wifi_network",
            "tier": "friend",
            "tiers": {"PL": "pro"},
            "minutes": 60,
            "certificates": ["wifi"],
            "prices": {"CH": 7900, "DE": 6900, "AT": 6900, "PL": 19900},
            "texts": {
                language: {"name": "Wi-Fi setup", "description": "Wi-Fi in every room."}
                for language in Language
            },
            "valid_from": "2030-01-01T00:00:00Z",
        }
    )

    version: VersionNumber
    partner: Annotated[
        UUID | None, Field(description="Whose customers alone it is sold to; for a new package.")
    ] = None
    active: Flag = True
    category: Category
    tier: PackageTier
    tiers: dict[Market, PackageTier] = Field(default_factory=dict)
    minutes: PackageMinutes
    min_age: MinAge = 18
    certificates: Annotated[list[Code], Field(max_length=10)]
    prices: dict[Market, Amount]
    texts: Texts
    valid_from: Moment | None = Field(None, description="Without it, in some seconds.")
    replaces_planned: Flag = Field(
        False, description="Begin before a version that is planned for later, and instead of it."
    )

    @model_validator(mode="after")
    def _owner_stays(self) -> Self:
        if self.partner is not None and self.version:
            raise invalid("is given for a package that exists", "leave it out", "partner")
        return self


class PackageVersion(ResponseModel):
    """One version of a package; without `author`, it came with a release of tekkie."""

    version: int
    valid_from: datetime
    active: bool
    category: str
    tier: PackageTier
    tiers: dict[Market, PackageTier]
    minutes: int
    min_age: int
    certificates: list[str]
    prices: dict[Market, Money]
    texts: dict[Language, PackageText]
    author: str | None
    created_at: datetime


class PackageLine(ResponseModel):
    """A package of the house or of a partner; `planned` is when its latest version begins."""

    code: str
    category: str
    name: str
    partner: str | None
    version: int
    on_sale: bool
    planned: datetime | None


class PackagesResponse(ResponseModel):
    """All packages, sold or not."""

    items: list[PackageLine]


class PackageVersionsResponse(ResponseModel):
    """All versions of a package, the latest first."""

    code: str
    versions: list[PackageVersion]
