"""Uploads pictures, opens them for those who may see them, and deletes them with their contents."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Final

from data.db import Connection, moment, transaction
from data.enums import FileKind, OperatorRole
from data.records import subjects
from data.records.files import Document, FileView, Identity, StoredFile
from data.records.ids import BookingId, FileId, FriendId, PersonId
from data.store import audit, quotas, read_models
from data.store import files as store
from data.store.file_contents import Contents, InDatabase, InFolder
from dispatch.flows import journal
from dispatch.flows.group_commit import Overloaded
from dispatch.flows.read_only import read_connection
from dispatch.rules.journal import Happening
from dispatch.rules.refusals import NotFound
from dispatch.rules.trust import files as rules
from dispatch.rules.trust.disclosure import may_know_customer
from dispatch.rules.trust.pictures import make_anew
from dispatch.runtime import Runtime

AT_ONCE: Final = 2
WAITING_MAX: Final = 16
PAGE: Final = 1000
# Pillow decodes without the lock of the interpreter; more at once would only use more memory.
decoders = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="pictures")


async def upload(rt: Runtime, person: PersonId, kind: FileKind, name: str, content: bytes) -> StoredFile:
    """Keep a person's photo, instead of the one before, or a piece of evidence.

    Raises PictureRefused, TooManyFiles, Overloaded, NotFound.
    """
    made = await _make_anew(rt, person, kind, content)
    async with transaction(rt.pool) as tx:
        await _check_person(rt, tx, person)
        gone = await store.delete_of_kind(tx, person, kind) if kind is FileKind.PHOTO else []
        rules.check_room(kind, await store.held(tx, kind, person), rt.policy)
        file = await _keep(rt, tx, person, kind, None, name, made)
    await forget(rt, gone)
    return file


async def upload_result(
    rt: Runtime, friend_id: FriendId, booking_id: BookingId, name: str, content: bytes
) -> StoredFile:
    """Keep a picture of a job by the friend who has it, or had it until lately."""
    person = PersonId(friend_id)
    await results(rt, friend_id, booking_id)
    made = await _make_anew(rt, person, FileKind.RESULT, content)
    async with transaction(rt.pool) as tx:
        await _check_person(rt, tx, person)
        kept = await store.held(tx, FileKind.RESULT, person, booking_id)
        rules.check_room(FileKind.RESULT, kept, rt.policy)
        return await _keep(rt, tx, person, FileKind.RESULT, booking_id, name, made)


async def results(rt: Runtime, friend_id: FriendId, booking_id: BookingId) -> list[StoredFile]:
    """The pictures of a job for the friend who has it, or had it until lately. Raises NotFound."""
    async with transaction(rt.pool) as tx:
        job = await read_models.booking(tx, booking_id, friend_id=friend_id)
        held = job and job.holder and job.holder.id == friend_id
        if not job or not held or not may_know_customer(job.holder.award.ended_at, job.now, rt.policy):
            raise NotFound
        return await store.of_booking(tx, booking_id)


async def own(rt: Runtime, person: PersonId) -> tuple[list[StoredFile], Identity | None]:
    """The photo and the evidence of a person, and what an operator saw of it."""
    async with transaction(rt.pool) as tx:
        return await store.of_people(tx, [person]), await store.identity(tx, person)


async def open_for_friend(
    rt: Runtime, friend_id: FriendId, file_id: FileId
) -> tuple[FileView, bytes]:
    """A file and its content. Raises NotFound."""
    async with read_connection(rt) as tx:
        file = await store.view(tx, file_id, None)
        if file is None or not rules.friend_may_see(file, friend_id, rt.policy):
            raise NotFound
        return file, await _content(rt, tx, file)


async def open_for_customer(
    rt: Runtime, booking_id: BookingId, file_id: FileId
) -> tuple[FileView, bytes]:
    """A file and its content. Raises NotFound."""
    async with read_connection(rt) as tx:
        file = await store.view(tx, file_id, booking_id)
        if file is None or not rules.customer_may_see(file, booking_id):
            raise NotFound
        return file, await _content(rt, tx, file)


async def open_for_operator(
    rt: Runtime, role: OperatorRole, file_id: FileId, *, actor: str
) -> tuple[FileView, bytes]:
    """A file and its content; every look is in the audit. Raises NotFound."""
    async with transaction(rt.pool) as tx:
        file = await store.view(tx, file_id, None)
        if file is None or not rules.operator_may_see(file, role):
            raise NotFound
        data = {"kind": file.kind, "file": str(file_id)}
        subject = subjects.person(file.person_id)
        await audit.record(tx, actor=actor, act="file.opened", subject=subject, data=data)
        return file, await _content(rt, tx, file)


async def remove(rt: Runtime, person: PersonId, file_id: FileId) -> None:
    """Delete a file of one's own. Raises NotFound."""
    async with transaction(rt.pool) as tx:
        file = await store.view(tx, file_id, None)
        if file is None or file.person_id != person:
            raise NotFound
        gone = await store.delete(tx, [file_id])
    await forget(rt, gone)


async def confirm_identity(
    rt: Runtime, file_id: FileId, document: Document, valid_until: date, *, operator: PersonId
) -> None:
    """Note what an operator saw in a piece of evidence, and delete all of that person's.

    Raises NotFound, EvidenceOver.
    """
    async with transaction(rt.pool) as tx:
        file = await store.view(tx, file_id, None)
        if file is None or file.kind is not FileKind.EVIDENCE:
            raise NotFound
        await store.lock_person(tx, file.person_id)
        rules.check_valid(valid_until, await moment(tx))
        await store.note_identity(tx, file.person_id, document, valid_until, operator)
        gone = await store.delete_of_kind(tx, file.person_id, FileKind.EVIDENCE)
        data = {"document": document, "until": valid_until.isoformat()}
        seen = Happening(subjects.person(file.person_id), "identity.seen", data)
        await journal.record(tx, seen, actor=f"operator:{operator}")
    await forget(rt, gone)


async def forget(rt: Runtime, files: Collection[FileId]) -> None:
    """Delete the contents of files whose rows are gone."""
    for place in places(rt):
        await place.forget(files)


async def delete_over(rt: Runtime) -> None:
    """Delete evidence that nobody has looked at within the time of the policy."""
    async with transaction(rt.pool) as tx:
        gone = await store.delete_over(tx, rt.policy.evidence_kept)
    await forget(rt, gone)


async def sweep(rt: Runtime, suspects: Collection[FileId]) -> set[FileId]:
    """Delete contents in the folder that had no row the last time and have none now.

    Returns those found now, which are `suspects` of the next time: a new one has no row for a
    moment.
    """
    folder = rt.settings.files_folder
    if folder is None:
        return set()
    place = InFolder(folder)
    found = await asyncio.to_thread(lambda: list(place.ids()))
    strays = set(found)
    for start in range(0, len(found), PAGE):
        async with read_connection(rt) as tx:
            strays -= await store.known(tx, found[start : start + PAGE])
    gone = strays & set(suspects)
    await place.forget(gone)
    return strays - gone


async def missing(rt: Runtime) -> list[FileId]:
    """Files whose content is missing; all of those in the folder, twenty of the others."""
    async with read_connection(rt) as tx:
        found = await store.without_content(tx)
        folder = InFolder(rt.settings.files_folder) if rt.settings.files_folder else None
        page = await store.in_folder(tx, store.FIRST, PAGE)
        while page:
            found += [one for one in page if folder is None or not folder.exists(one)]
            page = await store.in_folder(tx, page[-1], PAGE)
    return found


def places(rt: Runtime) -> list[Contents]:
    """Where contents may be kept; new ones in the last."""
    folder = rt.settings.files_folder
    return [InDatabase(), InFolder(folder)] if folder else [InDatabase()]


async def _make_anew(rt: Runtime, person: PersonId, kind: FileKind, content: bytes) -> bytes:
    """The picture made anew, beside the event loop; the attempt counts, also when it is refused."""
    if decoders._work_queue.qsize() >= WAITING_MAX:
        raise Overloaded
    async with transaction(rt.pool) as tx:
        used = await quotas.use(tx, {rules.quota(person): 1}, rt.policy.bookings_within)
    rules.check_uploads(used[rules.quota(person)] + 1, rt.policy)
    return await asyncio.get_running_loop().run_in_executor(decoders, make_anew, content, kind)


async def _check_person(rt: Runtime, tx: Connection, person: PersonId) -> None:
    if not await store.lock_person(tx, person):
        raise NotFound


async def _keep(
    rt: Runtime,
    tx: Connection,
    person: PersonId,
    kind: FileKind,
    booking: BookingId | None,
    name: str,
    made: bytes,
) -> StoredFile:
    place = places(rt)[-1]
    file_id = FileId(rt.new_id())
    file = await store.insert(
        tx,
        file_id,
        kind,
        person=person,
        booking=booking,
        name=rules.file_name(name),
        size=len(made),
        stored=place.name,
    )
    await place.put(tx, file_id, made)
    return file


async def _content(rt: Runtime, tx: Connection, file: StoredFile) -> bytes:
    place = next((one for one in places(rt) if one.name == file.stored), None)
    content = await place.get(tx, file.id) if place else None
    if content is None:
        raise NotFound
    return content
