"""Letters: what friends, customers and the desk receive, in their own language.

The wording lies in `texts/<language>.toml`. What a letter may reveal is not decided there:
`FIELDS`, which follows from the declared events, is the privacy promise. A text that uses another
field, or leaves one out, is refused when it is read, so a translation can neither leak a name nor
forget a price.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum, auto
from functools import cache, lru_cache
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable
from string import Formatter, Template
from typing import Any, Final

from babel import Locale, UnknownLocaleError
from babel.dates import format_datetime, get_timezone
from babel.numbers import format_currency, format_decimal, get_currency_precision
from babel.units import format_unit

from data.enums import Audience
from data.markets import MARKETS, Language
from data.records.money import Money
from dispatch.rules import journal
from dispatch.rules.declarations import Shape, fact_of
from dispatch.rules.jobs import events

# Letters about an account rather than a booking.
OF_ACCOUNTS: Final[Mapping[Audience, Mapping[str, frozenset[str]]]] = {
    Audience.FRIEND: {
        "login_link": frozenset({"link", "code"}),
        "join_link": frozenset({"link", "code"}),
        "join_known": frozenset({"link"}),
        "guardian_asked": frozenset({"first_name", "link"}),
        "email_changed": frozenset(),
    },
    Audience.DESK: {"login_link": frozenset({"link", "code"})},
    Audience.CUSTOMER: {"login_link": frozenset({"link", "code"})},
    Audience.COMPANY: {"login_link": frozenset({"link", "code"})},
}
FIELDS: Final[Mapping[Audience, Mapping[str, frozenset[str]]]] = {
    audience: {
        template.name: template.facts
        for (recipient, _), template in {**events.TEMPLATES, **journal.TEMPLATES}.items()
        if recipient is audience and template.facts is not None
    }
    | dict(OF_ACCOUNTS.get(audience, {}))
    for audience in Audience
}

STATED: Final = frozenset().union(
    *(facts for letters in FIELDS.values() for facts in letters.values())
)

BUTTON = (
    '<p style="margin:28px 0"><a href="{link}" style="display:inline-block;padding:14px 24px;'
    "border-radius:10px;background:#0b5fff;color:#fff;text-decoration:none;font-weight:600"
    '">{label}</a></p>'
)
LONGEST_TEXT = 500
JOINERS = "\u200c\u200d"
CACHED = 4096


class Kind(Enum):
    """How a fact is written; one field has one kind in every letter."""

    TEXT = auto()
    MONEY = auto()
    MOMENT = auto()
    CLOCK = auto()
    SPAN = auto()
    DISTANCE = auto()
    COUNT = auto()
    LINK = auto()


OF_SHAPE: Final[Mapping[Shape, Kind]] = {
    Shape.COUNT: Kind.COUNT,
    Shape.MINUTES: Kind.SPAN,
    Shape.MINOR_UNITS: Kind.MONEY,
}
KINDS: Final[Mapping[str, Kind]] = {
    "package": Kind.TEXT,
    "certificate": Kind.TEXT,
    "code": Kind.TEXT,
    "level": Kind.TEXT,
    "level_before": Kind.TEXT,
    "area": Kind.TEXT,
    "first_name": Kind.TEXT,
    "reasons": Kind.TEXT,
    "pay": Kind.MONEY,
    "price": Kind.MONEY,
    "expires_at": Kind.MOMENT,
    "until": Kind.MOMENT,
    "answer_by": Kind.MOMENT,
    "contact_due_at": Kind.MOMENT,
    "starts_at": Kind.MOMENT,
    "ends_at": Kind.CLOCK,
    "time_left": Kind.SPAN,
    "distance_m": Kind.DISTANCE,
    "helpers": Kind.COUNT,
    "link": Kind.LINK,
} | {
    fact: OF_SHAPE[field.shape]
    for name, field in events.FIELDS.items()
    if field.shape in OF_SHAPE and (fact := fact_of(name)) in STATED
}


class UnknownLetter(LookupError):
    """There is no such letter for this audience; the message lists those that exist."""


class InvalidFact(ValueError):
    """A fact is missing or of the wrong kind; `field` names it."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"the fact {field} {problem}")
        self.field = field


class InvalidTexts(ValueError):
    """A file of texts cannot be used; the message names the file, the letter and the cure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A letter ready to be sent: a subject of one line, plain text and HTML saying the same."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Wording:
    """A letter before its facts; `button` is the label of its link, empty when it has none."""

    subject: str
    text: str
    button: str


@dataclass(frozen=True, slots=True)
class Texts:
    """All texts of one language."""

    footer: str
    formats: Mapping[str, str]
    counts: Mapping[str, Mapping[str, str]]
    letters: Mapping[Audience, Mapping[str, Wording]]


@dataclass(frozen=True, slots=True)
class Style:
    """How to write for a recipient: the texts, the locale of the country, the time zone."""

    texts: Texts
    locale: Locale
    timezone: str


def render(
    template: str, language: Language, facts: Mapping[str, object], *, audience: Audience
) -> Letter:
    """The letter `template` for `audience`, from exactly the facts that FIELDS declares for it.

    `facts["timezone"]` is the market's; moments are aware datetimes, sums are Money, `time_left`
    a timedelta, `distance_m` metres, `link` an http(s) address. Facts that are not declared are
    never looked at. Raises UnknownLetter and InvalidFact.
    """
    declared = FIELDS[audience].get(template)
    if declared is None:
        raise UnknownLetter(
            f"no letter {template} for the {audience}; there are:"
            f" {', '.join(FIELDS[audience]) or 'none'}"
        )
    style = _style(language, facts)
    words = {field: _write(field, facts, style) for field in sorted(declared)}
    return _letter(style.texts.letters[audience][template], words, style.texts, language)


def _letter(wording: Wording, words: Mapping[str, str], texts: Texts, language: str) -> Letter:
    subject = wording.subject.format_map(words)
    text = wording.text.format_map(words)
    plain = [text]
    html = [_paragraph(paragraph) for paragraph in text.split("\n\n")]
    if link := words.get("link"):
        plain.append(f"{wording.button}:\n{link}")
        html.append(BUTTON.format(link=escape(link), label=escape(wording.button)))
    return Letter(
        subject=subject,
        text="\n\n".join([*plain, f"-- \n{texts.footer}\n"]),
        html=_frame().substitute(
            language=language,
            subject=escape(subject),
            body="\n".join(html),
            footer=escape(texts.footer),
        ),
    )


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>".replace("\n", "<br>\n")


@cache
def _frame() -> Template:
    return Template((_folder() / "frame.html").read_text(encoding="utf-8"))


def _folder() -> Traversable:
    return files("scheduler.senders") / "texts"


def _style(language: Language, facts: Mapping[str, object]) -> Style:
    timezone = facts.get("timezone")
    if not isinstance(timezone, str) or timezone not in TERRITORIES:
        raise InvalidFact(
            "timezone", f"is {timezone!r}; give a market's: {', '.join(sorted(TERRITORIES))}"
        )
    return Style(texts(language), _locale(language, TERRITORIES[timezone]), timezone)


TERRITORIES: Mapping[str, str] = {fact.timezone: market for market, fact in MARKETS.items()}


@cache
def _locale(language: str, territory: str) -> Locale:
    try:
        return Locale(language, territory)
    except UnknownLocaleError:
        return Locale(language)


def _write(field: str, facts: Mapping[str, object], style: Style) -> str:
    kind = KINDS[field]
    wanted = TYPES[kind]
    if field not in facts:
        raise InvalidFact(field, f"is missing; give a {wanted.__name__}")
    fact = facts[field]
    if not isinstance(fact, wanted) or isinstance(fact, bool):
        raise InvalidFact(field, f"is a {type(fact).__name__}; give a {wanted.__name__}")
    return WRITERS[kind](field, fact, style)


def _text(field: str, fact: str, _: Style) -> str:
    """One line without control characters, so that no fact can add a header or a paragraph."""
    line = " ".join("".join(c if _is_written(c) else " " for c in fact).split())
    if not line or len(line) > LONGEST_TEXT:
        raise InvalidFact(field, f"has {len(line)} characters; give 1 to {LONGEST_TEXT}")
    return line


def _is_written(character: str) -> bool:
    # A joiner is part of the spelling of names in Persian and other scripts.
    return character.isprintable() or character in JOINERS


def _money(_: str, fact: Money, style: Style) -> str:
    return _sum(fact, style.locale)


# The friends asked about one booking get the same amounts, times and distances.
@lru_cache(maxsize=CACHED)
def _sum(fact: Money, locale: Locale) -> str:
    amount = Decimal(fact.amount).scaleb(-get_currency_precision(fact.currency))
    return format_currency(amount, fact.currency, locale=locale)


def _moment(field: str, fact: datetime, style: Style) -> str:
    return _at("moment", field, fact, style)


def _clock(field: str, fact: datetime, style: Style) -> str:
    return _at("clock", field, fact, style)


def _at(pattern: str, field: str, fact: datetime, style: Style) -> str:
    if fact.tzinfo is None:
        raise InvalidFact(field, "has no time zone; give an aware datetime")
    return _format_moment(fact, style.texts.formats[pattern], style.timezone, style.locale)


@lru_cache(maxsize=CACHED)
def _format_moment(fact: datetime, pattern: str, timezone: str, locale: Locale) -> str:
    return format_datetime(fact, pattern, tzinfo=get_timezone(timezone), locale=locale)


def _span(_: str, fact: timedelta, style: Style) -> str:
    """Rounded down, never up: more time than there is would mislead."""
    minutes = max(int(fact.total_seconds()) // 60, 0)
    if minutes >= 120 or minutes == 60:
        return format_unit(minutes // 60, "duration-hour", "long", locale=style.locale)
    return format_unit(minutes, "duration-minute", "long", locale=style.locale)


def _distance(_: str, fact: int, style: Style) -> str:
    """In steps of 100 m, as exact as the distance to the centre of a cell."""
    return _steps(max((fact + 50) // 100, 1), style.locale)


@lru_cache(maxsize=CACHED)
def _steps(hundreds: int, locale: Locale) -> str:
    if hundreds < 10:
        return format_unit(hundreds * 100, "length-meter", "short", locale=locale)
    return format_unit(Decimal(hundreds) / 10, "length-kilometer", "short", locale=locale)


def _count(field: str, fact: int, style: Style) -> str:
    forms = style.texts.counts[field]
    if fact == 0 and "zero" in forms:
        return forms["zero"]
    number = format_decimal(fact, locale=style.locale)
    return forms[style.locale.plural_form(fact)].format_map({"n": number})


def _link(field: str, fact: str, _: Style) -> str:
    if not fact.startswith(("https://", "http://")) or any(c <= " " for c in fact):
        raise InvalidFact(field, "is no address; give one that starts with https:// or http://")
    return fact


TYPES: Mapping[Kind, type] = {
    Kind.TEXT: str,
    Kind.MONEY: Money,
    Kind.MOMENT: datetime,
    Kind.CLOCK: datetime,
    Kind.SPAN: timedelta,
    Kind.DISTANCE: int,
    Kind.COUNT: int,
    Kind.LINK: str,
}
WRITERS: Mapping[Kind, Callable[[str, Any, Style], str]] = {
    Kind.TEXT: _text,
    Kind.MONEY: _money,
    Kind.MOMENT: _moment,
    Kind.CLOCK: _clock,
    Kind.SPAN: _span,
    Kind.DISTANCE: _distance,
    Kind.COUNT: _count,
    Kind.LINK: _link,
}


@cache
def texts(language: Language) -> Texts:
    """All texts of `language`, checked against FIELDS. Raises InvalidTexts."""
    name = f"{language}.toml"
    return read_texts(name, (_folder() / name).read_text(encoding="utf-8"), Locale(language))


def read_texts(name: str, content: str, locale: Locale) -> Texts:
    """The texts in `content`, the TOML of the file `name`, with all plural forms of `locale`."""
    try:
        table = tomllib.loads(content)
        return Texts(
            footer=table["frame"]["footer"],
            formats={pattern: table["formats"][pattern] for pattern in ("moment", "clock")},
            counts={
                field: _forms(field, table["counts"][field], locale)
                for field, kind in KINDS.items()
                if kind is Kind.COUNT
            },
            letters={
                audience: _wordings(audience, declared, table.get(audience, {}))
                for audience, declared in FIELDS.items()
            },
        )
    except KeyError as error:
        raise InvalidTexts(f"{name}: {error.args[0]} is missing; write it") from error
    except (tomllib.TOMLDecodeError, InvalidTexts) as error:
        raise InvalidTexts(f"{name}: {error}") from error


def _forms(field: str, forms: Mapping[str, str], locale: Locale) -> Mapping[str, str]:
    needed = {"other", *locale.plural_form.tags}
    if forms.keys() - {"zero"} != needed:
        raise InvalidTexts(f"counts.{field} needs the forms {', '.join(sorted(needed))}")
    for form in forms.values():
        if _used(f"counts.{field}", form) - {"n"}:
            raise InvalidTexts(f"counts.{field} may use {{n}} alone, not {form}")
    return forms


def _wordings(
    audience: Audience, declared: Mapping[str, frozenset[str]], tables: Mapping[str, Any]
) -> Mapping[str, Wording]:
    unknown = sorted(tables.keys() - declared.keys())
    if unknown:
        raise InvalidTexts(
            f"[{audience}.{unknown[0]}] is no letter; remove it or declare its fields"
        )
    return {
        template: _wording(f"[{audience}.{template}]", tables[template], fields)
        for template, fields in declared.items()
    }


def _wording(where: str, table: Mapping[str, str], declared: frozenset[str]) -> Wording:
    wording = Wording(
        subject=table["subject"], text=table["text"].strip(), button=table.get("button", "")
    )
    if bool(wording.button) != ("link" in declared):
        raise InvalidTexts(f"{where} must have a button exactly when it has a link")
    used = _used(where, wording.subject) | _used(where, wording.text)
    shown = declared - {"link"}
    if used != shown:
        raise InvalidTexts(
            f"{where} uses {_list(used)}; it must use all of {_list(shown)} and nothing else"
        )
    return wording


def _used(where: str, text: str) -> set[str]:
    """The fields of `text`, which may only be plain names: no attribute, index or conversion."""
    used = set()
    for _, field, spec, conversion in Formatter().parse(text):
        if field is None:
            continue
        if not field.isidentifier() or spec or conversion:
            raise InvalidTexts(f"{where} has the field {{{field}}}; write a plain name in braces")
        used.add(field)
    return used


def _list(fields: set[str] | frozenset[str]) -> str:
    return ", ".join(sorted(fields)) or "no field"
