"""Decides a stored fan-out again, by the same rules, from what it had read."""

from __future__ import annotations

from dataclasses import dataclass

from data.enums import Tier
from data.records.decisions import Decision, DecisionLine
from dispatch.rules.jobs import inputs, matching
from dispatch.rules.policy import Policy


class NotReplayable(ValueError):
    """A release before inputs were stored made this decision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """The outcome of a decision made again; `friends` are in the order of distance, then id."""

    tier: Tier
    friends: tuple[DecisionLine, ...]

    def equals(self, decision: Decision) -> bool:
        """Whether tier, order, and every friend's outcome, distance and rank are as decided."""
        return (self.tier, self.friends) == (decision.tier, decision.friends)


def replay(decision: Decision, policy: Policy) -> Replay:
    """Decide again by `policy`, from the stored inputs alone. Raises NotReplayable."""
    stored = decision.inputs
    if stored is None:
        raise NotReplayable("its inputs were not stored")
    search = stored.search
    numbers = stored.companies or [0] * len(stored.friends)
    lines = [
        (line.friend_id, facts, number)
        for line, facts, number in zip(decision.friends, stored.friends, numbers, strict=True)
    ]
    asked = frozenset(number for _, facts, number in lines if facts.flags & inputs.COMPANY_ASKED)
    needs = matching.needs_of(
        search,
        customer_key=inputs.CUSTOMER,
        excluded=frozenset(one for one, facts, _ in lines if facts.flags & inputs.EXCLUDED),
        companies=(frozenset(filter(None, map(inputs.company_numbered, asked))), frozenset()),
        now=decision.at,
        policy=policy,
    )
    ranking = matching.choose(
        # In the order of ids, so that the order of distance is found and not taken over.
        [
            inputs.rebuild(one, facts, search, needs[0], number)
            for one, facts, number in sorted(lines)
            if needs
        ],
        needs,
        asked=[one for one, facts, _ in lines if facts.flags & inputs.ASKED],
        want=lambda need: policy.at(need.tier, search.package).fan_out - search.live,
        favourite=next((one for one, facts, _ in lines if facts.flags & inputs.FAVOURITE), None),
    )
    tier = ranking.met.tier if ranking.met and not ranking.alone else search.tier
    return Replay(tier=tier, friends=ranking.considered)
