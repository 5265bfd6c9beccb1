"""Access: one table of every operation and every kind of caller."""

import base64
import re
from datetime import timedelta
from itertools import product
from random import Random

import pytest
from fastapi.routing import APIRoute
from starlette.routing import Route

from api.server.app import ROUTERS, create_app
from data import db
from data.enums import OperatorRole
from data.seed.catalogue import load
from dispatch.flows.bootstrap import open_runtime
from dispatch.flows.partners import accounts
from dispatch.flows.people import companies
from tests.api.conftest import BOOKING, api_on
from tests.api.streams import open_stream, serve_app
from tests.builders import SIGNATURE
from tests.conftest import Clock, settings_in
from tests.pictures import picture

MISSING = "0197f0a0-0000-7000-8000-000000000001"
CALLERS = (
    "nobody",
    "customer",
    "other customer",
    "account",
    "other account",
    "winner",
    "other friend",
    "partner",
    "other partner",
    "company",
    "viewer",
    "dispatcher",
    "community",
    "finance",
    "operator",
)
ALL_FRIENDS = {"winner": 200, "other friend": 200}
# Operators of the desk by what they must at least be; "operator" is an admin.
VIEWERS = ("viewer", "dispatcher", "community", "finance", "operator")
DISPATCHERS = ("dispatcher", "operator")
COMMUNITY = ("community", "operator")
READ_ONLY = frozenset(VIEWERS) - frozenset(DISPATCHERS)
ALL_OPERATORS = dict.fromkeys(VIEWERS, 200)
PARTIES = {"customer": 200, "winner": 200, "partner": 200} | ALL_OPERATORS
BOTH_SIDES = ("customer", "winner", "other customer", "other friend")
STRANGERS = {"other customer": 404, "other partner": 404}
INSIDERS = {"customer": 200, "partner": 200} | ALL_OPERATORS | STRANGERS
# The expected status per caller; any other caller gets 401 (nobody) or 403. An account may do with
# its own bookings what the holders of their links may: `AS_BY_LINK`.
AS_BY_LINK = {"account": "customer", "other account": "other customer"}
ACCOUNTS = dict.fromkeys(AS_BY_LINK, 200)
TABLE = {
    "list_packages": dict.fromkeys(CALLERS, 200),
    "list_all_packages": ALL_OPERATORS,
    "list_package_versions": ALL_OPERATORS,
    "change_package": {"operator": 200},
    "show_coverage": dict.fromkeys(CALLERS, 200),
    "find_places": dict.fromkeys(CALLERS, 200),
    "create_quote": dict.fromkeys(CALLERS, 201),
    "create_booking": dict.fromkeys(CALLERS, 201),
    "list_bookings": {"partner": 200, "other partner": 200} | ALL_OPERATORS,
    "get_booking": PARTIES | STRANGERS | {"other friend": 404},
    "list_events": INSIDERS,
    "cancel_booking": {k: v for k, v in INSIDERS.items() if k not in READ_ONLY},
    "confirm_booking": {"customer": 200, "other customer": 404},
    "report_no_contact": {"customer": 409, "other customer": 404},
    "ask_move": {"customer": 200, "other customer": 404},
    "contest_completion": {"customer": 409, "other customer": 404},
    "confirm_contact": {"customer": 200, "other customer": 404},
    "rate_booking": {"customer": 409, "other customer": 404},
    "upload_my_file": {"winner": 201, "other friend": 201},
    "list_my_files": ALL_FRIENDS,
    "upload_picture": {"winner": 201, "other friend": 404},
    "list_pictures": {k: v for k, v in PARTIES.items() if k != "partner"}
    | {"other customer": 404, "other friend": 404},
    "open_file": {k: v for k, v in PARTIES.items() if k != "partner"}
    | {"other customer": 404, "other friend": 404}
    # The page of a booking shows its pictures by the link.
    | dict.fromkeys(AS_BY_LINK, 403),
    "remove_file": {"winner": 204, "other friend": 404},
    "list_files_of_person": ALL_OPERATORS,
    "confirm_identity": {"community": 404, "operator": 404},
    "review_customer": {"winner": 409, "other friend": 404},
    "list_reviews": {"customer": 200, "winner": 200, "other customer": 404, "other friend": 404},
    **dict.fromkeys(
        ("reply_to_review", "report_review"),
        dict.fromkeys(BOTH_SIDES, 404) | {"customer": 409, "winner": 409},
    ),
    "show_friend_of_booking": dict.fromkeys(BOTH_SIDES, 404) | {"customer": 200, "winner": 200},
    "preview_my_profile": ALL_FRIENDS,
    "list_reported_reviews": ALL_OPERATORS,
    **dict.fromkeys(
        ("list_my_review_requests", "export_my_own_data", "export_my_own_table"), ALL_FRIENDS
    ),
    "ask_review": dict.fromkeys(ALL_FRIENDS, 201),
    "list_review_requests": dict.fromkeys(COMMUNITY, 200),
    "answer_review_request": dict.fromkeys(COMMUNITY, 404),
    "note_review_request": dict.fromkeys(COMMUNITY, 201),
    "decide_review": {"community": 404, "operator": 404},
    "show_board": {"company": 200},
    "accept_for_technician": {"company": 404},
    "decline_for_company": {"company": 404},
    "reassign_job": {"company": 404},
    "hand_back_for_company": {"company": 404},
    "list_companies": ALL_OPERATORS,
    "add_company": dict.fromkeys(COMMUNITY, 201),
    "show_company": dict.fromkeys(COMMUNITY, 200),
    "add_dispatcher": {"community": 201, "operator": 409},
    "remove_dispatcher": dict.fromkeys(COMMUNITY, 404),
    "add_technician": dict.fromkeys(COMMUNITY, 404),
    "remove_technician": dict.fromkeys(COMMUNITY, 404),
    "list_my_offers": ALL_FRIENDS,
    "accept_offer": {"winner": 200, "other friend": 404},
    "decline_offer": {"winner": 409, "other friend": 404},
    "list_my_jobs": ALL_FRIENDS,
    "list_my_reasons": ALL_FRIENDS,
    "list_my_earnings": ALL_FRIENDS,
    "sum_my_earnings": ALL_FRIENDS,
    "download_my_earnings": dict.fromkeys(ALL_FRIENDS, 422),
    "show_my_level": ALL_FRIENDS,
    "show_level": ALL_OPERATORS,
    "set_level": dict.fromkeys(COMMUNITY, 200),
    "list_my_messages": ALL_FRIENDS,
    **{
        name: {"customer": code, "winner": code, "other customer": 404, "other friend": 404}
        for name, code in (("read_messages", 200), ("send_message", 201), ("mark_read", 204))
    },
    "read_messages_for_desk": dict.fromkeys(DISPATCHERS, 200),
    "list_my_exams": ALL_FRIENDS,
    "start_exam": dict.fromkeys(ALL_FRIENDS, 404),
    "show_my_sitting": dict.fromkeys(ALL_FRIENDS, 404),
    "answer_question": dict.fromkeys(ALL_FRIENDS, 404),
    "finish_sitting": dict.fromkeys(ALL_FRIENDS, 404),
    "list_practical_checks": dict.fromkeys(COMMUNITY, 200),
    "decide_practical_check": dict.fromkeys(COMMUNITY, 404),
    "list_exams": dict.fromkeys(COMMUNITY, 200),
    "show_exam_statistics": dict.fromkeys(COMMUNITY, 404),
    "show_my_profile": ALL_FRIENDS,
    "change_my_profile": ALL_FRIENDS,
    "begin_application": dict.fromkeys(CALLERS, 202),
    **dict.fromkeys(
        ("confirm_application", "confirm_application_by_code"), dict.fromkeys(CALLERS, 422)
    ),
    **dict.fromkeys(
        (
            *("show_my_application", "change_my_application", "submit_my_application"),
            *("withdraw_my_application", "ask_my_guardian"),
        ),
        dict.fromkeys(ALL_FRIENDS, 404),
    ),
    "apply_again": dict.fromkeys(ALL_FRIENDS, 409),
    **dict.fromkeys(
        ("show_guardianship", "confirm_guardianship", "withdraw_guardianship"),
        dict.fromkeys(CALLERS, 404),
    ),
    "list_applications": {"community": 200, "operator": 200},
    **{
        name: {"community": 404, "operator": 404}
        for name in ("open_application", "accept_application", "decline_application")
    },
    "show_push_key": dict.fromkeys(CALLERS, 200),
    "add_my_phone": {"winner": 201, "other friend": 201},
    "remove_my_phone": {"winner": 204, "other friend": 204},
    "try_my_alarm": ALL_FRIENDS,
    "confirm_my_alarm": ALL_FRIENDS,
    "show_my_number": ALL_FRIENDS | ACCOUNTS,
    "send_my_code": dict.fromkeys((*ALL_FRIENDS, *ACCOUNTS), 503),
    "confirm_my_number": dict.fromkeys((*ALL_FRIENDS, *ACCOUNTS), 409),
    "take_notice": dict.fromkeys(CALLERS, 404),
    "report_contact": {"winner": 200, "other friend": 404},
    "answer_contest": {"winner": 409, "other friend": 404},
    "set_appointment": {"winner": 200, "other friend": 404},
    "report_on_the_way": {"winner": 200, "other friend": 404},
    "take_back_on_the_way": {"winner": 200, "other friend": 404},
    "report_delay": {"winner": 200, "other friend": 404},
    "start_work": {"winner": 200, "other friend": 404},
    "complete_work": {"winner": 200, "other friend": 404},
    "report_incomplete": {"winner": 200, "other friend": 404},
    "hand_back": {"winner": 200, "other friend": 404},
    "get_invitation": {
        "customer": 200,
        "winner": 200,
        "other customer": 404,
        "other friend": 404,
    },
    "renew_link": dict.fromkeys(("customer", *DISPATCHERS), 200) | {"other customer": 404},
    "set_friend_limits": dict.fromkeys(DISPATCHERS, 200),
    **dict.fromkeys(
        ("award_booking", "uphold_completion", "reopen_booking"), dict.fromkeys(DISPATCHERS, 409)
    ),
    **dict.fromkeys(
        (
            *("show_numbers", "show_queues", "find_bookings", "open_booking", "list_neighbours"),
            *(
                "show_map",
                "list_messages",
                "list_errands",
                "find_friends",
                "open_friend",
                "list_partners",
            ),
            *("read_journal_of_person", "read_journal_of_partner"),
            "list_decisions",
        ),
        ALL_OPERATORS,
    ),
    **dict.fromkeys(
        ("redispatch_booking", "set_friend_state", "certify_friend", "uncertify_friend"),
        dict.fromkeys(DISPATCHERS, 200),
    ),
    "note_booking": dict.fromkeys(DISPATCHERS, 201),
    "retry_errand": dict.fromkeys(DISPATCHERS, 204),
    "send_message_again": dict.fromkeys(DISPATCHERS, 204),
    **{name: {"operator": 200} for name in ("import_friends", "export_person")},
    "erase_person": {"operator": 409},
    **{name: {"operator": 201} for name in ("add_partner", "add_partner_key")},
    "revoke_partner_key": {"operator": 204},
    "request_login_link": dict.fromkeys(CALLERS, 202),
    "create_session": dict.fromkeys(CALLERS, 422),
    "create_session_by_code": dict.fromkeys(CALLERS, 422),
    "create_session_by_passkey": dict.fromkeys(CALLERS, 422),
    "create_passkey_challenge": dict.fromkeys(CALLERS, 201),
    "list_my_passkeys": ALL_OPERATORS,
    "create_my_passkey_challenge": dict.fromkeys(VIEWERS, 201),
    "add_my_passkey": dict.fromkeys(VIEWERS, 422),
    "remove_my_passkey": dict.fromkeys(VIEWERS, 404),
    "show_session": ALL_FRIENDS | ALL_OPERATORS | ACCOUNTS | {"company": 200},
    "delete_session": dict.fromkeys((*ALL_FRIENDS, *VIEWERS, *ACCOUNTS, "company"), 204),
    **dict.fromkeys(
        ("show_my_account", "change_my_account", "list_my_bookings", "export_my_data"), ACCOUNTS
    ),
    "end_my_sessions": dict.fromkeys(ACCOUNTS, 204),
    "erase_my_data": dict.fromkeys(ACCOUNTS, 409),
    "list_account_passkeys": ACCOUNTS,
    "create_account_passkey_challenge": dict.fromkeys(ACCOUNTS, 201),
    "add_account_passkey": dict.fromkeys(ACCOUNTS, 422),
    "remove_account_passkey": dict.fromkeys(ACCOUNTS, 404),
    "add_favourite": {"customer": 409, "other customer": 404},
    "remove_favourite": {"customer": 200, "other customer": 404},
    "follow_live": None,  # an endless stream: see LISTENERS and its own test
}
for _row in TABLE.values():
    if _row is not None:
        _row |= {one: _row[as_] for one, as_ in AS_BY_LINK.items() if as_ in _row} | _row
PARKED_ERRAND = """
    INSERT INTO errands (id, kind, booking_id, request, state, problem, next_at, created_at)
    VALUES (gen_random_uuid(), 'sms.send', $1, '{}', 'parked', 'away', moment(), moment())
    RETURNING id
"""
LISTENERS = dict.fromkeys(CALLERS, 200) | {"nobody": 401} | dict.fromkeys(ACCOUNTS, 403)
# Served but not in the document: health and API description, readable by anybody.
UNDOCUMENTED = {
    ("GET", path): 200 for path in ("/healthz", "/readyz", "/metrics", "/docs", "/openapi.json")
}
CATALOGUE = {"market": "CH", "package": "wifi-setup"}
PARAMS = {
    "list_packages": CATALOGUE,
    "show_coverage": CATALOGUE,
    "find_places": {"country": "CH", "q": "80"},
}
PHONE = {
    "endpoint": "https://fcm.googleapis.com/fcm/send/f1b0:APA91bExample",
    "keys": {
        "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcx"
        "aOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "auth": "BTBZMqHH6r4Tts7J_aSIgg",
    },
}
PICTURE = base64.b64encode(picture()).decode()
JOIN = {"name": "Mara Muster", "email": "mara@example.com", "language": "de", "market": "CH"}
WIFI = load().packages["wifi-setup"]
BODIES = {
    "accept_for_technician": {"technician": MISSING},
    "reassign_job": {"technician": MISSING},
    "hand_back_for_company": {"reason": "other"},
    "add_company": {"name": "Beta AG"},
    "add_dispatcher": {"name": "Dani Muster", "email": "dani@example.com", "language": "de"},
    "add_technician": {"friend": MISSING},
    "ask_review": {"about": "limits", "text": "I have time for more."},
    "note_review_request": {"about": "level", "text": "Wrote by mail."},
    "answer_review_request": {"outcome": "kept", "reasons": "It stays."},
    "create_quote": {"package": "wifi-setup", "address": BOOKING["address"]},
    "create_booking": BOOKING,
    "report_delay": {"minutes": 20},
    "send_message": {"text": "Hello."},
    "mark_read": {"up_to": 1},
    "review_customer": {"stars": 5},
    "reply_to_review": {"text": "Thank you."},
    "report_review": {},
    "decide_review": {"by_friend": False},
    "upload_my_file": {"kind": "photo", "name": "me.jpg", "content": PICTURE},
    "upload_picture": {"name": "router.jpg", "content": PICTURE},
    "start_exam": {"more_time": False},
    "answer_question": {"choice": 1},
    "decide_practical_check": {"confirmed": True},
    "confirm_identity": {"document": "passport", "valid_until": "2031-05-14"},
    "answer_contest": {"called_at": "2026-03-02T10:00:00Z"},
    "change_package": {
        "version": 1,
        "category": WIFI.category,
        "tier": WIFI.tier,
        "minutes": 75,
        "certificates": ["wifi"],
        "prices": {"CH": 6900},
        "texts": {one: {"name": "Wi-Fi", "description": "Everywhere."} for one in WIFI.texts},
    },
    "contest_completion": {"reason": "nobody_came"},
    "confirm_booking": {"code": "271828"},
    "cancel_booking": {"reason": "changed_mind", "fee_minor_max": 1725},
    "ask_move": {"wishes": ["evening"]},
    "rate_booking": {"stars": 5},
    "change_my_profile": {"radius_m": 9000},
    "change_my_account": {"name": "Vera Beispiel", "language": "de"},
    "complete_work": {"summary": "Done.", "minutes": 5, "signature": SIGNATURE},
    "report_incomplete": {"reason": "needs_pro"},
    "hand_back": {"reason": "other"},
    "award_booking": {"friend": "f5"},
    "add_my_phone": PHONE,
    "remove_my_phone": {"endpoint": PHONE["endpoint"]},
    "send_my_code": {"number": "079 000 17 39"},
    "confirm_my_number": {"code": "271828"},
    "take_notice": {},
    "note_booking": {"text": "Call after six."},
    "set_friend_limits": {
        "jobs_per_day": 40,
        "hand_backs_per_day": None,
        "capacity_max": None,
        "radius_max_m": None,
    },
    "set_level": {"level": 2, "held": False, "reason": "Proved."},
    "set_friend_state": {"state": "paused", "reason": "Holidays."},
    **{name: {"person": "f1"} for name in ("export_person", "erase_person")},
    "import_friends": {"filename": "friends.csv", "content": "ref\n", "dry_run": True},
    "add_partner": {"name": "Foto Huber"},
    "request_login_link": {"email": "f1@example.org", "kind": "friend"},
    "create_session": {"token": "none"},
    "begin_application": JOIN,
    "confirm_application": {"token": "none"},
    "confirm_application_by_code": {**JOIN, "request": "none", "code": "123456"},
    "change_my_application": {"skills": []},
    "show_guardianship": {"token": "none"},
    "confirm_guardianship": {"token": "none", "of_age": True},
    "withdraw_guardianship": {"token": "none"},
    "decline_application": {"reasons": ["knowledge"]},
    "create_session_by_passkey": {"credential": {}},
    "add_my_passkey": {"name": "Laptop", "credential": {}},
    "create_session_by_code": {"request": "none", "code": "123456"},
}


def operations():
    for path, methods in create_app().openapi()["paths"].items():
        for method, operation in methods.items():
            yield operation["operationId"], method, path, operation


OPERATIONS = {name: (method, path, about) for name, method, path, about in operations()}


def test_every_operation_is_in_the_table():
    assert set(OPERATIONS) == set(TABLE)


def test_restricted_operations_document_401_and_403():
    for name, (_, _, about) in OPERATIONS.items():
        if TABLE[name] is not None and TABLE[name].keys() != set(CALLERS):
            assert {"401", "403"} <= about["responses"].keys(), name
            assert {} not in about["security"], name


def test_every_served_route_is_in_a_table():
    routes = [*create_app().routes, *(route for one in ROUTERS for route in one.routes)]
    hidden = {
        (method, route.path)
        for route in routes
        if isinstance(route, Route | APIRoute) and not route.include_in_schema
        for method in route.methods - {"HEAD"}
    }
    assert hidden == UNDOCUMENTED.keys()
    assert all(isinstance(one, APIRoute) for router in ROUTERS for one in router.routes)


@pytest.fixture(scope="module")
def arranged(server, neighbours, tmp_path_factory):
    """A database with one caller of each kind, their tokens, and the ids for the paths."""
    name = server.create(neighbours.template)
    folder = tmp_path_factory.mktemp("arranged")
    yield name, *server.run(arrange(server.database(name), neighbours, folder))
    server.drop(name)


@pytest.fixture
def database(server, arranged):
    name = server.create(arranged[0])
    yield server.database(name)
    server.drop(name)


@pytest.fixture
def people(api, arranged):
    """One caller of each kind, around one booking that f1 has accepted and contacted."""
    _, tokens, ids = arranged
    return {who: api.client(token) for who, token in tokens.items()}, ids


async def arrange(database, neighbours, folder):
    owner = await db.connect(database.owner_dsn, application="tests")
    async with (
        open_runtime(settings_in(folder), database, application="tests", chance=Random(7)) as rt,
        api_on(rt, neighbours) as api,
    ):
        callers, ids = await arrange_callers(api, Clock(owner), owner)
    await owner.close()
    return {who: caller.token for who, caller in callers.items()}, ids


async def arrange_callers(api, clock, owner):
    partner = await api.partner()
    made = (await partner.post("/v1/bookings", BOOKING)).json()
    assert made["customer_link"] is None
    booking = made | {"token": api.token_of(made)}
    other = await api.book()
    await api.book(customer=BOOKING["customer"] | {"email": "other@example.com"})
    offer = (await api.offers(booking))["f1"]
    winner = await api.friend("f1")
    at = f"/v1/bookings/{booking['id']}"
    assert (await winner.post(f"/v1/offers/{offer}/accept")).status_code == 200
    assert (await winner.post(f"{at}/contacted")).status_code == 200
    starts_at = (await clock.now() + timedelta(days=1)).isoformat()
    assert (await winner.post(f"{at}/appointment", {"starts_at": starts_at})).status_code == 200
    shown = await winner.post(f"{at}/files", BODIES["upload_picture"])
    parked = "UPDATE messages SET state = 'parked' WHERE booking_id = $1 RETURNING id"
    firm = await companies.add(api.rt, "Alpha AG", actor="system")
    [shop] = await accounts.list_partners(api.rt)
    callers = {
        "nobody": api.client(),
        "customer": api.client(booking["token"]),
        "other customer": api.client(other["token"]),
        "account": await api.account("vera@example.com"),
        "other account": await api.account("other@example.com"),
        "winner": winner,
        "other friend": await api.friend("f6"),
        "partner": partner,
        "other partner": await api.partner("Elektro Huber"),
        "company": await api.dispatcher(firm),
        **{
            role.value: await api.operator(role)
            for role in OperatorRole
            if role is not OperatorRole.ADMIN
        },
        "operator": await api.operator(),
    }
    ids = {
        "booking_id": booking["id"],
        "offer_id": offer,
        "job_id": booking["id"],
        "company_id": firm,
        "starts_at": starts_at,
        "friend_id": api.friends["f2"],
        "person_id": api.friends["f2"],
        "code": "wifi",
        "provider": "sms",
        "certificate": "tea",
        "sitting_id": MISSING,
        "request_id": MISSING,
        "position": 1,
        "passkey_id": MISSING,
        "file_id": shown.json()["id"],
        "errand_id": await owner.fetchval(PARKED_ERRAND, booking["id"]),
        "message_id": await owner.fetchval(parked, booking["id"]),
        "partner_id": shop.id,
        "package": "wifi-setup",
        "prefix": shop.keys[0].prefix,
    }
    return callers, ids


def request(name, ids):
    method, path, _ = OPERATIONS[name]
    body = BODIES.get(name)
    if name == "set_appointment":
        body = {"starts_at": ids["starts_at"]}
    return {
        "method": method.upper(),
        "path": path.format(**ids),
        "params": PARAMS.get(name, {}),
        **({"json": body} if body is not None else {}),
    }


READS = [
    name
    for name, (method, _, _) in OPERATIONS.items()
    if TABLE.get(name) and (method == "get" or name in {"create_quote", "create_booking"})
]
WRITES = [name for name, row in TABLE.items() if row and name not in READS]


async def check(people, name, caller):
    callers, ids = people
    wanted = TABLE[name].get(caller, 401 if caller == "nobody" else 403)
    answer = await callers[caller].send(**request(name, ids))
    assert answer.status_code == wanted, (name, caller, answer.text)
    if wanted == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_each_caller_may_read_as_in_the_table(people):
    for name in READS:
        for caller in CALLERS:
            await check(people, name, caller)


async def test_nobody_may_write_beyond_the_table(people):
    for name in WRITES:
        for caller in CALLERS:
            if TABLE[name].get(caller, 403) >= 400 and TABLE[name].get(caller) != 409:
                await check(people, name, caller)


@pytest.mark.parametrize("name", WRITES)
async def test_permitted_writes_succeed(people, name):
    for caller in CALLERS:
        if TABLE[name].get(caller, 403) in {200, 201, 202, 204, 409}:
            await check(people, name, caller)
            break


OWNED = [name for name, (_, path, _) in OPERATIONS.items() if re.search("{.*_id}", path)]


async def test_foreign_and_missing_are_indistinguishable(people):
    callers, ids = people
    named = [name for name in ids if name.endswith("_id")]
    nowhere = ids | dict.fromkeys(named, MISSING)
    impossible = ids | dict.fromkeys(named, "none")
    for name in OWNED:
        for caller in {*STRANGERS, "other account", "other friend", "operator"}:
            if TABLE[name].get(caller, 403) == 403:
                continue
            missing = await callers[caller].send(**request(name, nowhere))
            odd = await callers[caller].send(**request(name, impossible))
            assert missing.status_code == 404, (name, caller, missing.text)
            assert odd.content == missing.content
            if caller != "operator":
                foreign = await callers[caller].send(**request(name, ids))
                assert foreign.status_code == 404, (name, caller)
                assert foreign.content == missing.content
                assert foreign.headers.keys() == missing.headers.keys()


BAD_CREDENTIALS = [
    "Bearer",
    "Bearer ",
    "Bearer x",
    "Bearer tk_live_" + "x" * 43,
    "Bearer ts_" + "x" * 43,
    "Bearer " + "A" * 65,
    "Bearer " + "x" * 5000,
    "Basic dXNlcjpwYXNz",
    "Bearer \xe9\xe8",
]


async def test_an_invalid_credential_is_refused_even_where_none_is_needed(api, problem):
    calls = [("GET", "/v1/me/offers"), ("POST", "/v1/bookings")]
    for value, (method, path) in product(BAD_CREDENTIALS, calls):
        answer = await api.http.request(
            method, path, json=BOOKING, headers={"Authorization": value.encode("latin-1")}
        )
        problem(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"] == 'Bearer realm="tekkie"'


async def test_a_changed_link_is_invalid(api, problem):
    booking = await api.book()
    token = booking["token"]
    for place in (0, 10, 22, 40, len(token) - 1):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        answer = await api.client(changed).get(f"/v1/bookings/{booking['id']}")
        assert answer.status_code == 401
    problem(
        await api.client(booking["id"]).get(f"/v1/bookings/{booking['id']}"),
        401,
        "unauthenticated",
    )


async def test_undocumented_routes_are_the_same_for_everybody(people):
    callers, _ = people
    for (method, path), status in UNDOCUMENTED.items():
        for caller in CALLERS:
            answer = await callers[caller].send(method, path)
            assert answer.status_code == status, (path, caller)


async def test_every_authenticated_caller_may_open_a_stream(people, api):
    callers, _ = people
    async with serve_app(api.app) as url:
        for caller, status in LISTENERS.items():
            async with open_stream(url, callers[caller].token) as reader:
                assert reader.response.status_code == status, caller
