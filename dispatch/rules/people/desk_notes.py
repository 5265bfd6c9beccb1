"""Notes that the desk keeps about bookings and friends."""

from __future__ import annotations

from dispatch.rules.refusals import Refused


class NotesFull(Refused):
    """There is no room for another note."""

    code = "notes-full"

    def __init__(self, field: str) -> None:
        super().__init__("At most two hundred are kept, and notes are never deleted.")
        self.field = field
