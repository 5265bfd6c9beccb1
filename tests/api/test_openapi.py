"""The OpenAPI document is accurate: its examples work, and its statuses are complete."""

import json
import re
from datetime import UTC, datetime, timedelta

import jsonschema_rs
import pytest

from api.http import proof_of_work
from api.http.problems import KINDS, error_response
from api.server.app import create_app
from data.db import transaction
from data.enums import OperatorRole
from data.markets import Currency
from data.records.money import Money
from data.store import exams
from dispatch.rules.jobs.refusals import CompletedTooEarly, FeeChanged
from dispatch.rules.trust.quotas import ProofRequired
from tests.api.conftest import expect
from tests.exam_banks import bank

DOCUMENT = create_app().openapi()
SOME_ID = "0197f0a0-0000-7000-8000-000000000001"
OPERATIONS = [
    (path, method, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]


def test_operations_are_named_described_and_tagged():
    ids = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(ids) == len(set(ids))
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    for _, _, operation in OPERATIONS:
        assert re.fullmatch("[a-z_]+", operation["operationId"])
        assert operation["summary"]
        assert operation["description"]
        assert set(operation["tags"]) <= tags


def test_every_failure_is_documented_as_a_problem_with_its_codes():
    codes = {kind.code: kind.status for kind in KINDS.values()}
    for path, method, operation in OPERATIONS:
        for status, response in operation["responses"].items():
            if status < "400":
                continue
            [(media_type, content)] = response["content"].items()
            assert media_type == "application/problem+json", (path, method, status)
            for code, example in content["examples"].items():
                assert codes[code] == int(status), (path, method, code)
                assert example["value"]["code"] == code
        assert {"500", "503"} <= operation["responses"].keys()


@pytest.mark.parametrize(
    ("error", "extra"),
    [
        (FeeChanged(Money(amount=900, currency=Currency.EUR)), "fee"),
        (CompletedTooEarly(datetime(2026, 1, 5, 9, 30, tzinfo=UTC)), "possible_at"),
        (ProofRequired(proof_of_work.challenge(b"k" * 32)), "challenge"),
    ],
)
def test_a_problem_has_no_member_that_the_document_leaves_out(error, extra):
    problem = json.loads(error_response(error).body)
    assert extra in problem
    schema = {"$ref": "#/components/schemas/Problem", "components": DOCUMENT["components"]}
    jsonschema_rs.validate(schema, problem)
    assert not jsonschema_rs.is_valid(schema, problem | {"more": 1})


def test_every_request_body_has_an_example():
    for path, method, operation in OPERATIONS:
        if "requestBody" in operation:
            assert operation["requestBody"]["content"]["application/json"]["examples"], (
                path,
                method,
            )


def test_the_document_names_no_schema_twice_and_leaves_none_out():
    text = json.dumps(DOCUMENT)
    named = set(re.findall("#/components/schemas/([A-Za-z_]+)", text))
    assert named <= DOCUMENT["components"]["schemas"].keys()
    assert "HTTPValidationError" not in DOCUMENT["components"]["schemas"]


def examples():
    found = {}
    for _, _, operation in OPERATIONS:
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content:
            found[operation["operationId"]] = content["examples"]["example"]["value"]
    return found


# Examples with a secret that is made for each use.
ONLY_ONCE = {
    "create_session": ("/v1/sessions", "link-used-up"),
    "create_session_by_code": ("/v1/sessions/code", "code-refused"),
    "create_session_by_passkey": ("/v1/sessions/passkey", "passkey-refused"),
    "add_my_passkey": ("/v1/desk/passkeys", "passkey-refused"),
}


# Examples of other stories than that of bookings and the desk.
OF_ACCOUNT = {"change_my_account", "add_account_passkey"}
OF_PICTURES = {"upload_picture", "upload_my_file", "confirm_identity"}
OF_PHONES = (
    ("send_my_code", "phone", "POST", 503),
    ("confirm_my_number", "phone/code", "POST", 409),
    ("add_my_phone", "push-subscriptions", "POST", 201),
    ("remove_my_phone", "push-subscriptions", "DELETE", 204),
)
OF_REVIEWS = {"review_customer", "reply_to_review", "report_review", "decide_review"}
OF_JOINING = {
    *("begin_application", "confirm_application", "confirm_application_by_code"),
    *("change_my_application", "decline_application"),
    *("show_guardianship", "confirm_guardianship", "withdraw_guardianship"),
}
OF_COMPANIES = {
    *("add_company", "add_dispatcher", "add_technician"),
    *("accept_for_technician", "reassign_job", "hand_back_for_company"),
}
OF_BOOKINGS = {
    *("create_quote", "create_booking", "confirm_booking", "cancel_booking", "ask_move"),
    *("answer_contest", "set_appointment", "report_delay", "send_message", "mark_read"),
    *("complete_work", "contest_completion", "rate_booking", "report_incomplete", "hand_back"),
    *("redispatch_booking", "award_booking", "note_booking"),
}
OF_REQUESTS = {"ask_review", "answer_review_request", "note_review_request"}


class Story:
    """Requests by the examples of these operations, each of which is used once."""

    def __init__(self, api, names):
        self.api, self.bodies = api, {name: examples()[name] for name in names}

    async def run(self, name, caller, path, method="POST", status=200):
        answer = await caller.send(method, path, json=self.bodies.pop(name))
        assert answer.status_code == status, (name, answer.text)

    async def book(self):
        """A booking by the example; returns its path, the customer's token and the response."""
        made = (await self.api.client().post("/v1/bookings", examples()["create_booking"])).json()
        return f"/v1/bookings/{made['id']}", made["customer_link"].rpartition("/")[2], made

    async def win(self):
        """A booking whose customer the friend has contacted: the path, customer and friend."""
        at, token, made = await self.book()
        ref, offer = next(iter((await self.api.offers(made | {"token": token})).items()))
        friend = await self.api.friend(ref)
        await friend.post(f"/v1/offers/{offer}/accept")
        assert (await friend.post(f"{at}/contacted")).status_code == 200
        return at, self.api.client(token), friend


async def sit_by_examples(api, story):
    async with transaction(api.rt.pool) as tx:
        await exams.put(tx, [bank("security")])
    friend, desk = await api.friend("f1"), await api.operator()
    begun = await friend.post("/v1/me/exams/security", story.bodies.pop("start_exam"))
    at = f"/v1/me/sittings/{begun.json()['id']}"
    await story.run("answer_question", friend, f"{at}/answers/1", "PUT", 204)
    for asked in begun.json()["questions"]:
        [choice] = [n for n, o in enumerate(asked["options"], 1) if o.split()[2] == "b"]
        await friend.send("PUT", f"{at}/answers/{asked['position']}", json={"choice": choice})
    assert (await friend.post(f"{at}/finish", {})).json()["state"] == "practical_due"
    check = f"/v1/desk/practical-checks/{begun.json()['id']}"
    await story.run("decide_practical_check", desk, check, status=204)


async def test_the_examples_of_bookings_work_through_a_whole_life_cycle(api, clock):
    story, desk = Story(api, OF_BOOKINGS), await api.operator()
    await story.run("create_quote", api.client(), "/v1/quotes", status=201)
    await story.run("create_booking", api.client(), "/v1/bookings", status=201)
    at, customer, friend = await story.win()
    assert (await customer.post(f"{at}/not-called")).status_code == 200
    await clock.advance(timedelta(hours=2))
    await story.run("answer_contest", friend, f"{at}/contact-evidence")
    await story.run("send_message", customer, f"{at}/messages", status=201)
    await story.run("mark_read", friend, f"{at}/messages/read", status=204)
    await story.run("set_appointment", friend, f"{at}/appointment")
    await story.run("report_delay", friend, f"{at}/delay")
    await story.run("ask_move", customer, f"{at}/move")
    await story.run("complete_work", friend, f"{at}/complete")
    await story.run("contest_completion", customer, f"{at}/contest")
    await story.run("rate_booking", customer, f"{at}/rating", status=201)
    at, _, friend = await story.win()
    await story.run("report_incomplete", friend, f"{at}/incomplete")
    at, _, friend = await story.win()
    await story.run("hand_back", friend, f"{at}/hand-back")
    at, token, _ = await story.book()
    await story.run("confirm_booking", api.client(token), f"{at}/confirm")
    await story.run("cancel_booking", api.client(token), f"{at}/cancel")
    at, _, _ = await story.book()
    story.bodies["award_booking"] |= {"friend": "f6"}
    await story.run("redispatch_booking", desk, f"{at}/redispatch", status=409)
    await story.run("award_booking", desk, f"{at}/award")
    await story.run("note_booking", desk, f"{at}/notes", status=201)
    assert story.bodies == {}


async def test_the_examples_of_people_and_of_the_desk_work(api):
    others = OF_BOOKINGS | OF_PICTURES | OF_ACCOUNT | OF_REVIEWS | OF_JOINING | OF_COMPANIES
    others |= OF_REQUESTS
    story, desk = Story(api, examples().keys() - others), await api.operator()
    at_friend = f"/v1/desk/friends/{api.friends['f6']}"
    await story.run("set_friend_state", desk, f"{at_friend}/state")
    await story.run("set_friend_limits", desk, f"{at_friend}/limits", "PUT")
    await story.run("set_level", desk, f"{at_friend}/level", "PUT")
    await sit_by_examples(api, story)
    await story.run("import_friends", desk, "/v1/desk/friends/import")
    await story.run("change_package", desk, "/v1/desk/packages/wifi-setup", "PUT")
    await api.book(customer=examples()["create_booking"]["customer"])
    await story.run("export_person", desk, "/v1/desk/people/export")
    await story.run("erase_person", desk, "/v1/desk/people/erase", status=409)
    await story.run("add_partner", desk, "/v1/desk/partners", status=201)
    friend = await api.friend("f2")
    for name, path, method, status in OF_PHONES:
        await story.run(name, friend, f"/v1/me/{path}", method, status)
    await story.run("delete_session", desk, "/v1/sessions/current", "DELETE", 204)
    await story.run("change_my_profile", friend, "/v1/me/profile", method="PATCH")
    await story.run("request_login_link", api.client(), "/v1/login-links", status=202)
    viewer = await api.operator(OperatorRole.VIEWER)
    for name, (path, code) in ONLY_ONCE.items():
        expect(await viewer.post(path, story.bodies.pop(name)), 422, code)
    assert story.bodies == {}


async def test_the_examples_of_an_account_work(api):
    story = Story(api, OF_ACCOUNT)
    await api.book()
    me = await api.account()
    await story.run("change_my_account", me, "/v1/account", "PUT")
    refused = await me.post("/v1/account/passkeys", story.bodies.pop("add_account_passkey"))
    expect(refused, 422, "passkey-refused")


async def test_the_examples_of_requests_for_review_work(api):
    result, desk = examples(), await api.operator()
    asked = await (await api.friend("f1")).post("/v1/me/review-requests", result["ask_review"])
    assert asked.status_code == 201, asked.text
    at = f"/v1/desk/review-requests/{asked.json()['id']}/answer"
    assert (await desk.post(at, result["answer_review_request"])).status_code == 204
    at = f"/v1/desk/people/{api.friends['f1']}/review-requests"
    assert (await desk.post(at, result["note_review_request"])).status_code == 201


async def test_the_examples_of_pictures_work(api):
    result = {name: one for name, one in examples().items() if name in OF_PICTURES}
    booking, _ = await api.win("f1")
    friend, desk = await api.friend("f1"), await api.operator()
    of_friend = f"/v1/desk/people/{api.friends['f1']}"
    at = f"/v1/bookings/{booking['id']}/files"
    picture, mine = result["upload_picture"], result["upload_my_file"]
    for path, body in ((at, picture), ("/v1/me/files", mine)):
        assert (await friend.post(path, body)).status_code == 201
    assert (await friend.post("/v1/me/files", mine | {"kind": "evidence"})).status_code == 201
    seen = await desk.post(f"{of_friend}/identity", result["confirm_identity"])
    assert seen.status_code == 204, seen.text


async def test_the_page_of_the_document_loads_no_external_resources(shared_api):
    page = (await shared_api.client().get("/docs")).text
    assert "Book a package" in page
    # Examples may contain URLs.
    around = re.sub("<pre>[^<]*</pre>", "", page)
    assert re.findall(r"https?://|//[a-z]|<script|<link|<img|@import|url\(", around) == []
    assert (await shared_api.client().get("/openapi.json")).json() == shared_api.app.openapi()


@pytest.mark.parametrize("path", DOCUMENT["paths"])
async def test_a_path_allows_the_methods_of_the_document_and_no_other(shared_api, path):
    documented = sorted(method.upper() for method in DOCUMENT["paths"][path])
    desk, asked = await shared_api.operator(), re.sub("{[a-z_]+}", SOME_ID, path)
    for method in sorted({"OPTIONS", "HEAD", "GET", "POST", "PUT", "PATCH", "DELETE"}):
        if method not in documented:
            answer = await desk.send(method, asked)
            assert answer.status_code == 405, (method, answer.text)
            assert answer.headers["allow"] == ", ".join(documented)


def test_every_change_accepts_json_only():
    for path, method, operation in OPERATIONS:
        if method != "get":
            assert {"413", "415"} <= operation["responses"].keys(), (method, path)


def test_every_link_has_the_parameters_of_its_target():
    by_id = {operation["operationId"]: operation for _, _, operation in OPERATIONS}
    linked = set()
    for name, operation in by_id.items():
        for status, response in operation["responses"].items():
            for target, link in response.get("links", {}).items():
                assert status.startswith("2"), name
                assert link["operationId"] == target
                known = {one["name"] for one in by_id[target].get("parameters", ())}
                needed = {
                    one["name"] for one in by_id[target].get("parameters", ()) if one["required"]
                }
                given = set(link.get("parameters", ()))
                assert given <= known, (name, target)
                assert needed <= given, (name, target)
                linked.add(target)
    assert by_id.keys() - linked == set(), "api/openapi/links.py says where each can be met"
