"""A part of the simulation: the invariants hold, everything relevant happens, runs repeat.

The full run is `python -m tests.simulation --bookings 1000000`.
"""

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest

from data.enums import Outcome, Tier
from data.records.decisions import DecisionLine
from dispatch.rules.jobs import fan_out, matching
from dispatch.rules.jobs import job as rules
from dispatch.rules.jobs.replay import replay
from dispatch.rules.jobs.states import IllegalTransition
from dispatch.rules.policy import POLICY, restore
from tests.architecture.source import ROOT
from tests.simulation import __main__ as module
from tests.simulation.invariants import InvariantViolated
from tests.simulation.levels import TURNS_MAX, follow
from tests.simulation.sometimes import SOMETIMES, never_reached
from tests.simulation.town import Town

TOWNS = 12


@pytest.fixture(scope="module")
def towns() -> list[Town]:
    return [Town(seed).run() for seed in range(TOWNS)]


def test_the_invariants_hold_and_everything_relevant_happens(towns: list[Town]):
    seen = sum((town.seen for town in towns), Counter())
    assert never_reached(seen) == []


def test_a_seed_gives_the_same_run_again(towns: list[Town]):
    assert [Town(seed).run().digest for seed in (0, 1)] == [t.digest for t in towns[:2]]
    assert len({town.digest for town in towns}) == TOWNS


def test_every_decision_is_made_again_from_its_inputs_and_another_policy_makes_others(
    towns: list[Town],
):
    decisions = [decision for town in towns for decision in town.decisions]
    policy = restore(towns[0].policy.numbers)
    assert {decision.policy_id for decision in decisions} == {policy.fingerprint}
    for decision in decisions:
        blank = tuple(DecisionLine(f.friend_id, Outcome.OFFERED, 0) for f in decision.friends)
        repeated = replay(replace(decision, friends=blank, tier=Tier.PRO), policy)
        assert (repeated.tier, repeated.friends) == (decision.tier, decision.friends)
    for changed in ({"fan_out": 3}, {"live_offers_max": 1}):
        other = replace(policy, **changed)
        assert other.fingerprint != policy.fingerprint
        assert not all(replay(decision, other).equals(decision) for decision in decisions)


def test_a_seed_gives_the_same_run_with_another_hash_seed(towns: list[Town]):
    command = "from tests.simulation.town import Town; print(Town(0).run().digest)"
    process = subprocess.run(
        [sys.executable, "-c", command],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": "4711"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout.strip() == towns[0].digest


def test_the_run_fails_when_something_was_never_seen_or_differs(
    monkeypatch, capsys, towns: list[Town]
):
    def result(*_):
        seen = sum((town.seen for town in towns), Counter())
        return module.Result([town.digest for town in towns], seen, took_s=1.0)

    monkeypatch.setattr(sys, "argv", ["simulation", "--towns", str(TOWNS)])
    monkeypatch.setattr(module, "run_towns", result)
    monkeypatch.setattr(module, "rerun_digest", lambda seed, count, _: result().digest(count))
    assert module.main() == 0
    assert "Violations: 0" in capsys.readouterr().out
    monkeypatch.setattr(module, "rerun_digest", lambda *_: "another")
    assert module.main() == 1
    assert "differed in the second run" in capsys.readouterr().out
    monkeypatch.setattr(module, "never_reached", lambda seen: [SOMETIMES[0]])
    assert module.main() == 1
    assert f"never seen: {SOMETIMES[0]}" in capsys.readouterr().out


def test_levels_move_by_a_step_come_to_rest_and_would_not_without_margin_and_window(
    towns: list[Town],
):
    months = [town.month for town in towns]
    seen = follow(months, POLICY)
    assert seen["looks with jobs enough"] > 100
    assert seen["level 2 after a look"] + seen["level 3 after a look"] > 0
    assert seen["a level turns"] <= TURNS_MAX * seen["looks with jobs enough"]
    hasty = replace(POLICY, level_margin=0, level_window=POLICY.level_every, level_jobs_min=1)
    assert follow(months, hasty)["a level turns"] > 4 * seen["a level turns"]


PLANTED = {
    "an expired offer can be accepted": lambda m: m.setattr(
        rules, "check_live", lambda now, offer: None
    ),
    "a friend who refused is asked again": lambda m: m.setattr(
        matching, "REFUSED_BY_FRIEND", frozenset()
    ),
    "the others keep their offers": lambda m: m.setattr(
        rules.Draft, "close_live_offers", lambda self, state: []
    ),
    "the counter is forgotten": lambda m: m.setattr(rules.Draft, "_count_map", lambda self: {}),
    "timers are not stopped": lambda m: m.setattr(rules.Draft, "stop_timers", lambda self: None),
    "no expiry timer is set": lambda m: m.setattr(fan_out, "_next_expiry", lambda draft: None),
    "capacity is ignored": lambda m: m.setattr(matching, "_busy", lambda friend, need: None),
    "the farthest are asked": lambda m: m.setattr(
        matching,
        "sorted",
        lambda rows, key=None: sorted(rows, key=key, reverse=True),
        raising=False,
    ),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_detected(monkeypatch, bug: str):
    PLANTED[bug](monkeypatch)
    with pytest.raises((InvariantViolated, IllegalTransition)):
        run_towns(3)


def run_towns(count: int) -> None:
    for seed in range(count):
        Town(seed).run()
