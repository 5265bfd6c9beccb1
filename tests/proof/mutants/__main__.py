"""`python -m tests.proof.mutants`: plant every bug, one by one, and write which test fails."""

from tests.proof.report import run_whole

raise SystemExit(run_whole("mutants", "-p", "no:randomly", "-s"))
