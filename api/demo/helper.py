"""A simulated friend: answers offers, calls, makes appointments, works."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from api.demo.client import ApiClient, Connection
from api.demo.clock import EVENING, HOME, MORNING, SimulatedTime
from api.demo.people import SimulatedFriend
from data.enums import BookingState

VISITS_FROM: Final = 9
VISITS_UNTIL: Final = 19
QUARTER: Final = timedelta(minutes=15)
TRIES: Final = 6
CALL_SOON: Final = timedelta(minutes=20)
CALL_LATEST: Final = timedelta(hours=11, minutes=30)
HANDS_BACK_SHARE: Final = 0.04
INCOMPLETE_SHARE: Final = 0.03
AGREES_SHARE: Final = 0.85
JOB_LOST: Final = frozenset({"contact.missed", "booking.cancelled", "booking.redispatched"})
SUMMARIES: Final = (
    "Everything connected and explained.",
    "Replaced the cable, all devices online.",
    "Set up and tried out together.",
    "Updated, cleaned up, backed up.",
)


@dataclass(slots=True)
class Helper:
    """One simulated friend."""

    friend: SimulatedFriend
    time: SimulatedTime
    chance: Random
    minutes: Mapping[str, int]
    answers: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    jobs: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    client: ApiClient = field(init=False)

    async def run(self, connection: Connection) -> None:
        """React to live events until cancelled."""
        self.client = ApiClient(connection, self.friend.token)
        async with asyncio.TaskGroup() as tasks:
            async for kind, data in self.client.events():
                if kind == "ready":
                    if not data["resumed"] and (self.friend.busy or self.ready.is_set()):
                        await self._resume(tasks)
                    self.ready.set()
                elif kind == "offer.made":
                    self._consider(tasks, data["data"]["offer"])
                elif kind == "offer.gone" and data["data"].get("because") != "declined":
                    _cancel(self.answers, data["data"].get("offer_id"))
                elif kind in JOB_LOST:
                    _cancel(self.jobs, data["booking_id"])

    async def _resume(self, tasks: asyncio.TaskGroup) -> None:
        for offer in await self.client.get("/v1/me/offers"):
            self._consider(tasks, offer)
        for job in await self.client.get("/v1/me/jobs?limit=100"):
            if job["ended_at"] is None and job["booking_id"] not in self.jobs:
                self._work(tasks, job, job["package"]["code"])

    def _consider(self, tasks: asyncio.TaskGroup, offer: Mapping[str, Any]) -> None:
        if offer["id"] not in self.answers:
            _start(tasks, self.answers, offer["id"], self._answer(tasks, offer))

    def _work(self, tasks: asyncio.TaskGroup, job: Mapping[str, Any], package: str) -> None:
        _start(tasks, self.jobs, job["booking_id"], self._job(job, package))

    async def _answer(self, tasks: asyncio.TaskGroup, offer: Mapping[str, Any]) -> None:
        temperament = self.friend.person.temperament
        draw = self.chance.random()
        after_s = temperament.answer_s * self.chance.uniform(0.5, 1.5)
        await self.time.sleep_until(_parse_time(offer["offered_at"]) + timedelta(seconds=after_s))
        if draw < temperament.accepts:
            award = await self.client.post(f"/v1/offers/{offer['id']}/accept")
            if award is not None:
                self._work(tasks, award, offer["package"]["code"])
        elif draw < temperament.accepts + temperament.declines:
            await self.client.post(f"/v1/offers/{offer['id']}/decline")

    async def _job(self, job: Mapping[str, Any], package: str) -> None:
        path, state = f"/v1/bookings/{job['booking_id']}", job["state"]
        starts_at = _parse_time((job.get("appointment") or {}).get("starts_at"))
        if state == BookingState.AWARDED:
            if not await self._call(path, _parse_time(job["awarded_at"])):
                return
            state = BookingState.CONTACTED
        if state == BookingState.CONTACTED:
            if self.chance.random() < HANDS_BACK_SHARE:
                await self.client.post(f"{path}/hand-back", {"reason": "no_time"})
                return
            starts_at = await self._make_appointment(path)
        await self.time.sleep_until(starts_at)
        if state != BookingState.UNDER_WAY and await self.client.post(f"{path}/start") is None:
            return
        await self._finish(path, self.minutes[package])

    async def _call(self, path: str, awarded_at: datetime) -> bool:
        temperament = self.friend.person.temperament
        if temperament.misses_deadline:
            return False
        await self.time.sleep_until(
            _call_time(awarded_at, timedelta(seconds=temperament.contact_s))
        )
        return await self.client.post(f"{path}/contacted") is not None

    async def _make_appointment(self, path: str) -> datetime:
        """The start of the work: the appointment, or soon when none was made."""
        at = self.time.now() + timedelta(hours=self.chance.uniform(2, 30))
        if self.chance.random() > AGREES_SHARE:
            return _visit_time(self.time.now() + timedelta(minutes=40))
        for _ in range(TRIES):
            at = _visit_time(at)
            data = {"starts_at": at.isoformat()}
            if await self.client.post(f"{path}/appointment", data) is not None:
                break
            at += timedelta(hours=2)
        return at

    async def _finish(self, path: str, minutes: int) -> None:
        worked = max(5, round(minutes * self.chance.uniform(0.6, 1.3)))
        await self.time.sleep(timedelta(minutes=worked))
        if self.chance.random() < INCOMPLETE_SHARE:
            await self.client.post(f"{path}/incomplete", {"reason": "parts_missing"})
            return
        protocol = {"summary": self.chance.choice(SUMMARIES), "minutes": worked}
        await self.client.post(f"{path}/complete", protocol)


def _start(
    tasks: asyncio.TaskGroup,
    running: dict[str, asyncio.Task[None]],
    key: str,
    work: Coroutine[Any, Any, None],
) -> None:
    task = tasks.create_task(work)
    running[key] = task
    task.add_done_callback(lambda _: running.pop(key, None))


def _cancel(running: dict[str, asyncio.Task[None]], key: str | None) -> None:
    if key is not None and (task := running.get(key)):
        task.cancel()


def _parse_time(text: str | None) -> datetime:
    return datetime.fromisoformat(text) if text else datetime.min.replace(tzinfo=HOME)


def _call_time(awarded_at: datetime, span: timedelta) -> datetime:
    """The time of the call: not at night, unless the deadline would pass before the morning."""
    at = (awarded_at + span).astimezone(HOME)
    if MORNING <= at.hour < EVENING + 1:
        return at
    morning = at.replace(hour=MORNING, minute=15) + timedelta(days=at.hour > EVENING)
    return morning if morning < awarded_at + CALL_LATEST else awarded_at + CALL_SOON


def _visit_time(at: datetime) -> datetime:
    """The next quarter of an hour within visiting hours."""
    local = at.astimezone(HOME)
    local = local.replace(minute=local.minute // 15 * 15, second=0, microsecond=0) + QUARTER
    if local.hour >= VISITS_UNTIL:
        local = (local + timedelta(days=1)).replace(hour=VISITS_FROM, minute=0)
    elif local.hour < VISITS_FROM:
        local = local.replace(hour=VISITS_FROM, minute=0)
    return local
