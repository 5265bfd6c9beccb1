"""python -m tests.proof.clocks: odd nights, clocks that jump, machines that sleep."""

import sys

from tests.proof import report

if __name__ == "__main__":
    sys.exit(report.whole("clocks"))
