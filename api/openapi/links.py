"""What can be asked next, with which part of the answer: the `links` of the OpenAPI document."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

WORK: Final = (
    *("report_contact", "set_appointment", "report_on_the_way", "start_work"),
    *("complete_work", "report_incomplete", "hand_back", "get_invitation"),
)
DESK: Final = ("list_decisions", "redispatch_booking", "award_booking")
AT_DESK: Final = (
    *("show_numbers", "show_queues", "find_bookings", "show_map", "list_messages"),
    *("find_friends", "import_friends", "list_partners", "add_partner"),
)
ITS_PARTNER: Final = {"partner_id": "$response.body#/items/0/id"}
ITS_KEY: Final = {"partner_id": "$response.body#/id", "prefix": "$response.body#/prefix"}
ITS_FRIEND: Final = {"friend_id": "$response.body#/items/0/id"}
ITS_CERTIFICATE: Final = {
    "friend_id": "$response.body#/id",
    "code": "$response.body#/certificates/0/code",
}
CARE: Final = (
    *("get_booking", "list_events", "cancel_booking", "report_no_contact", "ask_move"),
    "rate_booking",
)
THE_PLACE: Final = {
    "country": "$request.body#/address/country",
    "q": "$request.body#/address/postcode",
}
THE_BOOKING: Final = {"booking_id": "$response.body#/id"}
ITS_BOOKING: Final = {"booking_id": "$response.body#/booking_id"}
THE_NEWEST: Final = {"booking_id": "$response.body#/items/0/id"}
ITS_NEWEST: Final = {"booking_id": "$response.body#/items/0/booking_id"}
SAME_BOOKING: Final = {"booking_id": "$request.path.booking_id"}
# Which operation leads to which others, and where their parameters stand in its answer.
ONWARD: Final[Mapping[str, tuple[tuple[Mapping[str, str], tuple[str, ...]], ...]]] = {
    "list_packages": (
        (
            {"package": "$response.body#/items/0/code", "market": "$request.query.market"},
            ("show_coverage",),
        ),
        ({}, ("request_login_link",)),
    ),
    "show_coverage": (({"market": "$request.query.market"}, ("list_packages",)),),
    "create_quote": ((THE_PLACE, ("find_places",)),),
    "create_booking": (
        (THE_BOOKING, (*CARE, *DESK, *WORK)),
        ({}, ("list_bookings", "follow_live")),
    ),
    "list_bookings": ((THE_NEWEST, (*CARE, *DESK)),),
    "get_booking": ((THE_BOOKING, (*CARE[1:], "get_invitation")), ({}, ("follow_live",))),
    "find_bookings": ((THE_NEWEST, ("open_booking", "list_neighbours", "note_booking")),),
    "open_booking": ((THE_BOOKING, ("list_neighbours", "note_booking", *DESK)),),
    "list_messages": (({"message_id": "$response.body#/items/0/id"}, ("send_message_again",)),),
    "find_friends": ((ITS_FRIEND, ("open_friend", "set_friend_state")),),
    "open_friend": ((ITS_CERTIFICATE, ("certify_friend", "uncertify_friend")),),
    "list_partners": ((ITS_PARTNER, ("add_partner_key",)),),
    "add_partner": ((ITS_KEY, ("revoke_partner_key",)),),
    "list_decisions": ((SAME_BOOKING, ("award_booking", "redispatch_booking")),),
    "redispatch_booking": ((THE_BOOKING, ("list_decisions", "get_booking")),),
    "award_booking": ((THE_BOOKING, ("list_decisions", "list_events")),),
    "list_my_offers": (
        ({"offer_id": "$response.body#/items/0/id"}, ("accept_offer", "decline_offer")),
        ({}, ("follow_live",)),
    ),
    "accept_offer": ((ITS_BOOKING, (*WORK, "get_booking")), ({}, ("list_my_jobs",))),
    "decline_offer": (({}, ("list_my_offers", "list_my_reasons")),),
    "list_my_jobs": ((ITS_NEWEST, WORK),),
    "report_contact": ((ITS_BOOKING, ("set_appointment", "hand_back")),),
    "set_appointment": ((ITS_BOOKING, ("get_invitation", "report_on_the_way", "start_work")),),
    "start_work": ((ITS_BOOKING, ("complete_work", "report_incomplete")),),
    "show_my_profile": (({}, ("change_my_profile", "show_push_key")),),
    "show_push_key": (({}, ("add_my_phone",)),),
    "add_my_phone": (({}, ("try_my_alarm", "remove_my_phone")),),
    "change_my_profile": (({}, ("show_my_profile", "list_my_offers")),),
    "request_login_link": (({}, ("create_session",)),),
    "create_session": (
        ({}, ("show_my_profile", "list_my_offers", "list_my_jobs", "list_bookings")),
        ({}, ("show_session", "delete_session")),
        ({}, AT_DESK),
    ),
    "delete_session": (({}, ("request_login_link",)),),
}
QUOTED: Final = {"quote_id": "$response.body#/id", "package": "$response.body#/package"}


def links(operation: str, known: Collection[str]) -> dict[str, Any]:
    """The links of an operation's success to operations of this document, by where they lead."""
    return {target: link for target, link in _links(operation) if target in known}


def _links(operation: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for parameters, targets in ONWARD.get(operation, ()):
        for target in targets:
            link: dict[str, Any] = {"operationId": target}
            if parameters:
                link["parameters"] = dict(parameters)
            yield target, link
    if operation == "create_quote":
        yield "create_booking", {"operationId": "create_booking", "requestBody": QUOTED}
    if operation == "list_packages":
        package = {"package": "$response.body#/items/0/code"}
        yield "create_quote", {"operationId": "create_quote", "requestBody": package}
