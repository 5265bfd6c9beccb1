"""python -m tests.proof.hostile: attacks from outside on a real server, each within its bound."""

import argparse
import asyncio
import sys

from tests.proof import page, report
from tests.proof.hostile.target import Figure, Named, Target, attacks, open_target


def main() -> None:
    """Attack, print the findings, write docs/proof.md; exit code 1 when a bound was exceeded."""
    names = [one.name for one in attacks()]
    parser = argparse.ArgumentParser(prog="python -m tests.proof.hostile", description=__doc__)
    parser.add_argument("--only", choices=names, action="append", help="this attack, repeatable")
    parser.add_argument("--short", action="store_true", help="as short as in the suite")
    parser.add_argument("--no-page", action="store_true", help="leave docs/proof.md as it is")
    arguments = parser.parse_args()
    known = attacks(is_whole=not arguments.short)
    chosen = [one for one in known if not arguments.only or one.name in arguments.only]
    violations, lines = asyncio.run(run(chosen, is_whole=not arguments.short))
    sys.stdout.write("\n".join([*lines, ""]))
    if not arguments.no_page:
        page.write("hostile", "Hostile", "python -m tests.proof.hostile", lines)
    sys.exit(1 if violations else 0)


async def run(chosen: list[Named], *, is_whole: bool) -> tuple[int, list[str]]:
    """Run the attacks one after another; returns how many exceeded a bound, and the findings."""
    violations = 0
    lines = [
        "One `tekkie serve --api-only`, one `tekkie worker` and PostgreSQL, attacked from outside:",
        "",
    ]
    async with open_target(is_whole=is_whole) as target:
        for one in chosen:
            figures, violation = await try_attack(one, target)
            violations += violation is not None
            lines += [f"### {one.title}", ""]
            if figures:
                lines += [report.table(("measured", "value", "bound"), figures), ""]
            lines += [f"**Violated: {violation}**", ""] if violation is not None else []
    return violations, [*lines, f"**Violations: {violations}.**"]


async def try_attack(one: Named, target: Target) -> tuple[list[Figure], str | None]:
    """What the attack measured, or the bound that it exceeded."""
    try:
        return await one.attack(target), None
    except AssertionError as error:
        return [], str(error) or "an assertion without words; see the attack"


if __name__ == "__main__":
    main()
