"""The texts of the pages and letters: complete in every language and for every code."""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path

import pytest
from babel import Locale

from api.schemas.desk import FrameOutcome, MapState
from data.enums import (
    ApplicationState,
    Audience,
    AwardState,
    BookingState,
    Channel,
    FriendState,
    OfferState,
    OperatorRole,
    Outcome,
    Tier,
    Wish,
)
from data.markets import Language
from data.records.exams import SittingState
from data.records.files import Document
from data.records.review_requests import ReviewSubject
from data.records.reviews import HideReason
from data.seed.catalogue import load
from data.store.desk import Queue
from data.store.push_subscriptions import PhoneProblem
from dispatch.rules import journal
from dispatch.rules.declarations import Shape
from dispatch.rules.errands import ERRANDS
from dispatch.rules.jobs.events import EVENTS, FIELDS, TEMPLATES
from dispatch.rules.jobs.nearby import DeskOutcome
from dispatch.rules.jobs.outcomes import FRIEND_OUTCOMES
from dispatch.rules.jobs.reasons import (
    CancelReason,
    ContestReason,
    HandBackReason,
    IncompleteReason,
    SystemReason,
)
from dispatch.rules.journal import JOURNAL, OF_STATE
from dispatch.rules.money.earnings import Cause
from dispatch.rules.people.applications import DeclineReason, Education, Skill
from dispatch.rules.people.exam_statistics import ItemFlag
from dispatch.rules.people.exams import ExamStatus
from dispatch.rules.people.reachability import Obstacle
from geo.point import Precision

SOURCES = Path(__file__).parents[2] / "api" / "web" / "src"
LANGUAGES = sorted(Language)
FOLDERS = sorted(folder for folder in SOURCES.glob("**/texts") if folder.is_dir())
PLACE = re.compile(r"\{(\w+)\}")
WORD = re.compile(r"""['"`]([\w.-]+)['"`]""")
KIND = re.compile(r"\blabel\('(\w+)'")
COMPOSED = re.compile(r"`([\w.-]*\$\{[^`]*)`")
BUTTON = re.compile(r"<Button\b.*?</Button>", re.DOTALL)
SAID = re.compile(r"\bsay\('([\w.]+)'")
# A phrase between quotation marks; what a placeholder fills is a name.
QUOTED = re.compile(r"[“„«]\s*([^”“„«»{}]+?)\s*[”“»]")
# What the pages' plural rules know of each language, fractions included.
FORMS = {code: {*Locale(code).plural_form.tags, "other"} for code in LANGUAGES}
# What both pages hand to the texts of events as it is.
PLAIN = {Shape.CODE, Shape.COUNT, Shape.MOMENT, Shape.MINUTES, Shape.MINOR_UNITS, Shape.ID}
# Events that are of no use to the customer, whose page leaves them out.
NOT_FOR_CUSTOMERS = {"booking.escalated", "offer.declined", "offer.expired", "contact.reminded"}
# Events of which some data choose another text.
VARIANTS = {"booking.moved", "booking.taken", "booking.cancelled_late", "booking.spent"} | {
    *("contact.denied", "contact.written")
}
# Codes that a face displays as texts `prefix.code`.
CODES: Mapping[tuple[str, str], Iterable[str]] = {
    ("book", "category"): {package.category for package in load().packages.values()},
    ("book", "wish"): [f"{wish}{end}" for wish in Wish for end in ("", "_hint")],
    ("account", "state"): BookingState,
    ("desk", "application"): ApplicationState,
    ("company", "state"): BookingState,
    ("desk", "audience"): Audience,
    ("desk", "award"): AwardState,
    ("desk", "by"): [
        "customer",
        "dispatcher",
        "friend",
        "guardian",
        "operator",
        "partner",
        "system",
        "you",
    ],
    ("desk", "certificate"): load().certificates,
    ("desk", "channel"): Channel,
    ("desk", "document"): Document,
    ("desk", "event"): {*EVENTS, *VARIANTS},
    ("desk", "flag"): ItemFlag,
    ("desk", "friend"): FriendState,
    ("desk", "map"): MapState,
    ("desk", "offer"): OfferState,
    ("desk", "outcome"): [*Outcome, *FrameOutcome, *DeskOutcome],
    ("desk", "precision"): Precision,
    ("desk", "queue"): ["all", *Queue],
    ("desk", "queue_text"): Queue,
    ("desk", "reason"): {
        *CancelReason,
        *SystemReason,
        *IncompleteReason,
        *HandBackReason,
        *ContestReason,
        *HideReason,
    },
    ("desk", "role"): OperatorRole,
    ("desk", "standing"): [f"{state}{end}" for state in OF_STATE for end in ("", "_text")],
    ("desk", "state"): BookingState,
    ("desk", "errand"): ERRANDS,
    ("desk", "about"): ReviewSubject,
    ("friend", "about"): ReviewSubject,
    ("desk", "hide"): HideReason,
    ("desk", "journal"): JOURNAL,
    ("desk", "template"): {name for _, name in {**TEMPLATES, **journal.TEMPLATES}},
    ("desk", "tier"): Tier,
    ("desk", "wish"): Wish,
    ("exam", "result"): set(SittingState) - {SittingState.OPEN} | {"correct", "reason"},
    ("exam", "status"): ExamStatus,
    ("friend", "back"): HandBackReason,
    ("friend", "cause"): Cause,
    ("friend", "obstacle"): [f"{one}{end}" for one in Obstacle for end in ("", "_cure")],
    ("friend", "phone"): PhoneProblem,
    ("friend", "state"): [*BookingState, "on_the_way"],
    ("friend", "unsolved"): IncompleteReason,
    ("friend", "why"): FRIEND_OUTCOMES,
    ("friend", "wish"): ["any", *Wish],
    ("join", "state"): [f"{one}{end}" for one in ApplicationState for end in ("", "_text")],
    ("job", "past"): EVENTS.keys() - NOT_FOR_CUSTOMERS,
    ("job", "reason"): CancelReason,
    ("job", "wish"): Wish,
    ("shared", "decline"): DeclineReason,
    ("shared", "education"): Education,
    ("shared", "skill"): Skill,
}
# Prefixes that other texts have too.
SHARED = {("desk", prefix) for prefix in ("award", "friend", "map", "standing")} | {
    ("friend", prefix) for prefix in ("back", "phone", "unsolved", "why")
}
# Numbers in a text, as digits or words. One, a and an are articles too; Italian sei is a verb too.
NUMBERS = {
    "de": "zwei drei vier fünf sechs sieben acht neun zehn elf zwölf vierzehn fünfzehn zwanzig"
    " vierundzwanzig dreissig sechzig hundert viertel halbe halben",
    "en": "two three four five six seven eight nine ten eleven twelve fourteen fifteen twenty"
    " thirty sixty hundred quarter half",
    "fr": "deux trois quatre cinq six sept huit neuf dix onze douze quatorze quinze vingt trente"
    " soixante cent quart demi demie",
    "it": "due tre quattro cinque sette otto nove dieci undici dodici quattordici quindici venti"
    " ventiquattro trenta sessanta cento quarto mezza mezz",
    "pl": "dwa dwie dwóch trzy trzech cztery czterech pięć pięciu sześć siedem siedmiu osiem"
    " dziewięć dziesięć dwanaście dwunastu czternaście czternastu piętnaście dwadzieścia"
    " trzydzieści sześćdziesiąt sto ćwierć pół czwartą",
}
# What is no number of the policy: times of day, examples, hints at forms.
NUMBERS_ALLOWED = {
    *(("book", f"wish.{wish}_hint") for wish in Wish),
    ("book", "when.notes_hint"),
    ("friend", "quiet.odd"),
}


def texts(folder: Path, language: str) -> dict[str, str | dict[str, str]]:
    return json.loads((folder / f"{language}.json").read_text("utf-8"))


def places(text: str | dict[str, str]) -> set[str]:
    forms = text.values() if isinstance(text, dict) else [text]
    return {name for form in forms for name in PLACE.findall(form)}


def test_there_are_texts():
    assert {folder.parent.name for folder in FOLDERS} >= {"book", "desk", "friend", "job", "shared"}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_all_languages_have_the_same_keys_and_placeholders(folder):
    assert sorted(file.stem for file in folder.iterdir()) == LANGUAGES
    english = {key: places(text) for key, text in texts(folder, "en").items()}
    for language in LANGUAGES:
        assert {key: places(text) for key, text in texts(folder, language).items()} == english


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_what_is_counted_has_every_plural_form_of_its_language(folder):
    counted = {key for key, text in texts(folder, "en").items() if isinstance(text, dict)}
    for language in LANGUAGES:
        found = texts(folder, language)
        assert {key for key, text in found.items() if isinstance(text, dict)} == counted
        wrong = {key: set(found[key]) for key in counted if set(found[key]) != FORMS[language]}
        assert wrong == {}, language


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_no_text_is_empty(folder):
    for language in LANGUAGES:
        for text in texts(folder, language).values():
            forms = text.values() if isinstance(text, dict) else [text]
            assert all(form.strip() for form in forms), (language, text)


def code(folder: Path) -> list[str]:
    """The sources that may use these texts: those of their face; for the shared ones, all."""
    face = SOURCES if folder.parent.name == "shared" else folder.parent
    sources = [file for file in face.rglob("*") if file.suffix in {".ts", ".svelte"}]
    return [file.read_text("utf-8") for file in sources if file.name != "openapi.d.ts"]


def composed_keys(source: str, kinds: set[str]) -> Iterator[re.Pattern[str]]:
    """The keys that a file composes; a value they begin with is a word of the file, or a kind."""
    words = "|".join(map(re.escape, {*WORD.findall(source), *kinds}))
    for template in COMPOSED.findall(source):
        first, *rest = re.split(r"\$\{[^}]*\}", template)
        begin = re.escape(first) or f"(?:{words})" + re.escape(rest.pop(0))
        yield re.compile(r"[\w.-]+".join([begin, *map(re.escape, rest)]))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_every_text_is_used(folder):
    sources = code(folder)
    kinds = {kind for source in sources for kind in KIND.findall(source)}
    named = {word for source in sources for word in WORD.findall(source)}
    composed = [pattern for source in sources for pattern in composed_keys(source, kinds)]
    left = texts(folder, "en").keys() - named
    assert {key for key in left if not any(one.fullmatch(key) for one in composed)} == set()


def prefixed(face: str, prefix: str, language: Language) -> set[str]:
    """The codes that have a text."""
    start = f"{prefix}."
    listed = texts(SOURCES / face / "texts", language)
    return {key.removeprefix(start) for key in listed if key.startswith(start)}


@pytest.mark.parametrize(("face", "prefix"), CODES, ids=".".join)
def test_every_code_has_a_text_in_every_language_and_no_other_has_one(face, prefix):
    codes = {str(code) for code in CODES[face, prefix]}
    for language in LANGUAGES:
        found = prefixed(face, prefix, language)
        assert codes - found == set(), language
        assert (face, prefix) in SHARED or found - codes == set(), language


def test_the_page_of_a_booking_states_every_state():
    for language in LANGUAGES:
        listed = texts(SOURCES / "job" / "texts", language)
        assert {f"{state}.{part}" for state in BookingState for part in ("title", "tab")} <= {
            *listed
        }


@pytest.mark.parametrize(
    ("face", "prefix", "source"),
    [
        ("desk", "event", "booking/story.ts"),
        ("desk", "journal", "Journal.svelte"),
        ("job", "past", "history.ts"),
    ],
)
def test_the_texts_of_events_use_only_values_that_the_page_gives(face, prefix, source):
    given = set(re.findall(r"(\w+):", (SOURCES / face / source).read_text("utf-8")))
    given |= {
        name for name, field in FIELDS.items() if field.shape in PLAIN and prefix != "journal"
    }
    found = texts(SOURCES / face / "texts", "en")
    used = {name for key in found if key.startswith(f"{prefix}.") for name in places(found[key])}
    assert used - given == set()


def wordings(language: Language) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text of the pages, letters and pushes, with where it stands."""
    for folder in FOLDERS:
        for key, text in texts(folder, language).items():
            for form in text.values() if isinstance(text, dict) else [text]:
                yield (folder.parent.name, key), form
    letters = files("scheduler.senders") / "texts"
    for name, table in [
        (str(language), tomllib.loads((letters / f"{language}.toml").read_text("utf-8"))),
        ("phones", tomllib.loads((letters / "phones.toml").read_text("utf-8"))[language]),
    ]:
        yield from leaves((name,), table)


def leaves(where: tuple[str, ...], table: object) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(table, dict):
        for key, value in table.items():
            yield from leaves((*where, key), value)
    else:
        yield where, str(table)


def buttons(face: str, language: Language) -> set[str]:
    """The texts on the buttons of a face."""
    keys = {
        key
        for source in code(SOURCES / face / "texts")
        for button in BUTTON.findall(source)
        for key in SAID.findall(button)
    }
    found = texts(SOURCES / face / "texts", language)
    return {text for key, text in found.items() if key in keys and isinstance(text, str)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_button_that_a_letter_names_stands_on_the_page_of_its_reader(language):
    named = {
        (where[1], phrase)
        for where, text in wordings(language)
        if where[0] == language
        for phrase in QUOTED.findall(text)
    }
    assert {audience for audience, _ in named} == {"friend"}
    shown = {("friend", text) for text in buttons("friend", language)}
    assert named - shown == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_certificates_are_called_the_same_everywhere(language):
    found = texts(SOURCES / "desk" / "texts", language)
    names = {code: kind.names[language] for code, kind in load().certificates.items()}
    assert {code: found[f"certificate.{code}"] for code in names} == names


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_states_a_number(language):
    words = NUMBERS[language].replace(" ", "|")
    number = re.compile(rf"\d|\b(?:{words})\b", re.IGNORECASE)
    found = {where: text for where, text in wordings(language) if number.search(text)}
    assert {where: text for where, text in found.items() if where not in NUMBERS_ALLOWED} == {}
