"""How an invented friend lives: watches his offers, takes some, calls, comes, finishes."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from api.demo.cast import Player
from api.demo.phone import Line, Phone
from api.demo.time import EVENING, HOME, MORNING, Time
from data.enums import BookingState

OPENS: Final = 9
CLOSES: Final = 19
QUARTER: Final = timedelta(minutes=15)
TRIES: Final = 6
SOON: Final = timedelta(minutes=20)
LATEST: Final = timedelta(hours=11, minutes=30)
HANDS_BACK_SHARE: Final = 0.04
GIVES_UP_SHARE: Final = 0.03
AGREES_SHARE: Final = 0.85
LEAVES_HIM: Final = frozenset({"contact.missed", "booking.cancelled", "booking.redispatched"})
WORK: Final = (
    "Everything connected and explained.",
    "Replaced the cable, all devices online.",
    "Set up and tried out together.",
    "Updated, cleaned up, backed up.",
)


@dataclass(slots=True)
class Helper:
    """One friend."""

    player: Player
    time: Time
    chance: Random
    minutes: Mapping[str, int]
    answering: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    working: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    awake: asyncio.Event = field(default_factory=asyncio.Event)
    phone: Phone = field(init=False)

    async def live(self, line: Line) -> None:
        """Listen to the phone for ever."""
        self.phone = Phone(line, self.player.token)
        async with asyncio.TaskGroup() as tasks:
            async for kind, said in self.phone.hear():
                if kind == "ready":
                    if not said["resumed"] and (self.player.busy or self.awake.is_set()):
                        await self._look_round(tasks)
                    self.awake.set()
                elif kind == "offer.made":
                    self._think(tasks, said["data"]["offer"])
                elif kind == "offer.gone" and said["data"].get("because") != "declined":
                    _forget(self.answering, said["data"].get("offer_id"))
                elif kind in LEAVES_HIM:
                    _forget(self.working, said["booking_id"])

    async def _look_round(self, tasks: asyncio.TaskGroup) -> None:
        for offer in await self.phone.get("/v1/me/offers"):
            self._think(tasks, offer)
        for job in await self.phone.get("/v1/me/jobs?limit=100"):
            if job["ended_at"] is None and job["booking_id"] not in self.working:
                self._work(tasks, job, job["package"]["code"])

    def _think(self, tasks: asyncio.TaskGroup, offer: Mapping[str, Any]) -> None:
        if offer["id"] not in self.answering:
            _begin(tasks, self.answering, offer["id"], self._answer(tasks, offer))

    def _work(self, tasks: asyncio.TaskGroup, job: Mapping[str, Any], package: str) -> None:
        _begin(tasks, self.working, job["booking_id"], self._job(job, package))

    async def _answer(self, tasks: asyncio.TaskGroup, offer: Mapping[str, Any]) -> None:
        mood = self.player.person.temperament
        drawn = self.chance.random()
        after_s = mood.answer_s * self.chance.uniform(0.5, 1.5)
        await self.time.sleep_until(_moment(offer["offered_at"]) + timedelta(seconds=after_s))
        if drawn < mood.accepts:
            won = await self.phone.post(f"/v1/offers/{offer['id']}/accept")
            if won is not None:
                self._work(tasks, won, offer["package"]["code"])
        elif drawn < mood.accepts + mood.declines:
            await self.phone.post(f"/v1/offers/{offer['id']}/decline")

    async def _job(self, job: Mapping[str, Any], package: str) -> None:
        path, state = f"/v1/bookings/{job['booking_id']}", job["state"]
        starts_at = _moment((job.get("appointment") or {}).get("starts_at"))
        if state == BookingState.AWARDED:
            if not await self._call(path, _moment(job["awarded_at"])):
                return
            state = BookingState.CONTACTED
        if state == BookingState.CONTACTED:
            if self.chance.random() < HANDS_BACK_SHARE:
                await self.phone.post(f"{path}/hand-back", {"reason": "no_time"})
                return
            starts_at = await self._agree(path)
        await self.time.sleep_until(starts_at)
        if state != BookingState.UNDER_WAY and await self.phone.post(f"{path}/start") is None:
            return
        await self._finish(path, self.minutes[package])

    async def _call(self, path: str, awarded_at: datetime) -> bool:
        mood = self.player.person.temperament
        if mood.misses_deadline:
            return False
        await self.time.sleep_until(_when_awake(awarded_at, timedelta(seconds=mood.contact_s)))
        return await self.phone.post(f"{path}/contacted") is not None

    async def _agree(self, path: str) -> datetime:
        """When they meet: an appointment, or at once when none was made."""
        at = self.time.now() + timedelta(hours=self.chance.uniform(2, 30))
        if self.chance.random() > AGREES_SHARE:
            return _by_day(self.time.now() + timedelta(minutes=40))
        for _ in range(TRIES):
            at = _by_day(at)
            said = {"starts_at": at.isoformat()}
            if await self.phone.post(f"{path}/appointment", said) is not None:
                break
            at += timedelta(hours=2)
        return at

    async def _finish(self, path: str, minutes: int) -> None:
        worked = max(5, round(minutes * self.chance.uniform(0.6, 1.3)))
        await self.time.sleep(timedelta(minutes=worked))
        if self.chance.random() < GIVES_UP_SHARE:
            await self.phone.post(f"{path}/incomplete", {"reason": "parts_missing"})
            return
        protocol = {"summary": self.chance.choice(WORK), "minutes": worked}
        await self.phone.post(f"{path}/complete", protocol)


def _begin(
    tasks: asyncio.TaskGroup,
    known: dict[str, asyncio.Task[None]],
    key: str,
    work: Coroutine[Any, Any, None],
) -> None:
    task = tasks.create_task(work)
    known[key] = task
    task.add_done_callback(lambda _: known.pop(key, None))


def _forget(known: dict[str, asyncio.Task[None]], key: str | None) -> None:
    if key is not None and (task := known.get(key)):
        task.cancel()


def _moment(text: str | None) -> datetime:
    return datetime.fromisoformat(text) if text else datetime.min.replace(tzinfo=HOME)


def _when_awake(awarded_at: datetime, span: timedelta) -> datetime:
    """When he calls: not by night, unless the deadline would pass by the morning."""
    at = (awarded_at + span).astimezone(HOME)
    if MORNING <= at.hour < EVENING + 1:
        return at
    morning = at.replace(hour=MORNING, minute=15) + timedelta(days=at.hour > EVENING)
    return morning if morning < awarded_at + LATEST else awarded_at + SOON


def _by_day(at: datetime) -> datetime:
    """The next quarter of an hour at which people open their door."""
    local = at.astimezone(HOME)
    local = local.replace(minute=local.minute // 15 * 15, second=0, microsecond=0) + QUARTER
    if local.hour >= CLOSES:
        local = (local + timedelta(days=1)).replace(hour=OPENS, minute=0)
    elif local.hour < OPENS:
        local = local.replace(hour=OPENS, minute=0)
    return local
