"""Applications: a confirmed address, a draft on the server, submitted, decided or withdrawn."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from data.db import Connection, moment, transaction
from data.enums import ApplicationState, FriendState
from data.markets import Language, Market
from data.phones import parse_phone
from data.records import subjects
from data.records.ids import FriendId, PersonId
from data.seed import consents as texts
from data.store import account_mails, desk, friend_admin, sessions
from data.store import applications as store
from data.store.account_mails import Addressee
from data.store.sessions import Login
from dispatch.flows import journal
from dispatch.flows.people import friends, guardians
from dispatch.flows.people.sessions import (
    CodeRefused,
    LinkUsedUp,
    Session,
    begin_session,
    new_secret,
    token_hash,
)
from dispatch.rules.journal import Happening
from dispatch.rules.people import ages
from dispatch.rules.people import applications as rules
from dispatch.rules.people.applications import DeclineReason
from dispatch.rules.people.desk_notes import NotesFull
from dispatch.rules.people.logins import CODE_TRIES, CODE_TRIES_A_DAY, LINK_LIFE, LINKS_ALIVE
from dispatch.rules.refusals import NotFound
from dispatch.rules.trust import mailed_secrets
from dispatch.rules.trust.mailed_secrets import Proof
from dispatch.runtime import Runtime
from geo.point import Point

OPEN: Final = (ApplicationState.DRAFT,)
DIGEST: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """The last application of a friend, `row`; with what they agreed to and what is missing."""

    row: Mapping[str, Any]
    consents: Sequence[Mapping[str, Any]]
    missing: tuple[str, ...]
    needs_guardian: bool


async def request(rt: Runtime, who: Addressee) -> str:
    """Mail a link and a code that confirm an address; returns the secret of this request.

    Nobody looks the address up here, as with login links; the owner of a known one is told so.
    """
    secret = new_secret()
    async with transaction(rt.pool) as tx:
        await account_mails.insert_join_link(
            tx,
            rt.new_id(),
            who,
            request_sha256=token_hash(secret),
            lifetime=rules.JOIN_LIFE,
            window=LINK_LIFE,
            most=LINKS_ALIVE,
        )
    return secret


def link_token(key: bytes, request_sha256: bytes, who: Addressee) -> str:
    """What the link of a confirmation carries: the details, which nobody else stores by then."""
    details = json.dumps(asdict(who), ensure_ascii=False).encode()
    made = mailed_secrets.of_join(key, request_sha256, details).link
    return f"{urlsafe_b64encode(request_sha256 + details).rstrip(b'=').decode()}.{made}"


async def confirm(rt: Runtime, token: str) -> Session:
    """Begin a session by the link of a confirmation. Raises LinkUsedUp."""
    carried, _, made = token.rpartition(".")
    try:
        content = urlsafe_b64decode(carried + "=" * (-len(carried) % 4))
    except ValueError:
        raise LinkUsedUp from None
    request_sha256, details = content[:DIGEST], content[DIGEST:]
    expected = mailed_secrets.of_join(rt.settings.key(), request_sha256, details)
    if expected.proof(made) is not Proof.LINK:
        raise LinkUsedUp
    return await _enter(rt, request_sha256, _addressee(json.loads(details)))


def _addressee(details: Mapping[str, str]) -> Addressee:
    return Addressee(
        email=details["email"],
        name=details["name"],
        language=Language(details["language"]),
        market=Market(details["market"]),
    )


async def confirm_by_code(rt: Runtime, request: str, code: str, who: Addressee) -> Session:
    """Begin a session by the code of a confirmation that this request asked for.

    Raises CodeRefused.
    """
    request_sha256 = token_hash(request)
    async with transaction(rt.pool) as tx:  # of its own: a wrong code must count
        counted = await account_mails.count_try(
            tx, request_sha256, most=CODE_TRIES, most_a_day=CODE_TRIES_A_DAY
        )
    made = mailed_secrets.of_join(rt.settings.key(), request_sha256, b"")
    if made.proof(code) is not Proof.CODE or not counted:
        raise CodeRefused
    try:
        return await _enter(rt, request_sha256, who)
    except LinkUsedUp:
        raise CodeRefused from None


async def _enter(rt: Runtime, request_sha256: bytes, who: Addressee) -> Session:
    """Begin a session of the account with this address, which is made where there is none."""
    async with transaction(rt.pool) as tx:
        if not await account_mails.use_join_link(tx, request_sha256, who.email):
            raise LinkUsedUp
        found = await sessions.find_login(tx, Login.FRIEND, who.email)
        person = found.id if found else await _make(rt, tx, who)
        session = await begin_session(tx, person) if person is not None else None
    if session is None:
        raise LinkUsedUp
    return session


async def _make(rt: Runtime, tx: Connection, who: Addressee) -> PersonId | None:
    friend_id = FriendId(rt.new_id())
    if not await store.insert_applicant(
        tx, friend_id, who, radius_m=rules.RADIUS_M, capacity=rules.CAPACITY
    ):
        return None  # suspended, or another tab was faster
    await store.insert(tx, rt.new_id(), friend_id)
    await _record(tx, friend_id, "application.begun", f"friend:{friend_id}")
    return PersonId(friend_id)


async def read(rt: Runtime, friend_id: FriendId) -> Application:
    """The last application of a friend. Raises NotFound without one."""
    async with transaction(rt.pool) as tx:
        return await _read(tx, friend_id)


async def _read(tx: Connection, friend_id: FriendId) -> Application:
    row = await store.find(tx, friend_id)
    if row is None or row["id"] is None:
        raise NotFound("there is no application")
    agreed = await store.consents(tx, friend_id)
    today = ages.local_day(await moment(tx), Market(row["market"]))
    wanted = texts.load()
    present = [c["text"] for c in agreed if wanted[c["text"]].version == c["version"]]
    return Application(
        row=row,
        consents=agreed,
        missing=tuple(rules.missing(row, present, list(wanted), today)),
        needs_guardian=rules.needs_guardian(row["birth_date"], Market(row["market"]), today),
    )


async def begin_again(rt: Runtime, friend_id: FriendId) -> Application:
    """Begin another application. Raises ApplicationExists, ApplyLater."""
    async with transaction(rt.pool) as tx:
        state = await friend_admin.lock_friend(tx, friend_id)
        last = await store.find(tx, friend_id)
        if state is None or last is None:
            raise NotFound("there is no such friend")
        known = last if last["id"] else None
        rules.check_may_begin(known, state, await moment(tx))
        await store.insert(tx, rt.new_id(), friend_id)
        await _record(tx, friend_id, "application.begun", f"friend:{friend_id}")
        return await _read(tx, friend_id)


async def change(
    rt: Runtime, friend_id: FriendId, changes: Mapping[str, Any], agreed: Sequence[str] = ()
) -> Application:
    """Change a draft; what `changes` does not name stays, `agreed` are texts agreed to now.

    Raises ApplicationNotOpen, BirthDateRefused, GuardianRefused, AddressRefused, PhoneInvalid.
    """
    async with transaction(rt.pool) as tx:
        row = await _lock(tx, friend_id, *OPEN)
        now = await moment(tx)
        changes = _checked(rt, row, changes, now)
        await store.change(tx, row, changes)
        for code in agreed:
            text = texts.load()[code]
            await store.agree(tx, friend_id, code, text.version, Language(row["language"]))
        return await _read(tx, friend_id)


def _checked(
    rt: Runtime, row: Mapping[str, Any], changes: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    market, merged = Market(row["market"]), dict(changes)
    for name in ("phone", "guardian_phone"):
        if merged.get(name):
            merged[name] = parse_phone(merged[name], market)
    born: date | None = merged.get("birth_date")
    if born is not None:
        ages.check_birth_date(born, ages.local_day(now, market))
    if merged.get("lat") is not None:
        rt.gazetteer.check_plausible(market, Point(lat=merged["lat"], lon=merged["lon"]))
    rules.check_guardian({**row, **{k: v for k, v in merged.items() if v is not None}})
    return merged


async def _lock(tx: Connection, friend_id: FriendId, *states: ApplicationState) -> dict[str, Any]:
    if await friend_admin.lock_friend(tx, friend_id) is None:
        raise NotFound("there is no such friend")
    row = await store.find(tx, friend_id)
    if row is None or row["id"] is None:
        raise NotFound("there is no application")
    if row["state"] not in states:
        raise rules.ApplicationNotOpen
    return row


async def submit(rt: Runtime, friend_id: FriendId) -> Application:
    """Submit a complete draft; a minor's guardian is asked. The same again changes nothing.

    Raises ApplicationIncomplete, ApplicationNotOpen.
    """
    async with transaction(rt.pool) as tx:
        row = await _lock(tx, friend_id, ApplicationState.DRAFT, ApplicationState.SUBMITTED)
        whole = await _read(tx, friend_id)
        if row["state"] == ApplicationState.SUBMITTED:
            return whole
        if whole.missing:
            raise rules.ApplicationIncomplete(whole.missing)
        await store.submit(tx, row["id"])
        await _record(tx, friend_id, "application.submitted", f"friend:{friend_id}")
        if whole.needs_guardian:
            await guardians.ask(rt, tx, row)
        return await _read(tx, friend_id)


async def ask_guardian(rt: Runtime, friend_id: FriendId) -> Application:
    """Ask the guardian of a minor again, unless the consent stands. Raises GuardianRefused."""
    async with transaction(rt.pool) as tx:
        row = await _lock(tx, friend_id, ApplicationState.SUBMITTED, ApplicationState.ACCEPTED)
        whole = await _read(tx, friend_id)
        if not whole.needs_guardian or row["guardian_email"] is None:
            raise rules.GuardianRefused("No consent is needed.")
        if row["guardian_confirmed_at"] is None or row["guardian_ended_at"] is not None:
            await guardians.ask(rt, tx, row)
        return await _read(tx, friend_id)


async def withdraw(rt: Runtime, friend_id: FriendId) -> Application:
    """Withdraw an application that is not decided. Raises ApplicationNotOpen."""
    async with transaction(rt.pool) as tx:
        row = await _lock(tx, friend_id, ApplicationState.DRAFT, ApplicationState.SUBMITTED)
        await store.end(tx, row["id"], ApplicationState.WITHDRAWN)
        await _record(tx, friend_id, "application.withdrawn", f"friend:{friend_id}")
        return await _read(tx, friend_id)


async def list_submitted(
    rt: Runtime, state: ApplicationState, after: tuple[datetime, UUID], limit: int, *, actor: str
) -> list[dict[str, Any]]:
    """A page of submitted applications of a state, the oldest first; the look is recorded."""
    async with transaction(rt.pool) as tx:
        rows = await store.submitted(tx, state, after, limit)
        await desk.record_access(tx, actor=actor, act="applications.listed", subject="desk")
        return rows


async def open_for_desk(rt: Runtime, friend_id: FriendId, *, actor: str) -> Application:
    """An application as the desk sees it; the look is recorded. Raises NotFound."""
    async with transaction(rt.pool) as tx:
        found = await _read(tx, friend_id)
        about = subjects.person(friend_id)
        await desk.record_access(tx, actor=actor, act="application.opened", subject=about)
        return found


async def accept(rt: Runtime, friend_id: FriendId, by: PersonId) -> None:
    """Make an applicant with a certificate an active friend. Raises NotCertifiedYet."""
    actor = f"operator:{by}"
    async with transaction(rt.pool) as tx:
        row = await _lock(tx, friend_id, ApplicationState.SUBMITTED)
        if not await store.is_certified(tx, friend_id):
            raise rules.NotCertifiedYet
        await store.end(tx, row["id"], ApplicationState.ACCEPTED, by=by)
        await friend_admin.set_state(tx, friend_id, FriendState.ACTIVE)
        await _record(tx, friend_id, "application.accepted", actor)
    await friends.refresh_and_retry(rt, {friend_id})


async def decline(
    rt: Runtime,
    friend_id: FriendId,
    by: PersonId,
    reasons: Sequence[DeclineReason],
    note: str | None,
) -> None:
    """Decline an application, with reasons for the applicant and a note of the desk."""
    async with transaction(rt.pool) as tx:
        row = await _lock(tx, friend_id, ApplicationState.SUBMITTED)
        await store.end(tx, row["id"], ApplicationState.DECLINED, by=by, reasons=reasons)
        data = {"reasons": list(reasons)}
        await _record(tx, friend_id, "application.declined", f"operator:{by}", **data)
        if note and await desk.add_friend_note(tx, friend_id, by, note) is None:
            raise NotesFull("note")


async def _record(
    tx: Connection, friend_id: FriendId, kind: str, actor: str, **data: object
) -> None:
    await journal.record(tx, Happening(subjects.person(friend_id), kind, data), actor=actor)
