"""Composed mails as they travel, parsed by the newer policy of the standard library."""

from datetime import UTC, datetime
from email import message_from_bytes, policy
from uuid import UUID

import pytest

from scheduler.senders.letters import Letter
from scheduler.senders.mail import LONGEST_LINE, attach_calendar, bare_address, compose

LONG = "Router einrichten für Änne und Łukasz, morgen früh um 9 Uhr in der Bahnhofstraße 🙂 " * 3
TEXT = "Grüezi\n.\n..\nFrom here = there\n" + "sehr lang " * 40 + "\n\n--=_beef--\n-- \nende \n"
HTML = f'<p title="=_">{LONG}</p>\n'
SENDER = "tekkie <hello@tekkie.example>"
MAIL_ID = UUID("0197f0a0-0000-7000-8000-000000000009")
AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
INVITATION = "BEGIN:VCALENDAR\r\nSUMMARY:Grüezi\r\nEND:VCALENDAR\r\n".encode()


def mail(*, subject="Grüezi", text=TEXT, html=HTML, sender=SENDER, to="vera@example.com"):
    letter = Letter(subject=subject, text=text, html=html)
    return compose(letter, sender=sender, to=to, mail_id=MAIL_ID, at=AT)


def invited(file=INVITATION, method="REQUEST"):
    composed = mail()
    attach_calendar(composed, file, method=method)
    return composed


def read(composed):
    return message_from_bytes(composed.as_bytes(), policy=policy.default)


def lines(content):
    return content.replace("\r\n", "\n")


def test_headers_name_sender_recipient_and_date():
    found = read(mail())
    assert not found.defects
    assert {name: found[name] for name in ("From", "To", "Subject")} == {
        "From": SENDER,
        "To": "vera@example.com",
        "Subject": "Grüezi",
    }
    assert found["Date"].datetime == AT
    assert found["Message-ID"] == f"<{MAIL_ID}@tekkie.example>"
    assert found["Auto-Submitted"] == "auto-generated"
    assert found["MIME-Version"] == "1.0"


def test_text_and_html_arrive_as_they_were_written():
    found = read(mail())
    assert not found.defects
    assert found.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in found.iter_parts()] == ["text/plain", "text/html"]
    for kind, content in (("plain", TEXT), ("html", HTML)):
        part = found.get_body((kind,))
        assert not part.defects
        assert part.get_content_charset() == "utf-8"
        assert part["Content-Transfer-Encoding"] == "quoted-printable"
        assert lines(part.get_content()) == content


@pytest.mark.parametrize(
    "subject", ["plain", "Grüezi", LONG.strip(), "=?utf-8?q?fake?=", "x" * 200]
)
def test_any_subject_arrives_in_lines_that_every_server_takes(subject):
    whole = mail(subject=subject).as_bytes()
    assert message_from_bytes(whole, policy=policy.default)["Subject"] == subject
    assert whole.isascii()
    assert max(map(len, whole.split(b"\r\n"))) <= LONGEST_LINE
    assert b"\n" not in whole.replace(b"\r\n", b"")


@pytest.mark.parametrize(
    "sender", ["Nachbarschaft Zürich <a@b.example>", "a@b.example", '"A, B" <a@b.c>']
)
def test_any_display_name_of_the_sender_arrives(sender):
    composed = mail(sender=sender)
    assert composed.as_bytes().isascii()
    assert read(composed)["From"] == sender
    assert bare_address(composed["From"]) == sender.rpartition("<")[2].rstrip(">")


@pytest.mark.parametrize("method", ["REQUEST", "CANCEL"])
def test_an_invitation_goes_beside_the_text_and_names_its_method(method):
    found = read(invited(method=method))
    assert not found.defects
    assert found.get_content_type() == "multipart/mixed"
    assert lines(found.get_body(("plain",)).get_content()) == TEXT
    assert lines(found.get_body(("html",)).get_content()) == HTML
    [part] = found.iter_attachments()
    assert part.get_content_type() == "text/calendar"
    assert part["Content-Type"].params == {"method": method, "charset": "utf-8"}
    assert part.get_filename() == "appointment.ics"


@pytest.mark.parametrize("file", [INVITATION, bytes(range(256)) * 9])
def test_an_invitation_arrives_octet_by_octet(file):
    composed = invited(file)
    assert composed.as_bytes().isascii()
    [part] = read(composed).iter_attachments()
    assert part.get_payload(decode=True) == file


@pytest.mark.parametrize("ending", ["\n", "\r", "\r\n", "\u2028", "\x85", "\x0b"])
def test_lines_of_a_text_end_as_a_mail_server_wants_them(ending):
    composed = mail(text=f"a{ending}b\n")
    whole = composed.as_bytes()
    assert b"\r" not in whole.replace(b"\r\n", b"")
    assert b"\n" not in whole.replace(b"\r\n", b"")
    wanted = "\n" if ending in "\r\n" else ending
    part = read(composed).get_body(("plain",))
    assert lines(part.get_payload(decode=True).decode()) == f"a{wanted}b\n"


def test_an_address_beyond_ascii_travels_as_it_is():
    whole = mail(to="jürg@zürich.example").as_bytes()
    assert "\r\nTo: jürg@zürich.example\r\n".encode() in whole


@pytest.mark.parametrize(
    ("name", "field"), [("From", "sender"), ("To", "to"), ("Subject", "subject")]
)
@pytest.mark.parametrize(
    "ending",
    ["\r\nBcc: eve@example.org", "\nX: y", "\rX: y", "\0", "\x85X: y", "\u2028X: y", "\x0bX: y"],
)
def test_no_header_can_bring_another(name, field, ending):
    with pytest.raises(ValueError, match=name):
        mail(**{field: f"vera@example.com{ending}"})


def test_the_same_mail_is_the_same_bytes():
    assert mail().as_bytes() == mail().as_bytes()
    assert invited().as_bytes() == invited().as_bytes()
