"""Every kind of errand, declared once: which provider is asked, with what, and what it answers.

The answer of a kind is heard by the flow of that name in `dispatch.flows.answers`. A request and an
answer hold ids and codes, never personal data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from data.records.errands import Errand
from dispatch.rules.declarations import UndeclaredData
from dispatch.rules.policy import Policy
from dispatch.rules.refusals import Refused


class NoticeRefused(Refused):
    """This event is not signed by the provider."""

    code = "notice-refused"
    detail = "Sign it as the provider does, with the secret in the settings."


FIRST_PAUSE: Final = timedelta(seconds=5)
PAUSE_MAX: Final = timedelta(hours=1)
GROWTH: Final = 4


@dataclass(frozen=True, slots=True)
class ErrandKind:
    """Which provider is asked, and the fields of the request and of the answer."""

    provider: str
    request: frozenset[str]
    answer: frozenset[str]


def _kind(provider: str, request: str, answer: str) -> ErrandKind:
    return ErrandKind(provider, frozenset(request.split()), frozenset(answer.split()))


SEND_TEXT: Final = "sms.send"
ERRANDS: Final[Mapping[str, ErrandKind]] = {
    SEND_TEXT: _kind("sms", "text", "reference delivery"),
}


def check(errand: Errand) -> None:
    """Raise UndeclaredData unless its kind is declared with exactly these fields."""
    declared = ERRANDS.get(errand.kind)
    if declared is None or errand.request.keys() != declared.request:
        names = ", ".join(sorted(errand.request))
        raise UndeclaredData(f"{errand.kind} with {names} is not in ERRANDS")


def declared_answer(kind: str, answer: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of an answer: the declared fields, and nothing that a provider adds."""
    return {name: answer[name] for name in sorted(ERRANDS[kind].answer) if name in answer}


def pauses_s(policy: Policy) -> tuple[float, ...]:
    """The pauses between the attempts that the policy allows, before chance spreads them."""
    growing = (FIRST_PAUSE * GROWTH**n for n in range(policy.errand_attempts - 1))
    return tuple(min(one, PAUSE_MAX).total_seconds() for one in growing)


def spread(pause_s: float, chance: float) -> float:
    """A pause of half to one and a half times as long, so that many do not try at one moment."""
    return pause_s * (0.5 + chance)
