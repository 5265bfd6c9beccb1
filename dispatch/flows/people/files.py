"""Uploads pictures, opens them for those who may see them, and deletes them with their contents."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time
from functools import partial
from typing import Final, ParamSpec, TypeVar

from data.db import Connection, moment, transaction
from data.enums import FileKind, OperatorRole
from data.records import subjects
from data.records.files import Document, FileView, Identity, Owned, StoredFile
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

A = ParamSpec("A")
T = TypeVar("T")


class Decoders:
    """Threads that decode pictures: each takes much memory, so few do at once and few wait."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="pictures")
        self._waiting = 0

    @property
    def is_full(self) -> bool:
        """Whether as many wait as may."""
        return self._waiting >= WAITING_MAX

    async def run(self, work: Callable[A, T], *args: A.args, **kwargs: A.kwargs) -> T:
        """Run `work` in one of the threads."""
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, partial(work, *args, **kwargs))
        finally:
            self._waiting -= 1


decoders = Decoders()


async def upload(
    rt: Runtime, person: PersonId, kind: FileKind, name: str, content: bytes
) -> StoredFile:
    """Keep a person's photo, instead of the one before, or a piece of evidence.

    Raises PictureRefused, TooManyFiles, Overloaded, NotFound.
    """
    return await _upload(rt, Owned(kind=kind, person_id=person), name, content)


async def upload_result(
    rt: Runtime, friend_id: FriendId, booking_id: BookingId, name: str, content: bytes
) -> StoredFile:
    """Keep a picture of a job by the friend who has it, or had it until lately."""
    await results(rt, friend_id, booking_id)
    of = Owned(kind=FileKind.RESULT, person_id=PersonId(friend_id), booking_id=booking_id)
    return await _upload(rt, of, name, content)


async def results(rt: Runtime, friend_id: FriendId, booking_id: BookingId) -> list[StoredFile]:
    """The pictures of a job for the friend who has it, or had it until lately. Raises NotFound."""
    async with transaction(rt.pool) as tx:
        job = await read_models.booking(tx, booking_id, friend_id=friend_id)
        holder = job.holder if job else None
        if job is None or holder is None or holder.id != friend_id:
            raise NotFound
        if not may_know_customer(holder.award.ended_at, job.now, rt.policy):
            raise NotFound
        return await store.of_booking(tx, booking_id)


async def pictures(rt: Runtime, booking_id: BookingId) -> list[StoredFile]:
    """The pictures of a job, oldest first; the caller may see the booking."""
    async with read_connection(rt) as tx:
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


async def of_person(
    rt: Runtime, person: PersonId, *, actor: str
) -> tuple[list[StoredFile], Identity | None]:
    """The photo and the evidence of a person, for the desk; it is in the audit. Raises NotFound."""
    async with transaction(rt.pool) as tx:
        await _check_person(tx, person)
        await audit.record(tx, actor=actor, act="files.listed", subject=subjects.person(person))
        return await store.of_people(tx, [person]), await store.identity(tx, person)


async def confirm_identity(
    rt: Runtime, person: PersonId, document: Document, valid_until: date, *, operator: PersonId
) -> None:
    """Note what an operator saw in a person's evidence, and delete all of it.

    Raises NotFound without evidence, EvidenceOver.
    """
    async with transaction(rt.pool) as tx:
        await _check_person(tx, person)
        rules.check_valid(valid_until, await moment(tx))
        gone = await store.delete_of_kind(tx, person, FileKind.EVIDENCE)
        if not gone:
            raise NotFound
        await store.note_identity(tx, person, document, valid_until, operator)
        data = {
            "document": document,
            "until": datetime.combine(valid_until, time(), UTC).isoformat(),
        }
        seen = Happening(subjects.person(person), "identity.seen", data)
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


async def read(rt: Runtime, tx: Connection, file_id: FileId, stored: str) -> bytes | None:
    """The content of a file in the place that its row names; None when it is missing."""
    place = next((one for one in places(rt) if one.name == stored), None)
    return await place.get(tx, file_id) if place else None


def places(rt: Runtime) -> list[Contents]:
    """Where contents may be kept; new ones in the last."""
    folder = rt.settings.files_folder
    return [InDatabase(), InFolder(folder)] if folder else [InDatabase()]


async def _upload(rt: Runtime, of: Owned, name: str, content: bytes) -> StoredFile:
    made = await _make_anew(rt, of, content)
    place, file_id = places(rt)[-1], FileId(rt.new_id())
    async with transaction(rt.pool) as tx:
        await _check_person(tx, of.person_id)
        replaces = of.kind is FileKind.PHOTO
        gone = await store.delete_of_kind(tx, of.person_id, of.kind) if replaces else []
        rules.check_room(of.kind, await store.held(tx, of), rt.policy)
        plain = rules.file_name(name)
        file = await store.insert(tx, file_id, of, name=plain, size=len(made), stored=place.name)
        await place.put(tx, file_id, made)
    await forget(rt, gone)
    return file


async def _make_anew(rt: Runtime, of: Owned, content: bytes) -> bytes:
    """The picture made anew, beside the event loop; the attempt counts, also when it is refused."""
    if decoders.is_full:
        raise Overloaded
    counted = rules.quota(of.person_id)
    async with transaction(rt.pool) as tx:
        used = await quotas.use(tx, {counted: 1}, rt.policy.bookings_within)
    rules.check_uploads(used[counted] + 1, rt.policy)
    return await decoders.run(make_anew, content, of.kind)


async def _check_person(tx: Connection, person: PersonId) -> None:
    if not await store.lock_person(tx, person):
        raise NotFound


async def _content(rt: Runtime, tx: Connection, file: StoredFile) -> bytes:
    content = await read(rt, tx, file.id, file.stored)
    if content is None:
        raise NotFound
    return content
