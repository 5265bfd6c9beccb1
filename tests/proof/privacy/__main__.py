"""`python -m tests.proof.privacy`: who reads what, and what many friends find out together."""

from tests.proof.report import whole

raise SystemExit(whole("privacy", "-p", "no:randomly"))
