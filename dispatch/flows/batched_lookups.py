"""Look-ups of concurrent callers in one query; nothing is cached.

While one query runs, the next callers queue; a lone caller is served at once. Each is answered from
a query that began after the call, so that a revoked session or key is never accepted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

from data.db import Connection
from data.records.ids import BookingId, CustomerKey
from data.store import partners, read_models, sessions
from data.store.partners import Partner
from data.store.read_models import Contact
from data.store.sessions import SessionOwner
from dispatch.flows.read_only import read_connection
from dispatch.runtime import Runtime

READERS = 2
BATCH = 256

K = TypeVar("K")
V = TypeVar("V")
Query: TypeAlias = Callable[[Connection, Sequence[K]], Awaitable[Mapping[K, V]]]


@dataclass(frozen=True, slots=True, eq=False)
class _Caller(Generic[K, V]):
    key: K
    future: asyncio.Future[V | None]


@dataclass(slots=True, eq=False)
class BatchedLookup(Generic[K, V]):
    """Looks up one kind of record by key; `query` serves all queued keys at once.

    `reader_pending` is whether a reader has started that will still take queued callers.
    """

    rt: Runtime
    query: Query[K, V]
    waiting: deque[_Caller[K, V]] = field(default_factory=deque)
    readers: set[asyncio.Task[None]] = field(default_factory=set)
    reader_pending: bool = False

    async def get(self, key: K) -> V | None:
        """The record with this key now, or None. Raises DatabaseError."""
        future: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()
        self.waiting.append(_Caller(key, future))
        if not self.reader_pending and len(self.readers) < READERS:
            self.reader_pending = True
            # It serves many callers, so it runs in no caller's context (such as a request id).
            self.readers.add(asyncio.create_task(self._read(), context=Context()))
        return await future

    async def _read(self) -> None:
        me = asyncio.current_task()
        assert me is not None
        try:
            await self._read_batch()
            while self.waiting and not self.reader_pending:
                self.reader_pending = True
                await self._read_batch()
        finally:
            # Not in a done callback: a caller in between would rely on a reader that has ended.
            self.readers.discard(me)

    async def _read_batch(self) -> None:
        batch: Sequence[_Caller[K, V]] = ()
        try:
            async with read_connection(self.rt) as connection:
                batch = self._take()
                found = await self.query(connection, list({one.key for one in batch}))
        except Exception as error:
            for one in batch or self._take():
                if not one.future.done():
                    one.future.set_exception(error)
        else:
            for one in batch:
                if not one.future.done():
                    one.future.set_result(found.get(one.key))

    def _take(self) -> Sequence[_Caller[K, V]]:
        self.reader_pending = False
        return [self.waiting.popleft() for _ in range(min(BATCH, len(self.waiting)))]


@dataclass(frozen=True, slots=True, eq=False)
class Lookups:
    """The batched look-ups of one process."""

    rt: Runtime
    session_owners: BatchedLookup[bytes, SessionOwner]
    partners: BatchedLookup[bytes, Partner]
    customers: BatchedLookup[BookingId, Contact]
    customer_links: BatchedLookup[BookingId, tuple[int, CustomerKey]]


def lookups(rt: Runtime) -> Lookups:
    """The look-ups of this runtime, created at the first call."""
    if not isinstance(rt.lookups, Lookups) or rt.lookups.rt is not rt:
        rt.lookups = Lookups(
            rt=rt,
            session_owners=BatchedLookup(rt, sessions.session_owners),
            partners=BatchedLookup(rt, partners.partners_by_key),
            customers=BatchedLookup(rt, read_models.customers),
            customer_links=BatchedLookup(rt, read_models.customer_links),
        )
    return rt.lookups
