"""`python -m tests.proof.backup`: the restore drill with more data, for docs/proof.md."""

from tests.proof.report import run_whole

raise SystemExit(run_whole("backup", "-p", "no:randomly"))
