"""What an import changed of each friend: recorded by field, and told to a former address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data.db import Connection
from data.markets import Language, Market
from data.records import subjects
from data.records.ids import FriendId, PersonId
from data.store import account_mails, friend_admin
from data.store.account_mails import ChangedAddress
from dispatch.flows import journal
from dispatch.flows.people.sessions import end_access
from dispatch.rules.journal import Happening
from dispatch.rules.people.logins import NOTICE_LIFE
from dispatch.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The friends of a file as they were before its import."""

    refs: Sequence[str]
    friends: Mapping[FriendId, Mapping[str, object]]


async def snapshot(tx: Connection, refs: Sequence[str]) -> Snapshot:
    """The friends with these refs as they are now."""
    return Snapshot(refs=refs, friends=await friend_admin.comparable(tx, refs))


async def record_edits(rt: Runtime, tx: Connection, before: Snapshot, *, actor: str) -> None:
    """Record which fields of which friend differ from `before`; the journal holds no values.

    A friend whose address is another one is signed out everywhere, and told at the old address.
    """
    now = await friend_admin.comparable(tx, before.refs)
    changed, readdressed = [], {}
    for friend_id, then in before.friends.items():
        fields = [name for name, value in now[friend_id].items() if value != then[name]]
        if fields:
            subject = subjects.person(friend_id)
            changed.append(Happening(subject, "friend.changed", {"fields": fields}))
        if str(then["email"]).lower() != str(now[friend_id]["email"]).lower():
            readdressed[PersonId(friend_id)] = ChangedAddress(
                email=str(then["email"]),
                language=Language(str(then["language"])),
                market=Market(str(then["market"])),
            )
    await journal.record(tx, *changed, actor=actor)
    if readdressed:
        ids = [rt.new_id() for _ in readdressed]
        await account_mails.insert_email_changed(tx, ids, [*readdressed.values()], NOTICE_LIFE)
        await end_access(tx, [*readdressed], actor=actor)
