"""What a push shows: a title and a line in each language, without anything to fill in.

That is the privacy promise of a locked screen: a text with a field could name somebody, and is
refused when it is read.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from data.enums import Channel
from data.markets import Language
from dispatch.rules.jobs import events

ALARM = "alarm"
TEMPLATES = frozenset(
    name for (_, name), one in events.TEMPLATES.items() if one.channel is Channel.PUSH
) | {ALARM}


class CallsInvalid(ValueError):
    """The file of calls cannot be used; the message names the language and the cure."""


@dataclass(frozen=True, slots=True)
class Call:
    """A title and a line."""

    title: str
    body: str


def call(language: Language, template: str) -> Call:
    """The words for a message that goes to phones, or for ALARM."""
    return calls()[language][template]


@cache
def calls() -> Mapping[Language, Mapping[str, Call]]:
    """All words, checked; CallsInvalid names the first fault."""
    return read_calls((files("scheduler.senders") / "texts" / "phones.toml").read_text("utf-8"))


def read_calls(content: str) -> Mapping[Language, Mapping[str, Call]]:
    """The words in `content`: every template in every language, and no field in any."""
    tables = tomllib.loads(content)
    found = {}
    for language in Language:
        table = tables.get(language, {})
        if table.keys() != TEMPLATES:
            odd = ", ".join(sorted(table.keys() ^ TEMPLATES))
            raise CallsInvalid(f"[{language}] must have each of the calls once; look at {odd}")
        found[language] = {name: Call(**words) for name, words in table.items()}
        for name, one in found[language].items():
            if not one.title or set("{}%$") & set(one.title + one.body):
                raise CallsInvalid(f"[{language}] {name} has no title or something to fill in")
    return found
