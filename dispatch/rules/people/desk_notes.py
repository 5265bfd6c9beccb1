"""Notes that the desk keeps about bookings and friends."""

from __future__ import annotations

from dispatch.rules.refusals import Refused


class NotesFull(Refused):
    """There are as many notes as are kept."""

    code = "notes-full"

    def __init__(self, field: str) -> None:
        super().__init__("Two hundred are kept, and none is changed; say this elsewhere.")
        self.field = field
