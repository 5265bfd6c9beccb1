"""The worker: all background work of one process, started and stopped together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from data.enums import Channel
from data.records.jobs import Changes
from data.store.outbox import Backlog
from dispatch.flows import catalogue, maintenance
from dispatch.runtime import Runtime
from scheduler import deadlines, deliveries, housekeeping, index_feed, retention
from scheduler.account_mails import AccountMails
from scheduler.deadlines import ClockSentinel, Deadlines
from scheduler.errands import Errands, Notices
from scheduler.index_feed import IndexFeed
from scheduler.providers.configured import providers
from scheduler.relay import Relay
from scheduler.retention import Retention
from scheduler.senders import Sender
from scheduler.senders.mail import Mail
from scheduler.senders.push import Push
from scheduler.ticker import Ticker

BACKLOG_EVERY_S = 5.0
SWEPT_WITHIN_S = 15.0
TICKS_END_WITHIN_S = 5.0
CATALOGUE_EVERY_S = 1.0
SENDING_ENDS_WITHIN_S = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The state of a worker: ages in real seconds, None for what has not happened yet."""

    swept_s: float | None
    clock_trusted: bool
    clock_doubt: str = ""
    backlog: Backlog | None
    friends: int
    fed_s: float | None

    @property
    def sweeping(self) -> bool:
        """Whether a sweep has succeeded within the last SWEPT_WITHIN_S seconds."""
        return self.swept_s is not None and self.swept_s < SWEPT_WITHIN_S

    @property
    def ready(self) -> bool:
        """Whether deadlines are being acted on."""
        return self.clock_trusted and self.sweeping


def default_senders(rt: Runtime) -> Mapping[Channel, Sender]:
    """The senders of each channel."""
    mail = Mail.of(rt)
    return {Channel.MAIL: mail, Channel.PUSH: Push.of(rt, mail)}


class Worker:
    """The background work of one process."""

    def __init__(
        self,
        rt: Runtime,
        *,
        senders: Mapping[Channel, Sender],
        mark: str | None,
        sentinel: ClockSentinel | None,
    ) -> None:
        self._rt = rt
        self._backlog: Backlog | None = None
        self._ticker = ticker = Ticker()
        self._relay = Relay(
            rt, senders, request_tick=lambda: ticker.sooner("relay", deliveries.DEBOUNCE_S)
        )
        self._account_mails = AccountMails(
            rt, request_tick=lambda: ticker.sooner("account mails", deliveries.DEBOUNCE_S)
        )
        self._deadlines = Deadlines(
            rt, sooner=lambda in_s: ticker.sooner("deadlines", in_s), sentinel=sentinel
        )
        known = providers(rt)
        self._errands = Errands(
            rt, known, request_tick=lambda: ticker.sooner("errands", deliveries.DEBOUNCE_S)
        )
        self._notices = Notices(
            rt, known, request_tick=lambda: ticker.sooner("notices", deliveries.DEBOUNCE_S)
        )
        ticker.every(deadlines.EVERY_S, "deadlines", self._deadlines.tick)
        ticker.every(deliveries.EVERY_S, "relay", self._relay.tick)
        ticker.every(deliveries.EVERY_S, "account mails", self._account_mails.tick)
        ticker.every(deliveries.EVERY_S, "errands", self._errands.tick)
        ticker.every(deliveries.EVERY_S, "notices", self._notices.tick)
        _feed(ticker, rt, mark)
        ticker.every(housekeeping.EVERY_S, "housekeeping", self._keep_house)
        ticker.every(retention.EVERY_S, "retention", Retention(rt).tick)
        ticker.every(BACKLOG_EVERY_S, "backlog", self._update_backlog)

    def start(self) -> None:
        """Start the jobs, and listen to commits of this process."""
        self._rt.on_commit.append(self._on_commit)
        self._ticker.start()

    async def stop(self) -> None:
        """Finish running jobs, within ten seconds."""
        self._rt.on_commit.remove(self._on_commit)
        await self._ticker.stop(TICKS_END_WITHIN_S)
        await asyncio.gather(
            self._relay.finish(SENDING_ENDS_WITHIN_S),
            self._account_mails.finish(SENDING_ENDS_WITHIN_S),
            self._errands.finish(SENDING_ENDS_WITHIN_S),
            self._notices.finish(SENDING_ENDS_WITHIN_S),
        )

    def state(self) -> State:
        """The state of the worker, without asking the database."""
        return State(
            swept_s=self._ticker.since_s("deadlines"),
            clock_trusted=self._deadlines.sentinel.trusted,
            clock_doubt=self._deadlines.sentinel.doubt,
            backlog=self._backlog,
            friends=len(self._rt.index),
            fed_s=self._ticker.since_s("feed"),
        )

    def confirm_clock(self) -> None:
        """Trust the database's clock as it is, so that deadlines are acted on again."""
        self._deadlines.sentinel.confirm()

    def _on_commit(self, changes: Sequence[Changes]) -> None:
        self._ticker.sooner("relay", deliveries.DEBOUNCE_S)
        if not changes or any(one.errands for one in changes):
            self._ticker.sooner("errands", deliveries.DEBOUNCE_S)

    async def _keep_house(self) -> None:
        await housekeeping.delete_old_rows(self._rt)
        await housekeeping.keep_timers(self._rt)
        await housekeeping.move_levels(self._rt)

    async def _update_backlog(self) -> None:
        self._backlog = await maintenance.backlog(self._rt)


def _feed(ticker: Ticker, rt: Runtime, mark: str | None) -> None:
    feed = IndexFeed(rt, mark or rt.mark)
    ticker.every(index_feed.EVERY_S, "feed", feed.follow)
    ticker.every(index_feed.RECONCILE_EVERY_S, "reconcile", feed.reconcile)
    ticker.every(CATALOGUE_EVERY_S, "catalogue", lambda: catalogue.refresh(rt))


@asynccontextmanager
async def follow_index(
    rt: Runtime, *, mark: str | None = None
) -> AsyncIterator[Callable[[], float | None]]:
    """Keep the index current in a process that leaves all other work to workers elsewhere.

    Yields a function for the seconds since the last update; it returns None before the first.
    """
    ticker = Ticker()
    _feed(ticker, rt, mark)
    ticker.start()
    try:
        yield lambda: ticker.since_s("feed")
    finally:
        await ticker.stop(TICKS_END_WITHIN_S)


@asynccontextmanager
async def background_worker(
    rt: Runtime,
    *,
    senders: Mapping[Channel, Sender] | None = None,
    mark: str | None = None,
    sentinel: ClockSentinel | None = None,
) -> AsyncIterator[Worker]:
    """Run a worker inside the context; it stops within ten seconds. `mark` as in IndexFeed."""
    worker = Worker(rt, senders=senders or default_senders(rt), mark=mark, sentinel=sentinel)
    worker.start()
    try:
        yield worker
    finally:
        await worker.stop()
