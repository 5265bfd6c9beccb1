"""Races are run through the flows of two processes' worth of runtimes on one database."""

from tests.flows.conftest import other

__all__ = ["other"]
