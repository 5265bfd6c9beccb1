"""`python -m tests.proof.mutants`: plant every bug, one by one, and write who catches it."""

from tests.proof.report import run_whole

raise SystemExit(run_whole("mutants", "-p", "no:randomly", "-s"))
