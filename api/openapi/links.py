"""The `links` of the OpenAPI document: from a response to the operations that may follow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

# Stands for every step of a job: all operations of friends on a booking.
JOB: Final = ("*job",)
DESK: Final = (
    *("list_decisions", "redispatch_booking", "award_booking"),
    *("uphold_completion", "reopen_booking", "decide_review", "read_messages_for_desk"),
)
DESK_LISTS: Final = (
    *("show_numbers", "show_queues", "find_bookings", "show_map", "list_messages", "list_errands"),
    *("find_friends", "import_friends", "list_partners", "add_partner"),
    "list_all_packages",
    *("export_person", "erase_person", "list_my_passkeys", "list_reported_reviews"),
    *("list_practical_checks", "list_exams", "list_applications", "list_review_requests"),
    *("list_companies", "add_company"),
)
FIRST_PARTNER: Final = {"partner_id": "$response.body#/items/0/id"}
BY_KEY: Final = {"partner_id": "$response.body#/id", "prefix": "$response.body#/prefix"}
BY_FILE: Final = {"file_id": "$response.body#/id"}
OF_PERSON: Final = ("read_journal_of_person", "list_files_of_person", "confirm_identity")
OF_PROFILE: Final = (
    "upload_my_file",
    "preview_my_profile",
    "show_my_level",
    "list_my_review_requests",
    "export_my_own_data",
    "export_my_own_table",
    "ask_review",
)
FIRST_FRIEND: Final = {"friend_id": "$response.body#/items/0/id"}
FIRST_CERTIFICATE: Final = {
    "friend_id": "$response.body#/id",
    "code": "$response.body#/certificates/0/code",
}
BOOKING: Final = (
    *("get_booking", "list_events", "cancel_booking", "report_no_contact", "ask_move"),
    *("list_reviews", "reply_to_review", "report_review", "show_friend_of_booking"),
    *(
        "list_pictures",
        "rate_booking",
        "confirm_contact",
        "confirm_booking",
        "contest_completion",
        "renew_link",
    ),
    *("add_favourite", "remove_favourite"),
    *("read_messages", "send_message", "mark_read"),
)
ACCOUNT: Final = (
    *("show_my_account", "change_my_account", "list_my_bookings", "export_my_data"),
    *("list_account_passkeys", "end_my_sessions", "erase_my_data"),
)
APPLICATION: Final = (
    *("show_my_application", "change_my_application", "submit_my_application"),
    *("withdraw_my_application", "apply_again", "ask_my_guardian"),
)
FIRST_APPLICATION: Final = {"friend_id": "$response.body#/items/0/friend_id"}
FIRST_COMPANY: Final = {"company_id": "$response.body#/items/0/id"}
FIRST_DISPATCHER: Final = {
    "company_id": "$response.body#/company/id",
    "person_id": "$response.body#/dispatchers/0/id",
}
FIRST_TECHNICIAN: Final = {
    "company_id": "$response.body#/company/id",
    "friend_id": "$response.body#/technicians/0/id",
}
BY_ADDRESS: Final = {
    "country": "$request.body#/address/country",
    "q": "$request.body#/address/postcode",
}
BY_ID: Final = {"booking_id": "$response.body#/id"}
BY_BOOKING_ID: Final = {"booking_id": "$response.body#/booking_id"}
FIRST_ITEM: Final = {"booking_id": "$response.body#/items/0/id"}
FIRST_BOOKING: Final = {"booking_id": "$response.body#/items/0/booking_id"}
BY_PATH: Final = {"booking_id": "$request.path.booking_id"}
# For each operation: parameters of a link, taken from its response, and the target operations.
LINKS: Final[Mapping[str, tuple[tuple[Mapping[str, str], tuple[str, ...]], ...]]] = {
    "list_packages": (
        (
            {"package": "$response.body#/items/0/code", "market": "$request.query.market"},
            ("show_coverage",),
        ),
        ({}, ("request_login_link", "begin_application")),
    ),
    "show_coverage": (({"market": "$request.query.market"}, ("list_packages",)),),
    "create_quote": ((BY_ADDRESS, ("find_places",)),),
    "create_booking": (
        (BY_ID, (*BOOKING, *DESK, *JOB)),
        ({}, ("list_bookings", "follow_live")),
    ),
    "list_bookings": ((FIRST_ITEM, (*BOOKING, *DESK)),),
    "get_booking": ((BY_ID, (*BOOKING[1:], "get_invitation")), ({}, ("follow_live",))),
    "find_bookings": ((FIRST_ITEM, ("open_booking", "list_neighbours", "note_booking")),),
    "open_booking": ((BY_ID, ("list_neighbours", "note_booking", *DESK)),),
    "list_review_requests": (
        ({"request_id": "$response.body#/items/0/id"}, ("answer_review_request",)),
        ({"person_id": "$response.body#/items/0/friend_id"}, ("note_review_request",)),
    ),
    "list_errands": (({"errand_id": "$response.body#/items/0/id"}, ("retry_errand",)),),
    "list_messages": (({"message_id": "$response.body#/items/0/id"}, ("send_message_again",)),),
    "upload_my_file": ((BY_FILE, ("open_file", "remove_file")), ({}, ("list_my_files",))),
    "list_companies": ((FIRST_COMPANY, ("show_company", "add_dispatcher", "add_technician")),),
    "show_company": (
        (FIRST_DISPATCHER, ("remove_dispatcher",)),
        (FIRST_TECHNICIAN, ("remove_technician",)),
    ),
    "show_board": (
        (
            {"offer_id": "$response.body#/offers/0/id"},
            ("accept_for_technician", "decline_for_company"),
        ),
        (
            {"job_id": "$response.body#/jobs/0/booking_id"},
            ("reassign_job", "hand_back_for_company"),
        ),
    ),
    "list_applications": (
        (FIRST_APPLICATION, ("open_application", "accept_application", "decline_application")),
    ),
    "find_friends": (
        (FIRST_FRIEND, ("open_friend", "set_friend_state", "set_friend_limits")),
        (FIRST_FRIEND, ("show_level", "set_level")),
    ),
    "open_friend": (
        (FIRST_CERTIFICATE, ("certify_friend", "uncertify_friend")),
        ({"person_id": "$response.body#/id"}, OF_PERSON),
    ),
    "list_all_packages": (
        ({"package": "$response.body#/items/0/code"}, ("list_package_versions", "change_package")),
    ),
    "list_partners": ((FIRST_PARTNER, ("add_partner_key", "read_journal_of_partner")),),
    "add_partner": ((BY_KEY, ("revoke_partner_key",)),),
    "list_decisions": ((BY_PATH, ("award_booking", "redispatch_booking")),),
    "redispatch_booking": ((BY_ID, ("list_decisions", "get_booking")),),
    "contest_completion": ((BY_ID, ("uphold_completion", "reopen_booking")),),
    "award_booking": ((BY_ID, ("list_decisions", "list_events")),),
    "list_my_offers": (
        ({"offer_id": "$response.body#/items/0/id"}, ("accept_offer", "decline_offer")),
        ({}, ("follow_live",)),
    ),
    "accept_offer": ((BY_BOOKING_ID, (*JOB, "get_booking")), ({}, ("list_my_jobs",))),
    "decline_offer": (({}, ("list_my_offers", "list_my_reasons", "list_my_earnings")),),
    "list_my_earnings": (({}, ("sum_my_earnings",)),),
    "sum_my_earnings": (({"month": "$response.body#/months/0/month"}, ("download_my_earnings",)),),
    "list_my_jobs": ((FIRST_BOOKING, JOB),),
    "report_contact": ((BY_BOOKING_ID, ("set_appointment", "hand_back")),),
    "set_appointment": ((BY_BOOKING_ID, ("get_invitation", "report_on_the_way", "start_work")),),
    "start_work": ((BY_BOOKING_ID, ("complete_work", "report_incomplete")),),
    "show_my_profile": (
        ({}, ("change_my_profile", "show_push_key", "show_my_number")),
        ({}, OF_PROFILE),
    ),
    "list_my_exams": (
        ({"certificate": "$response.body#/items/0/certificate"}, ("start_exam",)),
        ({"sitting_id": "$response.body#/items/0/last/id"}, ("show_my_sitting",)),
    ),
    "start_exam": (
        (
            {
                "sitting_id": "$response.body#/id",
                "position": "$response.body#/questions/0/position",
            },
            ("answer_question",),
        ),
        ({"sitting_id": "$response.body#/id"}, ("finish_sitting", "show_my_sitting")),
    ),
    "list_practical_checks": (
        ({"sitting_id": "$response.body#/items/0/id"}, ("decide_practical_check",)),
    ),
    "list_exams": (
        ({"certificate": "$response.body#/items/0/certificate"}, ("show_exam_statistics",)),
    ),
    "show_my_number": (({}, ("send_my_code", "confirm_my_number")),),
    "send_my_code": (({"provider": "sms"}, ("take_notice",)), ({}, ("confirm_my_number",))),
    "show_push_key": (({}, ("add_my_phone",)),),
    "add_my_phone": (({}, ("try_my_alarm", "confirm_my_alarm", "remove_my_phone")),),
    "change_my_profile": (({}, ("show_my_profile", "list_my_offers")),),
    "request_login_link": (
        ({}, ("create_session", "create_session_by_code", "create_passkey_challenge")),
    ),
    "create_session": (
        ({}, ("show_my_profile", "list_my_offers", "list_my_jobs", "list_bookings")),
        ({}, ("list_my_exams", "list_my_messages", "show_my_application", "show_board")),
        ({}, ("show_session", "delete_session")),
        ({}, DESK_LISTS),
        ({}, ACCOUNT),
    ),
    "begin_application": (({}, ("confirm_application", "confirm_application_by_code")),),
    "confirm_application": (({}, APPLICATION),),
    "confirm_application_by_code": (({}, APPLICATION),),
    "submit_my_application": (({}, ("show_guardianship",)),),
    "show_guardianship": (({}, ("confirm_guardianship", "withdraw_guardianship")),),
    "list_my_messages": ((FIRST_BOOKING, ("read_messages", "send_message", "mark_read")),),
    "list_my_bookings": ((FIRST_ITEM, BOOKING),),
    "list_account_passkeys": (
        ({}, ("create_account_passkey_challenge", "add_account_passkey")),
        ({"passkey_id": "$response.body#/items/0/id"}, ("remove_account_passkey",)),
    ),
    "create_passkey_challenge": (({}, ("create_session_by_passkey",)),),
    "list_my_passkeys": (
        ({}, ("create_my_passkey_challenge", "add_my_passkey")),
        ({"passkey_id": "$response.body#/items/0/id"}, ("remove_my_passkey",)),
    ),
    "delete_session": (({}, ("request_login_link",)),),
}
FROM_QUOTE: Final = {"quote_id": "$response.body#/id", "package": "$response.body#/package"}


def links(operation: str, known: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The links of an operation to the operations `known` by their id, by target."""
    job = [name for name, one in known.items() if _is_job_step(one)]
    return {target: link for target, link in _links(operation, job) if target in known}


def _is_job_step(operation: Mapping[str, Any]) -> bool:
    parameters = {one["name"] for one in operation.get("parameters", ())}
    return "friends" in operation["tags"] and "booking_id" in parameters


def _links(operation: str, job: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    for parameters, targets in LINKS.get(operation, ()):
        for target in [step for one in targets for step in (job if one in JOB else [one])]:
            link: dict[str, Any] = {"operationId": target}
            if parameters:
                link["parameters"] = dict(parameters)
            yield target, link
    if operation == "create_quote":
        yield "create_booking", {"operationId": "create_booking", "requestBody": FROM_QUOTE}
    if operation == "list_packages":
        package = {"package": "$response.body#/items/0/code"}
        yield "create_quote", {"operationId": "create_quote", "requestBody": package}
