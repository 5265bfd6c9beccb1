"""The open streams of this process, and how what happens gets to those concerned.

Theory of operation. `Streams` reads what was committed since it last looked and hands it to the
open streams of those concerned, who stand in a dictionary. It looks at once when this process has
committed something, and five times a second for what others have; nobody listening, it does not
look at all.

The mark of a look is PostgreSQL's snapshot: which transactions were visible. The next look asks
for what is visible now and was not then, so that an event written early and committed late is told
once, like any other. The same mark, packed, is the cursor a client comes back with: what its
snapshot did not show is told again before anything new. Where that would be too much, or the
cursor is none of ours, `ready` says `"resumed": false`, and the client reads its lists anew.

An event is encoded once for each kind of reader. Comments that keep a line open, and the question
whether credentials still hold, go round all streams in fifteen seconds, a few at each look. A
reader who does not read is told nothing more and ends once he has taken what was written before.

Ten thousand open answers are some hundred thousand objects; going through them, the garbage
collector would stop all else for most of a second. They leave no cycles behind, so it is told to
pass them over.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from api.schemas import presenters
from data.db import Connection, DatabaseError
from data.records.jobs import Changes
from data.store import events
from data.store.events import Asked, Happened, Snapshot
from dispatch.rules.jobs import visibility
from dispatch.rules.jobs.visibility import Heard, Listener
from dispatch.runtime import Runtime

log = logging.getLogger(__name__)

POLL_S: Final = 0.2
GAP_S: Final = 0.02
BEAT_S: Final = 15.0
CHECK_EVERY_S: Final = 1.0
CLOSE_WITHIN_S: Final = 1.0
RETRY_MS: Final = (1000, 4000)
WAITING_BYTES_MAX: Final = 64 * 1024
EVENTS_MAX: Final = 5000
KEPT_AT_ONCE: Final = 250
CURSOR_MAX: Final = 6000
ABOUT_OFFERS: Final = frozenset({visibility.OFFER_MADE, visibility.OFFER_GONE})

Frame = tuple[Listener, int, bytes]


class Stream:
    """One open answer and what waits to be written to it; `woken` is called when something does."""

    __slots__ = ("chunks", "credential", "cursor", "ended", "settled", "size", "to", "woken")

    def __init__(self, to: Listener, credential: bytes | None, cursor: Snapshot | None) -> None:
        self.to = to
        self.credential = credential
        self.cursor = cursor
        self.chunks: list[bytes] = []
        self.size = 0
        self.settled = self.ended = False
        self.woken: Callable[[], None] = asleep

    def push(self, chunk: bytes) -> None:
        """Write `chunk` when the reader is ready; one who lets too much wait is ended."""
        if self.ended:
            return
        self.size += len(chunk)
        if self.size > WAITING_BYTES_MAX:
            self.chunks.clear()
            self.end()
            return
        self.chunks.append(chunk)
        self.woken()

    def end(self) -> None:
        """Write what waits, then end the answer."""
        self.ended = True
        self.woken()

    def take(self) -> bytes:
        """All that waits to be written; nothing when it is empty."""
        chunk = b"".join(self.chunks)
        self.chunks.clear()
        self.size = 0
        return chunk


def asleep() -> None:
    """Nobody writes yet, or any more."""


class Streams:
    """All open streams of this process."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._by: dict[Listener, set[Stream]] = {}
        self._newcomers: list[Stream] = []
        self._round: deque[Stream] = deque()
        self._beaten: set[Stream] = set()
        self._mark: Snapshot | None = None
        self._hint = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._blind = self._closed = False
        self._owed = self._checked_s = 0.0
        self._unkept = 0
        self._beaten_s = asyncio.get_running_loop().time()
        self.open = 0

    def join(self, stream: Stream) -> None:
        """Tell this stream what happens from its cursor on, or from now."""
        if self._closed:
            stream.end()
        # When a server ends, its readers shall not all knock at the next one in the same moment.
        stream.push(b"retry: %d\n\n" % self._rt.chance.randint(*RETRY_MS))
        self.open += 1
        self._newcomers.append(stream)
        self._round.append(stream)
        self._hint.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    def leave(self, stream: Stream) -> None:
        """Forget a stream whose answer is over."""
        stream.end()
        self.open -= 1
        if others := self._by.get(stream.to):
            others.discard(stream)
            if not others:
                del self._by[stream.to]

    async def close(self) -> None:
        """End every stream at once and take no more."""
        self._closed = True
        for stream in self._round:
            stream.end()
        self._hint.set()
        if self._task is not None:
            # A look at a database that does not answer holds up nobody's end.
            await asyncio.wait({self._task}, timeout=CLOSE_WITHIN_S)

    def hint(self, changes: Sequence[Changes]) -> None:
        """Something was committed here: look at once."""
        self._hint.set()

    async def _run(self) -> None:
        self._rt.committed.append(self.hint)
        try:
            while self.open and not self._closed:
                await self._follow_until_it_breaks()
                self._beat()
                await self._pause()
        except Exception:
            log.exception("the streams failed; their readers will come back")
        finally:
            self._rt.committed.remove(self.hint)
            self._task = self._mark = None
            for stream in self._round:
                stream.end()
            self._round.clear()
            self._newcomers.clear()

    async def _follow_until_it_breaks(self) -> None:
        try:
            async with events.kept(self._rt.pool) as connection:
                while self.open and not self._closed:
                    await self._look(connection)
                    self._blind = False
                    self._beat()
                    await self._check(connection)
                    await self._pause()
        except DatabaseError as error:
            if not self._blind:
                log.warning("streams wait for the database: %s", error)
            self._blind = True

    async def _pause(self) -> None:
        await asyncio.sleep(0 if self._closed else GAP_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_S - GAP_S):
                await self._hint.wait()
        self._hint.clear()

    async def _look(self, tx: Connection) -> None:
        newcomers = [stream for stream in self._newcomers if not stream.ended]
        news = await events.since(tx, self._mark, EVENTS_MAX)
        told = await self._frames(tx, news.happened, self._by)
        missed = await self._missed(tx, newcomers, news.mark)
        # Nothing below awaits: streams and mark move together.
        self._tell(told, news.mark, lost=news.complete_from > 0)
        self._settle(newcomers, missed, news.mark)

    async def _missed(
        self, tx: Connection, newcomers: Sequence[Stream], mark: Snapshot
    ) -> tuple[Sequence[Frame], int]:
        """What happened since the oldest cursor, and from which transaction on that is all."""
        cursors = [stream.cursor.xmin for stream in newcomers if stream.cursor]
        if not cursors:
            return (), 0
        past = await events.since(tx, _everything_from(min(cursors)), EVENTS_MAX)
        visible = [one for one in past.happened if mark.shows(one.xid)]
        frames = await self._frames(tx, visible, {stream.to for stream in newcomers})
        return frames, past.complete_from

    async def _frames(
        self, tx: Connection, happened: Sequence[Happened], audience: Collection[Listener]
    ) -> Sequence[Frame]:
        """What those of `audience` hear, each with the transaction that wrote it."""
        heard = [(one, what) for one in happened for what in _heard(one) if what.to in audience]
        bookings = {one.event.booking_id for one, what in heard if what.kind in ABOUT_OFFERS}
        asked = await events.offers_of(tx, bookings)
        return [
            (what.to, one.xid, _frame(self._rt, one, what, asked.get(one.event.booking_id, ())))
            for one, what in heard
        ]

    def _tell(self, told: Sequence[Frame], mark: Snapshot, *, lost: bool) -> None:
        self._mark = mark
        if lost:
            for stream in self._round:
                if stream.settled:
                    stream.push(_ready(mark, resumed=False))
            return
        frames: defaultdict[Listener, list[bytes]] = defaultdict(list)
        for to, _, frame in told:
            frames[to].append(frame)
        for to, several in frames.items():
            chunk = _chunk(several, mark)
            for stream in self._by.get(to, ()):
                stream.push(chunk)

    def _settle(
        self, newcomers: Sequence[Stream], missed: tuple[Sequence[Frame], int], mark: Snapshot
    ) -> None:
        frames, complete_from = missed
        for stream in newcomers:
            since = stream.cursor
            resumed = since is not None and complete_from <= since.xmin <= since.xmax <= mark.xmax
            if since is not None and resumed:
                for to, xid, frame in frames:
                    if to == stream.to and not since.shows(xid):
                        stream.push(frame)
            stream.push(_ready(mark, resumed=resumed))
            stream.settled, stream.cursor = True, None
            if not stream.ended:
                self._by.setdefault(stream.to, set()).add(stream)
        self._newcomers = [one for one in self._newcomers if not (one.settled or one.ended)]
        self._keep(len(newcomers))

    def _keep(self, settled: int) -> None:
        """Let the collector pass over open answers; what is garbage already goes before."""
        self._unkept += settled
        if self._unkept >= KEPT_AT_ONCE:
            self._unkept = 0
            gc.collect()
            gc.freeze()

    def _beat(self) -> None:
        """Send a comment, with the cursor of now, to as many of the round as it is time for."""
        now_s = asyncio.get_running_loop().time()
        self._owed += len(self._round) * (now_s - self._beaten_s) / BEAT_S
        self._beaten_s = now_s
        due = min(int(self._owed), len(self._round))
        self._owed -= int(self._owed)
        beat = b":\n%s\n" % _id(self._mark) if self._mark else b":\n\n"
        for _ in range(due):
            stream = self._round.popleft()
            if stream.ended:
                continue
            stream.push(beat if stream.settled else b":\n\n")
            self._round.append(stream)
            self._beaten.add(stream)

    async def _check(self, tx: Connection) -> None:
        """End those streams of the round whose credentials no longer open anything."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._checked_s < CHECK_EVERY_S:
            return
        self._checked_s = now_s
        asked, self._beaten = self._beaten, set()
        secrets = {stream.credential for stream in asked if stream.credential}
        if not secrets:
            return
        good = await events.good_credentials(tx, secrets)
        for stream in asked:
            if stream.credential is not None and stream.credential not in good:
                stream.end()


def cursor_of(text: str | None) -> Snapshot | None:
    """The snapshot a client comes back with; None for what is none of ours."""
    if not text or len(text) > CURSOR_MAX:
        return None
    try:
        return Snapshot.read(urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii"))
    except ValueError:
        return None


def _everything_from(xmin: int) -> Snapshot:
    """A snapshot that shows nothing of the transactions from `xmin` on."""
    return Snapshot(xmin=xmin, xmax=xmin, running=frozenset())


def _id(mark: Snapshot) -> bytes:
    return b"id: %s\n" % urlsafe_b64encode(str(mark).encode()).rstrip(b"=")


def _chunk(frames: Sequence[bytes], mark: Snapshot) -> bytes:
    """Several frames, the cursor in the last of them: a cut before it tells all of them again."""
    return b"".join(frames[:-1]) + _id(mark) + frames[-1]


def _ready(mark: Snapshot, *, resumed: bool) -> bytes:
    return _id(mark) + _encoded("ready", {"resumed": resumed})


def _heard(one: Happened) -> Sequence[Heard]:
    try:
        return list(visibility.heard(one.event, one.partner_id))
    except (KeyError, TypeError, ValueError):
        # One event that cannot be told must not silence all others.
        log.exception("event %s:%d cannot be told", one.event.booking_id, one.event.seq)
        return ()


def _frame(rt: Runtime, one: Happened, heard: Heard, asked: Iterable[Asked]) -> bytes:
    event = one.event
    said: dict[str, Any] = {
        "id": f"{event.booking_id}:{event.seq}",
        "booking_id": str(event.booking_id),
        "seq": event.seq,
        "kind": heard.kind,
        "at": event.at.isoformat().replace("+00:00", "Z"),
        "data": _about_offer(rt, one, heard, asked) if heard.kind in ABOUT_OFFERS else heard.data,
    }
    if heard.to == visibility.DESK:
        said["actor"] = event.actor
    return _encoded(heard.kind, said)


def _about_offer(
    rt: Runtime, one: Happened, heard: Heard, asked: Iterable[Asked]
) -> Mapping[str, Any]:
    told = heard.data.get("offer_id")
    for his in asked:
        if visibility.friend(his.friend_id) != heard.to:
            continue
        # An event that ends several offers names the friends; theirs were closed at its moment.
        if str(his.offer.id) == told or (told is None and his.answered_at == one.event.at):
            if heard.kind == visibility.OFFER_MADE:
                return {
                    "offer": presenters.offer(his.offer, rt.packages, rt.policy).model_dump(
                        mode="json"
                    )
                }
            return {"offer_id": str(his.offer.id), **heard.data}
    return heard.data


def _encoded(kind: str, said: Mapping[str, Any]) -> bytes:
    data = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
    return f"event: {kind}\ndata: {data}\n\n".encode()
