"""python -m tests.proof.clocks: daylight saving, clocks that jump, a suspended machine."""

import sys

from tests.proof import report

if __name__ == "__main__":
    sys.exit(report.run_whole("clocks"))
