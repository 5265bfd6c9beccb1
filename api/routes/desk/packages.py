"""The catalogue at the desk: packages and their versions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.http.auth import CurrentAdmin, CurrentOperator, Rt, actor
from api.http.languages import AcceptLanguage, preferred_language
from api.http.routing import CompiledRoute
from api.openapi.document import problems
from api.schemas import packages as schemas
from api.schemas import presenters
from data.markets import MARKETS, Language
from data.records.catalogue import ALWAYS, Package, PackageText
from data.records.ids import PartnerId
from data.records.money import Money
from data.store.catalogue import WrittenVersion
from dispatch.flows import catalogue
from dispatch.rules.jobs.catalogue import (
    PackageChanged,
    PlannedVersion,
    PriceRefused,
    UnknownCategory,
    UnknownCertificate,
)
from dispatch.rules.refusals import NotFound

router = APIRouter(prefix="/v1/desk/packages", tags=["desk"], route_class=CompiledRoute)

PackageCode = Annotated[str, Path(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", min_length=2, max_length=60)]


@router.get("", summary="List all packages")
async def list_all_packages(
    rt: Rt,
    caller: CurrentOperator,
    language: Annotated[Language | None, Query(description="Overrides `Accept-Language`.")] = None,
    accept_language: AcceptLanguage = None,
) -> schemas.PackagesResponse:
    """Packages of the house and of partners, on sale or not, in their order."""
    chosen = language or preferred_language(accept_language) or Language.EN
    found = await catalogue.overview(rt)
    return schemas.PackagesResponse(
        items=[
            schemas.PackageLine(
                code=one.latest.code,
                category=one.latest.category,
                name=one.latest.texts[chosen].name,
                partner=one.partner,
                version=one.latest.version,
                on_sale=one.on_sale,
                planned=one.planned,
            )
            for one in found
        ]
    )


@router.get("/{package}", summary="List the versions of a package", responses=problems(NotFound))
async def list_package_versions(
    rt: Rt, caller: CurrentOperator, package: PackageCode
) -> schemas.PackageVersionsResponse:
    """All versions of a package, the latest first."""
    return _present(package, await catalogue.history(rt, package))


@router.put(
    "/{package}",
    summary="Change or add a package",
    responses=problems(
        NotFound,
        PackageChanged,
        PlannedVersion,
        UnknownCategory,
        UnknownCertificate,
        PriceRefused,
    ),
)
async def change_package(
    rt: Rt, caller: CurrentAdmin, package: PackageCode, body: schemas.PackageRequest
) -> schemas.PackageVersionsResponse:
    """Write the next version of a package; bookings made before keep theirs.

    The same content again writes nothing.
    """
    written = await catalogue.change(
        rt,
        _package(package, body),
        by=caller.person_id,
        actor=actor(caller),
        replaces_planned=body.replaces_planned,
    )
    return _present(package, written)


def _package(code: str, body: schemas.PackageRequest) -> Package:
    return Package(
        code=code,
        category=body.category,
        tier=body.tier,
        minutes=body.minutes,
        min_age=body.min_age,
        certificates=frozenset(body.certificates),
        texts={
            language: PackageText(name=text.name, description=text.description)
            for language, text in body.texts.items()
        },
        prices={
            market: Money(amount=amount, currency=MARKETS[market].currency)
            for market, amount in body.prices.items()
        },
        tiers={market: tier for market, tier in body.tiers.items() if tier is not body.tier},
        version=body.version + 1,
        valid_from=body.valid_from or ALWAYS,
        active=body.active,
        owner=PartnerId(body.partner) if body.partner else None,
    )


def _present(code: str, written: Sequence[WrittenVersion]) -> schemas.PackageVersionsResponse:
    return schemas.PackageVersionsResponse(code=code, versions=list(map(_present_version, written)))


def _present_version(written: WrittenVersion) -> schemas.PackageVersion:
    package = written.package
    return schemas.PackageVersion(
        version=package.version,
        valid_from=package.valid_from,
        active=package.active,
        category=package.category,
        tier=package.tier,
        tiers=dict(package.tiers),
        minutes=package.minutes,
        min_age=package.min_age,
        certificates=sorted(package.certificates),
        prices={m: presenters.present_money(price) for m, price in package.prices.items()},
        texts={
            language: schemas.PackageText(name=text.name, description=text.description)
            for language, text in package.texts.items()
        },
        author=written.author,
        created_at=written.created_at,
    )
