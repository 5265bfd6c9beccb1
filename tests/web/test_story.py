"""What the desk reads about a booking, held against its events, over generated lives."""

import json
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from api.http.auth import Operator
from api.routes.desk.bookings import open_booking
from data.enums import OperatorRole
from data.records.ids import PersonId
from dispatch.flows.jobs import commands
from dispatch.rules.jobs.events import EVENTS
from dispatch.rules.policy import RankBy
from tests.flows import steps, walk

STEPS, SEED = 360, 4
CALL_WITHIN, CALL_WITHIN_PRO = timedelta(hours=12), timedelta(hours=8)
ZURICH = ZoneInfo("Europe/Zurich")
# These lives have no company: `tests/api/test_companies.py`.
OF_COMPANIES = {"booking.reassigned"}
FACTS = """() => [...document.querySelectorAll('article [data-fact]')].reverse().map(fact => ({
    text: fact.querySelector('.text').innerText,
    by: fact.querySelector('.text + p').innerText.split(' · ').at(-1),
    offers: [...fact.querySelectorAll('li')].map(one => one.innerText.split(/\\s*\\n\\s*/)),
}))"""


def end_lives(run):
    """What a short walk rarely comes to."""
    for at, booking in enumerate(run.bookings):
        if at % 2:
            run.accept(booking=booking, number=0)
            run.confirm_contact(booking=booking, number=1)
        run.complain(booking=booking, word="request_move")
        for action in ("mark_on_the_way", "take_back_on_the_way"):
            run.of_holder(action, booking, 1)
        run.rate(booking=booking, stars=5)
        for number in (1, 2):
            run.review(booking=booking, number=number, word="decide")
        run.object(booking=booking, word="uphold")
        run.complain(booking=booking, word="report_no_call")


@pytest.fixture
def lives(server, template, tmp_path, monkeypatch):
    """Bookings of a seeded walk as the desk's API gives them, and the names of the friends."""
    # The story does not tell yet how an offer to a company ends.
    monkeypatch.setattr(steps, "COMPANY", "SELECT $1::uuid, $2::uuid[]")
    bench = steps.Bench(server, template, tmp_path)
    found, names = [], {}

    class Life(steps.Run):
        def finish_run(self):
            end_lives(self)
            # Nobody does anything more: offers expire, who has not called loses the job, and who
            # has agreed on nothing is reminded.
            for hours in (1, 1, 1, 6, 12, 60):
                self.run(bench.clock.advance(timedelta(hours=hours)))
                while self.run(commands.fire_due_timers(bench.rt, 100)):
                    pass
            pairs = zip(bench.friends, bench.rows, strict=True)
            names.update({str(id_): row.name for id_, row in pairs})
            reader = Operator(person_id=PersonId(UUID(int=9)), role=OperatorRole.VIEWER)
            for booking in self.bookings:
                details = self.run(open_booking(bench.rt, reader, booking))
                found.append(details.model_dump(mode="json"))

    async def unchecked(*_):
        """The invariants have tests of their own."""

    monkeypatch.setattr(walk, "Run", Life)
    monkeypatch.setattr(steps, "check_invariants", unchecked)
    walk.walk(bench, RankBy.DOOR, STEPS, SEED)
    bench.close()
    return found, names


class Teller:
    """Tells each event of one booking from the facts before it, in words of its own."""

    def __init__(self, names):
        self.names = names
        self.holder = self.offer = None
        self.appointments = self.called = 0
        self.offers = {}
        self.lists = []

    def tell(self, event):
        """The text, who did it, and how the offers made by it ended, as a list filled later."""
        kind, data = event["kind"], event["data"]
        by = event["actor"].split(":")[0]
        text = getattr(self, kind.replace(".", "_"))(data, event, by)
        return text, self.actor(kind, data, by)

    def actor(self, kind, data, by):
        group = kind.partition(".")[0]
        if kind in AUTOMATIC or (kind == "booking.cancelled" and by == "system"):
            return "automatic"
        if kind in BY_CUSTOMER:
            return "customer"
        if kind in DECIDED or (kind == "booking.awarded" and by == "operator"):
            return "desk"
        if kind in {"link.renewed", "booking.confirmed"}:
            return "customer" if by == "customer" else "desk"
        if kind == "contact.settled" or (kind == "booking.contacted" and data.get("evidence")):
            return "customer" if by == "customer" else "desk"
        assert group in {"booking", "offer", "contact", "customer"}
        return self.names[data["friend"]]

    def end(self, ids, how):
        for one in self.offers.values():
            if one["friend"] in ids and one["end"] is None:
                one["end"] = how

    def leave(self, how):
        if self.offer:
            self.offer["end"] = how
        name, self.holder, self.offer = self.names[self.holder], None, None
        return name

    def booking_created(self, data, event, by):
        return "Booked: Wi-Fi setup"

    def booking_confirmed(self, data, event, by):
        return "E-mail address confirmed"

    def booking_offered(self, data, event, by):
        for one in data["offers"]:
            self.offers[one["id"]] = one | {"end": None, "made": event["seq"]}
        return f"Round {data['round']}: friends asked"

    def booking_escalated(self, data, event, by):
        return "Now the pros are asked"

    def booking_unfilled(self, data, event, by):
        assert all(one["end"] for one in self.offers.values())
        if data["because"] == "nobody_left":
            return "Nobody left to ask"
        return "All rounds are used up, nobody accepted"

    def booking_redispatched(self, data, event, by):
        if self.holder is None:
            return "Search started again"
        return f"Taken from {self.leave('accepted, ended early')}, search started again"

    def booking_awarded(self, data, event, by):
        self.holder, self.appointments, self.called = data["friend"], 0, 0
        if by == "friend":
            [self.offer] = [
                one
                for one in self.offers.values()
                if one["friend"] == self.holder and not one["end"]
            ]
            self.offer["end"] = f"accepted {clock(event['at'])}"
            self.end(data["lost"], f"taken by another friend {clock(event['at'])}")
        else:
            self.end([*data["lost"], self.holder], f"withdrawn {clock(event['at'])}")
        is_pro = self.names[self.holder].startswith("Pro")
        due = datetime.fromisoformat(event["at"]) + (CALL_WITHIN_PRO if is_pro else CALL_WITHIN)
        self.due = moment(due.isoformat())
        return f"{self.names[self.holder]} has the job, call by {self.due}"

    def booking_contacted(self, data, event, by):
        self.called = 1
        return f"{self.names[self.holder]} has contacted the customer"

    def booking_scheduled(self, data, event, by):
        self.appointments += 1
        word = "agreed:" if self.appointments == 1 else "moved to"
        return f"Appointment {word} {moment(data['starts_at'])}"

    def booking_on_the_way(self, data, event, by):
        return f"{self.names[self.holder]} is on the way"

    def booking_not_on_the_way(self, data, event, by):
        return f"{self.names[self.holder]} is not on the way after all"

    def booking_delayed(self, data, event, by):
        return f"{self.names[self.holder]} will be about {data['minutes']} mins late"

    def booking_started(self, data, event, by):
        return f"{self.names[self.holder]} has started"

    def booking_completed(self, data, event, by):
        return f"{self.names[self.holder]} has completed the job"

    def completion_contested(self, data, event, by):
        return (
            f"The customer contests that {self.names[self.holder]} has done the job: Another reason"
        )

    def completion_upheld(self, data, event, by):
        return "Objection dismissed: the job counts as done"

    def booking_reopened(self, data, event, by):
        name = self.leave("accepted, ended early")
        return f"Taken from {name} after the objection, job reopened"

    def booking_incomplete(self, data, event, by):
        self.leave("accepted, ended early")
        reason = "needs a pro" if data["reason"] == "needs_pro" else "Another reason"
        return f"Not solved: {reason}"

    def booking_cancelled(self, data, event, by):
        self.end(data.get("withdrawn", ()), f"withdrawn {clock(event['at'])}")
        if self.holder is not None:
            self.leave("accepted, ended early")
        if data.get("fee_minor"):
            fee = f"{data['fee_minor'] / 100:.2f}"
            return f"Cancelled late: Another reason, fee CHF {fee}"
        reason = "not confirmed in time" if by == "system" else "Another reason"
        return f"Cancelled: {reason}"

    def customer_reviewed(self, data, event, by):
        return f"{self.names[self.holder]} has reviewed the customer"

    def review_hidden(self, data, event, by):
        return "Review hidden"

    def review_kept(self, data, event, by):
        return "Reported review kept"

    def booking_rated(self, data, event, by):
        return f"Rated: {data['stars']} star{'s' if data['stars'] > 1 else ''}"

    def booking_handed_back(self, data, event, by):
        return f"{self.leave('accepted, handed back')} hands the job back: cannot help"

    def link_renewed(self, data, event, by):
        return "New link for the customer, earlier ones are invalid"

    def appointment_missing(self, data, event, by):
        assert self.called
        assert not self.appointments
        return "No appointment entered since the call: both were reminded"

    def appointment_move_asked(self, data, event, by):
        assert self.appointments
        return "The customer asks for another time: –"

    def contact_disputed(self, data, event, by):
        name = self.names[self.holder]
        if self.called:
            return f"The customer contradicts {name}: nobody has called"
        return f"The customer reports that nobody has called. {name} was reminded"

    def contact_answered(self, data, event, by):
        if data["evidence"] == "messages":
            return f"{self.names[self.holder]} refers to messages that were read or answered"
        return f"{self.names[self.holder]} names a call: {moment(data['called_at'])}"

    def contact_settled(self, data, event, by):
        return f"Contact with {self.names[self.holder]} settled"

    def contact_unanswered(self, data, event, by):
        return f"{self.leave('accepted, ended early')} has not answered and lost the job"

    def offer_declined(self, data, event, by):
        offer = self.offers[data["offer"]]
        assert offer["end"] is None
        offer["end"] = f"declined {clock(event['at'])}"
        return f"{self.names[offer['friend']]} declined"

    def offer_expired(self, data, event, by):
        for one in self.offers.values():
            if one["friend"] in data["friends"] and one["end"] is None:
                assert one["expires_at"] <= event["at"].replace("Z", "+00:00")
                one["end"] = f"no answer by {clock(one['expires_at'])}"
        return f"No answer from {', '.join(self.names[one] for one in data['friends'])}"

    def contact_reminded(self, data, event, by):
        return f"{self.names[self.holder]} was reminded: call by {self.due}"

    def contact_missed(self, data, event, by):
        return f"{self.leave('accepted, deadline missed')} missed the deadline and lost the job"


AUTOMATIC = {
    *("booking.offered", "booking.escalated", "booking.unfilled"),
    *("offer.expired", "contact.reminded", "contact.missed", "appointment.missing"),
    "contact.unanswered",
}
DECIDED = {
    *("booking.redispatched", "booking.reopened", "completion.upheld"),
    *("review.hidden", "review.kept"),
}
BY_CUSTOMER = {
    *("booking.created", "booking.cancelled", "booking.rated"),
    *("contact.disputed", "appointment.move_asked", "completion.contested"),
}


def moment(at):
    """A moment as the desk in Zurich reads it."""
    local = datetime.fromisoformat(at).astimezone(ZURICH)
    return f"{local.day} {local:%b %Y, %H:%M}"


def clock(at):
    return f"{datetime.fromisoformat(at).astimezone(ZURICH):%H:%M}"


def told(details, names):
    """What the desk should read: the text, the actor and the offers of each event."""
    teller = Teller(names)
    facts = [(event, *teller.tell(event)) for event in details["events"]]
    for one in teller.offers.values():
        one["end"] = one["end"] or f"open until {clock(one['expires_at'])}"
    return [
        (text, by, [o for o in teller.offers.values() if o["made"] == event["seq"]])
        for event, text, by in facts
    ]


async def test_every_sentence_of_the_desks_story_is_true_over_generated_lives(desk, lives):
    found, names = lives
    happened = {event["kind"] for details in found for event in details["events"]}
    assert EVENTS.keys() - happened - OF_COMPANIES == set()
    page = await desk("/desk/list")
    by_id = {details["id"]: details for details in found}

    async def answer(route):
        [*_, id_] = route.request.url.removesuffix("/around").split("/")
        body = {"items": []} if route.request.url.endswith("/around") else by_id[id_]
        await route.fulfill(body=json.dumps(body), content_type="application/json")

    await page.route("**/v1/desk/bookings/*", answer)
    await page.route("**/v1/desk/bookings/*/around", answer)
    wrong = []
    for id_, details in by_id.items():
        await page.evaluate(
            """id => { history.pushState(null, '', `/desk/list?booking=${id}`);
                       dispatchEvent(new PopStateEvent('popstate')); }""",
            id_,
        )
        await page.get_by_role("article").get_by_text(id_[-8:], exact=True).wait_for()
        read = [(one["text"], one["by"], one["offers"]) for one in await page.evaluate(FACTS)]
        for (text, by, offers), (true, true_by, made) in zip(
            read, told(details, names), strict=True
        ):
            if (text.replace("\xa0", " "), by) != (true, true_by):
                wrong.append((text, by, true, true_by))
            for one, true_one in zip(offers, made, strict=True):
                line = " ".join(one)
                if not (line.startswith(names[true_one["friend"]]) and ends(line, true_one["end"])):
                    wrong.append((line, true_one))
    assert wrong == []


def ends(line, end):
    """Whether the line says how the offer ended; on another day the date stands before the time."""
    words, _, time = end.rpartition(" ")
    return (words in line and line.endswith(time)) if ":" in time else line.endswith(end)
