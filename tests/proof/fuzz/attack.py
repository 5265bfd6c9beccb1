"""One caller's run of schemathesis: every phase, every check, and its report."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from schemathesis import AuthContext, AuthProvider, Case, CheckContext, Config, Response
from schemathesis.engine import events, from_schema
from schemathesis.hooks import GLOBAL_HOOK_DISPATCHER

from tests.proof.fuzz.callers import Caller, is_positive

# What the rules refuse with this code in well-formed requests and no schema can express.
NOT_IN_SCHEMA = re.compile(
    "contains the control character|is not a valid cursor|is in the year|km from the nearest|"
    "telephone number|is only for partners|is less than the jobs you hold|is no e-mail|"
    "is not the name of a CSV|is not a JPEG|is missing while|is not a mail address|is as late as|"
    "is too short|has no letter|"  # once trimmed
    "is not pairs of x and y within the box|has more than 4000 points"
)
REFUSED = ["400", "401", "403", "404", "405", "409", "413", "415", "422", "429"]
ACCEPTED = ["2xx", "401", "403", "404", "409", "422", "429"]
PHASES = ("examples", "coverage", "fuzzing", "stateful")


class UndocumentedRefusal(AssertionError):
    """A request that the document allows was refused for what a schema could have expressed."""


@schemathesis.check
def refused_only_by_a_rule(context: CheckContext, response: Response, case: Case) -> None:
    """What the document allows is refused only for what no schema can express."""
    if response.status_code != 422 or not is_positive(case):
        return
    problem = response.json()
    if problem["code"] == "validation-failed":
        others = [one for one in problem["errors"] if not NOT_IN_SCHEMA.search(one["problem"])]
        if others:
            raise UndocumentedRefusal(f"{case.operation.label}: {others}")


@dataclass
class Report:
    """What one caller requested, and what was wrong with the answers."""

    kind: str
    operations: int = 0
    cases: Counter[str] = field(default_factory=Counter)
    requested: set[str] = field(default_factory=set)
    granted: set[str] = field(default_factory=set)
    linked: set[str] = field(default_factory=set)
    links: int = 0
    followed: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    violations: dict[tuple[str, str, str], str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    took_s: float = 0.0

    @property
    def failures(self) -> list[str]:
        """Violations, errors of the run, and operations that were never requested."""
        unrequested = self.operations - len(self.requested)
        return [
            *(f"{self.kind}: {' '.join(key)}: {text}" for key, text in self.violations.items()),
            *(f"{self.kind}: {text}" for text in self.errors),
            *(
                [f"{self.kind}: {unrequested} operations were never requested"]
                if unrequested
                else []
            ),
        ]


def attack(
    document: Mapping[str, Any],
    url: str,
    caller: Caller,
    *,
    seed: int,
    examples: int,
    seconds: int | None = None,
    phases: Collection[str] = PHASES,
) -> Report:
    """Send requests as this caller, for about so many seconds or once through."""
    settings = _settings(caller, url, examples, phases) | {"seed": seed}
    if seconds is not None:
        settings["max-time"] = seconds
    schema = schemathesis.openapi.from_dict(deepcopy(document), config=Config.from_dict(settings))
    if caller.token is not None:
        schema.auth.auth(refresh_interval=None)(bearer_auth(caller.token))

    report = Report(caller.kind, operations=schema.statistic.operations.total)
    with requests_of(caller):
        for event in from_schema(schema).execute():
            _record_event(report, event)
    return report


def _settings(caller: Caller, url: str, examples: int, phases: Collection[str]) -> dict[str, Any]:
    return {
        "base-url": url,
        "request-timeout": 20.0,
        "max-stream-events": 1,
        "continue-on-failure": True,
        "generation": {
            "max-examples": examples,
            "no-shrink": True,
            "database": "none",
            "deterministic": True,
            # A caller without a credential sends none: an invented one grants nothing.
            "with-security-parameters": caller.token is not None,
        },
        "phases": {name: {"enabled": name in phases} for name in PHASES},
        "checks": {
            "positive_data_acceptance": {"expected-statuses": ACCEPTED},
            "negative_data_rejection": {"expected-statuses": REFUSED},
        },
    }


def bearer_auth(token: str) -> type[AuthProvider[str]]:
    """The credential of every request except those that test access without one."""

    class Bearer:
        def get(self, case: Case, context: AuthContext) -> str:
            return token

        def set(self, case: Case, data: str, context: AuthContext) -> None:
            case.headers["Authorization"] = f"Bearer {data}"

    return Bearer


@contextmanager
def requests_of(caller: Caller) -> Iterator[None]:
    """Let the caller adapt every request of schemathesis in this process before it is sent."""

    def before_call(context: Any, case: Any, kwargs: Any) -> None:
        caller.adapt(case)

    schemathesis.hook(before_call)
    try:
        yield
    finally:
        GLOBAL_HOOK_DISPATCHER.unregister(before_call)


def _record_event(report: Report, event: events.EngineEvent) -> None:
    if isinstance(event, events.ScenarioFinished):
        _record_scenario(report, event)
    elif isinstance(event, events.NonFatalError):
        report.errors.append(f"{event.label}: {event.value!r}"[:500])
    elif isinstance(event, events.FatalError):
        raise event.exception
    elif isinstance(event, events.PhaseStarted) and event.payload is not None:
        report.links = event.payload.transitions_selected
    elif isinstance(event, events.EngineFinished):
        report.took_s = event.running_time


def _record_scenario(report: Report, event: events.ScenarioFinished) -> None:
    recorder = event.recorder
    for id_, node in recorder.cases.items():
        interaction = recorder.interactions.get(id_)
        if interaction is None or interaction.response is None:
            continue
        label = node.value.operation.label
        report.cases[event.phase.value] += 1
        report.statuses[interaction.response.status_code] += 1
        report.requested.add(label)
        if interaction.response.status_code < 300:
            report.granted.add(label)
        if node.transition is not None and (
            node.is_transition_applied or not node.transition.parameters
        ):
            report.linked.add(label)
            report.followed[node.transition.id] += 1
    for nodes in recorder.checks.values():
        for check in nodes:
            if check.failure_info is not None:
                failure = check.failure_info.failure
                key = (check.name, failure.operation, failure.title)
                text = f"{failure.message}\n{check.failure_info.code_sample}"
                report.violations.setdefault(key, text)
