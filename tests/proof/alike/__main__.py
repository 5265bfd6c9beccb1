"""python -m tests.proof.alike: whether response times tell foreign from missing resources."""

import argparse
import asyncio
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from statistics import median
from typing import Any

from data.records.ids import PersonId
from dispatch.flows.jobs import commands
from dispatch.flows.partners import accounts
from dispatch.flows.people import sessions
from dispatch.rules.jobs.customer_links import customer_token
from dispatch.runtime import Runtime
from tests.api.test_access import MISSING, request
from tests.api.test_indistinguishable import STRANGERS
from tests.builders import book_job, live_offers_of, north
from tests.proof import page, report
from tests.proof.connection import Connection
from tests.proof.deployment import connect_runtime, deploy, friend_groups

DIFFERENCE_MAX_MS = 5.0
SHUFFLES = 2_000
# For all rows together, one run in a hundred may find a difference where there is none.
ERROR = 0.01
RequestFields = dict[str, Any]
WARM = 20
NEXT: RequestFields = {"method": "GET", "path": "/healthz"}


@dataclass(frozen=True)
class Row:
    """One route and one unauthorized caller: response times of either kind in milliseconds."""

    name: str
    caller: str
    foreign: list[float]
    missing: list[float]
    identical: bool

    @property
    def difference_ms(self) -> float:
        return median(self.foreign) - median(self.missing)

    def p_value(self, draw: Random) -> float:
        """The p-value of a permutation test of the difference of medians."""
        both, half = self.foreign + self.missing, len(self.foreign)
        beyond = 0
        for _ in range(SHUFFLES):
            draw.shuffle(both)
            beyond += abs(median(both[:half]) - median(both[half:])) >= abs(self.difference_ms)
        return (beyond + 1) / (SHUFFLES + 1)


def main() -> None:
    """Run, print the findings, write docs/proof.md; exit code 1 when there was a violation."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.alike", description=__doc__)
    parser.add_argument("--pairs", type=int, default=400, help="of each route and caller")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-page", action="store_true", help="leave docs/proof.md as it is")
    arguments = parser.parse_args()
    rows = asyncio.run(_run(arguments.pairs, Random(arguments.seed)))
    tested = [(row, row.p_value(Random(arguments.seed))) for row in rows]
    violations = [
        text for row, p_value in tested for text in _find_violations(row, p_value, len(rows))
    ]
    lines = list(_describe(tested, violations))
    sys.stdout.write("\n".join([*lines, ""]))
    if not arguments.no_page:
        command = f"python -m tests.proof.alike --pairs {arguments.pairs} --seed {arguments.seed}"
        page.write("alike", "Foreign and missing", command, lines)
    sys.exit(1 if violations else 0)


async def _run(pairs: int, chance: Random) -> list[Row]:
    async with (
        deploy(friend_groups(2), apis=1, speed=0.0) as deployment,
        connect_runtime(deployment) as rt,
    ):
        tokens, ids = await _create_callers(rt)
        nowhere = ids | dict.fromkeys(("booking_id", "offer_id"), MISSING)
        connection = Connection(deployment.apis[0].port)
        rows = [
            await _measure(
                connection,
                (name, caller),
                pairs,
                chance,
                tuple(request(name, of) | {"token": tokens[caller]} for of in (ids, nowhere)),
            )
            for name, caller in STRANGERS
        ]
        rows += [
            await _measure_login_links(connection, pairs, chance, then=then)
            for then in (None, NEXT)
        ]
        connection.close()
        return rows


async def _measure_login_links(
    connection: Connection, pairs: int, chance: Random, *, then: RequestFields | None
) -> Row:
    """Measure the answer to a request for a link, or with `then` the next one on the connection."""
    known, unknown = (
        request("request_login_link", {}) | {"json": {"email": email, "kind": "friend"}}
        for email in ("g00n0@example.org", "nobody@example.org")
    )
    name = "request_login_link" if then is None else "after request_login_link"
    return await _measure(connection, (name, "nobody"), pairs, chance, (known, unknown), then=then)


async def _measure(
    connection: Connection,
    about: tuple[str, str],
    pairs: int,
    chance: Random,
    both: tuple[RequestFields, RequestFields],
    *,
    then: RequestFields | None = None,
) -> Row:
    """Request both in turn, each time in random order; with `then` measure what follows."""
    times_ms: dict[bool, list[float]] = {True: [], False: []}
    answers: set[tuple[int, bytes]] = set()
    for turn in range(WARM + pairs):
        for is_foreign in chance.sample((True, False), 2):
            reply = await _send(connection, both[not is_foreign])
            # A login request is answered with a secret of its own, always of the same length.
            secret = about[0].endswith("request_login_link")
            answers.add((reply.status, b"%d" % len(reply.body) if secret else reply.body))
            if then is not None:
                reply = await _send(connection, then)
            if turn >= WARM:
                times_ms[is_foreign].append((reply.ended_s - reply.began_s) * 1000)
    return Row(*about, times_ms[True], times_ms[False], len(answers) == 1)


async def _send(connection: Connection, fields: RequestFields) -> Any:
    return await connection.request(
        fields["method"], fields["path"], token=fields.get("token"), body=fields.get("json")
    )


async def _create_callers(rt: Runtime) -> tuple[dict[str, str], dict[str, Any]]:
    """Tokens of unauthorized callers of each kind, and the ids of a partner's awarded booking."""
    friends = {one.ref: one.id for one in rt.index}
    partner, _ = await accounts.add(rt, "Radio Meier")
    done = await book_job(rt, partner_id=partner.id)
    offer = next(one for one in live_offers_of(done) if one.friend_id == friends["g00n0"])
    await commands.accept(rt, offer.id, offer.friend_id)
    await commands.confirm_contact(rt, offer.booking_id, offer.friend_id)
    other = await book_job(rt, point=north(5_000))
    tokens = {
        "other customer": customer_token(rt.settings.key(), other.job.booking.id),
        "other friend": await sessions.create_token(rt, PersonId(friends["g01n0"])),
        "other partner": (await accounts.add(rt, "Elektro Huber"))[1],
    }
    ids = {"booking_id": offer.booking_id, "offer_id": offer.id, "starts_at": done.now.isoformat()}
    return tokens, ids


def _find_violations(row: Row, p_value: float, rows: int) -> Iterator[str]:
    about = f"{row.name} by {row.caller}"
    if not row.identical:
        yield f"{about}: the answers differ"
    if abs(row.difference_ms) >= DIFFERENCE_MAX_MS:
        yield f"{about}: {row.difference_ms:.2f} ms apart"
    if p_value < ERROR / rows:
        yield f"{about}: {row.difference_ms:+.3f} ms apart, p = {p_value:.4f}"


def _describe(tested: Sequence[tuple[Row, float]], violations: Sequence[str]) -> Iterator[str]:
    pairs = len(tested[0][0].foreign)
    yield f"Each caller requests another's resource and one that does not exist, {pairs} times"
    yield "each, in random order, over one connection to `tekkie serve`. Allowed: medians less than"
    yield f"{DIFFERENCE_MAX_MS:g} ms apart, and no more than shuffled labels give (permutation"
    yield f"test with {SHUFFLES:,} shuffles; significance {ERROR:g} for all rows together). Answers"
    yield "must be identical to the byte. For login links: a known and an unknown address, the"
    yield "answer and the next one on the connection; their length is compared. The statements of"
    yield "both are compared in `tests/api/test_indistinguishable.py`."
    yield ""
    yield report.table(
        ("operation", "caller", "foreign", "missing", "apart", "p-value", "identical"),
        [
            (
                row.name,
                row.caller,
                f"{median(row.foreign):.2f} ms",
                f"{median(row.missing):.2f} ms",
                f"{row.difference_ms:+.3f} ms",
                f"{p_value:.3f}",
                "yes" if row.identical else "no",
            )
            for row, p_value in tested
        ],
    )
    yield ""
    yield f"**Findings: {len(violations)}.**"
    yield from (f"- {text}" for text in violations)


if __name__ == "__main__":
    main()
