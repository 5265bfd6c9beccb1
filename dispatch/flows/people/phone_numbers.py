"""Telephone numbers of friends, applicants and customers, confirmed by a code."""

from __future__ import annotations

import hmac

from data.db import Connection, moment, transaction
from data.enums import ErrandState
from data.markets import HOME
from data.phones import PhoneInvalid, is_mobile, parse_phone
from data.records import subjects
from data.records.errands import Errand, Heard
from data.records.ids import FriendId, PersonId
from data.store import friends, phone_codes, quotas
from data.store.phone_codes import CodeDelivery, LockedPerson, PhoneState
from dispatch.flows import errands, journal
from dispatch.rules.errands import SEND_TEXT
from dispatch.rules.journal import Happening
from dispatch.rules.people.phone_codes import (
    CALLING_CODES,
    TEXT,
    NoTextsSent,
    PhoneCodeOver,
    PhoneCodeRefused,
    check_number,
    check_sends,
)
from dispatch.rules.refusals import NotFound
from dispatch.rules.trust.mailed_secrets import phone_code
from dispatch.rules.trust.quotas import code_keys
from dispatch.runtime import Runtime


async def read(rt: Runtime, person_id: PersonId) -> PhoneState:
    """The number of a person, and what is being confirmed. Raises NotFound."""
    async with transaction(rt.pool) as tx:
        return await _read(tx, person_id)


async def send_code(
    rt: Runtime, person_id: PersonId, written: str, *, host: str | None
) -> PhoneState:
    """Send a code to a number as somebody wrote it; earlier codes are no longer valid.

    Raises PhoneInvalid, NoTextsSent, NumberNotMobile, AlreadyConfirmed, TooManyTexts, NotFound.
    """
    if rt.settings.sms_provider == "none":
        raise NoTextsSent
    async with transaction(rt.pool) as tx:
        person = await _lock(tx, person_id)
        if person is None:
            raise NotFound("there is no such person")
        number = parse_phone(written, person.region or HOME)
        confirmed = person.phone if person.confirmed_at else None
        if number == person.guardian:
            raise PhoneInvalid("is the number of your guardian", "give your own number")
        check_number(number, is_mobile=is_mobile(number, CALLING_CODES), confirmed=confirmed)
        await _count(rt, tx, person_id, number, host)
        errand = Errand(
            id=rt.new_id(),
            kind=SEND_TEXT,
            subject=subjects.person(person_id),
            request={"text": TEXT},
            expires_at=await moment(tx) + rt.policy.phone_code_life,
        )
        await errands.add(tx, errand)
        assert errand.expires_at is not None
        await phone_codes.put(tx, person_id, number, errand.id, errand.expires_at)
        state = await _read(tx, person_id)
    rt.notify([])
    return state


async def confirm(rt: Runtime, person_id: PersonId, code: str, *, actor: str) -> PhoneState:
    """Confirm the pending number by its code. Raises PhoneCodeRefused, PhoneCodeOver."""
    async with transaction(rt.pool) as tx:  # of its own: a wrong code must count
        errand_id = await phone_codes.count_try(tx, person_id, rt.policy.phone_code_tries)
    if errand_id is None:
        raise PhoneCodeOver
    if not hmac.compare_digest(phone_code(rt.settings.key(), errand_id).encode(), code.encode()):
        raise PhoneCodeRefused
    async with transaction(rt.pool) as tx:
        await _lock(tx, person_id)
        if not await phone_codes.confirm(tx, person_id, errand_id):
            raise PhoneCodeOver
        confirmed = Happening(subjects.person(person_id), "person.phone_confirmed")
        await journal.record(tx, confirmed, actor=actor)
        return await _read(tx, person_id)


async def hear(tx: Connection, errand: Errand, heard: Heard) -> None:
    """Record what is known of the way of a code."""
    delivery = CodeDelivery.UNDELIVERABLE
    if heard.state is ErrandState.DONE and heard.answer is not None:
        delivery = CodeDelivery(heard.answer.get("delivery", CodeDelivery.SENT))
    await phone_codes.set_delivery(tx, errand.id, delivery)


async def _lock(tx: Connection, person_id: PersonId) -> LockedPerson | None:
    """Lock a person; one who is a friend as such first, as every transaction does."""
    await friends.lock(tx, [FriendId(person_id)])
    return await phone_codes.lock_person(tx, person_id)


async def _count(
    rt: Runtime, tx: Connection, person_id: PersonId, number: str, host: str | None
) -> None:
    keys = code_keys(rt.settings.key(), number=number, person=str(person_id), host=host)
    before = await quotas.use(tx, dict.fromkeys(keys, 1), rt.policy.phone_codes_within)
    check_sends({kind: count + 1 for (kind, _), count in before.items()}, rt.policy)


async def _read(tx: Connection, person_id: PersonId) -> PhoneState:
    state = await phone_codes.read(tx, person_id)
    if state is None:
        raise NotFound("there is no such person")
    return state
