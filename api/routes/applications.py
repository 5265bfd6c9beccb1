"""Becoming a friend: a confirmed address, one's own application, and the consent of a guardian."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from api.http.auth import CurrentFriend, Rt
from api.http.languages import AcceptLanguage, preferred_language
from api.http.problems import InvalidField
from api.http.rate_limit import TooManyRequests, limit_network
from api.http.routing import CompiledRoute
from api.http.session_cookies import set_session_cookie
from api.openapi.document import allows_anonymous, problems
from api.schemas import applications as schemas
from api.schemas import people as people_schemas
from api.schemas.application_presenter import certificate_codes, present_application
from data.markets import Language
from data.phones import PhoneInvalid
from data.seed import consents as texts
from data.store.account_mails import Addressee
from dispatch.flows.people import applications, guardians
from dispatch.flows.people.sessions import CodeRefused, LinkUsedUp, Session
from dispatch.rules.people.ages import BirthDateRefused
from dispatch.rules.people.applications import (
    JOIN_LIFE,
    ApplicationExists,
    ApplicationIncomplete,
    ApplicationNotOpen,
    ApplyLater,
    GuardianRefused,
)
from dispatch.rules.people.names import first_name
from dispatch.rules.refusals import NotFound
from dispatch.runtime import Runtime
from geo.gazetteer.addresses import AddressRefused

router = APIRouter(prefix="/v1", tags=["joining"], route_class=CompiledRoute)


async def limit_applications(request: Request, rt: Rt) -> None:
    """Count a request for a confirmation. Raises TooManyRequests."""
    limit_network(request, "applications", rt.policy.login_links_per_minute)


@router.post(
    "/applications",
    status_code=202,
    summary="Begin an application",
    responses=problems(TooManyRequests),
    openapi_extra=allows_anonymous(),
)
async def begin_application(
    rt: Rt,
    limited: Annotated[None, Depends(limit_applications)],
    body: schemas.JoinRequest,
) -> schemas.JoinResponse:
    """Mail a link and a code that confirm the address; the response is alike for a known one."""
    request = await applications.request(rt, _who(body))
    return schemas.JoinResponse(request=request, expires_in_s=int(JOIN_LIFE.total_seconds()))


@router.post(
    "/applications/link",
    status_code=201,
    summary="Confirm an address by link",
    responses=problems(LinkUsedUp),
    openapi_extra=allows_anonymous(),
)
async def confirm_application(
    rt: Rt, body: schemas.JoinLinkRequest, response: Response
) -> people_schemas.SessionCreatedResponse:
    """Begin a session; the account is made unless there is one with this address."""
    return _sign_in(rt, response, await applications.confirm(rt, body.token))


@router.post(
    "/applications/code",
    status_code=201,
    summary="Confirm an address by code",
    responses=problems(CodeRefused),
    openapi_extra=allows_anonymous(),
)
async def confirm_application_by_code(
    rt: Rt, body: schemas.JoinCodeRequest, response: Response
) -> people_schemas.SessionCreatedResponse:
    """The same by the code of the mail, in the browser that asked for it."""
    session = await applications.confirm_by_code(rt, body.request, body.code, _who(body))
    return _sign_in(rt, response, session)


def _who(body: schemas.JoinRequest) -> Addressee:
    return Addressee(email=body.email, name=body.name, language=body.language, market=body.market)


def _sign_in(
    rt: Runtime, response: Response, session: Session
) -> people_schemas.SessionCreatedResponse:
    set_session_cookie(rt, response, session)
    return people_schemas.SessionCreatedResponse.model_validate(session)


@router.get("/me/application", summary="Get my application", responses=problems(NotFound))
async def show_my_application(
    rt: Rt, caller: CurrentFriend, accept_language: AcceptLanguage = None
) -> schemas.ApplicationResponse:
    """The last application of this friend, with the texts to agree to."""
    found = await applications.read(rt, caller.friend_id)
    return _present(found, accept_language)


@router.patch(
    "/me/application",
    summary="Change my application",
    responses=problems(
        NotFound, InvalidField, ApplicationNotOpen, BirthDateRefused, GuardianRefused
    ),
)
async def change_my_application(
    rt: Rt,
    caller: CurrentFriend,
    body: schemas.ApplicationRequest,
    accept_language: AcceptLanguage = None,
) -> schemas.ApplicationResponse:
    """Change the given fields of a draft; it stays until it is submitted or withdrawn."""
    _check_codes(body)
    try:
        found = await applications.change(rt, caller.friend_id, _changes(body), body.consents)
    except PhoneInvalid as wrong:
        raise InvalidField("phone", wrong.problem, wrong.cure) from None
    except AddressRefused as refused:
        raise InvalidField("base", refused.problem, refused.cure) from None
    return _present(found, accept_language)


def _check_codes(body: schemas.ApplicationRequest) -> None:
    for field, given, known in (
        ("interests", body.interests or [], certificate_codes()),
        ("consents", body.consents, texts.load().keys()),
    ):
        for code in given:
            if code not in known:
                raise InvalidField(field, f"names {code}", f"use {', '.join(sorted(known))}")


def _changes(body: schemas.ApplicationRequest) -> dict[str, Any]:
    changes = body.model_dump(exclude={"base", "guardian", "consents", "about"})
    changes["notes"] = body.about
    if body.base:
        changes |= {"lat": body.base.lat, "lon": body.base.lon}
    if body.guardian:
        changes |= {f"guardian_{name}": v for name, v in body.guardian.model_dump().items()}
    return changes


@router.post(
    "/me/application",
    status_code=201,
    summary="Apply again",
    responses=problems(NotFound, ApplicationExists, ApplyLater),
)
async def apply_again(
    rt: Rt, caller: CurrentFriend, accept_language: AcceptLanguage = None
) -> schemas.ApplicationResponse:
    """Begin another application after one that was withdrawn, or declined long enough ago."""
    return _present(await applications.begin_again(rt, caller.friend_id), accept_language)


@router.post(
    "/me/application/submit",
    summary="Submit my application",
    responses=problems(NotFound, ApplicationIncomplete, ApplicationNotOpen, GuardianRefused),
)
async def submit_my_application(
    rt: Rt, caller: CurrentFriend, accept_language: AcceptLanguage = None
) -> schemas.ApplicationResponse:
    """Submit it whole; the problem names each field that is missing. Repeating changes nothing."""
    return _present(await applications.submit(rt, caller.friend_id), accept_language)


@router.post(
    "/me/application/guardian",
    summary="Ask my guardian again",
    responses=problems(NotFound, ApplicationNotOpen, GuardianRefused),
)
async def ask_my_guardian(
    rt: Rt, caller: CurrentFriend, accept_language: AcceptLanguage = None
) -> schemas.ApplicationResponse:
    """Mail a new link to the guardian of a minor; a consent that stands is left as it is."""
    return _present(await applications.ask_guardian(rt, caller.friend_id), accept_language)


@router.post(
    "/me/application/withdraw",
    summary="Withdraw my application",
    responses=problems(NotFound, ApplicationNotOpen),
)
async def withdraw_my_application(
    rt: Rt, caller: CurrentFriend, accept_language: AcceptLanguage = None
) -> schemas.ApplicationResponse:
    """End an application that is not decided yet."""
    return _present(await applications.withdraw(rt, caller.friend_id), accept_language)


def _present(
    found: applications.Application, accept_language: str | None
) -> schemas.ApplicationResponse:
    language = preferred_language(accept_language) or Language(found.row["language"])
    return present_application(found, language)


@router.post(
    "/guardianships/view",
    summary="Read what a guardian is asked",
    responses=problems(NotFound),
    openapi_extra=allows_anonymous(),
)
async def show_guardianship(rt: Rt, body: schemas.GuardianRequest) -> schemas.GuardianResponse:
    """For which friend the consent is, and where it stands, by the token of the link."""
    return _guardianship(await guardians.look(rt, body.token))


@router.post(
    "/guardianships/confirm",
    summary="Consent as a guardian",
    responses=problems(NotFound, InvalidField),
    openapi_extra=allows_anonymous(),
)
async def confirm_guardianship(
    rt: Rt, body: schemas.GuardianConsentRequest
) -> schemas.GuardianResponse:
    """Consent, being of age by one's own statement; repeating it changes nothing."""
    if not body.of_age:
        raise InvalidField("of_age", "is false", "only a person of age may consent")
    return _guardianship(await guardians.confirm(rt, body.token))


@router.post(
    "/guardianships/withdraw",
    summary="Withdraw the consent of a guardian",
    responses=problems(NotFound),
    openapi_extra=allows_anonymous(),
)
async def withdraw_guardianship(rt: Rt, body: schemas.GuardianRequest) -> schemas.GuardianResponse:
    """The friend is asked for nothing from now on; repeating it changes nothing."""
    return _guardianship(await guardians.withdraw(rt, body.token))


def _guardianship(row: Mapping[str, Any]) -> schemas.GuardianResponse:
    return schemas.GuardianResponse(
        first_name=first_name(row["friend_name"]),
        guardian=row["guardian_name"] or "–",
        confirmed_at=row["confirmed_at"],
        ended_at=row["ended_at"],
    )
