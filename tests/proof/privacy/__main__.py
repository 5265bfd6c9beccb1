"""`python -m tests.proof.privacy`: who reads what, and what many friends find out together."""

from tests.proof.report import run_whole

raise SystemExit(run_whole("privacy", "-p", "no:randomly"))
