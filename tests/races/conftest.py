"""Races are run through the flows of two processes' worth of runtimes on one database."""

from tests.flows.conftest import one_gazetteer, other

__all__ = ["one_gazetteer", "other"]
