"""Journals of people and partners: numbered without gaps, written with what they tell."""

import asyncio
from datetime import timedelta

import pytest

from data.db import transaction
from data.enums import FriendState
from data.records import subjects
from data.records.ids import CustomerKey, PartnerId
from data.store import consistency
from dispatch.flows import journal
from dispatch.flows.partners import accounts
from dispatch.flows.people import certificates, friends, rights, sessions
from dispatch.rules.declarations import UndeclaredData
from dispatch.rules.journal import FIELDS, JOURNAL, Happening
from scheduler import deadlines, housekeeping
from tests.builders import import_neighbours

ENTRIES = "SELECT seq, kind, actor, data FROM journal WHERE subject_id = $1 ORDER BY seq"


async def entries(owner, subject_id):
    return [tuple(row) for row in await owner.fetch(ENTRIES, subject_id)]


async def kinds(owner, subject_id):
    return [kind for _, kind, _, _ in await entries(owner, subject_id)]


@pytest.fixture
async def friend_id(rt):
    return (await import_neighbours(rt, 2, certificates=("wifi",)))["f1"]


async def test_what_the_desk_does_to_a_friend_is_in_the_journal_once(rt, owner, friend_id):
    for state in (FriendState.SUSPENDED, FriendState.SUSPENDED, FriendState.ACTIVE):
        await friends.set_state(rt, friend_id, state, actor="desk")
    await friends.uncertify(rt, friend_id, "wifi", actor="desk")
    await friends.certify(rt, friend_id, "wifi", actor="desk")
    await friends.certify(rt, friend_id, "wifi", actor="desk")
    for by_friend in (True, False):
        customer = CustomerKey("0" * 64)
        await friends.block_customer(rt, friend_id, customer, by_friend=by_friend, actor="desk")
    assert await entries(owner, friend_id) == [
        (1, "friend.suspended", "desk", {"before": "active"}),
        (2, "friend.reinstated", "desk", {"before": "suspended"}),
        (3, "friend.uncertified", "desk", {"certificate": "wifi"}),
        (4, "friend.certified", "desk", {"certificate": "wifi"}),
        (5, "friend.blocked", "desk", {"by_friend": True}),
    ]
    sent = await owner.fetch(
        "SELECT seq, template FROM messages WHERE subject_id = $1 ORDER BY seq", friend_id
    )
    assert [tuple(row) for row in sent] == [(1, "suspended"), (2, "reinstated")]


async def test_a_partners_journal_counts_the_members_that_changed(rt, owner, friend_id):
    partner, _ = await accounts.add(rt, "Foto Huber", actor="desk")
    members = PartnerId(partner.id)
    for member in (True, True, False, False):
        await friends.set_membership(rt, members, [friend_id], member=member, actor="desk")
    assert [entry for entry in await entries(owner, partner.id) if "members" in entry[3]] == [
        (3, "partner.members_added", "desk", {"members": 1}),
        (4, "partner.members_removed", "desk", {"members": 1}),
    ]


async def test_a_friend_who_paused_hears_nothing_when_the_desk_ends_the_pause(rt, owner, friend_id):
    for state in (FriendState.PAUSED, FriendState.ACTIVE):
        await friends.set_state(rt, friend_id, state, actor="desk")
    assert await kinds(owner, friend_id) == ["friend.paused", "friend.reinstated"]
    assert not await owner.fetchval("SELECT count(*) FROM messages WHERE subject_id IS NOT NULL")


async def test_partners_keys_and_operators_have_journals(rt, owner):
    partner, key = await accounts.add(rt, "Foto Huber", actor="desk")
    prefix = key[: accounts.PREFIX_LENGTH]
    await accounts.revoke_key(rt, prefix, partner_id=PartnerId(partner.id), actor="desk")
    assert await kinds(owner, partner.id) == [
        *("partner.added", "partner.key_made", "partner.key_revoked"),
    ]
    assert (await entries(owner, partner.id))[2][3]["prefix"] == prefix
    operator = await sessions.add_operator(rt, "Olga Pult", "olga@example.com")
    assert await sessions.add_operator(rt, "Olga Pult", "olga@example.com") == operator
    await sessions.remove_operator(rt, operator, actor="desk")
    assert await kinds(owner, operator) == ["operator.added", "operator.removed"]


async def test_entries_of_one_subject_made_at_once_are_numbered_without_gaps(rt, owner, friend_id):
    subject = subjects.person(friend_id)

    async def note(count):
        async with transaction(rt.pool) as tx:
            happened = [Happening(subject, "friend.changed", {"fields": ["phone"]})] * count
            await journal.record(tx, *happened, actor="desk")

    await asyncio.gather(*(note(1 + n % 3) for n in range(12)))
    numbers = [seq for seq, *_ in await entries(owner, friend_id)]
    assert numbers == list(range(1, 25))
    async with transaction(rt.pool) as tx:
        assert await consistency.journals_broken(tx) == []


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("friend.praised", {}),
        ("friend.paused", {"reason": "holidays"}),
        ("partner.added", {}),
    ],
)
async def test_what_is_not_declared_is_not_written(rt, owner, friend_id, kind, data):
    happening = Happening(subjects.person(friend_id), kind, data)
    with pytest.raises(UndeclaredData):
        async with transaction(rt.pool) as tx:
            await journal.record(tx, happening, actor="desk")
    assert await entries(owner, friend_id) == []


async def end_of(owner, friend_id, certificate="wifi"):
    return await owner.fetchval(
        "SELECT upper(valid) FROM friend_certificates WHERE friend_id = $1 AND certificate = $2",
        *(friend_id, certificate),
    )


async def test_a_friend_is_told_once_before_a_certificate_ends(rt, owner, clock, friend_id):
    """Imported certificates get their timers by housekeeping; others in the same transaction."""
    await housekeeping.keep_timers(rt)
    await friends.certify(rt, friend_id, "smart-home", actor="desk")
    first, later = [await end_of(owner, friend_id, c) for c in ("smart-home", "wifi")]
    before = rt.policy.certificate_told_before
    assert first < later
    due = "SELECT due_at FROM timers WHERE subject_id = $1"
    assert await owner.fetchval(due, friend_id) == first - before
    now = await clock.now()
    await clock.advance(first - before - now - timedelta(seconds=1))
    await deadlines.sweep(rt)
    assert "certificate.ending" not in await kinds(owner, friend_id)
    await clock.advance(timedelta(seconds=1))
    assert await deadlines.sweep(rt) == 1
    assert await deadlines.sweep(rt) == 0
    last = (await entries(owner, friend_id))[-1]
    data = {"certificate": "smart-home", "until": first.isoformat()}
    assert last[1:] == ("certificate.ending", "system", data)
    assert await owner.fetchval(due, friend_id) == later - before
    await housekeeping.keep_timers(rt)
    assert await owner.fetchval(due, friend_id) == later - before
    await clock.advance(later - before - (first - before))
    await deadlines.sweep(rt)
    told = [data for _, kind, _, data in await entries(owner, friend_id) if "ending" in kind]
    assert [one["certificate"] for one in told] == ["smart-home", "wifi"]
    assert await owner.fetchval(due, friend_id) is None


async def test_two_processes_tell_a_friend_once(rt, owner, clock, friend_id):
    await housekeeping.keep_timers(rt)
    await clock.advance(await end_of(owner, friend_id) - await clock.now() - timedelta(days=1))
    acted = await asyncio.gather(*(certificates.fire_due_timers(rt, 100) for _ in range(4)))
    assert sum(acted) == 2
    told = "SELECT count(*) FROM journal WHERE kind = 'certificate.ending' AND subject_id = $1"
    assert await owner.fetchval(told, friend_id) == 1


@pytest.mark.usefixtures("no_log")
async def test_a_friend_whose_timer_fails_delays_no_other(rt, owner, clock, monkeypatch, friend_id):
    await housekeeping.keep_timers(rt)
    await clock.advance(await end_of(owner, friend_id) - await clock.now() - timedelta(days=1))
    lock = certificates.friend_admin.lock_friend

    async def fail_for_one(tx, one):
        if one == friend_id:
            raise ZeroDivisionError
        return await lock(tx, one)

    monkeypatch.setattr(certificates.friend_admin, "lock_friend", fail_for_one)
    assert await deadlines.sweep(rt) == 1
    row = await owner.fetchrow("SELECT * FROM timers WHERE subject_id = $1", friend_id)
    assert row["attempts"] == 1
    assert row["not_before"] > await clock.now()
    monkeypatch.undo()
    await clock.advance(timedelta(seconds=5))
    assert await deadlines.sweep(rt) == 1


@pytest.fixture
def no_log(caplog):
    caplog.set_level("CRITICAL")


async def test_an_erased_friend_keeps_a_journal_and_no_timer(rt, owner, friend_id):
    await friends.set_state(rt, friend_id, FriendState.PAUSED, actor="desk")
    await housekeeping.keep_timers(rt)
    await rights.erase(rt, "f1", actor="desk")
    assert await kinds(owner, friend_id) == ["friend.paused", "person.erased"]
    assert not await owner.fetchval("SELECT count(*) FROM timers WHERE subject_id = $1", friend_id)
    await housekeeping.keep_timers(rt)
    assert not await owner.fetchval("SELECT count(*) FROM timers WHERE subject_id = $1", friend_id)


def test_every_field_of_an_entry_is_declared():
    assert {name for kind in JOURNAL.values() for name in kind.fields} == FIELDS.keys()
