from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from importlib.resources import files
from typing import Any

import pytest
from babel import Locale

from data.enums import Audience, Channel
from data.markets import Currency, Language
from data.records.money import Money
from dispatch.rules import journal
from dispatch.rules.jobs import events
from scheduler.account_mails import READERS
from scheduler.senders.letters import (
    FIELDS,
    KINDS,
    OF_ACCOUNTS,
    InvalidFact,
    InvalidTexts,
    Kind,
    UnknownLetter,
    read_texts,
    render,
    texts,
)
from scheduler.senders.push import PHONES_ONLY
from scheduler.senders.push_texts import ALARM, TEMPLATES

ALL = [(audience, template) for audience in FIELDS for template in FIELDS[audience]]
LANGUAGES = list(Language)
LINK = "https://tekkie.example/b/k3?a=1&b=2"


SAMPLES = {
    Kind.MONEY: Money(amount=1725, currency=Currency.CHF),
    Kind.SPAN: timedelta(minutes=20),
    Kind.COUNT: 3,
}


def facts(**changed: object) -> dict[str, object]:
    known: dict[str, object] = {
        "timezone": "Europe/Zurich",
        "package": "WLAN einrichten",
        "area": "Wiedikon",
        "first_name": "Luca",
        "reasons": "Zwei Einsätze begannen zu spät.",
        "pay": Money(amount=4900, currency=Currency.CHF),
        "price": Money(amount=6900, currency=Currency.CHF),
        "fee": Money(amount=1725, currency=Currency.CHF),
        "share": Money(amount=1380, currency=Currency.CHF),
        "expires_at": datetime(2026, 3, 4, 20, 7, tzinfo=UTC),
        "contact_due_at": datetime(2026, 3, 4, 20, 7, tzinfo=UTC),
        "starts_at": datetime(2026, 3, 30, 12, 0, tzinfo=UTC),
        "ends_at": datetime(2026, 3, 30, 13, 30, tzinfo=UTC),
        "time_left": timedelta(hours=4),
        "distance_m": 1234,
        "helpers": 4,
        "link": LINK,
        "code": "012345",
        "certificate": "WLAN und Heimnetz",
        "until": datetime(2026, 3, 30, 12, 0, tzinfo=UTC),
        "answer_by": datetime(2026, 3, 30, 13, 0, tzinfo=UTC),
        "level": "2",
        "level_before": "1",
    }
    of_events = {name: SAMPLES[kind] for name, kind in KINDS.items() if kind in SAMPLES}
    return {**of_events, **known, **changed}


class Page(HTMLParser):
    """Collects what a mail program would see."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str | None] = []
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in {"href", "src"}]

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("audience", "template"), ALL)
def test_every_letter_is_written_in_every_language(
    audience: Audience, template: str, language: Language
) -> None:
    letter = render(template, language, facts(), audience=audience)
    page = Page(letter.html)
    assert 0 < len(letter.subject) <= 120
    assert "\n" not in letter.subject
    assert not set("{}") & set(letter.subject + letter.text + page.words)
    assert page.links == ([LINK] if "link" in FIELDS[audience][template] else [])
    assert not {"img", "script", "link", "style"} & set(page.tags)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("audience", "template"), ALL)
def test_a_letter_looks_at_its_declared_facts_and_at_no_other(
    audience: Audience, template: str, language: Language
) -> None:
    declared = FIELDS[audience][template]
    seen: set[str] = set()

    class Watched(dict[str, object]):
        def __getitem__(self, key: str) -> object:
            seen.add(key)
            return super().__getitem__(key)

        def get(self, key: str, default: Any = None) -> Any:
            seen.add(key)
            return super().get(key, default)

    render(template, language, Watched(facts(name="Anna Muster")), audience=audience)
    assert seen - {"timezone"} == declared


@pytest.mark.parametrize("template", sorted(FIELDS[Audience.FRIEND].keys() - {"guardian_asked"}))
def test_no_letter_to_a_friend_can_name_the_customer(template: str) -> None:
    of_the_friend = {"certificate", "until", "level", "level_before", "reasons"}
    about_the_job = {"package", "pay", "share", "area", "distance_m", "link", "code"}
    moments = {"expires_at", "contact_due_at", "time_left", "starts_at", "ends_at", "answer_by"}
    assert FIELDS[Audience.FRIEND][template] <= about_the_job | moments | of_the_friend


def test_every_letter_belongs_to_an_event_or_a_sign_in_and_every_template_has_its_letter() -> None:
    templates = events.TEMPLATES.keys() | journal.TEMPLATES.keys()
    of_phones = {(Audience.FRIEND, template) for template in PHONES_ONLY}
    of_accounts = {(reader, name) for reader, names in OF_ACCOUNTS.items() for name in names}
    assert {(reader, "login_link") for reader in READERS.values()} <= of_accounts
    assert set(ALL) == templates - of_phones | of_accounts


def test_every_push_has_its_text_and_every_text_its_push() -> None:
    pushed = {one.name for one in events.TEMPLATES.values() if one.channel is Channel.PUSH}
    assert pushed >= PHONES_ONLY
    assert pushed | {ALARM} == TEMPLATES


def test_every_field_has_a_kind_and_every_kind_a_field() -> None:
    assert {f for letters in FIELDS.values() for fields in letters.values() for f in fields} == set(
        KINDS
    )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("audience", "template"), ALL)
def test_every_letter_escapes_its_facts(
    audience: Audience, template: str, language: Language
) -> None:
    evil = '<script>alert("1")</script>&<img src=x>'
    changed = dict.fromkeys(("package", "area", "first_name", "booking", "letter"), evil)
    link = 'https://tekkie.example/"><script>'
    page = Page(render(template, language, facts(**changed, link=link), audience=audience).html)
    assert not {"script", "img"} & set(page.tags)
    assert page.links in ([], [link])


def test_a_fact_adds_no_line_to_the_subject() -> None:
    letter = render(
        "offer", Language.EN, facts(package="Wi-Fi\r\nBcc: x@example.org"), audience=Audience.FRIEND
    )
    assert letter.subject == "A job near you: Wi-Fi Bcc: x@example.org"


def test_braces_in_a_fact_stay_what_they_are() -> None:
    letter = render("offer", Language.EN, facts(package="{link}"), audience=Audience.FRIEND)
    assert letter.subject == "A job near you: {link}"


@pytest.mark.parametrize(
    ("language", "timezone", "words"),
    [
        (Language.DE, "Europe/Zurich", ["CHF 49.00", "1.2 km", "Mittwoch, 4. März, 21:07"]),
        (Language.EN, "Europe/Berlin", ["about 1,2 km", "Wednesday 4 March, 21:07"]),
        (Language.FR, "Europe/Zurich", ["49,00 CHF", "mercredi 4 mars à 21:07"]),
        (Language.IT, "Europe/Zurich", ["CHF 49.00", "mercoledì 4 marzo, ore 21:07"]),
        (Language.PL, "Europe/Warsaw", ["49,00 CHF", "środa, 4 marca, godz. 21:07"]),
    ],
)
def test_money_distance_and_time_follow_the_reader_and_the_market(
    language: Language, timezone: str, words: list[str]
) -> None:
    text = render("offer", language, facts(timezone=timezone), audience=Audience.FRIEND).text
    plain = text.replace("\xa0", " ")
    assert [word for word in words if word not in plain] == []


def test_summer_time_is_the_market_s() -> None:
    letter = render("appointment", Language.DE, facts(), audience=Audience.FRIEND)
    assert "Montag, 30. März, 14:00 bis 15:30 Uhr" in letter.text


@pytest.mark.parametrize(
    ("helpers", "words"),
    [
        (0, "odpowiednie osoby"),
        (1, "1 osobę"),
        (2, "2 osoby"),
        (5, "5 osób"),
        (12, "12 osób"),
        (22, "22 osoby"),
    ],
)
def test_polish_plurals_are_right(helpers: int, words: str) -> None:
    letter = render("booked", Language.PL, facts(helpers=helpers), audience=Audience.CUSTOMER)
    assert f"Pytamy teraz {words} w" in letter.text


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (timedelta(hours=4), "4 hours"),
        (timedelta(hours=3, minutes=59), "3 hours"),
        (timedelta(minutes=119), "119 minutes"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(seconds=59), "0 minutes"),
        (timedelta(seconds=-5), "0 minutes"),
    ],
)
def test_the_time_left_is_never_rounded_up(left: timedelta, words: str) -> None:
    letter = render(
        "contact_reminder", Language.EN, facts(time_left=left), audience=Audience.FRIEND
    )
    assert letter.subject == f"{words} left to get in touch"


@pytest.mark.parametrize(
    ("distance_m", "words"), [(0, "100 m"), (149, "100 m"), (950, "1 km"), (12_340, "12.3 km")]
)
def test_distances_are_stated_in_steps_of_a_hundred_metres(distance_m: int, words: str) -> None:
    text = render("offer", Language.EN, facts(distance_m=distance_m), audience=Audience.FRIEND).text
    assert f"about {words}" in text.replace("\xa0", " ")


def test_the_desk_gets_no_letter_meant_for_friends() -> None:
    with pytest.raises(
        UnknownLetter, match="no letter offer for the desk; there are: review_due, login_link"
    ):
        render("offer", Language.EN, facts(), audience=Audience.DESK)


def test_partners_get_no_letters() -> None:
    with pytest.raises(UnknownLetter, match="there are: none"):
        render("offer", Language.EN, facts(), audience=Audience.PARTNER)


@pytest.mark.parametrize(
    ("field", "fact", "message"),
    [
        ("pay", 4900, "pay is a int; give a Money"),
        ("package", "", "package has 0 characters; give 1 to 500"),
        ("distance_m", True, "distance_m is a bool; give a int"),
        ("expires_at", datetime(2026, 3, 4), "expires_at has no time zone"),  # noqa: DTZ001
        ("link", "javascript:alert(1)", "link is no address"),
        ("link", "https://a.example/ x", "link is no address"),
        ("timezone", "Europe/Atlantis", "timezone is 'Europe/Atlantis'; give a market's: Europe/"),
    ],
)
def test_a_wrong_fact_is_named(field: str, fact: object, message: str) -> None:
    with pytest.raises(InvalidFact, match=message) as caught:
        render("offer", Language.DE, facts(**{field: fact}), audience=Audience.FRIEND)
    assert caught.value.field == field


def test_a_missing_fact_is_named() -> None:
    known = facts()
    del known["pay"]
    with pytest.raises(InvalidFact, match="the fact pay is missing; give a Money"):
        render("offer", Language.DE, known, audience=Audience.FRIEND)


def english() -> str:
    return (files("scheduler.senders") / "texts" / "en.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Area: {area}", "Area: {area} {name}", r"\[friend.offer\] uses area, distance_m, .*name"),
        ("You earn: {pay}", "You earn", "must use all of area, distance_m, expires_at, package"),
        ("{area}", "{area.__class__}", r"field \{area.__class__\}; write a plain name"),
        ("{area}", "{area!r}", "write a plain name"),
        ("{area}", "{}", "write a plain name"),
        ('button = "See the job"', "", r"\[friend.offer\] must have a button"),
        ("[friend.rated]", "[friend.praised]", r"\[friend.praised\] is no letter"),
        ("[customer.cancelled]", "[other.cancelled]", "cancelled is missing; write it"),
        (
            'other = "{n} helpers"',
            'many = "{n} helpers"',
            "counts.helpers needs the forms one, other",
        ),
        ('"{n} helpers"', '"{name} helpers"', "may use {n} alone"),
        ('footer = "', 'note = "', "footer is missing; write it"),
        ("[frame]", "[frame", "en.toml: "),
    ],
)
def test_a_fault_in_a_text_is_named(old: str, new: str, message: str) -> None:
    content = english()
    assert old in content
    with pytest.raises(InvalidTexts, match=message):
        read_texts("en.toml", content.replace(old, new), Locale("en"))


def test_customers_and_friends_are_addressed_as_they_should_be() -> None:
    german = texts(Language.DE).letters
    friends = " ".join(w.text for w in german[Audience.FRIEND].values())
    customers = " ".join(w.text for w in german[Audience.CUSTOMER].values())
    assert " du " in friends
    assert " Sie " not in friends
    assert " Sie " in customers
    assert " du " not in customers
