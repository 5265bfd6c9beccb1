"""Scenarios that take bookings through every state, scanned for every reader at each step."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from data.records.ids import BookingId, FriendId
from dispatch.flows.jobs import commands
from dispatch.rules.jobs.customer_links import customer_token
from scheduler.account_mails import AccountMails
from scheduler.relay import Relay
from tests.builders import SIGNATURE
from tests.conftest import Clock
from tests.proof.privacy.markers import booking_body
from tests.proof.privacy.observer import Observer, read_offers
from tests.proof.report import is_whole
from tests.receiver import PushService


@dataclass
class Scenarios:
    """Drives bookings over HTTP; `deliver` sends the mails, `read` scans for all readers."""

    observer: Observer
    clock: Clock
    relay: Relay
    friends: dict[str, FriendId]
    chance: Random
    secret: bytes
    bookings: list[str] = field(default_factory=list)
    next_customer: int = 1
    winner: str = ""
    phones: PushService | None = None

    async def read(self) -> None:
        await self.deliver()
        readers = list(self.observer.kinds)
        if not is_whole():
            # The last customers, the winner, and every third friend.
            few = {"desk", "shop", "nobody", self.winner, *readers[-2:]}
            readers = [who for who in readers if who in few or who in ("f1", "f4", "f8")]
        await self.observer.read_everything(self.bookings[-3 if is_whole() else -1 :], readers)

    async def deliver(self) -> None:
        for _ in range(12):
            await self.relay.tick()
            await self.relay.finish(within_s=5)

    async def book(self, by: str = "nobody", **changes: Any) -> tuple[str, str]:
        """Book as the next customer; returns their name and the path of the booking."""
        who = f"c{self.next_customer}"
        self.next_customer += 1
        body = booking_body(self.observer.people[who], **changes)
        headers = {"Idempotency_Key": f"key-{who}"}
        made = await self.observer.post(by, "/v1/bookings", body, **headers)
        assert made.status_code == 201, made.text
        await self.observer.post(by, "/v1/bookings", body, **headers)
        booking = made.json()
        token = customer_token(self.secret, BookingId(UUID(booking["id"])))
        self.observer.add_customer(who, f"/job/{token}")
        self.bookings.append(booking["id"])
        return who, f"/v1/bookings/{booking['id']}"

    async def offers(self, at: str) -> dict[str, str]:
        answer = await self.observer.get("desk", f"{at}/events?limit=100")
        assert answer.status_code == 200, answer.text
        events = answer.json()["items"]
        who = {str(id_): name for name, id_ in self.friends.items()}
        return {who[friend]: offer for friend, offer in read_offers(events).items()}

    async def win(self, at: str) -> str:
        """One of the asked friends accepts and is returned; the others accept too late."""
        offers = await self.offers(at)
        listed = [
            name
            for name, offer in offers.items()
            if offer in (await self.observer.get(name, "/v1/me/offers")).text
        ]
        winner = self.winner = self.chance.choice(listed)
        await self.observer.post(winner, f"/v1/offers/{offers[winner]}/accept")
        for name in listed:
            await self.observer.post(name, f"/v1/offers/{offers[name]}/accept")
        return winner

    async def complete_and_expire(self) -> None:
        """From a quote to the rating, and until the friend no longer sees the customer."""
        address = {"street": "", "postcode": "8001", "city": "Zürich", "country": "CH"}
        await self.observer.post(
            "nobody", "/v1/quotes", {"package": "wifi-setup", "address": address}
        )
        customer, at = await self.book(wishes=["soon"])
        await self.read()
        offers = await self.offers(at)
        decliner = next(iter(offers))
        await self.observer.post(decliner, f"/v1/offers/{offers[decliner]}/decline")
        await self.read()
        winner = await self.win(at)
        await self.read()
        await self.observer.post(winner, f"{at}/contacted")
        await self._schedule(winner, at)
        await self.read()
        await self.observer.post(winner, f"{at}/start")
        protocol = {"summary": "All devices online.", "minutes": 50, "signature": SIGNATURE}
        await self.observer.post(winner, f"{at}/complete", protocol)
        await self.observer.post(
            customer, f"{at}/rating", {"stars": 5, "comment": "Quick."}, Idempotency_Key="stars"
        )
        await self.read()
        await self.clock.advance(timedelta(days=14))
        await self.read()
        await self.observer.post(winner, f"/v1/offers/{(await self.offers(at))[winner]}/accept")

    async def win_and_lose(self, how: str) -> None:
        """Win and lose a job: by missing the deadline, hand-back, desk, visit or customer."""
        customer, at = await self.book("shop")
        winner = await self.win(at)
        await self.read()
        if how != "missed deadline":
            await self.observer.post(winner, f"{at}/contacted")
            await self._schedule(winner, at)
            await self.deliver()
        match how:
            case "missed deadline":
                await self.clock.advance(timedelta(hours=11, minutes=30))
                await self.fire()
                await self.deliver()
                await self.clock.advance(timedelta(hours=1))
                await self.fire()
            case "hand-back":
                reason = {"reason": "no_time", "note": "I am ill."}
                await self.observer.post(winner, f"{at}/hand-back", reason)
            case "the desk":
                await self.observer.post("desk", f"{at}/redispatch")
            case "incomplete visit":
                await self.observer.post(winner, f"{at}/incomplete", {"reason": "parts_missing"})
            case "the customer":
                await self.observer.post(customer, f"{at}/cancel", {"reason": "solved"})
        await self.read()
        await self.observer.post(winner, f"{at}/contacted")
        await self.observer.post(winner, f"/v1/offers/{(await self.offers(at))[winner]}/accept")
        await self._schedule(winner, at)

    async def stay_unfilled(self) -> None:
        """Nobody answers until the rounds are spent; then the desk awards the job."""
        _, at = await self.book("other shop")
        for _ in range(6):
            await self.clock.advance(timedelta(minutes=61))
            await self.fire()
        await self.read()
        await self.observer.post("desk", f"{at}/award", {"friend": "f7"})
        await self.observer.post("desk", f"{at}/award", {"friend": "no such friend"})
        await self.read()

    async def cause_errors(self) -> None:
        """Cause every kind of error with personal data in the request."""
        one = self.observer.people[f"c{self.next_customer}"]
        good = booking_body(one)
        for wrong in (
            {"package": "no-such-package"},
            {"customer": good["customer"] | {"phone": "12"}},
            {"customer": good["customer"] | {"email": f"{one.email}@"}},
            {"customer": good["customer"] | {"language": one.markers["name"]}},
            {"customer": good["customer"] | {"nick": one.phone}},
            {"address": good["address"] | {"lat": None}},
            {"address": good["address"] | {"country": "PL"}},
            {"address": good["address"] | {"country": one.markers["street"]}},
            {"notes": one.notes + "\0"},
            {"wishes": [one.markers["notes"]]},
            {"quote_id": one.markers["name"]},
        ):
            for who in ("nobody", "shop"):
                answer = await self.observer.post(who, "/v1/bookings", good | wrong)
                assert answer.status_code in (404, 409, 422), answer.text
        missing = f"/v1/bookings/{'0' * 8}-0000-7000-8000-000000000000"
        for who in self.observer.kinds:
            await self.observer.get(who, missing)
            await self.observer.post(who, f"{missing}/contacted")
        await self.observer.call(
            "nobody", "POST", "/v1/bookings", content=f'{{"name": "{one.name}"'
        )
        await self.observer.call("nobody", "DELETE", f"/v1/bookings?name={one.markers['name']}")
        for kind in ("friend", "operator"):
            asked = {"email": self.observer.people["f1"].email, "kind": kind}
            await self.observer.post("nobody", "/v1/login-links", asked)
        mails = AccountMails(self.observer.rt, self.observer, request_tick=lambda: None)
        await mails.tick()
        await mails.finish(10)
        await self.observer.call(
            "f1", "PATCH", "/v1/me/profile", json={"radius_m": one.markers["phone"]}
        )

    async def fire(self) -> None:
        while await commands.fire_due_timers(self.observer.rt, 50):
            pass

    async def _schedule(self, winner: str, at: str) -> None:
        number = len(self.bookings)
        starts_at: datetime = await self.clock.now() + timedelta(days=1, hours=2 * number)
        await self.observer.post(winner, f"{at}/appointment", {"starts_at": starts_at.isoformat()})
