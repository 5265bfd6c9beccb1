"""Lives of bookings that visit every state, read along by everybody at every step."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from data.records.ids import FriendId
from dispatch.flows.jobs import commands
from scheduler.relay import Relay
from tests.conftest import Clock
from tests.proof.privacy.marks import order_of
from tests.proof.privacy.watch import Watch, offers_in
from tests.proof.report import is_whole
from tests.receiver import PushService


@dataclass
class Life:
    """Drives bookings over HTTP; `deliver` lets the mails go, `look` lets everybody read."""

    watch: Watch
    clock: Clock
    relay: Relay
    friends: dict[str, FriendId]
    chance: Random
    bookings: list[str] = field(default_factory=list)
    next_customer: int = 1
    winner: str = ""
    phones: PushService | None = None

    async def look(self) -> None:
        await self.deliver()
        readers = list(self.watch.kinds)
        if not is_whole():
            # The last customers, and every third friend beside the one whom it is about.
            few = {"desk", "shop", "nobody", self.winner, *readers[-2:]}
            readers = [who for who in readers if who in few or who in ("f1", "f4", "f8")]
        await self.watch.look_around(self.bookings[-3 if is_whole() else -1 :], readers)

    async def deliver(self) -> None:
        for _ in range(12):
            await self.relay.tick()
            await self.relay.finish(within_s=5)

    async def book(self, by: str = "nobody", **changes: Any) -> tuple[str, str]:
        """A booking by the next customer; returns who she is and the path of her booking."""
        who = f"c{self.next_customer}"
        self.next_customer += 1
        body = order_of(self.watch.people[who], **changes)
        headers = {"Idempotency_Key": f"key-{who}"}
        made = await self.watch.post(by, "/v1/bookings", body, **headers)
        assert made.status_code == 201, made.text
        await self.watch.post(by, "/v1/bookings", body, **headers)
        said = made.json()
        self.watch.customer(who, said["customer_link"])
        self.bookings.append(said["id"])
        return who, f"/v1/bookings/{said['id']}"

    async def offers(self, at: str) -> dict[str, str]:
        told = await self.watch.get("desk", f"{at}/events?limit=100")
        assert told.status_code == 200, told.text
        story = told.json()["items"]
        who = {str(id_): name for name, id_ in self.friends.items()}
        return {who[friend]: offer for friend, offer in offers_in(story).items()}

    async def win(self, at: str) -> str:
        """One of the asked accepts; returns who. The others hear that they are too late."""
        offers = await self.offers(at)
        listed = [
            name
            for name, offer in offers.items()
            if offer in (await self.watch.get(name, "/v1/me/offers")).text
        ]
        winner = self.winner = self.chance.choice(listed)
        await self.watch.post(winner, f"/v1/offers/{offers[winner]}/accept")
        for name in listed:
            await self.watch.post(name, f"/v1/offers/{offers[name]}/accept")
        return winner

    async def done_and_forgotten(self) -> None:
        """From a quote to the stars, and on until the friend knows her no more."""
        address = {"street": "", "postcode": "8001", "city": "Zürich", "country": "CH"}
        await self.watch.post("nobody", "/v1/quotes", {"package": "wifi-setup", "address": address})
        customer, at = await self.book(wishes=["soon"])
        await self.look()
        offers = await self.offers(at)
        decliner = next(iter(offers))
        await self.watch.post(decliner, f"/v1/offers/{offers[decliner]}/decline")
        await self.look()
        winner = await self.win(at)
        await self.look()
        await self.watch.post(winner, f"{at}/contacted")
        await self._agree(winner, at)
        await self.look()
        await self.watch.post(winner, f"{at}/start")
        protocol = {"summary": "All devices online.", "minutes": 50}
        await self.watch.post(winner, f"{at}/complete", protocol)
        await self.watch.post(
            customer, f"{at}/rating", {"stars": 5, "comment": "Quick."}, Idempotency_Key="stars"
        )
        await self.look()
        await self.clock.advance(timedelta(days=14))
        await self.look()
        await self.watch.post(winner, f"/v1/offers/{(await self.offers(at))[winner]}/accept")

    async def lost_again(self, how: str) -> None:
        """Won and lost: by silence, by handing back, by the desk, by a visit in vain, by her."""
        customer, at = await self.book("shop")
        winner = await self.win(at)
        await self.look()
        if how != "silence":
            await self.watch.post(winner, f"{at}/contacted")
            await self._agree(winner, at)
            await self.deliver()
        match how:
            case "silence":
                await self.clock.advance(timedelta(hours=11, minutes=30))
                await self.ring()
                await self.deliver()
                await self.clock.advance(timedelta(hours=1))
                await self.ring()
            case "handing back":
                reason = {"reason": "no_time", "note": "I am ill."}
                await self.watch.post(winner, f"{at}/hand-back", reason)
            case "the desk":
                await self.watch.post("desk", f"{at}/redispatch")
            case "a visit in vain":
                await self.watch.post(winner, f"{at}/incomplete", {"reason": "parts_missing"})
            case "her":
                await self.watch.post(customer, f"{at}/cancel", {"reason": "solved"})
        await self.look()
        await self.watch.post(winner, f"{at}/contacted")
        await self.watch.post(winner, f"/v1/offers/{(await self.offers(at))[winner]}/accept")
        await self._agree(winner, at)

    async def nobody_comes(self) -> None:
        """Nobody answers until the rounds are spent; then the desk gives it to somebody."""
        _, at = await self.book("other shop")
        for _ in range(6):
            await self.clock.advance(timedelta(minutes=61))
            await self.ring()
        await self.look()
        await self.watch.post("desk", f"{at}/award", {"friend": "f7"})
        await self.watch.post("desk", f"{at}/award", {"friend": "no such friend"})
        await self.look()

    async def what_goes_wrong(self) -> None:
        """Every kind of error, with somebody's data in what was sent."""
        one = self.watch.people[f"c{self.next_customer}"]
        good = order_of(one)
        for wrong in (
            {"package": "no-such-package"},
            {"customer": good["customer"] | {"phone": "12"}},
            {"customer": good["customer"] | {"email": f"{one.email}@"}},
            {"customer": good["customer"] | {"language": one.marks["name"]}},
            {"customer": good["customer"] | {"nick": one.phone}},
            {"address": good["address"] | {"lat": None}},
            {"address": good["address"] | {"country": "PL"}},
            {"address": good["address"] | {"country": one.marks["street"]}},
            {"notes": one.notes + "\0"},
            {"wishes": [one.marks["notes"]]},
            {"quote_id": one.marks["name"]},
        ):
            for who in ("nobody", "shop"):
                answer = await self.watch.post(who, "/v1/bookings", good | wrong)
                assert answer.status_code in (404, 409, 422), answer.text
        missing = f"/v1/bookings/{'0' * 8}-0000-7000-8000-000000000000"
        for who in self.watch.kinds:
            await self.watch.get(who, missing)
            await self.watch.post(who, f"{missing}/contacted")
        await self.watch.call("nobody", "POST", "/v1/bookings", content=f'{{"name": "{one.name}"')
        await self.watch.call("nobody", "DELETE", f"/v1/bookings?name={one.marks['name']}")
        for kind in ("friend", "operator"):
            asked = {"email": self.watch.people["f1"].email, "kind": kind}
            await self.watch.post("nobody", "/v1/login-links", asked)
        await self.watch.call(
            "f1", "PATCH", "/v1/me/profile", json={"radius_m": one.marks["phone"]}
        )

    async def ring(self) -> None:
        while await commands.ring(self.watch.rt, 50):
            pass

    async def _agree(self, winner: str, at: str) -> None:
        number = len(self.bookings)
        starts_at: datetime = await self.clock.now() + timedelta(days=1, hours=2 * number)
        await self.watch.post(winner, f"{at}/appointment", {"starts_at": starts_at.isoformat()})
