"""`python -m tests.proof.backup`: the drill with more data, written down in docs/proof.md."""

from tests.proof.report import whole

raise SystemExit(whole("backup", "-p", "no:randomly"))
