"""What must have happened at least once, or the town is too quiet to prove anything."""

from collections import Counter

SOMETIMES = (
    "a friend has too many offers",
    "a loser is asked again",
    "a sweeper finds nothing to do",
    "accept again",
    "accept at +0 ms of expiry: refused",
    "accept at +1 ms of expiry: refused",
    "accept at -1 ms of expiry: won",
    "accept refused: at-capacity",
    "accept refused: offer-expired",
    "accept refused: offer-gone",
    "agree refused: appointment-overlaps",
    "answer lost after it was kept",
    "appointment.move_asked",
    "booking.cancelled",
    "booking.escalated",
    "booking.on_the_way",
    "booking.redispatched",
    "by hand",
    "cancel",
    "cancel refused: fee-changed",
    "cancelled for a fee",
    "contact at +0 ms: refused",
    "contact at -1 ms: in time",
    "contact in the very moment of the deadline",
    "contact.disputed",
    "contact.missed",
    "decision lost before it was kept",
    "decline again",
    "ended cancelled",
    "ended completed",
    "ended unfilled",
    "everybody declined",
    "give up",
    "hand back",
    "late sweep",
    "rate refused: already-rated",
    "retry",
    "rounds spent",
    "silence",
    "top-up",
)


def never_reached(seen: Counter[str]) -> list[str]:
    """Those of SOMETIMES that were not seen."""
    return [what for what in SOMETIMES if not seen[what]]
