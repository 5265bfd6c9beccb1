"""Every byte that leaves the system is read by somebody who may read it."""

import asyncio
import io
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random

import httpx2
import pytest
from typer.testing import CliRunner

from api.cli.root import app as tekkie
from api.schemas import presenters
from api.server import logging as logs
from api.server.adapters import by_mail
from api.server.app import create_app
from data import db
from data.enums import Channel
from scheduler.relay import Relay
from scheduler.senders.mail import Mail
from scheduler.senders.push import Push
from tests.api.listening import served
from tests.builders import ZURICH, friend_row, north, take_in
from tests.proof.privacy.life import Life
from tests.proof.privacy.marks import Marked, Scanner, marked, order_of
from tests.proof.privacy.rights import RIGHTS, Rights
from tests.proof.privacy.watch import Leak, Watch, listen, until
from tests.proof.report import is_whole, table, write
from tests.receiver import PushService, push_service

FRIENDS, CUSTOMERS = 8, 90
WITH_PHONES = ("f2", "f4")
ENDS = ("silence", "handing back", "the desk", "a visit in vain", "her")
TOTALS: dict[str, int] = {}
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def people() -> dict[str, Marked]:
    """Everybody, each with marks of his own."""
    friends = [(f"f{n}", 100 + n, north(150 * n)) for n in range(1, FRIENDS + 1)]
    customers = [(f"c{n}", 200 + n, north(-10 * n)) for n in range(1, CUSTOMERS + 1)]
    return {
        who: marked(who, number, point)
        for who, number, point in [*friends, *customers, ("desk", 999, ZURICH)]
    }


@pytest.fixture
async def life(rt, owner, clock, people) -> AsyncIterator[Life]:
    """A house full of marked people, and somebody who reads along."""
    async with lived(rt, owner, clock, people, seed=1) as life:
        yield life


@asynccontextmanager
async def lived(rt, owner, clock, people, seed: int) -> AsyncIterator[Life]:
    rows = [
        friend_row(one.who, one.point, name=one.name, email=one.email, phone=one.phone, capacity=20)
        for one in people.values()
        if one.who.startswith("f")
    ]
    friends = await take_in(rt, rows)
    rights = Rights(owner, {one.email: one.who for one in people.values()})

    async def send_login_link(**letter: object) -> None:
        assert letter["link"]

    rt.settings = rt.settings.model_copy(update={"push_hosts": "127.0.0.1"})
    app = create_app(rt, outside=replace(by_mail(rt), send_login_link=send_login_link))
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="https://tekkie.test") as http:
        watch = Watch(rt, http, owner, people, Scanner(people.values()), rights)
        await watch.admit(friends)
        mail = Mail.of(rt)
        sender = Mail(watch, mail.content, mail.sender)
        async with push_service() as service:
            through = {Channel.MAIL: sender, Channel.PUSH: Push.of(rt, sender)}
            relay = Relay(rt, through, wake=lambda: None)
            await have_phones(watch, service)
            yield Life(watch, clock, relay, friends, Random(seed), phones=service)
            await read_phones(watch, service)


async def have_phones(watch: Watch, service: PushService) -> None:
    """Every second friend has a phone that rings; the others are written to."""
    for who in WITH_PHONES:
        phone = service.handset(who)
        answer = await watch.post(who, "/v1/me/push-subscriptions", phone.subscription)
        assert answer.status_code == 201, answer.text
        await watch.post(who, "/v1/me/alarm-test")


async def read_phones(watch: Watch, service: PushService) -> None:
    """Whatever rang is read as it travels and as the phone shows it: it tells of nobody."""
    for who, phone in service.handsets.items():
        for taken in phone.taken:
            text = f"{taken.headers}\n{taken.claims}\n{taken.plain.decode()}"
            await watch.scan("push", who, "a push", text)
    assert watch.leaks == []


def rang(life: Life) -> set[str]:
    """What phones rang for."""
    assert life.phones is not None
    return {
        taken.notification["data"]["kind"]
        for phone in life.phones.handsets.values()
        for taken in phone.taken
    }


@pytest.fixture(params=["text", "json"] if is_whole() else ["json"])
def log(request, monkeypatch) -> Iterator[io.StringIO]:
    """What the service writes to stderr at its most talkative."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    paper = io.StringIO()
    monkeypatch.setattr(sys, "stderr", paper)
    levels = {name: logging.getLogger(name).level for name in logs.NOISY}
    logs.configure(request.param, level=logging.DEBUG)
    yield paper
    root.handlers[:] = before
    root.setLevel(level)
    for name, former in levels.items():
        logging.getLogger(name).setLevel(former)
    logging.getLogger("uvicorn.access").disabled = False


async def live(life: Life) -> None:
    """Everything that can happen to a booking."""
    await life.what_goes_wrong()
    await life.done_and_forgotten()
    for how in ENDS:
        await life.lost_again(how)
    await life.nobody_comes()
    for path in ("/docs", "/openapi.json"):
        await life.watch.get("nobody", path)
    await life.watch.scan_tables()


async def test_nobody_reads_what_he_may_not_in_a_whole_life(life, log, owner, people):
    watch = life.watch
    told: dict[str, list[str]] = {who: [] for who in ("f1", "f4", "desk", "shop")}
    async with served(watch.http._transport.app) as url:
        readers = [asyncio.create_task(listen(watch, url, who, told[who])) for who in told]
        try:
            await asyncio.gather(*(until(lines, "ready") for lines in told.values()))
            await live(life)
            await the_database_quotes_a_row(life)
            await the_mail_server_is_sick(life)
            await until(told["desk"], "booking.unfilled")
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)
    assert rang(life) > {"alarm", "offer"}
    for who, lines in told.items():
        await watch.scan("stream", who, "GET /v1/live", "\n".join(lines))
    await watch.scan("log", "stderr", "the log", log.getvalue())
    assert watch.leaks == []
    assert watch.rights.used >= set(RIGHTS) - {
        ("customer", "own, nobody holds it"),
        ("logs, metrics, health, streams, documents", "any"),
        ("anybody", "none"),
        ("push", "any"),
    }
    assert watch.answers.keys() >= {200, 201, 202, 401, 403, 404, 409, 422, 500}
    assert "Traceback" in log.getvalue()
    account(watch, len(log.getvalue()))


async def the_database_quotes_a_row(life: Life) -> None:
    """PostgreSQL refuses a customer, and quotes her whole row to whoever writes logs."""
    one = life.watch.people[f"c{life.next_customer}"]
    await life.watch.owner.execute(
        "ALTER TABLE people ADD CONSTRAINT planted CHECK (name NOT LIKE 'Fi%' OR kind <> "
        "'customer') NOT VALID"
    )
    answer = await life.watch.post("nobody", "/v1/bookings", order_of(one))
    assert answer.status_code == 500, answer.text
    await life.watch.owner.execute("ALTER TABLE people DROP CONSTRAINT planted")


async def the_mail_server_is_sick(life: Life) -> None:
    """A mail cannot be sent: what is written down about it names nobody."""
    life.watch.sick = True
    await life.book()
    await life.deliver()
    life.watch.sick = False
    await life.watch.scan_tables()


def account(watch: Watch, log_bytes: int) -> None:
    for kind, count in watch.scanned.items():
        TOTALS[kind] = TOTALS.get(kind, 0) + count
    TOTALS["bytes"] = TOTALS.get("bytes", 0) + watch.scanner.bytes_seen
    TOTALS["log bytes"] = TOTALS.get("log bytes", 0) + log_bytes


def test_the_command_line_names_nobody_whom_it_was_not_asked_about(
    database, people, tmp_path, monkeypatch
):
    async def fit(dsn: str) -> None:
        """The server of the tests trades durability for speed."""

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
    said = []
    for words in (
        ("friends", "import", str(file)),
        ("doctor",),
        ("doctor", "--json"),
        ("bookings", "list"),
        ("messages", "parked"),
        ("backup", str(tmp_path / "one.backup")),
        ("settings",),
    ):
        done = CliRunner().invoke(tekkie, list(words))
        said.append((words, done.output + done.stderr))
    (_, of_import), *rest = [(words, scanner.found(text)) for words, text in said]
    assert [(words, found) for words, found in rest if found] == []
    # Whoever imports has the file before him and is shown the cell that is wrong, no other.
    assert {(one.who, one.part) for one in of_import} <= {
        ("f1", "email"),
        ("f2", "email"),
        ("f3", "phone"),
    }


async def test_a_planted_leak_is_seen(life, monkeypatch):
    watch = life.watch
    customer, at = await life.book()
    await watch.look_around(life.bookings, list(watch.kinds))
    assert watch.leaks == []
    booking = presenters.booking
    with monkeypatch.context() as planted:
        planted.setattr(
            presenters,
            "booking",
            lambda *args, **asked: booking(*args, **asked | {"with_customer": True}),
        )
        await watch.get(customer, at)
    assert {leak.found.part for leak in watch.leaks} >= {"name", "phone", "lat", "lon", "notes"}
    watch.leaks.clear()
    await watch.owner.execute(
        "UPDATE messages SET problem = $1", f"550 {watch.people[customer].email} unknown"
    )
    await watch.scan_tables()
    assert {leak.where for leak in watch.leaks} == {"table messages"}
    watch.leaks.clear()
    phone = watch.people[customer].phone
    spaced = f"call 0{phone[3:5]} {phone[5:8]} {phone[8:10]} {phone[10:]}"
    await watch.scan("log", "stderr", "the log", spaced)
    assert [leak.found.part for leak in watch.leaks] == ["phone"]
    assert isinstance(watch.leaks[0], Leak)
    watch.leaks.clear()


@pytest.mark.skipif(not is_whole(), reason="takes minutes: python -m tests.proof.privacy")
@pytest.mark.parametrize("seed", range(2, 6))
async def test_many_lives_in_other_orders(rt, owner, clock, people, seed):
    async with lived(rt, owner, clock, people, seed) as life:
        steps = [*ENDS * 2]
        life.chance.shuffle(steps)
        for how in steps:
            await life.lost_again(how)
        await life.done_and_forgotten()
        await life.watch.scan_tables()
        assert life.watch.leaks == []
        account(life.watch, 0)


@pytest.mark.skipif(not is_whole(), reason="takes minutes: python -m tests.proof.privacy")
def test_the_account_is_written_down():
    """Last in this file: what all lives together let out."""
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
        "note and exact coordinate bears a mark of its own. Bookings live through every state, "
        "everybody reads all he can reach at every step, and every answer with its headers, every "
        "stream, every mail (decoded), the log at its most talkative in both formats, the "
        "metrics and every row outside `people` is searched for marks that its reader may not "
        "see at that moment. None was found.\n\n"
        + table(("read by", "texts scanned"), counted)
        + "\n\nWho may see what:\n\n"
        + table(("reader", "how he stands to it", "of the customer", "of her friend"), rights),
    )
