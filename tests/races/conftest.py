"""Races run through two runtimes, like those of two processes, on one database."""

from tests.flows.conftest import other

__all__ = ["other"]
