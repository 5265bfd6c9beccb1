"""Friends: import, and the changes that they and the desk make."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

from data.db import Connection, ConstraintViolation, moment, transaction, translate_errors
from data.enums import FriendState
from data.markets import Language, Market
from data.records import subjects
from data.records.ids import CustomerKey, FriendId, PartnerId, PersonId
from data.records.people import Area, QuietHours
from data.replace import replace
from data.store import audit, desk, friend_admin, friends
from data.store.friend_admin import FriendEntry, FriendLimits
from dispatch.flows import journal
from dispatch.flows.people import areas, certificates, friend_edits
from dispatch.flows.people.sessions import end_access
from dispatch.rules.journal import OF_STATE, Happening
from dispatch.rules.people.ages import local_day
from dispatch.rules.people.applications import check_accepted
from dispatch.rules.people.desk_notes import NotesFull
from dispatch.rules.people.weekly_plan import DaySpan, Holiday, build_holidays, build_week
from dispatch.rules.refusals import NotFound, Refused
from dispatch.rules.trust import base_moves, limits
from dispatch.runtime import Runtime
from geo.friend_import.reader import Row
from geo.point import Point

PAGE = 2000
FEW = 200


class EmailTaken(Refused):
    """Another friend has this e-mail address.

    `line` is its line in an imported file, or 0.
    """

    code = "email-taken"
    field = "email"

    def __init__(self, problem: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {problem}" if line else problem)
        self.problem = problem
        self.line = line


class CapacityTooLow(Refused):
    """There are more open jobs than that."""

    code = "capacity-too-low"
    field = "capacity"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportCounts:
    """How many friends an import created, changed and left unchanged."""

    created: int
    changed: int
    unchanged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileChange:
    """Changes to a friend's profile; None leaves a field as it is, no `week` is any time."""

    radius_m: int | None = None
    base: Point | None = None
    quiet: QuietHours | None = None
    clear_quiet: bool = False
    week: Sequence[DaySpan] | None = None
    clear_week: bool = False
    holidays: Sequence[Holiday] | None = None
    areas: Sequence[Area] | None = None
    paused: bool | None = None
    languages: tuple[Language, ...] | None = None
    capacity: int | None = None


class _RollBack(Exception):
    """Rolls the transaction of an import preview back."""


@dataclass(slots=True, kw_only=True)
class _ImportProgress:
    """What an import has done so far; `progress` is called with the number of rows."""

    progress: Callable[[int], None] = lambda rows: None
    rows: int = 0
    created: int = 0
    changed: set[FriendId] = field(default_factory=set)
    markets: set[Market] = field(default_factory=set)

    def counts(self) -> ImportCounts:
        """The counts so far."""
        return ImportCounts(
            created=self.created,
            changed=len(self.changed) - self.created,
            unchanged=self.rows - len(self.changed),
        )


async def import_friends(
    rt: Runtime,
    rows: Iterable[Row],
    *,
    actor: str,
    progress: Callable[[int], None] = lambda rows: None,
) -> ImportCounts:
    """Create or change friends by their `ref`, all or none. Raises EmailTaken."""
    counts, taken = await import_rows(rt, list(rows), actor=actor, progress=progress)
    for row, owner in taken:
        raise EmailTaken(f"it belongs to the friend {owner}", row.line)
    return counts


async def import_rows(
    rt: Runtime,
    rows: Sequence[Row],
    *,
    actor: str,
    bad: int = 0,
    skip_bad: bool = False,
    dry_run: bool = False,
    progress: Callable[[int], None] = lambda rows: None,
) -> tuple[ImportCounts, Sequence[tuple[Row, str]]]:
    """Import rows; returns the counts, and the rows whose address is taken with its owner's ref.

    `bad` rows of the file are not among `rows`. While there are bad rows nothing is imported,
    unless `skip_bad`. A dry run is executed without them, counted, and rolled back. Whatever is
    asked leaves a line in the audit. Raises EmailTaken.
    """
    done = _ImportProgress(progress=progress)
    taken: dict[str, str] = {}
    with suppress(_RollBack):
        async with transaction(rt.pool) as tx:
            wanted = await _wanted_addresses(tx, rows)
            taken = _taken_addresses(rows, wanted)
            if not (dry_run or skip_bad) and (bad or taken):
                raise _RollBack
            good = [row for row in rows if row.ref not in taken]
            before = await friend_edits.snapshot(tx, [row.ref for row in good])
            await friend_admin.vacate_addresses(tx, list(wanted.keys() - taken.values()))
            await _import_rows(rt, tx, good, done)
            if dry_run:
                raise _RollBack
            await audit.record(tx, actor=actor, act="friends.imported", subject=str(done.rows))
            await friend_edits.record_edits(rt, tx, before, actor=actor)
    if dry_run or ((bad or taken) and not skip_bad):
        await _record_check(rt, actor, rows=len(rows), bad=bad + len(taken))
    else:
        await refresh_and_retry(rt, done.changed, done.markets)
    return done.counts(), [(row, taken[row.ref]) for row in rows if row.ref in taken]


async def _record_check(rt: Runtime, actor: str, *, rows: int, bad: int) -> None:
    async with transaction(rt.pool) as tx:
        data = {"bad": bad}
        await audit.record(tx, actor=actor, act="friends.checked", subject=str(rows), data=data)


async def _wanted_addresses(tx: Connection, rows: Sequence[Row]) -> dict[str, Row]:
    """Return the rows that want the address of another friend, by that friend's ref."""
    wanted: dict[str, Row] = {}
    for start in range(0, len(rows), PAGE):
        page = rows[start : start + PAGE]
        owners = await friend_admin.refs_by_email(tx, [row.email.lower() for row in page])
        for row in page:
            owner = owners.get(row.email.lower(), row.ref)
            if owner != row.ref:
                wanted[owner] = row
    return wanted


def _taken_addresses(rows: Sequence[Row], wanted: Mapping[str, Row]) -> dict[str, str]:
    """Return the refs of the rows that cannot have their address, with its owner's ref.

    An owner who is not in the file keeps the address; so does one who cannot have another.
    """
    refs = {row.ref for row in rows}
    taken: dict[str, str] = {}
    for owner in wanted.keys() - refs:
        keeper: str | None = owner
        while keeper is not None and (row := wanted.get(keeper)) is not None:
            taken[row.ref] = keeper
            keeper = row.ref
    return taken


async def _import_rows(
    rt: Runtime, tx: Connection, rows: Iterable[Row], done: _ImportProgress
) -> None:
    stream = iter(rows)
    while page := list(islice(stream, PAGE)):
        entries, created = await _entries(rt, tx, page)
        try:
            with translate_errors():
                done.changed |= await friend_admin.put(tx, entries)
        except ConstraintViolation as broken:
            if broken.constraint != "people_login":
                raise
            raise EmailTaken("another friend has just been given an address of the file") from None
        done.created, done.rows = done.created + created, done.rows + len(page)
        done.markets |= {row.market for row in page}
        done.progress(done.rows)


async def _entries(
    rt: Runtime, tx: Connection, page: Sequence[Row]
) -> tuple[list[FriendEntry], int]:
    known = await friend_admin.ids_by_ref(tx, [row.ref for row in page])
    await friends.lock(tx, known.values())
    entries = [
        FriendEntry(
            id=known.get(row.ref) or FriendId(rt.new_id()),
            ref=row.ref,
            name=row.name,
            email=row.email,
            phone=row.phone or None,
            market=row.market,
            lat=row.point.lat,
            lon=row.point.lon,
            precision=row.precision,
            precision_m=row.precision_m,
            postcode=row.postcode,
            city=row.city,
            radius_m=row.radius_m,
            certificates=row.certificates,
            languages=row.languages,
            tier=row.tier,
            capacity=row.capacity,
        )
        for row in page
    ]
    return entries, len(page) - len(known)


async def profile(rt: Runtime, friend_id: FriendId) -> Any:
    """A friend's own profile, as a row."""
    async with transaction(rt.pool) as tx:
        row = await friend_admin.profile(tx, friend_id)
    if row is None:
        raise NotFound("there is no such friend")
    return row


async def change_profile(rt: Runtime, friend_id: FriendId, change: ProfileChange) -> Any:
    """Change a profile; returns the new one.

    Raises CapacityTooLow, BaseMovedLately, BeyondLimit, PausedByAlarm, ApplicationUndecided,
    PlanInvalid, AreaInvalid.
    """
    if change.base is not None or change.areas is not None:
        row = await profile(rt, friend_id)
        if change.base is not None:
            rt.gazetteer.check_plausible(row["market"], change.base)
        if change.areas is not None:
            change = replace(change, areas=await areas.settle_areas(rt, row, change.areas))
    async with transaction(rt.pool) as tx:
        if not await friend_admin.lock_friend(tx, friend_id):
            raise NotFound("there is no such friend")
        await _apply(rt, tx, friend_id, change)
        row = await friend_admin.profile(tx, friend_id)
    await refresh_and_retry(rt, {friend_id})
    return row


async def _apply(rt: Runtime, tx: Connection, friend_id: FriendId, change: ProfileChange) -> None:
    row = await friend_admin.profile(tx, friend_id)
    assert row is not None
    if change.paused is not None:
        await _set_paused(tx, row, paused=change.paused)
    if change.quiet is not None or change.clear_quiet:
        await friend_admin.set_quiet(tx, friend_id, change.quiet)
    await _set_plan(tx, row, change)
    if change.areas is not None:
        await areas.set_areas(rt, tx, row, change.areas)
    if change.base is not None:
        # By what was read before the areas: both together are one move.
        await _move_base(rt, tx, row, change.base)
    _check_limits(rt, row, change)
    if change.radius_m is not None or change.languages is not None:
        radius_m = change.radius_m or row["radius_m"]
        languages = change.languages or tuple(map(Language, row["languages"]))
        await friend_admin.set_reach(tx, friend_id, radius_m, languages)
    if change.capacity is not None:
        try:
            with translate_errors():
                await friend_admin.set_capacity(tx, friend_id, change.capacity)
        except ConstraintViolation:
            raise CapacityTooLow("finish or hand back jobs first") from None


async def _set_plan(tx: Connection, row: Any, change: ProfileChange) -> None:
    friend_id = FriendId(row["id"])
    if change.week is not None or change.clear_week:
        week = None if change.week is None else build_week(change.week)
        await friend_admin.set_week(tx, friend_id, week)
    if change.holidays is not None:
        today = local_day(await moment(tx), Market(row["market"]))
        await friend_admin.set_holidays(tx, friend_id, build_holidays(change.holidays, today))


async def _move_base(rt: Runtime, tx: Connection, row: Any, base: Point) -> None:
    friend_id, now = FriendId(row["id"]), await moment(tx)
    before = None if row["lat"] is None else Point(lat=row["lat"], lon=row["lon"])
    if base_moves.is_move(before, base):
        base_moves.check_move_allowed(row["base_moved_at"], now, rt.policy)
        await friend_admin.record_base_move(tx, friend_id, now)
    await friend_admin.set_base(tx, friend_id, base.lat, base.lon)


async def _set_paused(tx: Connection, row: Any, *, paused: bool) -> None:
    state = FriendState.PAUSED if paused else FriendState.ACTIVE
    if row["state"] == FriendState.SUSPENDED:
        raise NotFound("there is no such friend")
    check_accepted(FriendState(row["state"]))
    limits.check_may_set(state, alarmed_at=row["alarmed_at"])
    await friend_admin.set_state(tx, FriendId(row["id"]), state)


def _check_limits(rt: Runtime, row: Any, change: ProfileChange) -> None:
    for name, wanted, most in (
        ("radius_m", change.radius_m, row["radius_max_m"] or rt.policy.radius_max_m),
        ("capacity", change.capacity, row["capacity_max"] or rt.policy.capacity_max),
    ):
        limits.check_settable(name, wanted, now=row[name], most=most)


async def set_state(
    rt: Runtime,
    friend_id: FriendId,
    state: FriendState,
    *,
    actor: str,
    reason: tuple[PersonId, str] | None = None,
) -> None:
    """Pause, activate or suspend a friend, for the desk; repeating it changes nothing.

    Suspending ends all sessions for good: a friend activated again signs in anew.

    `reason` is an author and a text; it is kept with the friend's notes, because it may name
    people. Raises NotesFull, ApplicationUndecided.
    """
    async with transaction(rt.pool) as tx:
        before = await friend_admin.lock_friend(tx, friend_id)
        if before is None:
            raise NotFound("there is no such friend")
        check_accepted(before)
        if await friend_admin.set_state(tx, friend_id, state):
            await _record(tx, friend_id, OF_STATE[state], actor, before=before)
            if state == FriendState.SUSPENDED:
                await end_access(tx, [PersonId(friend_id)], actor=actor)
            if reason is not None:
                by, words = reason
                if await desk.add_friend_note(tx, friend_id, by, f"{state}: {words}") is None:
                    raise NotesFull("reason")
    await refresh_and_retry(rt, {friend_id})


async def set_limits(
    rt: Runtime, friend_id: FriendId, allowed: FriendLimits, *, actor: str
) -> None:
    """Set what the desk allows a friend, all of it; None is what the policy allows."""
    async with transaction(rt.pool) as tx:
        if not await friend_admin.set_limits(tx, friend_id, allowed):
            raise NotFound("there is no such friend")
        await _record(tx, friend_id, "friend.limited", actor, **asdict(allowed))
    await refresh_and_retry(rt, {friend_id})


async def certify(rt: Runtime, friend_id: FriendId, code: str, *, actor: str) -> None:
    """Give a friend a certificate from now on; one already held stays as it is."""
    async with transaction(rt.pool) as tx:
        if not await friend_admin.lock_friend(tx, friend_id):
            raise NotFound("there is no such friend")
        given = await friend_admin.certify(tx, friend_id, code)
        if given is None:
            raise NotFound(f"there is no certificate {code[:40]!r}")
        if given:
            await _record(tx, friend_id, "friend.certified", actor, certificate=code)
            await certificates.keep_timers(rt, tx, [friend_id])
    await refresh_and_retry(rt, {friend_id})


async def uncertify(rt: Runtime, friend_id: FriendId, code: str, *, actor: str) -> None:
    """Take a certificate from a friend, who keeps current jobs. Raises NotFound."""
    async with transaction(rt.pool) as tx:
        await friend_admin.lock_friend(tx, friend_id)
        if not await friend_admin.uncertify(tx, friend_id, code):
            raise NotFound("this friend does not hold this certificate")
        await _record(tx, friend_id, "friend.uncertified", actor, certificate=code)
    await refresh_and_retry(rt, {friend_id})


async def _record(
    tx: Connection, friend_id: FriendId, kind: str, actor: str, **data: object
) -> None:
    await journal.record(tx, Happening(subjects.person(friend_id), kind, data), actor=actor)


async def set_membership(
    rt: Runtime, partner: PartnerId, members: Sequence[FriendId], *, member: bool, actor: str
) -> None:
    """Add friends to a partner's community, or remove them."""
    kind = "partner.members_added" if member else "partner.members_removed"
    change = friend_admin.add_members if member else friend_admin.remove_members
    async with transaction(rt.pool) as tx:
        if changed := await change(tx, partner, members):
            happening = Happening(subjects.partner(partner), kind, {"members": changed})
            await journal.record(tx, happening, actor=actor)
    await refresh_and_retry(rt, set(members))


async def block_customer(
    rt: Runtime, friend_id: FriendId, customer: CustomerKey, *, by_friend: bool, actor: str
) -> None:
    """Block a friend and a customer for each other: the friend is never asked again."""
    async with transaction(rt.pool) as tx:
        if await friend_admin.block(tx, friend_id, customer, by_friend):
            await _record(tx, friend_id, "friend.blocked", actor, by_friend=by_friend)
    await refresh_and_retry(rt, {friend_id})


async def refresh_index(rt: Runtime, changed: Iterable[FriendId]) -> None:
    """Update these friends in this process's index; deleted ones are removed."""
    wanted = list(changed)
    for start in range(0, len(wanted), PAGE):
        page = wanted[start : start + PAGE]
        async with transaction(rt.pool) as tx:
            rows = await friends.facts(tx, page, await moment(tx))
        for friend_id in page:
            if friend_id in rows:
                rt.index.put(rows[friend_id])
            else:
                rt.index.remove(friend_id)


async def refresh_and_retry(
    rt: Runtime, changed: set[FriendId], markets: Collection[Market] = ()
) -> None:
    """After the commit: update the index, and retry unfilled bookings soon."""
    await refresh_index(rt, changed)
    async with transaction(rt.pool) as tx:
        if markets and len(changed) > FEW:
            await friend_admin.hurry_markets(tx, sorted(markets))
        elif changed:
            await friend_admin.hurry_retries(tx, list(changed))
    rt.notify([])
