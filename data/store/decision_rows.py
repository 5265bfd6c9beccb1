"""Rows of decisions, to write and to read."""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import Any, Final
from uuid import UUID

import asyncpg

from data.enums import Outcome, PackageTier, Tier
from data.markets import Language, Market
from data.records.decisions import (
    Decision,
    DecisionLine,
    FriendFacts,
    Inputs,
    Reach,
    Search,
)
from data.records.ids import BookingId, PartnerId

FACTS: Final = Struct("<QHHHhhid")
"""`FriendFacts` in the order of their fields; the schema checks the length (`facts_of_each`)."""
NOTHING: Final = (None, None)


def row(d: Decision) -> tuple[Any, ...]:
    """Return the values of a row, in the order of `insert_decisions`."""
    search, facts = _inputs_row(d.inputs) if d.inputs is not None else NOTHING
    outcomes, counts = _reach_row(d.reach) if d.reach is not None else NOTHING
    return (
        *(d.booking_id, d.seq, d.round, d.tier, d.at, d.policy),
        _array(f.friend_id.hex for f in d.friends),
        _array(f.outcome for f in d.friends),
        _array(f.distance_m for f in d.friends),
        _array(f.rank or 0 for f in d.friends),
        *(d.policy_id, search, facts, outcomes, counts, d.reach and d.reach.within_m),
    )


def _inputs_row(inputs: Inputs) -> tuple[dict[str, Any], bytes]:
    search = inputs.search
    fields: dict[str, Any] = {
        "package": search.package,
        "package_tier": search.package_tier,
        "certificates": search.certificates,
        "market": search.market,
        "language": search.language,
        "community": search.community and str(search.community),
        "tier": search.tier,
        "round": search.round,
        "round_limit": search.round_limit,
        "live": search.live,
        "booked_before": search.booked_before,
        "min_age": search.min_age,
    }
    if inputs.companies:
        fields["companies"] = inputs.companies
    return fields, b"".join([FACTS.pack(*facts) for facts in inputs.friends])


def _reach_row(reach: Reach) -> tuple[str, str]:
    return _array(reach.counts), _array(reach.counts.values())


def _array(values: Iterable[object]) -> str:
    """Format an array literal of values that need no quotes."""
    return "{" + ",".join(map(str, values)) + "}"


def decision(row: asyncpg.Record) -> Decision:
    """Build a decision from its row, its enums as text."""
    lines = zip(row["friend_ids"], row["outcomes"], row["distances_m"], row["ranks"], strict=True)
    return Decision(
        booking_id=BookingId(row["booking_id"]),
        seq=row["seq"],
        round=row["round"],
        tier=Tier(row["tier"]),
        at=row["at"],
        policy=row["policy"],
        friends=tuple(
            DecisionLine(friend, Outcome(outcome), away_m, rank or None)
            for friend, outcome, away_m, rank in lines
        ),
        policy_id=row["policy_id"],
        inputs=_inputs(row),
        reach=reach(row),
    )


def reach(row: asyncpg.Record) -> Reach | None:
    """Build the counts of a decision from its row; None where nobody was counted."""
    if row["reach_outcomes"] is None:
        return None
    counts = zip(map(Outcome, row["reach_outcomes"]), row["reach_counts"], strict=True)
    return Reach(counts=dict(counts), within_m=row["reach_m"])


def _inputs(row: asyncpg.Record) -> Inputs | None:
    stored = row["search"]
    if stored is None:
        return None
    companies = tuple(stored.pop("companies", ()))
    return Inputs(
        search=Search(
            **{
                **stored,
                "package_tier": PackageTier(stored["package_tier"]),
                "certificates": tuple(stored["certificates"]),
                "market": Market(stored["market"]),
                "language": Language(stored["language"]),
                "community": stored["community"] and PartnerId(UUID(stored["community"])),
                "tier": Tier(stored["tier"]),
            }
        ),
        friends=tuple(FriendFacts(*facts) for facts in FACTS.iter_unpack(row["facts"])),
        companies=companies,
    )
