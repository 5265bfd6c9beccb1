"""The two ways a rule says no. Each refusal is a class beside the rule that raises it."""

from __future__ import annotations


class Refused(Exception):
    """The rules say no.

    The docstring of a subclass is its title, `code` its stable name outside, `field` the part of
    the request to mend where there is one. The message is the detail, and names the cure.
    """

    code = "refused"
    field: str | None = None


class NotFound(Refused):
    """There is no such thing, or it is not yours."""

    code = "not-found"
