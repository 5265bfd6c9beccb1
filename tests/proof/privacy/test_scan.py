"""Every byte that leaves the service goes to a reader who may see it."""

import asyncio
import io
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from random import Random

import httpx2
import pytest
from typer.testing import CliRunner

from api.cli.root import app as tekkie
from api.schemas import presenters
from api.server.adapters import build_ports
from api.server.app import create_app
from api.server.logging import NOISY, configure_logging
from data import db
from data.enums import Channel
from dispatch.rules.jobs import reviews as review_rules
from scheduler.relay import Relay
from scheduler.senders.mail import Mail
from scheduler.senders.push import Push
from tests.api.streams import serve_app
from tests.builders import ZURICH, friend_row, import_friends, north
from tests.proof.privacy import words
from tests.proof.privacy.markers import MarkedPerson, Scanner, booking_body, create_person
from tests.proof.privacy.observer import Leak, Observer, read_stream, wait_for_line
from tests.proof.privacy.rights import RIGHTS, Rights
from tests.proof.privacy.scenarios import Scenarios
from tests.proof.report import is_whole, table, write
from tests.receiver import PushService, push_service

FRIENDS, CUSTOMERS = 8, 90
WITH_PHONES = ("f2", "f4")
# An operator, and a minor who applies with a guardian.
OTHERS = [("desk", 999, ZURICH), ("a1", 300, ZURICH), ("g1", 301, ZURICH)]
ENDS = ("missed deadline", "hand-back", "the desk", "incomplete visit", "the customer")
TOTALS: dict[str, int] = {}
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def people() -> dict[str, MarkedPerson]:
    """Everybody, each with unique markers."""
    friends = [(f"f{n}", 100 + n, north(150 * n)) for n in range(1, FRIENDS + 1)]
    customers = [(f"c{n}", 200 + n, north(-10 * n)) for n in range(1, CUSTOMERS + 1)]
    return {
        who: create_person(who, number, point)
        for who, number, point in [*friends, *customers, *OTHERS]
    }


@pytest.fixture
async def scenarios(rt, owner, clock, people) -> AsyncIterator[Scenarios]:
    """The service with marked people, and an observer of all it sends."""
    async with open_scenarios(rt, owner, clock, people, seed=1) as scenarios:
        yield scenarios


@asynccontextmanager
async def open_scenarios(rt, owner, clock, people, seed: int) -> AsyncIterator[Scenarios]:
    rows = [
        friend_row(one.who, one.point, name=one.name, email=one.email, phone=one.phone, capacity=20)
        for one in people.values()
        if one.who.startswith("f")
    ]
    friends = await import_friends(rt, rows)
    rights = Rights(owner, {one.email: one.who for one in people.values()})

    rt.settings = rt.settings.model_copy(update={"push_hosts": "127.0.0.1"})
    app = create_app(rt)
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="https://tekkie.test") as http:
        observer = Observer(rt, http, owner, people, Scanner(people.values()), rights)
        await observer.create_readers(friends)
        mail = Mail.of(rt)
        sender = Mail(observer, mail.content, mail.sender)
        async with push_service() as service:
            through = {Channel.MAIL: sender, Channel.PUSH: Push.of(rt, sender)}
            relay = Relay(rt, through, request_tick=lambda: None)
            await subscribe_phones(observer, service)
            yield Scenarios(
                observer, clock, relay, friends, Random(seed), rt.settings.key(), phones=service
            )
            await scan_pushes(observer, service)


async def subscribe_phones(observer: Observer, service: PushService) -> None:
    """Subscribe the phones of some friends to push; the others get mail."""
    for who in WITH_PHONES:
        phone = service.handset(who)
        answer = await observer.post(who, "/v1/me/push-subscriptions", phone.subscription)
        assert answer.status_code == 201, answer.text
        await observer.post(who, "/v1/me/alarm-test")


async def scan_pushes(observer: Observer, service: PushService) -> None:
    """Scan every push as sent and as decrypted on the phone: it must name nobody."""
    for who, phone in service.handsets.items():
        for taken in phone.taken:
            text = f"{taken.headers}\n{taken.claims}\n{taken.plain.decode()}"
            await observer.scan("push", who, "a push", text)
    assert observer.leaks == []


def pushed_kinds(scenarios: Scenarios) -> set[str]:
    """The kinds of push that phones received."""
    assert scenarios.phones is not None
    return {
        taken.notification["data"]["kind"]
        for phone in scenarios.phones.handsets.values()
        for taken in phone.taken
    }


@pytest.fixture(params=["text", "json"] if is_whole() else ["json"])
def log(request, monkeypatch) -> Iterator[io.StringIO]:
    """What the service logs to stderr at level DEBUG."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    levels = {name: logging.getLogger(name).level for name in NOISY}
    configure_logging(request.param, level=logging.DEBUG)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    for name, former in levels.items():
        logging.getLogger(name).setLevel(former)
    logging.getLogger("uvicorn.access").disabled = False


async def run_all(scenarios: Scenarios) -> None:
    """Everything that can happen to a booking."""
    await scenarios.cause_errors()
    await scenarios.complete_and_expire()
    for how in ENDS:
        await scenarios.win_and_lose(how)
    await scenarios.stay_unfilled()
    for path in ("/docs", "/openapi.json"):
        await scenarios.observer.get("nobody", path)
    await scenarios.observer.scan_tables()


async def test_no_reader_gets_what_they_may_not_see(scenarios, log, owner, people):
    observer = scenarios.observer
    lines_of: dict[str, list[str]] = {who: [] for who in ("f1", "f4", "desk", "shop")}
    async with serve_app(observer.http._transport.app) as url:
        readers = [
            asyncio.create_task(read_stream(observer, url, who, lines_of[who])) for who in lines_of
        ]
        try:
            await asyncio.gather(*(wait_for_line(lines, "ready") for lines in lines_of.values()))
            await run_all(scenarios)
            await cause_database_error(scenarios)
            await cause_mail_error(scenarios)
            await wait_for_line(lines_of["desk"], "booking.unfilled")
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)
    assert pushed_kinds(scenarios) > {"alarm", "offer"}
    for who, lines in lines_of.items():
        await observer.scan("stream", who, "GET /v1/live", "\n".join(lines))
    await observer.scan("log", "stderr", "the log", log.getvalue())
    assert observer.leaks == []
    assert observer.rights.used >= set(RIGHTS) - {
        ("customer", "own, nobody holds it"),
        ("logs, metrics, health, streams, documents", "any"),
        ("anybody", "none"),
        ("push", "any"),
    }
    assert observer.answers.keys() >= {200, 201, 202, 401, 403, 404, 409, 422, 500}
    assert "Traceback" in log.getvalue()
    add_totals(observer, len(log.getvalue()))


async def test_what_people_write_is_read_by_those_it_is_for_alone(scenarios):
    observer = scenarios.observer
    observer.rt.settings = observer.rt.settings.model_copy(update={"sms_provider": "folder"})
    observer.http._transport.app.state.ports = build_ports(observer.rt)
    customer, at = await words.write_to_each_other(scenarios)
    await words.open_account(scenarios, customer)
    await words.review_each_other(scenarios, customer, at)
    friend = scenarios.winner
    await words.upload_and_sit(scenarios, friend, customer)
    await words.confirm_number(scenarios, friend)
    await words.apply_with_guardian(scenarios)
    assert observer.leaks == [], observer.leaks
    # A text was seen by those who may see it, or nothing would be proven.
    assert observer.read >= {
        *((word, "desk") for word in (words.FRIEND_SAID, words.CUSTOMER_SAID, words.REPORTED)),
        *((word, customer) for word in (words.FRIEND_SAID, words.RATED, words.REVIEWED)),
        *((word, friend) for word in (words.RATED, words.REVIEWED, words.REPLIED, words.REASON)),
        (words.FILE_NAME, friend),
    }


async def test_a_planted_leak_of_what_people_write_is_found(scenarios, monkeypatch):
    observer = scenarios.observer
    with monkeypatch.context() as planted:
        planted.setattr(review_rules, "is_shown", lambda review, now: True)
        customer, at = await words.write_to_each_other(scenarios)
        await words.review_each_other(scenarios, customer, at)
    found = {(leak.found.who, leak.reader.split()[0]) for leak in observer.leaks}
    assert (words.REVIEWED, "customer") in found
    observer.leaks.clear()
    letter = "UPDATE messages SET problem = $1 WHERE id = (SELECT id FROM messages LIMIT 1)"
    await observer.owner.execute(letter, f"550 {words.FRIEND_SAID}")
    await observer.scan_tables()
    assert {leak.where for leak in observer.leaks} == {"table messages"}
    observer.leaks.clear()


async def cause_database_error(scenarios: Scenarios) -> None:
    """Make PostgreSQL refuse a customer, which quotes the whole row in its error."""
    one = scenarios.observer.people[f"c{scenarios.next_customer}"]
    await scenarios.observer.owner.execute(
        "ALTER TABLE people ADD CONSTRAINT planted CHECK (name NOT LIKE 'Fi%' OR kind <> "
        "'customer') NOT VALID"
    )
    answer = await scenarios.observer.post("nobody", "/v1/bookings", booking_body(one))
    assert answer.status_code == 500, answer.text
    await scenarios.observer.owner.execute("ALTER TABLE people DROP CONSTRAINT planted")


async def cause_mail_error(scenarios: Scenarios) -> None:
    """Make a mail fail: what is stored about it must name nobody."""
    scenarios.observer.is_mail_failing = True
    await scenarios.book()
    await scenarios.deliver()
    scenarios.observer.is_mail_failing = False
    await scenarios.observer.scan_tables()


def add_totals(observer: Observer, log_bytes: int) -> None:
    for kind, count in observer.scanned.items():
        TOTALS[kind] = TOTALS.get(kind, 0) + count
    TOTALS["bytes"] = TOTALS.get("bytes", 0) + observer.scanner.bytes_seen
    TOTALS["log bytes"] = TOTALS.get("log bytes", 0) + log_bytes


def test_the_command_line_names_nobody_it_was_not_asked_about(
    database, people, tmp_path, monkeypatch
):
    async def fit(dsn: str) -> None:
        """The server of the tests is not durable."""

    monkeypatch.setattr(db, "check_server", fit)
    monkeypatch.setenv("TEKKIE_DATABASE_URL", database.owner_dsn)
    monkeypatch.setenv("TEKKIE_DATA_DIR", str(tmp_path / "data"))
    scanner = Scanner(people.values())
    file = tmp_path / "friends.csv"
    rows = [
        f"{one.who},{one.name},{mail},{phone},{lat},{one.point.lon},10,wifi,de,friend,3"
        for one, mail, phone, lat in (
            (people["f1"], people["f1"].email, people["f1"].phone, people["f1"].point.lat),
            (people["f2"], f"{people['f2'].email}@", people["f2"].phone, 47.3),
            (people["f3"], people["f3"].email, people["f3"].phone + "123456", 47.3),
            (people["f4"], people["f1"].email, people["f4"].phone, 47.3),
            (people["f5"], people["f5"].email, people["f5"].phone, 95.0 + people["f5"].point.lat),
        )
    ]
    head = "ref,name,email,phone,lat,lon,radius_km,certificates,languages,tier,capacity\n"
    file.write_text(head + "\n".join(rows), encoding="utf-8")
    outputs = []
    for arguments in (
        ("friends", "import", str(file)),
        ("doctor",),
        ("doctor", "--json"),
        ("bookings", "list"),
        ("messages", "parked"),
        ("backup", str(tmp_path / "one.backup")),
        ("settings",),
    ):
        done = CliRunner().invoke(tekkie, list(arguments))
        outputs.append((arguments, done.output + done.stderr))
    (_, of_import), *rest = [(words, scanner.find(text)) for words, text in outputs]
    assert [(words, found) for words, found in rest if found] == []
    # Somebody who imports a file is shown the wrong cells of it, and no others.
    assert {(one.who, one.part) for one in of_import} <= {
        ("f1", "email"),
        ("f2", "email"),
        ("f3", "phone"),
    }


async def test_a_planted_leak_is_found(scenarios, monkeypatch):
    observer = scenarios.observer
    customer, at = await scenarios.book()
    await observer.read_everything(scenarios.bookings, list(observer.kinds))
    assert observer.leaks == []
    booking = presenters.present_booking
    with monkeypatch.context() as planted:
        planted.setattr(
            presenters,
            "present_booking",
            lambda *args, **asked: booking(*args, **asked | {"with_customer": True}),
        )
        await observer.get(customer, at)
    assert {leak.found.part for leak in observer.leaks} >= {"name", "phone", "lat", "lon", "notes"}
    observer.leaks.clear()
    await observer.owner.execute(
        "UPDATE messages SET problem = $1", f"550 {observer.people[customer].email} unknown"
    )
    await observer.scan_tables()
    assert {leak.where for leak in observer.leaks} == {"table messages"}
    observer.leaks.clear()
    phone = observer.people[customer].phone
    spaced = f"call 0{phone[3:5]} {phone[5:8]} {phone[8:10]} {phone[10:]}"
    await observer.scan("log", "stderr", "the log", spaced)
    assert [leak.found.part for leak in observer.leaks] == ["phone"]
    assert isinstance(observer.leaks[0], Leak)
    observer.leaks.clear()


@pytest.mark.skipif(not is_whole(), reason="takes minutes: python -m tests.proof.privacy")
@pytest.mark.parametrize("seed", range(2, 6))
async def test_many_scenarios_in_other_orders(rt, owner, clock, people, seed):
    async with open_scenarios(rt, owner, clock, people, seed) as scenarios:
        steps = [*ENDS * 2]
        scenarios.chance.shuffle(steps)
        for how in steps:
            await scenarios.win_and_lose(how)
        await scenarios.complete_and_expire()
        await scenarios.observer.scan_tables()
        assert scenarios.observer.leaks == []
        add_totals(scenarios.observer, 0)


@pytest.mark.skipif(not is_whole(), reason="takes minutes: python -m tests.proof.privacy")
def test_the_totals_are_written():
    """Last in this file: the totals of all scenarios together."""
    rights = [
        (
            reader,
            state,
            ", ".join(sorted(customer)) or "nothing",
            ", ".join(sorted(friend)) or "nothing",
        )
        for (reader, state), (customer, friend) in RIGHTS.items()
    ]
    counted = [(kind, f"{count:,}") for kind, count in sorted(TOTALS.items())]
    write(
        "privacy",
        "## Who reads what\n\n"
        "`python -m tests.proof.privacy`: every name, mail address, telephone number, street, "
        "note and exact coordinate contains a unique marker. Bookings go through every state, "
        "every reader requests all paths at every step, and every answer with its headers, every "
        "stream, every mail (decoded), the log at level DEBUG in both formats, the metrics and "
        "every row outside `people` is searched for markers that its reader may not see at that "
        "moment. None was found.\n\n"
        + table(("read by", "texts scanned"), counted)
        + "\n\nWho may see what:\n\n"
        + table(
            ("reader", "relation to the booking", "of the customer", "of their friend"), rights
        ),
    )
