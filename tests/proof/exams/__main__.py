"""python -m tests.proof.exams: a thousand sittings of twenty questions at once."""

import argparse
import os
import sys

import pytest

from tests.proof import report


def main() -> None:
    """Run; the test writes its figures into docs/proof.md."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.exams", description=__doc__)
    parser.add_argument("--sittings", type=int, default=1000)
    arguments = parser.parse_args()
    os.environ["TEKKIE_PROOF_SITTINGS"] = str(arguments.sittings)
    os.environ[report.WHOLE] = "whole"
    load = report.ROOT / "tests" / "proof" / "exams" / "test_load.py"
    sys.exit(pytest.main([str(load), "-q", "--timeout", "3600"]))


if __name__ == "__main__":
    main()
