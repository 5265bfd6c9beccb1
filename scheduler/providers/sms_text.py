"""The words of SMS, and how long one is: GSM 03.38 as 3GPP TS 23.038 has it, else UCS-2."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

from data.markets import Language

BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED: Final = frozenset("\f^{}\\[~]|€")
GSM_MAX, GSM_PART, UCS_MAX, UCS_PART = 160, 153, 70, 67


def is_gsm(text: str) -> bool:
    """Whether seven bits a letter are enough."""
    return set(text) <= BASIC | EXTENDED


def segments(text: str) -> int:
    """How many SMS a text takes."""
    if is_gsm(text):
        length, most, part = len(text) + sum(one in EXTENDED for one in text), GSM_MAX, GSM_PART
    else:
        length, most, part = len(text.encode("utf-16-le")) // 2, UCS_MAX, UCS_PART
    return 1 if length <= most else -(-length // part)


def write_text(language: Language, name: str, facts: Mapping[str, object]) -> str:
    """The text of this name, filled in."""
    return _texts()[language][name].format(**facts)


@cache
def _texts() -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads((files("scheduler.providers") / "sms.toml").read_text("utf-8"))
