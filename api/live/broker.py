"""The open event streams of this process, and the delivery of committed events to them.

Theory of operation. `Streams` polls the events committed since its last poll and pushes each to the
streams of the subscribers concerned, found in a dictionary. It polls at once when this process has
committed something, five times a second for commits of others, and not at all without streams.

The position of a poll is PostgreSQL's snapshot: which transactions were visible. The next poll asks
for what is visible now and was not then, so that an event written early and committed late is
delivered once, like any other. The same snapshot, encoded, is the cursor of a reconnecting client:
events not visible in it are delivered before anything new. Where those would be too many, or the
cursor is invalid, `ready` says `"resumed": false`, and the client reads its lists anew.

An event is encoded once per kind of subscriber. Heartbeats and the check of credentials rotate
through all streams in fifteen seconds, a few at each poll. A client that does not read gets no
further events, and its stream ends once it has read what was written before.

Ten thousand open streams are some hundred thousand objects; scanning them would stop everything
else for most of a second. They leave no reference cycles, so they are frozen for the collector.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from api.schemas import presenters
from data.db import Connection, DatabaseError
from data.records.ids import BookingId
from data.records.jobs import Changes
from data.store import events, read_models
from data.store.events import CommittedEvent, FriendOffer, Snapshot
from dispatch.rules.jobs import visibility
from dispatch.rules.jobs.visibility import Subscriber, VisibleEvent
from dispatch.runtime import Runtime

log = logging.getLogger(__name__)

POLL_S: Final = 0.2
PAUSE_MIN_S: Final = 0.02
HEARTBEAT_S: Final = 15.0
CHECK_EVERY_S: Final = 1.0
CLOSE_WITHIN_S: Final = 1.0
RETRY_MS: Final = (1000, 4000)
BUFFER_MAX: Final = 64 * 1024
EVENTS_MAX: Final = 5000
FREEZE_EVERY: Final = 250
CURSOR_MAX: Final = 6000
# Of one friend, operator, partner or customer's link, in one process.
STREAMS_PER_CALLER: Final = 5
OFFER_EVENTS: Final = frozenset({visibility.OFFER_MADE, visibility.OFFER_GONE})

Frame = tuple[Subscriber, int, bytes]
# The hash of a session or key, or the booking of a customer's link and the link's generation.
CheckedCredential = bytes | tuple[BookingId, int]


class Stream:
    """One open stream and its buffer; `notify` is called when there is something to write."""

    __slots__ = (
        "caller", "caught_up", "chunks", "credential", "cursor", "ended", "notify", "size", "to",
    )  # fmt: skip

    def __init__(
        self,
        to: Subscriber,
        credential: CheckedCredential | None,
        cursor: Snapshot | None,
        caller: Hashable = None,
    ) -> None:
        self.to = to
        self.caller = caller
        self.credential = credential
        self.cursor = cursor
        self.chunks: list[bytes] = []
        self.size = 0
        self.caught_up = self.ended = False
        self.notify: Callable[[], None] = do_nothing

    def push(self, chunk: bytes) -> None:
        """Buffer `chunk`; ends the stream of a client that lets the buffer grow too large."""
        if self.ended:
            return
        self.size += len(chunk)
        if self.size > BUFFER_MAX:
            self.chunks.clear()
            self.end()
            return
        self.chunks.append(chunk)
        self.notify()

    def end(self) -> None:
        """End the stream once its buffer is written."""
        self.ended = True
        self.notify()

    def take(self) -> bytes:
        """Remove and return the whole buffer, possibly empty."""
        chunk = b"".join(self.chunks)
        self.chunks.clear()
        self.size = 0
        return chunk


def do_nothing() -> None:
    """The callback of a stream that is not being written."""


class Streams:
    """All open streams of this process."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._by_subscriber: dict[Subscriber, set[Stream]] = {}
        self._by_caller: dict[Hashable, list[Stream]] = {}
        self._joining: list[Stream] = []
        self._rotation: deque[Stream] = deque()
        self._unchecked: set[Stream] = set()
        self._position: Snapshot | None = None
        self._poll_requested = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._disconnected = self._closed = False
        self._heartbeats_due = self._checked_s = 0.0
        self._unfrozen = 0
        self._heartbeat_at_s = asyncio.get_running_loop().time()
        self.open = 0

    def add(self, stream: Stream) -> None:
        """Deliver events to this stream from its cursor on, or from now."""
        if self._closed:
            stream.end()
        # When a server ends, its clients must not all reconnect in the same moment.
        stream.push(b"retry: %d\n\n" % self._rt.chance.randint(*RETRY_MS))
        self.open += 1
        self._limit(stream)
        self._joining.append(stream)
        self._rotation.append(stream)
        self._poll_requested.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    def _limit(self, stream: Stream) -> None:
        """End the oldest stream of a caller with too many: a lost phone leaves its own behind."""
        if stream.caller is None:
            return
        own = self._by_caller.setdefault(stream.caller, [])
        own.append(stream)
        if len(own) > STREAMS_PER_CALLER:
            own.pop(0).end()

    def remove(self, stream: Stream) -> None:
        """Forget a stream whose response is complete."""
        stream.end()
        self.open -= 1
        own = self._by_caller.get(stream.caller, [])
        if stream in own:
            own.remove(stream)
            if not own:
                del self._by_caller[stream.caller]
        if others := self._by_subscriber.get(stream.to):
            others.discard(stream)
            if not others:
                del self._by_subscriber[stream.to]

    async def close(self) -> None:
        """End every stream and accept no more."""
        self._closed = True
        for stream in self._rotation:
            stream.end()
        self._poll_requested.set()
        if self._task is not None:
            # A database that does not answer must not delay the end of the process.
            await asyncio.wait({self._task}, timeout=CLOSE_WITHIN_S)

    def poll_now(self, changes: Sequence[Changes]) -> None:
        """Poll at once, since this process has committed something."""
        self._poll_requested.set()

    async def _run(self) -> None:
        self._rt.on_commit.append(self.poll_now)
        try:
            while self.open and not self._closed:
                await self._poll_until_disconnected()
                self._send_heartbeats()
                await self._pause()
        except Exception:
            log.exception("the streams failed; their clients reconnect")
        finally:
            self._rt.on_commit.remove(self.poll_now)
            self._task = self._position = None
            for stream in self._rotation:
                stream.end()
            self._rotation.clear()
            self._joining.clear()

    async def _poll_until_disconnected(self) -> None:
        try:
            async with events.dedicated_connection(self._rt.pool) as connection:
                while self.open and not self._closed:
                    await self._poll(connection)
                    self._disconnected = False
                    self._send_heartbeats()
                    await self._check_credentials(connection)
                    await self._pause()
        except DatabaseError as error:
            if not self._disconnected:
                log.warning("event streams wait for the database: %s", error)
            self._disconnected = True

    async def _pause(self) -> None:
        await asyncio.sleep(0 if self._closed else PAUSE_MIN_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_S - PAUSE_MIN_S):
                await self._poll_requested.wait()
        self._poll_requested.clear()

    async def _poll(self, tx: Connection) -> None:
        joining = [stream for stream in self._joining if not stream.ended]
        batch = await events.events_since(tx, self._position, EVENTS_MAX)
        frames = await self._frames(tx, batch.events, self._by_subscriber)
        missed = await self._missed_frames(tx, joining, batch.mark)
        # Nothing below awaits: streams and position advance together.
        self._deliver(frames, batch.mark, lost=batch.complete_from > 0)
        self._catch_up(joining, missed, batch.mark)
        self._end_revoked(batch.events)

    def _end_revoked(self, happened: Sequence[CommittedEvent]) -> None:
        """End the streams of customers whose link was renewed, at once if the event is seen."""
        for one in happened:
            if one.event.kind == visibility.LINK_RENEWED:
                to = visibility.customer_of(one.event.booking_id)
                for stream in tuple(self._by_subscriber.get(to, ())):
                    stream.end()

    async def _missed_frames(
        self, tx: Connection, joining: Sequence[Stream], position: Snapshot
    ) -> tuple[Sequence[Frame], int]:
        """The frames since the oldest cursor, and the transaction from which they are complete."""
        cursors = [stream.cursor.xmin for stream in joining if stream.cursor]
        if not cursors:
            return (), 0
        past = await events.events_since(tx, _snapshot_before(min(cursors)), EVENTS_MAX)
        visible = [one for one in past.events if position.includes(one.xid)]
        frames = await self._frames(tx, visible, {stream.to for stream in joining})
        return frames, past.complete_from

    async def _frames(
        self, tx: Connection, happened: Sequence[CommittedEvent], audience: Collection[Subscriber]
    ) -> Sequence[Frame]:
        """The frames for the subscribers in `audience`, each with the event's transaction."""
        seen = [
            (one, visible)
            for one in happened
            for visible in _visible_events(one)
            if visible.to in audience
        ]
        bookings = {one.event.booking_id for one, visible in seen if visible.kind in OFFER_EVENTS}
        offers = await events.offers_of(tx, bookings)
        return [
            (
                visible.to,
                one.xid,
                _frame(self._rt, one, visible, offers.get(one.event.booking_id, ())),
            )
            for one, visible in seen
        ]

    def _deliver(self, frames: Sequence[Frame], position: Snapshot, *, lost: bool) -> None:
        self._position = position
        if lost:
            for stream in self._rotation:
                if stream.caught_up:
                    stream.push(_ready(position, resumed=False))
            return
        by_subscriber: defaultdict[Subscriber, list[bytes]] = defaultdict(list)
        for to, _, frame in frames:
            by_subscriber[to].append(frame)
        for to, several in by_subscriber.items():
            chunk = _chunk(several, position)
            for stream in self._by_subscriber.get(to, ()):
                stream.push(chunk)

    def _catch_up(
        self, joining: Sequence[Stream], missed: tuple[Sequence[Frame], int], position: Snapshot
    ) -> None:
        frames, complete_from = missed
        for stream in joining:
            since = stream.cursor
            resumed = since is not None and (
                complete_from <= since.xmin <= since.xmax <= position.xmax
            )
            if since is not None and resumed:
                for to, xid, frame in frames:
                    if to == stream.to and not since.includes(xid):
                        stream.push(frame)
            stream.push(_ready(position, resumed=resumed))
            stream.caught_up, stream.cursor = True, None
            if not stream.ended:
                self._by_subscriber.setdefault(stream.to, set()).add(stream)
        self._joining = [one for one in self._joining if not (one.caught_up or one.ended)]
        self._freeze_streams(len(joining))

    def _freeze_streams(self, added: int) -> None:
        """Exempt open streams from garbage collection, after collecting what is garbage already."""
        self._unfrozen += added
        if self._unfrozen >= FREEZE_EVERY:
            self._unfrozen = 0
            gc.collect()
            gc.freeze()

    def _send_heartbeats(self) -> None:
        """Send a heartbeat with the current cursor to as many streams as are due."""
        now_s = asyncio.get_running_loop().time()
        self._heartbeats_due += len(self._rotation) * (now_s - self._heartbeat_at_s) / HEARTBEAT_S
        self._heartbeat_at_s = now_s
        due = min(int(self._heartbeats_due), len(self._rotation))
        self._heartbeats_due -= int(self._heartbeats_due)
        heartbeat = b":\n%s\n" % _id(self._position) if self._position else b":\n\n"
        for _ in range(due):
            stream = self._rotation.popleft()
            if stream.ended:
                continue
            stream.push(heartbeat if stream.caught_up else b":\n\n")
            self._rotation.append(stream)
            self._unchecked.add(stream)

    async def _check_credentials(self, tx: Connection) -> None:
        """End those of the rotated streams whose credentials are no longer valid."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._checked_s < CHECK_EVERY_S:
            return
        self._checked_s = now_s
        unchecked, self._unchecked = self._unchecked, set()
        credentials = {stream.credential for stream in unchecked if stream.credential}
        valid = await _valid_credentials(tx, credentials)
        for stream in unchecked:
            if stream.credential is not None and stream.credential not in valid:
                stream.end()


async def _valid_credentials(
    tx: Connection, credentials: Collection[CheckedCredential]
) -> set[CheckedCredential]:
    secrets = [one for one in credentials if isinstance(one, bytes)]
    links = [one for one in credentials if not isinstance(one, bytes)]
    valid: set[CheckedCredential] = set()
    if secrets:
        valid |= await events.valid_credentials(tx, secrets)
    if links:
        present = await read_models.customer_links(tx, [booking for booking, _ in links])
        valid |= {(id_, generation) for id_, (generation, _) in present.items()} & set(links)
    return valid


def parse_cursor(text: str | None) -> Snapshot | None:
    """The snapshot of a client's cursor; None for an invalid one."""
    if not text or len(text) > CURSOR_MAX:
        return None
    try:
        return Snapshot.parse(urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii"))
    except ValueError:
        return None


def _snapshot_before(xmin: int) -> Snapshot:
    """A snapshot in which no transaction from `xmin` on is visible."""
    return Snapshot(xmin=xmin, xmax=xmin, running=frozenset())


def _id(position: Snapshot) -> bytes:
    return b"id: %s\n" % urlsafe_b64encode(str(position).encode()).rstrip(b"=")


def _chunk(frames: Sequence[bytes], position: Snapshot) -> bytes:
    """Several frames, the cursor in the last: after a disconnect before it, all are sent again."""
    return b"".join(frames[:-1]) + _id(position) + frames[-1]


def _ready(position: Snapshot, *, resumed: bool) -> bytes:
    return _id(position) + _encode("ready", {"resumed": resumed})


def _visible_events(committed: CommittedEvent) -> Sequence[VisibleEvent]:
    try:
        return list(visibility.visible_events(committed.event, committed.partner_id))
    except (KeyError, TypeError, ValueError):
        # One event that cannot be delivered must not stop all others.
        log.exception(
            "event %s:%d cannot be delivered", committed.event.booking_id, committed.event.seq
        )
        return ()


def _frame(
    rt: Runtime, committed: CommittedEvent, visible: VisibleEvent, offers: Iterable[FriendOffer]
) -> bytes:
    event = committed.event
    about_offer = visible.kind in OFFER_EVENTS
    mark = "m" if event.kind == visibility.MESSAGE_SENT else ""
    content: dict[str, Any] = {
        "id": f"{event.booking_id}:{mark}{event.seq}",
        "booking_id": str(event.booking_id),
        "seq": event.seq,
        "kind": visible.kind,
        "at": event.at.isoformat().replace("+00:00", "Z"),
        "data": _offer_data(rt, committed, visible, offers) if about_offer else visible.data,
    }
    if visible.to == visibility.DESK:
        content["actor"] = event.actor
    return _encode(visible.kind, content)


def _offer_data(
    rt: Runtime, committed: CommittedEvent, visible: VisibleEvent, offers: Iterable[FriendOffer]
) -> Mapping[str, Any]:
    offer_id = visible.data.get("offer_id")
    for one in offers:
        if visibility.friend(one.friend_id) != visible.to:
            continue
        # An event that ends several offers names the friends; their offers were closed at its time.
        closed_now = offer_id is None and one.answered_at == committed.event.at
        if str(one.offer.id) == offer_id or closed_now:
            if visible.kind == visibility.OFFER_MADE:
                offer = presenters.present_offer(one.offer, rt.catalogue, rt.policy)
                return {"offer": offer.model_dump(mode="json")}
            return {"offer_id": str(one.offer.id), **visible.data}
    return visible.data


def _encode(kind: str, content: Mapping[str, Any]) -> bytes:
    data = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return f"event: {kind}\ndata: {data}\n\n".encode()
