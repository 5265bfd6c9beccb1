"""The base classes of refusals. Each refusal is a class beside the rule that raises it."""

from __future__ import annotations


class Refused(Exception):
    """A rule does not allow the request.

    The docstring of a subclass is its title, `code` its stable public name, `field` the part of the
    request to correct, if any. The message says what to do: `detail` where it is always the same.
    """

    code = "refused"
    field: str | None = None
    detail = ""

    def __str__(self) -> str:
        return self.detail or super().__str__()


class NotFound(Refused):
    """It does not exist, or it is not yours."""

    code = "not-found"
