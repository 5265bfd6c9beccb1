"""An application as JSON, with the texts and certificates to choose from."""

from __future__ import annotations

from collections.abc import Collection

from api.schemas import applications as schemas
from api.schemas.people import Base
from data.markets import Language
from data.seed import catalogue
from data.seed import consents as texts
from dispatch.flows.people.applications import Application
from dispatch.rules.people import applications as rules

PLAIN = (
    *("state", "friend_state", "name", "email", "phone", "birth_date", "market", "language"),
    *("postcode", "city", "radius_m", "languages", "education", "interests", "skills"),
    *("submitted_at", "ended_at", "reasons"),
)


def certificate_codes() -> Collection[str]:
    """The certificates that an applicant may aim at."""
    return catalogue.load().certificates.keys()


def present_application(found: Application, language: Language) -> schemas.ApplicationResponse:
    """An application in a language."""
    row = found.row
    agreed = {(one["text"], one["version"]): one["at"] for one in found.consents}
    kinds = catalogue.load().certificates.values()
    return schemas.ApplicationResponse(
        **{name: row[name] for name in PLAIN},
        base=None if row["lat"] is None else Base(lat=row["lat"], lon=row["lon"]),
        about=row["notes"],
        guardian=_guardian(found),
        needs_guardian=found.needs_guardian,
        consents=[
            schemas.ConsentText(
                code=one.code,
                version=one.version,
                text=one.texts[language],
                agreed_at=agreed.get((one.code, one.version)),
            )
            for one in texts.load().values()
        ],
        choices=[schemas.Choice(code=one.code, name=one.names[language]) for one in kinds],
        missing=list(found.missing),
        again_at=rules.may_apply_at(row),
    )


def _guardian(found: Application) -> schemas.GuardianStatus | None:
    row = found.row
    if row["guardian_email"] is None:
        return None
    return schemas.GuardianStatus(
        name=row["guardian_name"],
        email=row["guardian_email"],
        phone=row["guardian_phone"],
        confirmed_at=row["guardian_confirmed_at"],
        ended_at=row["guardian_ended_at"],
    )
