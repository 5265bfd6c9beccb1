"""Passkeys of operators and customers: registration, and signing in without a mail (WebAuthn)."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import webauthn
from webauthn.helpers import base64url_to_bytes, options_to_json_dict
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from data.db import Connection, moment, transaction
from data.records import subjects
from data.records.ids import PersonId
from data.store import audit, passkeys
from data.store.passkeys import Passkey
from dispatch.flows.people.sessions import Session, begin_session
from dispatch.flows.read_only import read_connection
from dispatch.rules.people import passkey_challenges
from dispatch.rules.people.logins import PASSKEYS_MAX
from dispatch.rules.refusals import NotFound, Refused
from dispatch.runtime import Runtime

SIGN_IN: Final = "sign in"
# What the library raises for a response of the wrong form, whatever it is.
MALFORMED: Final = (WebAuthnException, ValueError, TypeError, LookupError, AttributeError)

Options = Mapping[str, Any]


class PasskeyRefused(Refused):
    """This passkey is not valid here."""

    code = "passkey-refused"
    field = "credential"
    detail = "Ask for a new challenge and try again, or sign in by mail."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Site:
    """What a passkey is bound to: the host and the origin of the pages."""

    host: str
    origin: str


async def creation_options(rt: Runtime, person_id: PersonId) -> Options:
    """The options for a browser to make a passkey for this person. Raises NotFound."""
    async with read_connection(rt) as tx:
        owner = await passkeys.owner(tx, person_id)
        known = await passkeys.credential_ids(tx, person_id)
        now = await moment(tx)
    if owner is None:
        raise NotFound
    nonce = secrets.token_bytes(passkey_challenges.NONCE)
    options = webauthn.generate_registration_options(
        rp_id=_site(rt).host,
        rp_name="tekkie",
        user_id=person_id.bytes,
        user_name=owner[1],
        user_display_name=owner[0],
        challenge=passkey_challenges.challenge(rt.settings.key(), str(person_id), now, nonce),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=one) for one in known],
    )
    return options_to_json_dict(options)


async def add(
    rt: Runtime, person_id: PersonId, credential: Mapping[str, Any], name: str, *, actor: str
) -> Passkey:
    """Store a passkey made with our options. Raises PasskeyRefused."""
    async with transaction(rt.pool) as tx:
        given = await _spend_challenge(rt, tx, credential, str(person_id))
        try:
            made = webauthn.verify_registration_response(
                credential=dict(credential),
                expected_challenge=given,
                expected_rp_id=_site(rt).host,
                expected_origin=_site(rt).origin,
                require_user_verification=True,
            )
        except MALFORMED:
            raise PasskeyRefused from None
        kept = await passkeys.insert(
            tx,
            rt.new_id(),
            person_id,
            credential_id=made.credential_id,
            public_key=made.credential_public_key,
            sign_count=made.sign_count,
            name=name,
            most=PASSKEYS_MAX,
        )
        if kept is None:
            raise PasskeyRefused
        await audit.record(tx, actor=actor, act="passkey.added", subject=subjects.person(person_id))
    return kept


async def sign_in_options(rt: Runtime) -> Options:
    """The options for a browser to sign in with any passkey of this site."""
    async with read_connection(rt) as tx:
        now = await moment(tx)
    nonce = secrets.token_bytes(passkey_challenges.NONCE)
    options = webauthn.generate_authentication_options(
        rp_id=_site(rt).host,
        challenge=passkey_challenges.challenge(rt.settings.key(), SIGN_IN, now, nonce),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return options_to_json_dict(options)


async def log_in(rt: Runtime, credential: Mapping[str, Any]) -> Session:
    """Begin a session by the signature of a passkey. Raises PasskeyRefused."""
    async with transaction(rt.pool) as tx:
        given = await _spend_challenge(rt, tx, credential, SIGN_IN)
        try:
            known = await passkeys.by_credential(tx, base64url_to_bytes(credential["rawId"]))
            if known is None:
                raise PasskeyRefused
            done = webauthn.verify_authentication_response(
                credential=dict(credential),
                expected_challenge=given,
                expected_rp_id=_site(rt).host,
                expected_origin=_site(rt).origin,
                credential_public_key=known.public_key,
                credential_current_sign_count=known.sign_count,
                require_user_verification=True,
            )
        except MALFORMED:
            raise PasskeyRefused from None
        if not await passkeys.use(tx, known.id, done.new_sign_count):
            raise PasskeyRefused
        session = await begin_session(tx, known.person_id)
    if session is None:
        raise PasskeyRefused
    return session


async def own_passkeys(rt: Runtime, person_id: PersonId) -> list[Passkey]:
    """The passkeys of a person, the oldest first."""
    async with read_connection(rt) as tx:
        return await passkeys.of_person(tx, person_id)


async def remove(rt: Runtime, person_id: PersonId, passkey_id: UUID, *, actor: str) -> None:
    """Remove one of a person's passkeys. Raises NotFound."""
    async with transaction(rt.pool) as tx:
        if not await passkeys.delete(tx, passkey_id, person_id):
            raise NotFound
        await audit.record(
            tx, actor=actor, act="passkey.removed", subject=subjects.person(person_id)
        )


async def _spend_challenge(
    rt: Runtime, tx: Connection, credential: Mapping[str, Any], purpose: str
) -> bytes:
    """The challenge of a response, which is ours, young, and used for the first time."""
    try:
        client = json.loads(base64url_to_bytes(credential["response"]["clientDataJSON"]))
        given = base64url_to_bytes(client["challenge"])
    except MALFORMED:
        raise PasskeyRefused from None
    now = await moment(tx)
    if not passkey_challenges.is_valid(rt.settings.key(), purpose, given, now):
        raise PasskeyRefused
    if not await passkeys.spend(tx, given):
        raise PasskeyRefused
    return given


def _site(rt: Runtime) -> _Site:
    parts = urlsplit(rt.settings.base_url)
    return _Site(host=parts.hostname or "", origin=f"{parts.scheme}://{parts.netloc}")
