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


class InvalidPushTexts(ValueError):
    """The file of push texts cannot be used; the message names the language and the cure."""


@dataclass(frozen=True, slots=True)
class PushText:
    """A title and a line."""

    title: str
    body: str


def push_text(language: Language, template: str) -> PushText:
    """The text for a message that goes to phones, or for ALARM."""
    return push_texts()[language][template]


@cache
def push_texts() -> Mapping[Language, Mapping[str, PushText]]:
    """All push texts, checked. Raises InvalidPushTexts."""
    return read_push_texts(
        (files("scheduler.senders") / "texts" / "phones.toml").read_text("utf-8")
    )


def read_push_texts(content: str) -> Mapping[Language, Mapping[str, PushText]]:
    """The texts in `content`: every template in every language, without fields."""
    tables = tomllib.loads(content)
    found = {}
    for language in Language:
        table = tables.get(language, {})
        if table.keys() != TEMPLATES:
            odd = ", ".join(sorted(table.keys() ^ TEMPLATES))
            raise InvalidPushTexts(f"[{language}] must have each template once; look at {odd}")
        found[language] = {name: PushText(**text) for name, text in table.items()}
        for name, one in found[language].items():
            if not one.title or set("{}%$") & set(one.title + one.body):
                raise InvalidPushTexts(f"[{language}] {name} has no title or has a field")
    return found
