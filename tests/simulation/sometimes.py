"""What must happen at least once in a run, or it proves too little."""

from collections import Counter

SOMETIMES = (
    "a friend has too many offers",
    "a friend who lost is asked again",
    "a sweeper finds nothing to do",
    "accept again",
    "accept at +0 ms of expiry: refused",
    "accept at +1 ms of expiry: refused",
    "accept at -1 ms of expiry: won",
    "accept refused: at-capacity",
    "accept refused: offer-expired",
    "accept refused: offer-gone",
    "schedule refused: appointment-overlaps",
    "response lost after it was stored",
    "appointment.move_asked",
    "booking.cancelled",
    "booking.delayed",
    "booking.escalated",
    "booking.not_on_the_way",
    "booking.on_the_way",
    "booking.redispatched",
    "award by hand",
    "cancel",
    "cancel refused: fee-changed",
    "cancelled for a fee",
    "contact at +0 ms: refused",
    "contact at -1 ms: in time",
    "contact at the moment of the deadline",
    "contact.disputed",
    "contact.missed",
    "contact.answered",
    "contact.settled",
    "contact.unanswered",
    "decision lost before it was stored",
    "decline again",
    "ended cancelled",
    "ended completed",
    "ended unfilled",
    "everybody declined",
    "favourite asked first",
    "mark incomplete",
    "hand back",
    "late sweep",
    "rate refused: already-rated",
    "retry",
    "rounds used up",
    "no answer",
    "top-up",
)


def never_reached(seen: Counter[str]) -> list[str]:
    """Those of SOMETIMES that were not seen."""
    return [what for what in SOMETIMES if not seen[what]]
