"""Executes a batch of commands in one transaction: lock and load, decide, write.

The rules decide the commands one by one in the order of arrival, each on facts that include the
decisions before it; everything is then written at once. A refused command does not affect the
others. A second change to the same booking is deferred to the next batch, so that each row makes
one transition at a time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from data.db import Connection
from data.enums import Author, AwardState, OfferState
from data.records.ids import BookingId, FriendId, OfferId, PartnerId, QuotaKey
from data.records.jobs import Appointment, Award, Booking, Changes, Job
from data.records.people import Friend, Person
from data.records.threads import Thread
from data.replace import replace
from data.store import friends, idempotency_keys, jobs, policies, quotas, threads
from data.store.idempotency_keys import Claim
from dispatch.flows.candidates import find_candidates
from dispatch.rules.jobs import fan_out
from dispatch.rules.jobs.draft import Case, PendingFanOut, Verdict
from dispatch.rules.refusals import NotFound, Refused
from dispatch.runtime import Runtime

K = TypeVar("K")
Counts = Mapping[str, int]


class KeyReused(Refused):
    """This idempotency key was used for another request."""

    code = "idempotency-key-reused"
    field = "Idempotency-Key"
    detail = "Use a new key for a new request; repeat a request with its own key and body."


class ReferenceTaken(Refused):
    """You have a booking with this reference."""

    code = "reference-taken"
    field = "partner_reference"


@dataclass(slots=True)
class QuotaUses:
    """The uses of quotas before this transaction, those it has reserved, and those it has made.

    `made` is replaced by each use, never changed.
    """

    before: Mapping[QuotaKey, int] = field(default_factory=dict)
    reserved: Counter[QuotaKey] = field(default_factory=Counter)
    made: Counter[QuotaKey] = field(default_factory=Counter)

    def use(self, keys: Iterable[QuotaKey], check: Callable[[Mapping[str, int]], None]) -> Counts:
        """Count a use of each key, unless `check` refuses; returns the counts by kind."""
        wanted = Counter(keys)
        counts = {kind: self.before[kind, key] + self.made[kind, key] + 1 for kind, key in wanted}
        check(counts)
        self.made = self.made + wanted
        return counts

    @property
    def unused(self) -> dict[QuotaKey, int]:
        """The uses that were reserved and not made."""
        return {key: n - self.made[key] for key, n in self.reserved.items() if self.made[key] < n}


@dataclass(slots=True)
class Facts:
    """What a transaction has read, updated with what it has decided."""

    now: datetime
    jobs: dict[BookingId, Job]
    friends: dict[FriendId, Friend] = field(default_factory=dict)
    appointments: Mapping[FriendId, Mapping[BookingId, Appointment]] = field(default_factory=dict)
    references: Mapping[tuple[PartnerId, str], BookingId] = field(default_factory=dict)
    bookings: Mapping[tuple[OfferId, FriendId], BookingId] = field(default_factory=dict)
    confirmed: frozenset[str] = frozenset()
    quotas: QuotaUses = field(default_factory=QuotaUses)
    threads: Mapping[BookingId, tuple[Thread, Mapping[Author, int]]] = field(default_factory=dict)

    def booking_id(self, command: Command) -> BookingId:
        """The booking of a command. Raises NotFound when the offer is not the caller's own."""
        if command.booking_id is not None:
            return command.booking_id
        if command.offer is not None and command.offer in self.bookings:
            return self.bookings[command.offer]
        raise NotFound("there is no such offer, or it is not yours")

    def friend(self, friend_id: FriendId) -> Friend:
        """A friend whose row is locked. Raises NotFound."""
        try:
            return self.friends[friend_id]
        except KeyError:
            raise NotFound("there is no such friend") from None

    def apply(self, verdict: Changes | PendingFanOut) -> None:
        """Update the facts with a decision, for the commands after it."""
        if isinstance(verdict, PendingFanOut):
            self.jobs[verdict.booking.id] = verdict.job
            self._count_hand_back(verdict.draft.award)
            return
        changes, booking_id = verdict, verdict.booking.id
        self.jobs[booking_id] = self.jobs[booking_id].after(changes)
        for friend_id, by in changes.open_jobs.items():
            if friend := self.friends.get(friend_id):
                self.friends[friend_id] = replace(friend, open_jobs=friend.open_jobs + by)
        if changes.taken_by and (friend := self.friends.get(changes.taken_by)):
            self.friends[friend.id] = replace(friend, taken=friend.taken + 1)
        for offer in changes.offers:
            friend = self.friends.get(offer.friend_id)
            if friend and offer.state is OfferState.LIVE:
                self.friends[friend.id] = replace(friend, live_offers=friend.live_offers + 1)

    def _count_hand_back(self, award: Award | None) -> None:
        if award is None or award.state is not AwardState.HANDED_BACK:
            return
        if friend := self.friends.get(award.friend_id):
            self.friends[friend.id] = replace(friend, handed_back=friend.handed_back + 1)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Command:
    """A request to change one booking: the booking or offer, the actor and the rule.

    `create` makes a new booking at the moment of the transaction. `friend` is locked and read
    before the decision, `with_appointments` and `with_thread` if needed; with `holder_only`,
    a booking that the friend never held is not found and read like one that does not exist.
    Whether a `contact` was confirmed before is read for the decision, and the uses of its `quotas`
    are counted, which may depend on the facts. `build_response` makes the response that is stored
    under `claim`.
    """

    actor: str
    decide: Callable[[Case, Facts], Verdict]
    booking_id: BookingId | None = None
    offer: tuple[OfferId, FriendId] | None = None
    create: Callable[[datetime], tuple[Booking, Person]] | None = None
    friend: FriendId | None = None
    with_appointments: bool = False
    with_thread: bool = False
    holder_only: bool = False
    claim: Claim | None = None
    reference: tuple[PartnerId, str] | None = None
    contact: str | None = None
    quotas: Callable[[Facts], Iterable[QuotaKey]] | None = None
    build_response: Callable[[CommandResult], Mapping[str, Any]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """An executed command: the job straight after it, what changed, and when it was decided.

    `job` includes no later command of the same batch. `response` is what was stored under the
    idempotency key.
    """

    job: Job
    changes: Changes | None
    now: datetime
    response: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResponse:
    """The response stored for an earlier request with this idempotency key."""

    response: Mapping[str, Any]


class Deferred:
    """The booking has changed in this batch: execute the command in the next."""


Result = CommandResult | StoredResponse | Refused | Deferred | Exception


async def execute_all(
    rt: Runtime, tx: Connection, commands: Sequence[Command]
) -> tuple[list[Result], list[Changes]]:
    """Execute commands inside `tx`; returns one result for each, and what was written."""
    results: dict[Command, Result] = {}
    first = _first_per_key(commands, results)
    replies = await idempotency_keys.claim(tx, [c.claim for c in first if c.claim is not None])
    for command in first:
        if command.claim and (reply := replies.get(command.claim.name)):
            same = reply.request_sha256 == command.claim.request_sha256
            results[command] = StoredResponse(response=reply.body) if same else KeyReused()
    todo = [command for command in commands if command not in results]
    facts = await _load(rt, tx, todo)
    verdicts, before = _decide(rt, facts, todo, results)
    await quotas.give_back(tx, facts.quotas.unused)
    decided = await complete_fan_outs(rt, tx, facts, verdicts)
    await jobs.write(tx, list(decided.values()), facts.now)
    results.update(_build_results(facts.now, before, decided))
    await _store_responses(tx, todo, results)
    return [results[command] for command in commands], list(decided.values())


def _first_per_key(commands: Sequence[Command], results: dict[Command, Result]) -> list[Command]:
    seen: set[idempotency_keys.ClaimKey] = set()
    first = []
    for command in commands:
        if command.claim is not None and command.claim.name in seen:
            results[command] = Deferred()
            continue
        if command.claim is not None:
            seen.add(command.claim.name)
        first.append(command)
    return first


async def _load(rt: Runtime, tx: Connection, commands: Sequence[Command]) -> Facts:
    named = [c for c in commands if c.booking_id is not None and c.create is None]
    known = {c.booking_id for c in named if c.booking_id is not None and not c.holder_only}
    held = [(c.booking_id, c.friend) for c in named if c.booking_id and c.friend and c.holder_only]
    offers = [c.offer for c in commands if c.offer is not None]
    loaded, now = await jobs.lock(tx, known, rt.catalogue, offers=offers, held=held)
    facts = Facts(now=now, jobs=loaded, bookings=_by_offer(loaded.values()))
    # All friends whose counters may change, locked in one order: two batches must not deadlock.
    wanted = {c.friend for c in commands if c.friend is not None}
    wanted |= {job.award.friend_id for job in loaded.values() if job.award is not None}
    if wanted:
        facts.friends.update(await friends.lock_current(tx, wanted, now, rt.index.get))
    if calendars := [c.friend for c in commands if c.with_appointments and c.friend is not None]:
        facts.appointments = await jobs.appointments(tx, calendars)
    if talked := [c.booking_id for c in commands if c.with_thread and c.booking_id is not None]:
        facts.threads = await threads.of_bookings(tx, talked, rt.policy.messages_within)
    if references := [c.reference for c in commands if c.reference is not None]:
        facts.references = await jobs.by_reference(tx, references)
    if contacts := [c.contact for c in commands if c.contact is not None]:
        facts.confirmed = await jobs.confirmed_contacts(tx, contacts, rt.policy.confirmed_for)
    reserved = Counter(key for c in commands if c.quotas is not None for key in c.quotas(facts))
    before = await quotas.use(tx, reserved, rt.policy.bookings_within)
    facts.quotas = QuotaUses(before=before, reserved=reserved)
    return facts


def _by_offer(loaded: Iterable[Job]) -> dict[tuple[OfferId, FriendId], BookingId]:
    return {(o.id, o.friend_id): o.booking_id for job in loaded for o in job.offers}


def _decide(
    rt: Runtime, facts: Facts, commands: Sequence[Command], results: dict[Command, Result]
) -> tuple[dict[Command, Changes | PendingFanOut], dict[Command, Job]]:
    """The verdicts that change something, and the job before each command that is not refused."""
    verdicts: dict[Command, Changes | PendingFanOut] = {}
    before_each: dict[Command, Job] = {}
    touched: dict[BookingId, Changes | PendingFanOut] = {}
    for command in commands:
        made = facts.quotas.made
        try:
            case = _build_case(rt, facts, command)
            before = touched.get(case.job.booking.id)
            # A job with a pending fan-out is between two states: nothing is decided on it.
            verdict = None if isinstance(before, PendingFanOut) else command.decide(case, facts)
        except Refused as refused:
            results[command] = refused
        except Exception as bug:
            results[command] = bug
        else:
            if isinstance(before, PendingFanOut) or (before and verdict):
                results[command] = Deferred()
                facts.quotas.made = made  # It is decided again, and counted then.
                continue
            before_each[command] = case.job
            if verdict is not None:
                verdicts[command] = touched[verdict.booking.id] = verdict
                facts.apply(verdict)
    return verdicts, before_each


def _build_case(rt: Runtime, facts: Facts, command: Command) -> Case:
    customer = None
    if command.create is not None:
        if command.reference is not None and (id_ := facts.references.get(command.reference)):
            raise ReferenceTaken(f"it is booking {id_}")
        booking, customer = command.create(facts.now)
        package = rt.catalogue.at(booking.package, booking.package_version)
        facts.jobs[booking.id] = Job(booking=booking, package=package.in_market(booking.market))
    booking_id = facts.booking_id(command)
    if booking_id not in facts.jobs:
        raise NotFound("there is no such booking, or it is not yours")
    return Case(
        job=facts.jobs[booking_id],
        now=facts.now,
        policy=rt.policy,
        actor=command.actor,
        customer=customer,
    )


async def complete_fan_outs(
    rt: Runtime, tx: Connection, facts: Facts, verdicts: Mapping[K, Changes | PendingFanOut]
) -> dict[K, Changes]:
    """Finish the decisions that wait for candidates, one by one in the order of arrival.

    Other tasks run between two of them, so that requests are shed without waiting for the batch.
    """
    pending = [v for v in verdicts.values() if isinstance(v, PendingFanOut) and v.want > 0]
    candidates_of = await find_candidates(rt, tx, facts.now, facts.friends, pending)
    decided: dict[K, Changes] = {}
    await _keep_policy(rt, tx, verdicts.values())
    for key, verdict in verdicts.items():
        if isinstance(verdict, PendingFanOut):
            changes = fan_out.finish(verdict, *await candidates_of(verdict))
            facts.apply(changes)
            decided[key] = changes
            await asyncio.sleep(0)
        else:
            decided[key] = verdict
    return decided


async def _keep_policy(
    rt: Runtime, tx: Connection, verdicts: Iterable[Changes | PendingFanOut]
) -> None:
    """Have the policy in the database before the first decision by it is written."""
    policy = rt.policy
    if policy.fingerprint in rt.kept_policies:
        return
    if any(isinstance(verdict, PendingFanOut) for verdict in verdicts):
        await policies.keep(tx, policy.fingerprint, policy.version, policy.numbers)


def _build_results(
    now: datetime, before: Mapping[Command, Job], decided: Mapping[Command, Changes]
) -> dict[Command, Result]:
    """Each command is answered from the job as of that command, not as of the end of the batch."""
    done: dict[Command, Result] = {}
    for command, job in before.items():
        changes = decided.get(command)
        job_after = job if changes is None else job.after(changes)
        result = CommandResult(job=job_after, changes=changes, now=now)
        done[command] = (
            replace(result, response=command.build_response(result))
            if command.build_response
            else result
        )
    return done


async def _store_responses(
    tx: Connection, commands: Sequence[Command], results: Mapping[Command, Result]
) -> None:
    responses: dict[idempotency_keys.ClaimKey, Mapping[str, Any]] = {}
    dropped: list[idempotency_keys.ClaimKey] = []
    for command in commands:
        if command.claim is None:
            continue
        result = results[command]
        if isinstance(result, CommandResult) and result.response is not None:
            responses[command.claim.name] = result.response
        else:
            dropped.append(command.claim.name)
    await idempotency_keys.store_responses(tx, responses)
    await idempotency_keys.release(tx, dropped)
