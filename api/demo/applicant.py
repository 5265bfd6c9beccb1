"""A simulated applicant: joins, passes the exam, is accepted by the desk, and is rung."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final
from uuid import UUID

from api.demo.client import ApiClient, Connection
from api.demo.clock import SimulatedTime
from api.demo.helper import Helper
from api.demo.people import SimulatedFriend, short_name
from data.enums import Tier
from data.markets import Language, Market
from data.records.ids import FriendId
from data.seed import exam_banks
from data.seed.town import Habit, InventedFriend, Temperament
from dispatch.flows.people.sessions import token_hash
from dispatch.rules.trust import mailed_secrets
from scheduler.providers.sms_folder import SmsFolder

log = logging.getLogger(__name__)

CERTIFICATE: Final = "wifi"
PACKAGE: Final = "wifi-setup"
LOOK_S: Final = 0.05
SMS_WITHIN_S: Final = 20.0
PERSON: Final = InventedFriend(
    ref="newcomer",
    name="Mara Neuling",
    email="mara.neuling@example.org",
    phone="+41790001740",
    language=Language.EN,
    languages=frozenset({Language.EN, Language.DE}),
    street="Limmatstrasse 114",
    postcode="8005",
    city="Zürich",
    quarter="Gewerbeschule",
    country=Market.CH,
    lat=47.3845,
    lon=8.5325,
    tier=Tier.FRIEND,
    radius_m=1000,
    capacity=3,
    certificates=frozenset({CERTIFICATE}),
    quiet=None,
    temperament=Temperament(
        habit=Habit.EAGER,
        accepts=1.0,
        declines=0.0,
        answer_s=4,
        contact_s=300,
        misses_deadline=False,
    ),
)
WHO: Final[Mapping[str, Any]] = {
    "name": PERSON.name,
    "email": PERSON.email,
    "language": PERSON.language,
    "market": PERSON.country,
}
PLACE: Final = {"lat": PERSON.lat, "lon": PERSON.lon}
FACTS: Final[Mapping[str, Any]] = {
    "birth_date": "1994-05-14",
    "postcode": PERSON.postcode,
    "city": PERSON.city,
    "base": PLACE,
    "radius_m": PERSON.radius_m,
    "languages": sorted(PERSON.languages),
    "interests": [CERTIFICATE],
    "skills": ["explaining"],
    "consents": ["terms", "privacy"],
}
NEIGHBOUR: Final[Mapping[str, Any]] = {
    "package": PACKAGE,
    "customer": {
        "name": "Nora Nachbar",
        "email": "nora.nachbar@example.com",
        "phone": "+41440001741",
        "language": "en",
    },
    "address": {
        "street": PERSON.street,
        "postcode": PERSON.postcode,
        "city": PERSON.city,
        "country": PERSON.country,
        **PLACE,
    },
}

Tell = Callable[[str, str], None]


class JoinFailed(RuntimeError):
    """A step of the applicant was refused; the demo goes on without."""


@dataclass(slots=True, kw_only=True)
class Applicant:
    """One applicant, who becomes a simulated friend; `tell` prints a word and details.

    `secret` gives the code of the mail, `texts` is the folder of SMS.
    """

    time: SimulatedTime
    chance: Random
    minutes: Mapping[str, int]
    secret: bytes
    texts: Path
    desk_token: str
    partner_key: str
    names: MutableMapping[FriendId, str]
    tell: Tell
    helper: Helper | None = None

    async def join(self, connection: Connection) -> None:
        """All steps up to the decision; one that is refused ends them."""
        try:
            me = await self._enter(connection)
            await self._apply(me)
            await self._sit(me)
            await self._be_accepted(connection, me)
        except (JoinFailed, TimeoutError) as failed:
            log.warning("the applicant gave up: %s", failed)

    async def run(self, connection: Connection) -> None:
        """Answer offers as a friend until cancelled; a neighbour books at once."""
        await self.time.started.wait()
        if self.helper is None:
            await asyncio.Event().wait()
            return
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.helper.run(connection))
            await self.helper.ready.wait()
            partner = ApiClient(connection, self.partner_key)
            await partner.post("/v1/bookings", NEIGHBOUR, key="demo-newcomer")

    async def _enter(self, connection: Connection) -> ApiClient:
        anybody = ApiClient(connection, None)
        request = _done(await anybody.post("/v1/applications", WHO))["request"]
        code = mailed_secrets.of_join(self.secret, token_hash(request), b"").code
        self.tell("applies", f"code {code} by mail")
        body = {**WHO, "request": request, "code": code}
        session = _done(await anybody.post("/v1/applications/code", body))
        return ApiClient(connection, session["token"])

    async def _apply(self, me: ApiClient) -> None:
        _done(await me.post("/v1/me/phone", {"number": PERSON.phone}))
        code = await self._texted()
        _done(await me.post("/v1/me/phone/code", {"code": code}))
        self.tell("confirms", f"the number {PERSON.phone} by code {code}, from {self.texts}")
        _done(await me.send("PATCH", "/v1/me/application", FACTS))
        _done(await me.post("/v1/me/application/submit"))
        self.tell("joins", "with place, languages and interests")

    async def _texted(self) -> str:
        """The code of the SMS, once it is there."""
        folder = SmsFolder(self.texts, self.secret)
        async with asyncio.timeout(SMS_WITHIN_S):
            while True:
                for one in await asyncio.to_thread(folder.texts):
                    if one["to"] == PERSON.phone:
                        return str(one["text"]).partition(" ")[0]
                await asyncio.sleep(LOOK_S)

    async def _sit(self, me: ApiClient) -> None:
        """Sit the exam, all answers right."""
        right = {
            question.texts[PERSON.language].text: question.texts[PERSON.language].options[
                question.key
            ]
            for question in exam_banks.load()[CERTIFICATE].questions
        }
        path = f"/v1/me/exams/{CERTIFICATE}"
        paper = _done(await me.post(path, {"more_time": False}))
        sitting = f"/v1/me/sittings/{paper['id']}"
        for one in paper["questions"]:
            body = {"choice": one["options"].index(right[one["text"]]) + 1}
            _done(await me.send("PUT", f"{sitting}/answers/{one['position']}", body))
        ended = _done(await me.post(f"{sitting}/finish"))
        correct = f"{ended['result']['correct']} of {ended['asked']} right"
        self.tell("certified", f"{ended['name']}: {correct}")

    async def _be_accepted(self, connection: Connection, me: ApiClient) -> None:
        desk = ApiClient(connection, self.desk_token)
        waiting = await desk.get("/v1/desk/applications")
        own = next((row for row in waiting if row["name"] == PERSON.name), None)
        if own is None:
            raise JoinFailed("the desk does not see the application")
        path = f"/v1/desk/applications/{own['friend_id']}/accept"
        _done(await desk.send("POST", path, None))
        friend_id = FriendId(UUID(own["friend_id"]))
        self.names[friend_id] = short_name(PERSON.name)
        friend = SimulatedFriend(PERSON, friend_id, str(me.token), busy=False)
        self.helper = Helper(friend, self.time, self.chance, self.minutes)
        self.tell("accepted", "by the desk, and rings from now on")


def _done(answer: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return an answer. Raises JoinFailed for a refusal."""
    if answer is None:
        raise JoinFailed("a step was refused")
    return answer
