"""Mails as they travel, read back by the newer half of the standard library."""

from email import message_from_bytes, policy

import pytest

from scheduler.senders.mime import LONGEST_LINE, Written, attachment, text

LONG = "Router einrichten für Änne und Łukasz, morgen früh um 9 Uhr in der Bahnhofstraße 🙂 " * 3
TEXT = "Grüezi\n.\n..\nFrom here = there\n" + "sehr lang " * 40 + "\n\n--=_beef--\n-- \nende \n"
HTML = f'<p title="=_">{LONG}</p>\n'
HEADERS = {
    "From": "tekkie <hello@tekkie.example>",
    "To": "vera@example.com",
    "Subject": "Grüezi",
    "Message-ID": "<beef@tekkie.example>",
}


def mail(**headers):
    return Written(
        headers=HEADERS | headers,
        boundary="beef",
        parts=(text(TEXT, "plain"), text(HTML, "html")),
    )


def read(written):
    return message_from_bytes(written.as_bytes(), policy=policy.default)


def lines(content):
    return content.replace("\r\n", "\n")


def test_text_and_html_arrive_as_they_were_written():
    found = read(mail())
    assert not found.defects
    assert found.get_content_type() == "multipart/alternative"
    assert lines(found.get_body(("plain",)).get_content()) == TEXT
    assert lines(found.get_body(("html",)).get_content()) == HTML


@pytest.mark.parametrize(
    "subject", ["plain", "Grüezi", LONG.strip(), "=?utf-8?q?fake?=", "x" * 200]
)
def test_any_subject_arrives_in_lines_that_every_server_takes(subject):
    whole = mail(Subject=subject).as_bytes()
    assert message_from_bytes(whole, policy=policy.default)["Subject"] == subject
    assert whole.isascii()
    assert max(map(len, whole.split(b"\r\n"))) <= LONGEST_LINE
    assert b"\n" not in whole.replace(b"\r\n", b"")


@pytest.mark.parametrize(
    "sender", ["Nachbarschaft Zürich <a@b.example>", "a@b.example", '"A, B" <a@b.c>']
)
def test_any_sender_s_name_arrives(sender):
    whole = mail(From=sender)
    assert whole.as_bytes().isascii()
    assert read(whole)["From"] == sender
    assert whole.sender == sender.rpartition("<")[2].rstrip(">")


def test_an_attachment_goes_beside_the_text():
    file = bytes(range(256)) * 9
    found = read(mail().attach(attachment(file, 'text/calendar; method="REQUEST"', "a.ics")))
    assert not found.defects
    assert found.get_content_type() == "multipart/mixed"
    assert lines(found.get_body(("plain",)).get_content()) == TEXT
    [part] = found.iter_attachments()
    assert part.get_payload(decode=True) == file
    assert part.get_filename() == "a.ics"
    assert part.get_param("method") == "REQUEST"


def test_an_invitation_says_what_it_is_and_arrives_octet_by_octet():
    file = "BEGIN:VCALENDAR\r\nSUMMARY:Grüezi\r\nEND:VCALENDAR\r\n".encode()
    kind = 'text/calendar; method=CANCEL; charset="utf-8"'
    [part] = read(mail().attach(attachment(file, kind, "a.ics"))).iter_attachments()
    assert part["Content-Type"].params == {"method": "CANCEL", "charset": "utf-8"}
    assert part.get_payload(decode=True) == file


def test_an_attachment_leaves_the_mail_it_was_added_to_as_it_was():
    plain = mail()
    before = plain.as_bytes()
    assert plain.attach(attachment(b"file", "text/calendar", "a.ics")).as_bytes() != before
    assert plain.as_bytes() == before


@pytest.mark.parametrize("ending", ["\n", "\r", "\r\n", "\u2028", "\x85", "\x0b"])
def test_lines_of_a_text_end_as_a_mail_server_wants_them(ending):
    whole = Written(headers=HEADERS, boundary="beef", parts=(text(f"a{ending}b\n", "plain"),))
    assert b"\r" not in whole.as_bytes().replace(b"\r\n", b"")
    assert b"\n" not in whole.as_bytes().replace(b"\r\n", b"")
    [part] = read(whole).iter_parts()
    wanted = "\n" if ending in "\r\n" else ending
    assert lines(part.get_payload(decode=True).decode()) == f"a{wanted}b\n"


def test_an_address_beyond_ascii_travels_as_it_is():
    whole = mail(To="jürg@zürich.example").as_bytes()
    assert "\r\nTo: jürg@zürich.example\r\n".encode() in whole


@pytest.mark.parametrize("name", sorted(HEADERS))
@pytest.mark.parametrize(
    "ending",
    ["\r\nBcc: eve@example.org", "\nX: y", "\rX: y", "\0", "\x85X: y", "\u2028X: y", "\x0bX: y"],
)
def test_no_header_can_bring_another(name, ending):
    with pytest.raises(ValueError, match=name):
        mail(**{name: HEADERS[name] + ending}).as_bytes()


def test_the_same_mail_is_the_same_bytes():
    assert mail().as_bytes() == mail().as_bytes()
