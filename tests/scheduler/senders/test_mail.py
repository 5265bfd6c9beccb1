"""Mail against a real SMTP server on loopback, and into the folder."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from uuid import UUID

import pytest
from aiosmtpd.smtp import SMTP, AuthResult
from icalendar import Calendar

from data.markets import Language
from data.records.jobs import Protocol
from data.settings import Settings
from dispatch.flows.jobs import commands
from dispatch.rules.jobs.customer_links import customer_token, named_booking
from scheduler.relay import Relay
from scheduler.senders import GiveUp, Retry, Sent
from scheduler.senders.letters import Letter
from scheduler.senders.mail import FolderTransport, SmtpTransport, compose, mail_transport
from scheduler.senders.mail_folder import delete_mails
from scheduler.worker import default_senders
from tests.builders import SIGNED, book_and_accept, book_job, import_neighbours, live_offers_of

MAIL_ID = UUID("0197f0a0-0000-7000-8000-000000000009")
TO = "vera@example.com"
BEYOND_ASCII = "jürg@example.com"


class Box:
    """A mail server's handler that keeps what it takes, and answers as it was told to."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.recipients: list[str] = []
        self.port = 0
        self.utf8 = True
        self.rcpt = "250 OK"
        self.data = "250 OK"
        self.silent: asyncio.Event | None = None

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        if self.rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
            self.recipients.append(address)
        return self.rcpt

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        if self.silent:
            await self.silent.wait()
        if self.data.startswith("250"):
            self.mails.append(envelope.content)
        return self.data

    @property
    def address(self):
        return {"hostname": "127.0.0.1", "port": self.port, "start_tls": False}

    def parsed(self):
        return [message_from_bytes(mail, policy=policy.default) for mail in self.mails]


@pytest.fixture
async def box():
    kept = Box()

    def refuse(server, session, envelope, mechanism, data):
        return AuthResult(success=data.password == b"right", handled=False)

    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(
            kept,
            authenticator=refuse,
            auth_require_tls=False,
            auth_exclude_mechanism=[],
            enable_SMTPUTF8=kept.utf8,
        ),
        "127.0.0.1",
        0,
    )
    kept.port = server.sockets[0].getsockname()[1]
    yield kept
    server.close()
    if kept.silent:
        kept.silent.set()
    await server.wait_closed()


def at(box: Box, tmp_path, **changes) -> Settings:
    known = {"smtp_host": "127.0.0.1", "smtp_port": box.port, "data_dir": tmp_path}
    return Settings(**known | changes)


@pytest.fixture
def letter():
    mail = letter_to(TO)
    assert mail["Message-ID"] == f"<{MAIL_ID}@tekkie.example>"
    return mail


def letter_to(email, sender="tekkie <hello@tekkie.example>", mail_id=MAIL_ID):
    return compose(
        Letter(subject="Grüezi", text="Ä text\n", html="<p>Ä text</p>"),
        sender=sender,
        to=email,
        mail_id=mail_id,
        at=datetime(2026, 3, 2, 9, tzinfo=UTC),
    )


async def test_a_mail_arrives_with_text_and_html(box, tmp_path, letter):
    assert await mail_transport(at(box, tmp_path)).deliver(letter, TO) == Sent()
    (mail,) = box.parsed()
    assert mail["Subject"] == "Grüezi"
    assert mail["To"] == "vera@example.com"
    assert mail["From"] == "tekkie <hello@tekkie.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime == datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert mail.get_body(("plain",)).get_content() == "Ä text\r\n"
    assert "Ä text" in mail.get_body(("html",)).get_content()


async def test_an_address_beyond_ascii_is_asked_for_and_written_as_it_is(box):
    assert await SmtpTransport(box.address).deliver(letter_to(BEYOND_ASCII), BEYOND_ASCII) == Sent()
    assert box.recipients == ["jürg@example.com"]
    assert "\r\nTo: jürg@example.com\r\n".encode() in box.mails[0]


@pytest.mark.parametrize("known", ["anna@müller.example", "anna@xn--mller-kva.example"])
@pytest.mark.parametrize("utf8", [True, False])
async def test_a_domain_beyond_ascii_is_written_as_every_server_takes_it(box, utf8, known):
    box.utf8 = utf8
    assert await SmtpTransport(box.address).deliver(letter_to(known), known) == Sent()
    assert box.recipients == ["anna@xn--mller-kva.example"]
    assert b"\r\nTo: anna@xn--mller-kva.example\r\n" in box.mails[0]


async def test_an_address_that_this_server_cannot_take_is_not_tried_for_days(box):
    box.utf8 = False
    result = await SmtpTransport(box.address).deliver(letter_to(BEYOND_ASCII), BEYOND_ASCII)
    assert result == GiveUp("the mail server takes no addresses beyond ASCII (SMTPUTF8)")
    assert box.recipients == []


async def test_a_sender_may_have_a_domain_beyond_ascii(box):
    mail = letter_to(TO, sender="tekkie <hilfe@grüezi.example>")
    assert await SmtpTransport(box.address).deliver(mail, TO) == Sent()
    assert box.parsed()[0]["From"] == "tekkie <hilfe@xn--grezi-lva.example>"


@pytest.mark.parametrize(
    ("where", "reply", "result"),
    [
        (
            "rcpt",
            "451 4.3.0 vera@example.com",
            Retry("the mail server refused it for now: 451 4.3.0"),
        ),
        ("rcpt", "421 closing", Retry("the mail server refused it for now: 421")),
        ("data", "452 4.2.2 full", Retry("the mail server refused it for now: 452 4.2.2")),
        ("rcpt", "550 5.1.1 <vera@example.com>", GiveUp("the mail server refused it: 550 5.1.1")),
        ("data", "554 no spam, vera", GiveUp("the mail server refused it: 554")),
    ],
)
async def test_4xx_means_later_and_5xx_never(box, letter, where, reply, result):
    setattr(box, where, reply)
    assert await SmtpTransport(box.address).deliver(letter, TO) == result
    assert box.mails == []


async def test_silence_means_later(box, letter):
    box.silent = asyncio.Event()
    result = await SmtpTransport(box.address, timeout_s=0.1).deliver(letter, TO)
    assert isinstance(result, Retry)


async def test_nobody_there_means_later(box, tmp_path, letter):
    async with await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0) as gone:
        port = gone.sockets[0].getsockname()[1]
    result = await mail_transport(at(box, tmp_path, smtp_port=port)).deliver(letter, TO)
    assert isinstance(result, Retry)
    assert "does not answer" in result.problem


@pytest.mark.parametrize("tls", ["tls", "starttls"])
async def test_without_encryption_nothing_is_sent_where_it_is_demanded(box, tmp_path, letter, tls):
    result = await mail_transport(at(box, tmp_path, smtp_tls=tls)).deliver(letter, TO)
    assert isinstance(result, Retry)
    assert box.mails == []


async def test_a_wrong_password_is_retried_and_parks_no_mail(box, tmp_path, letter):
    right = at(box, tmp_path, smtp_user="me", smtp_password="right")
    assert await mail_transport(right).deliver(letter, TO) == Sent()
    wrong = at(box, tmp_path, smtp_user="me", smtp_password="wrong")
    assert await mail_transport(wrong).deliver(letter, TO) == Retry(
        "the mail server refused the login: 535 5.7.8"
    )


async def test_without_a_server_mails_lie_in_a_folder_once(tmp_path, letter):
    folder = mail_transport(Settings(data_dir=tmp_path))
    assert await folder.deliver(letter, TO) == Sent()
    assert await folder.deliver(letter, TO) == Sent()
    (file,) = (tmp_path / "mails").iterdir()
    assert file.name == f"{MAIL_ID}.eml"
    mail = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert mail["Subject"] == "Grüezi"


@pytest.mark.parametrize("email", [TO, "vera@müller.example", "véra@example.com"])
async def test_a_mail_in_the_folder_is_deleted_by_its_address(tmp_path, email):
    folder = FolderTransport(tmp_path)
    for to, mail_id in ((email, MAIL_ID), ("jan@example.com", UUID(int=1))):
        await folder.deliver(letter_to(to, mail_id=mail_id), to)
    assert delete_mails(tmp_path, [email.replace("v", "V", 1)], []) == 1
    assert [path.stem for path in tmp_path.iterdir()] == [str(UUID(int=1))]


@pytest.fixture
async def post_office(rt, box, tmp_path):
    """Delivers all that is due to the box; `await post_office()` returns the mails by subject."""
    settings = rt.settings.model_copy(update={"smtp_host": "127.0.0.1", "smtp_port": box.port})
    rt.settings = settings
    relay = Relay(rt, default_senders(rt), request_tick=lambda: None)

    async def deliver():
        before = len(box.mails)
        for _ in range(6):
            await relay.tick()
            if relay._under_way:
                await asyncio.wait(relay._under_way, timeout=10)
        return box.parsed()[before:]

    yield deliver
    await relay.finish(5)


def to(mails, email):
    return [mail for mail in mails if mail["To"] == email]


def text(mail) -> str:
    return mail.get_body(("plain",)).get_content()


def friend_email(offer, refs):
    return next(f"{ref}@example.org" for ref, id_ in refs.items() if id_ == offer.friend_id)


async def test_the_asked_see_the_offer_and_not_the_customer(rt, post_office, messages):
    refs = await import_neighbours(rt, 4)
    done = await book_job(rt)
    mails = await post_office()
    assert len(mails) == 5
    for offer in live_offers_of(done):
        (mail,) = to(mails, friend_email(offer, refs))
        assert f"https://tekkie.test/friend/offers/{offer.id}" in text(mail)
        assert "CHF" in text(mail)
        for secret in ("Vera", "Beispiel", "Bahnhofstrasse", "vera@", "+4144", "Third floor"):
            assert secret not in mail.as_string()
    ids = {str(row["id"]) for row in await messages()}
    assert {mail["Message-ID"].strip("<>").partition("@")[0] for mail in mails} == ids


async def test_the_customers_link_leads_to_their_booking(rt, post_office):
    await import_neighbours(rt, 4)
    done = await book_job(rt)
    (mail,) = to(await post_office(), "vera@example.com")
    assert "4 Personen" in text(mail)
    token = re.search(r"https://tekkie\.test/job/(\S+)", text(mail))[1]
    assert named_booking(token) == done.job.booking.id


async def test_a_letter_has_the_link_that_is_valid_when_it_is_sent(rt, post_office):
    await import_neighbours(rt, 4)
    booking_id = (await book_job(rt)).job.booking.id
    await commands.renew_link(rt, booking_id, actor="customer", may_act=lambda job: True)
    mails = to(await post_office(), "vera@example.com")
    assert [mail["Subject"].partition(":")[0] for mail in mails][-1] == "Ihr neuer Link"
    assert len(mails) == 2
    for mail in mails:
        assert f"/job/{customer_token(rt.settings.key(), booking_id, 1)}" in text(mail)


async def test_an_offer_taken_before_it_was_mailed_is_not_mailed(rt, post_office, messages):
    refs = await import_neighbours(rt, 4)
    _, offer = await book_and_accept(rt)
    mails = await post_office()
    assert len(to(mails, friend_email(offer, refs))) == 1
    assert {row["state"] for row in await messages(template="offer")} == {"expired"}
    found = to(mails, "vera@example.com")[-1]
    assert "F1" in text(found)
    assert "Muster" not in text(found)


@pytest.mark.parametrize(
    ("name", "called"),
    [("Dr. Anna Muster", "Anna"), ("Muster, Beat", "Beat"), ("Herr Keller", "Herr Keller")],
)
async def test_a_friend_is_announced_by_the_first_name(rt, post_office, name, called):
    await import_neighbours(rt, 1, name=name)
    await book_and_accept(rt)
    found = to(await post_office(), "vera@example.com")[-1]
    assert found["Subject"].startswith(f"{called} hilft Ihnen")


async def test_a_friend_without_a_name_is_announced_all_the_same(rt, owner, post_office, messages):
    await import_neighbours(rt, 1)
    await owner.execute("UPDATE people SET name = $1 WHERE kind = 'friend'", "\u200b\u3164")
    await book_and_accept(rt)
    found = to(await post_office(), "vera@example.com")[-1]
    assert found["Subject"].startswith("tekkie hilft Ihnen")
    assert await messages(state="parked") == []


async def test_a_friend_who_lost_the_job_meanwhile_is_not_named(rt, post_office, messages):
    await import_neighbours(rt, 4)
    booking_id, offer = await book_and_accept(rt)
    await commands.hand_back(rt, booking_id, offer.friend_id, "cannot_help", None)
    await post_office()
    assert (await messages(template="friend_found"))[0]["state"] == "expired"
    assert (await messages(template="friend_changed"))[0]["state"] == "sent"


async def test_both_get_an_invitation_that_a_later_one_replaces(rt, owner, clock, post_office):
    refs = await import_neighbours(rt, 1)
    booking_id, offer = await book_and_accept(rt)
    await commands.confirm_contact(rt, booking_id, offer.friend_id)
    starts_at = await clock.now() + timedelta(days=1)
    await commands.schedule(rt, booking_id, offer.friend_id, starts_at, None)
    first = invitations(await post_office())
    await commands.schedule(rt, booking_id, offer.friend_id, starts_at + timedelta(hours=2), None)
    moved = invitations(await post_office())
    assert first.keys() == moved.keys() == {"vera@example.com", friend_email(offer, refs)}
    downloaded = await owner.fetchval("SELECT appointment_revision FROM awards")
    for reader, event in moved.items():
        assert event["SEQUENCE"] == downloaded
        assert event["UID"] == first[reader]["UID"] == str(booking_id)
        assert event["SEQUENCE"] > first[reader]["SEQUENCE"]
        assert event.decoded("DTSTART") == starts_at + timedelta(hours=2)
    assert moved["vera@example.com"]["LOCATION"] == "Bahnhofstrasse 1, 8001 Zürich"
    assert "Bahnhofstrasse" not in moved[friend_email(offer, refs)]["LOCATION"]
    await commands.cancel(rt, booking_id, actor="customer", reason="ill", may_act=lambda job: True)
    gone = invitations(await post_office())
    assert {event["STATUS"] for event in gone.values()} == {"CANCELLED"}
    assert all(gone[r]["SEQUENCE"] > moved[r]["SEQUENCE"] for r in gone)
    assert gone.keys() == moved.keys()


def invitations(mails):
    found = {}
    for mail in mails:
        for part in mail.iter_attachments():
            assert part.get_content_type() == "text/calendar"
            raw = part.get_payload(decode=True)
            assert part.get_param("method").encode() in raw
            found[str(mail["To"])] = Calendar.from_ical(raw).walk("VEVENT")[0]
    return found


async def test_an_appointment_moved_before_it_was_mailed_is_mailed_once(
    rt, clock, post_office, messages
):
    await import_neighbours(rt, 1)
    booking_id, offer = await book_and_accept(rt)
    await commands.confirm_contact(rt, booking_id, offer.friend_id)
    starts_at = await clock.now() + timedelta(days=1)
    await commands.schedule(rt, booking_id, offer.friend_id, starts_at, None)
    await commands.schedule(rt, booking_id, offer.friend_id, starts_at + timedelta(hours=2), None)
    mails = await post_office()
    assert len(invitations(mails)) == 2
    states = [row["state"] for row in await messages(template="appointment")]
    assert sorted(states) == ["expired", "expired", "sent", "sent"]


async def test_every_step_of_a_whole_life_is_mailed(rt, clock, post_office, messages):
    await import_neighbours(rt, 4)
    booking_id, offer = await book_and_accept(rt)
    friend = offer.friend_id
    await clock.advance(timedelta(hours=8))
    await commands.fire_due_timers(rt, 100)
    await post_office()
    await commands.confirm_contact(rt, booking_id, friend)
    await commands.schedule(rt, booking_id, friend, await clock.now() + timedelta(hours=3), None)
    await post_office()
    await commands.start(rt, booking_id, friend)
    await post_office()
    await commands.complete(
        rt, booking_id, friend, Protocol(summary="New channel.", minutes=40), SIGNED
    )
    await commands.rate(
        rt, booking_id, stars=5, comment=None, claim=None, build_response=lambda d: {}
    )
    await post_office()
    rows = await messages()
    assert [(r["template"], r["problem"]) for r in rows if r["state"] == "parked"] == []
    sent = {row["template"] for row in rows if row["state"] == "sent"}
    assert sent >= {
        *("booked", "awarded", "friend_found", "contact_reminder", "contacted"),
        *("appointment", "started", "completed", "rated"),
    }


async def test_a_missed_deadline_and_an_empty_neighbourhood_are_mailed(
    rt, clock, post_office, messages
):
    await import_neighbours(rt, 1)
    await book_and_accept(rt)
    await post_office()
    await clock.advance(timedelta(hours=12))
    for _ in range(3):
        await commands.fire_due_timers(rt, 100)
    await post_office()
    sent = {row["template"] for row in await messages() if row["state"] == "sent"}
    assert sent >= {"contact_missed", "friend_changed", "unfilled"}
    assert await messages(state="parked") == []


@pytest.mark.parametrize("language", list(Language))
async def test_every_customer_gets_mail_in_their_own_language(rt, post_office, language):
    await import_neighbours(rt, 1, languages=(language,))
    await book_job(rt, language=language)
    (mail,) = to(await post_office(), "vera@example.com")
    name = rt.packages["wifi-setup"].texts[language].name
    assert name in text(mail).replace("\n", " ")


async def test_an_erased_person_gets_no_mail(rt, owner, post_office, messages):
    await import_neighbours(rt, 1)
    done = await book_job(rt)
    await owner.execute(
        "UPDATE people SET erased_at = moment() WHERE id = $1", done.job.booking.customer_id
    )
    mails = await post_office()
    assert to(mails, "vera@example.com") == []
    assert (await messages(template="booked"))[0]["state"] == "expired"


async def test_a_refused_address_parks_one_mail_and_no_name(rt, box, post_office, messages):
    await import_neighbours(rt, 1)
    await book_job(rt)
    box.rcpt = "550 5.1.1 <vera@example.com>: no such user"
    await post_office()
    row = (await messages(template="booked"))[0]
    assert (row["state"], row["problem"]) == (
        "parked",
        "the mail server refused it: 550 5.1.1",
    )
