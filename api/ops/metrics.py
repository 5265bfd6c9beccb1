"""Metrics for Prometheus. Labels are routes, kinds and codes, never ids or names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.problems import CODE
from data.records.jobs import Changes
from data.store.outbox import Backlog
from dispatch.flows.group_commit import GroupCommit
from dispatch.runtime import Runtime

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
BOOKINGS: Final = (1, 2, 4, 8, 16, 32, 64, 128)
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER: Final = "other"


class Metrics:
    """The metrics of one process; with several, its number is in every label."""

    def __init__(
        self, rt: Runtime, streams_open: Callable[[], int], process: int | None = None
    ) -> None:
        self._process = process
        self.registry = CollectorRegistry()
        self.answers = Histogram(
            "tekkie_http_seconds",
            "Seconds until the response started.",
            ("method", "route", "status"),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.problems = Counter(
            "tekkie_problems",
            "Failed requests by the code of the problem.",
            ("code",),
            registry=self.registry,
        )
        self.events = Counter(
            "tekkie_events",
            "Events committed by this process, by kind.",
            ("kind",),
            registry=self.registry,
        )
        self.batches = Histogram(
            "tekkie_batch_bookings",
            "Bookings committed together in one transaction.",
            buckets=BOOKINGS,
            registry=self.registry,
        )
        self.gauges = Gauges(rt, streams_open)
        self.registry.register(self.gauges)
        rt.on_commit.append(self.committed)

    def committed(self, changes: Sequence[Changes]) -> None:
        """Count committed changes."""
        if changes:
            self.batches.observe(len(changes))
        for change in changes:
            for event in change.events:
                self.events.labels(event.kind).inc()

    def text(self, backlog: Backlog | None) -> bytes:
        """All metrics in Prometheus' text format; without a backlog the database counts as down."""
        self.gauges.backlog = backlog
        return generate_latest(self)

    def collect(self) -> Iterator[Metric]:
        """All metrics, with the number of this process where there are several."""
        for figure in self.registry.collect():
            if self._process is not None:
                own = {"process": str(self._process)}
                figure.samples = [
                    sample._replace(labels={**sample.labels, **own}) for sample in figure.samples
                ]
            yield figure


class Gauges(Collector):
    """Gauges read at every scrape."""

    def __init__(self, rt: Runtime, streams_open: Callable[[], int]) -> None:
        self._rt = rt
        self._streams_open = streams_open
        self.backlog: Backlog | None = None

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The current gauges."""
        rt = self._rt
        queue = rt.group_commit if isinstance(rt.group_commit, GroupCommit) else None
        pool = rt.pool
        yield _gauge("index_friends", "Friends in the index.", len(rt.index))
        yield _gauge("streams_open", "Open event streams.", self._streams_open())
        yield _gauge(
            "gathering_waiting",
            "Requests waiting for a group commit.",
            len(queue.waiting) if queue else 0,
        )
        yield _gauge(
            "gathering_writers",
            "Group commits in progress.",
            len(queue.writers) if queue else 0,
        )
        yield _gauge(
            "pool_in_use", "Database connections in use.", pool.get_size() - pool.get_idle_size()
        )
        yield _gauge("pool_max", "Maximum number of database connections.", pool.get_max_size())
        yield from self._backlog()

    def _backlog(self) -> Iterator[GaugeMetricFamily]:
        backlog = self.backlog
        yield _gauge("database_up", "Whether the database answered.", backlog is not None)
        if backlog is None:
            return
        yield _gauge("timers_overdue", "Timers due and not processed.", backlog.overdue)
        yield _gauge("timers_overdue_seconds", "Lateness of the latest.", backlog.overdue_s)
        yield _gauge("messages_pending", "Messages to be sent.", backlog.pending)
        yield _gauge("messages_late_seconds", "Lateness of the latest.", backlog.pending_late_s)
        yield _gauge("messages_parked", "Messages parked for the desk.", backlog.parked)
        yield _gauge("errands_pending", "Calls of providers to be made.", backlog.errands_pending)
        yield _gauge("errands_late_seconds", "Lateness of the latest.", backlog.errands_late_s)
        yield _gauge("errands_parked", "Calls parked for the desk.", backlog.errands_parked)
        yield _gauge("notices_pending", "Events of providers to be read.", backlog.notices_pending)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"tekkie_{name}", text, value=float(value))


class RequestMetrics:
    """Middleware that times responses by route template and counts problems by code."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics
        self._answers: dict[tuple[str, str, int], Histogram] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        clock = asyncio.get_running_loop().time
        started_s = clock()

        async def send_measured(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._observe(scope, message["status"], clock() - started_s)
            await send(message)

        await self.app(scope, receive, send_measured)

    def _observe(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in METHODS else OTHER
        labels = (method, getattr(scope.get("route"), "path", OTHER), status)
        # Looking up a child metric by labels costs more than counting; there are few of them.
        answers = self._answers.get(labels)
        if answers is None:
            answers = self.metrics.answers.labels(*map(str, labels))
            self._answers[labels] = answers
        answers.observe(seconds)
        if status >= 400:
            self.metrics.problems.labels(scope.get(CODE, OTHER)).inc()


def install(app: FastAPI, rt: Runtime, process: int | None) -> None:
    """Measure every request of `app`, outside all other middleware; add it last."""

    def streams_open() -> int:
        streams = getattr(app.state, "streams", None)
        return streams.open if streams is not None else 0

    app.state.metrics = Metrics(rt, streams_open, process)
    app.add_middleware(RequestMetrics, metrics=app.state.metrics)
