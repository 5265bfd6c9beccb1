import json
from datetime import timedelta


def test_an_operator_is_added_once_and_gets_a_link(tekkie):
    first = tekkie("operators", "add", "desk@example.org", "--name", "Desk")
    again = tekkie("operators", "add", "Desk@example.org", "--name", "Other")
    assert first.exit_code == 0
    assert first.stdout == again.stdout
    for person in ("desk@example.org", first.stdout.strip()):
        link = tekkie("login-link", "operator", person, "--public-url", "https://tekkie.test")
        assert link.stdout.startswith("https://tekkie.test/login#")


def test_an_operator_is_shown_as_stored_whatever_was_asked(tekkie):
    tekkie("operators", "add", "desk@example.org", "--name", "Desk", "--role", "viewer")
    again = tekkie("operators", "add", "Desk@example.org", "--name", "Other", "--json")
    [listed] = json.loads(tekkie("operators", "list", "--json").stdout)
    assert json.loads(again.stdout) == listed
    assert (listed["email"], listed["name"], listed["role"]) == (
        "desk@example.org",
        "Desk",
        "viewer",
    )


def test_an_operator_is_found_by_address_id_and_a_part_of_it(tekkie):
    own = tekkie("operators", "add", "desk@example.org").stdout.strip()
    for word in ("desk@example.org", "DESK@example.org", own, own.upper(), own[-8:], own[:13]):
        assert tekkie("token", "operator", word).stdout.startswith("ts_"), word
    for word in (own[-7:], f"x{own[-8:]}"):
        assert tekkie("token", "operator", word).exit_code == 1, word
    assert tekkie("operators", "remove", own[-8:]).exit_code == 0
    for word in ("desk@example.org", own, own[-8:]):
        assert tekkie("token", "operator", word).exit_code == 1, word


def test_a_token_is_a_valid_session(tekkie, file, in_service):
    from dispatch.flows.people import sessions

    tekkie("friends", "import", file)
    made = json.loads(tekkie("token", "friend", "ana", "--days", "3", "--json").stdout)
    visitor = in_service(lambda rt: sessions.find_session(rt, made["token"]))
    assert visitor is not None
    assert visitor.kind == "friend"
    assert timedelta(days=made["days"]) == timedelta(days=3)


def test_a_friend_is_found_by_ref_id_and_address(tekkie, file):
    tekkie("friends", "import", file)
    own = json.loads(tekkie("friends", "show", "ana", "--json").stdout)["id"]
    for word in ("ana", own, own.upper(), "ana@example.org", "ANA@example.org"):
        assert tekkie("token", "friend", word).stdout.startswith("ts_")


def test_unknown_people_get_no_token(tekkie):
    for words in (
        ("token", "friend", "x"),
        ("token", "operator", "x@example.org"),
        ("token", "operator", "01900000-0000-7000-8000-000000000000"),
        ("login-link", "operator", "x"),
    ):
        done = tekkie(*words)
        assert done.exit_code == 1
        assert done.stdout == ""
        assert "There is no" in done.stderr


def test_operators_have_roles_and_are_removed(tekkie):
    tekkie("operators", "add", "desk@example.org")
    tekkie("operators", "add", "view@example.org", "--role", "viewer")
    assert tekkie("operators", "role", "desk@example.org", "community").exit_code == 0
    listed = json.loads(tekkie("operators", "list", "--json").stdout)
    assert [(one["email"], one["role"]) for one in listed] == [
        ("desk@example.org", "community"),
        ("view@example.org", "viewer"),
    ]
    assert tekkie("operators", "remove", listed[0]["id"]).exit_code == 0
    gone = tekkie("operators", "remove", "desk@example.org")
    assert gone.exit_code == 1
    assert "There is no operator" in gone.stderr
    assert "view@example.org" in tekkie("operators", "list").stdout


def test_sessions_are_revoked_for_good(tekkie, file, in_service):
    from dispatch.flows.people import sessions

    tekkie("friends", "import", file)
    tokens = [tekkie("token", "friend", "ana").stdout.strip() for _ in range(2)]
    done = json.loads(tekkie("sessions", "revoke", "friend", "ana", "--json").stdout)
    assert done == {"sessions": 2}
    for token in tokens:
        assert in_service(lambda rt, token=token: sessions.find_session(rt, token)) is None
