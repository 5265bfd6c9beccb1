"""Races run through two runtimes, like those of two processes, on one database."""

from tests.flows.conftest import one_gazetteer, other

__all__ = ["one_gazetteer", "other"]
