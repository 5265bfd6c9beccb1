"""python -m tests.proof.states: every command in every order on real PostgreSQL, in full."""

import argparse
import os
import sys

import pytest

from tests.proof import report


def main() -> None:
    """Run; the test writes its figures into docs/proof.md."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.states", description=__doc__)
    parser.add_argument("--steps", type=int, default=12_000, help="for each way to rank friends")
    parser.add_argument("--seed", type=int, default=1, help="of the walks")
    arguments = parser.parse_args()
    os.environ["TEKKIE_PROOF_STEPS"] = str(arguments.steps)
    os.environ["TEKKIE_PROOF_SEED"] = str(arguments.seed)
    os.environ.setdefault("TEKKIE_TEST_EXAMPLES", "40")
    os.environ[report.WHOLE] = "whole"
    machine = report.ROOT / "tests" / "flows" / "test_machine.py"
    sys.exit(pytest.main([str(machine), "-q", "--timeout", "7200"]))


if __name__ == "__main__":
    main()
