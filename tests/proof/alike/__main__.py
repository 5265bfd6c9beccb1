"""python -m tests.proof.alike: whether the time of an answer tells foreign from missing."""

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
from tests.api.test_alike import STRANGERS
from tests.builders import booked, live, north
from tests.proof import page, report
from tests.proof.house import House, groups, house, service
from tests.proof.line import Line

ALLOWED_MS = 5.0
SHUFFLES = 2_000
# Of all rows together, one run in a hundred may find a difference where there is none.
ERROR = 0.01
Asked = dict[str, Any]
WARM = 20


@dataclass(frozen=True)
class Row:
    """One route and one stranger: what he waited for each kind, in milliseconds."""

    name: str
    caller: str
    foreign: list[float]
    missing: list[float]
    same: bool

    @property
    def apart_ms(self) -> float:
        return median(self.foreign) - median(self.missing)

    def chance(self, draw: Random) -> float:
        """How often shuffled labels lie as far apart as these: a permutation test of medians."""
        both, half = self.foreign + self.missing, len(self.foreign)
        beyond = 0
        for _ in range(SHUFFLES):
            draw.shuffle(both)
            beyond += abs(median(both[:half]) - median(both[half:])) >= abs(self.apart_ms)
        return (beyond + 1) / (SHUFFLES + 1)


def main() -> None:
    """Run, say what was found, write it to docs/proof.md; exit code 1 when anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.alike", description=__doc__)
    parser.add_argument("--pairs", type=int, default=400, help="of each route and stranger")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-page", action="store_true", help="leave docs/proof.md as it is")
    asked = parser.parse_args()
    rows = asyncio.run(_run(asked.pairs, Random(asked.seed)))
    judged = [(row, row.chance(Random(asked.seed))) for row in rows]
    wrong = [text for row, chance in judged for text in _wrong(row, chance, len(rows))]
    lines = list(_told(judged, wrong))
    sys.stdout.write("\n".join([*lines, ""]))
    if not asked.no_page:
        command = f"python -m tests.proof.alike --pairs {asked.pairs} --seed {asked.seed}"
        page.write("alike", "Foreign and missing", command, lines)
    sys.exit(1 if wrong else 0)


async def _run(pairs: int, chance: Random) -> list[Row]:
    async with house(groups(2), apis=1, speed=0.0) as made, service(made) as rt:
        tokens, ids = await _people(rt)
        nowhere = ids | dict.fromkeys(("booking_id", "offer_id"), MISSING)
        line = Line(made.apis[0].port)
        rows = [
            await _row(
                line,
                (name, caller),
                pairs,
                chance,
                tuple(request(name, of) | {"token": tokens[caller]} for of in (ids, nowhere)),
            )
            for name, caller in STRANGERS
        ]
        rows.append(await _letters(line, made, pairs, chance))
        line.close()
        return rows


async def _letters(line: Line, made: House, pairs: int, chance: Random) -> Row:
    known, unknown = (
        request("request_login_link", {}) | {"json": {"email": email, "kind": "friend"}}
        for email in ("g00n0@example.org", "nobody@example.org")
    )
    return await _row(line, ("request_login_link", "nobody"), pairs, chance, (known, unknown))


async def _row(
    line: Line, about: tuple[str, str], pairs: int, chance: Random, both: tuple[Asked, Asked]
) -> Row:
    """Ask for both in turn, in an order drawn by lot each time."""
    waited: dict[bool, list[float]] = {True: [], False: []}
    said: set[tuple[int, bytes]] = set()
    for turn in range(WARM + pairs):
        for is_foreign in chance.sample((True, False), 2):
            asked = both[not is_foreign]
            reply = await line.ask(
                asked["method"], asked["path"], token=asked.get("token"), body=asked.get("json")
            )
            said.add((reply.status, reply.body))
            if turn >= WARM:
                waited[is_foreign].append((reply.ended_s - reply.began_s) * 1000)
    return Row(*about, waited[True], waited[False], len(said) == 1)


async def _people(rt: Runtime) -> tuple[dict[str, str], dict[str, Any]]:
    """A booking of a partner's, won and agreed; and strangers of each kind."""
    friends = {one.ref: one.id for one in rt.index}
    partner, _ = await accounts.add(rt, "Radio Meier")
    done = await booked(rt, partner_id=partner.id)
    offer = next(one for one in live(done) if one.friend_id == friends["g00n0"])
    await commands.accept(rt, offer.id, offer.friend_id)
    await commands.contacted(rt, offer.booking_id, offer.friend_id)
    other = await booked(rt, point=north(5_000))
    tokens = {
        "other customer": customer_token(rt.settings.key(), other.job.booking.id),
        "other friend": await sessions.token(rt, PersonId(friends["g01n0"])),
        "other partner": (await accounts.add(rt, "Elektro Huber"))[1],
    }
    ids = {"booking_id": offer.booking_id, "offer_id": offer.id, "starts_at": done.now.isoformat()}
    return tokens, ids


def _wrong(row: Row, chance: float, rows: int) -> Iterator[str]:
    about = f"{row.name} by {row.caller}"
    if not row.same:
        yield f"{about}: the answers differ"
    if abs(row.apart_ms) >= ALLOWED_MS:
        yield f"{about}: {row.apart_ms:.2f} ms apart"
    if chance < ERROR / rows:
        yield f"{about}: {row.apart_ms:+.3f} ms apart, which is no accident ({chance:.4f})"


def _told(judged: Sequence[tuple[Row, float]], wrong: Sequence[str]) -> Iterator[str]:
    pairs = len(judged[0][0].foreign)
    yield f"Each stranger asks for another's thing and for one that does not exist, {pairs} times"
    yield "each, in an order drawn by lot, over one connection to `tekkie serve`. Allowed: medians"
    yield f"less than {ALLOWED_MS:g} ms apart, and no farther than shuffled labels would put them"
    yield f"(permutation test of {SHUFFLES:,} shuffles; {ERROR:g} for all rows together). Answers"
    yield "must be the same to the byte. For login links: a known and an unknown address. The"
    yield "statements of both are compared in `tests/api/test_alike.py`."
    yield ""
    yield report.table(
        ("operation", "stranger", "foreign", "missing", "apart", "by chance", "same text"),
        [
            (
                row.name,
                row.caller,
                f"{median(row.foreign):.2f} ms",
                f"{median(row.missing):.2f} ms",
                f"{row.apart_ms:+.3f} ms",
                f"{chance:.3f}",
                "yes" if row.same else "no",
            )
            for row, chance in judged
        ],
    )
    yield ""
    yield f"**Findings: {len(wrong)}.**"
    yield from (f"- {text}" for text in wrong)


if __name__ == "__main__":
    main()
