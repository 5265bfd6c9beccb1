import json

from dispatch.flows.partners import accounts


def test_a_key_is_shown_once_is_valid_and_is_revoked_at_once(tekkie, in_service):
    key = tekkie("partners", "add", "Radio Huber", "--members-only").stdout.strip()
    assert key.startswith("tk_live_")
    found = in_service(lambda rt: accounts.find_by_key(rt, key))
    assert found is not None
    assert found.members_only
    listed = tekkie("partners", "list")
    assert key not in listed.output
    [partner] = json.loads(tekkie("partners", "list", "--json").stdout)
    assert tekkie("partners", "revoke", partner["keys"][0]["prefix"]).exit_code == 0
    assert in_service(lambda rt: accounts.find_by_key(rt, key)) is None


def test_a_second_key_works_beside_the_first(tekkie, in_service):
    first = json.loads(tekkie("partners", "add", "Shop", "--json").stdout)["key"]
    second = tekkie("partners", "key", "Shop").stdout.strip()
    for key in (first, second):
        assert in_service(lambda rt, key=key: accounts.find_by_key(rt, key)) is not None


def test_a_name_is_unique_and_an_unknown_one_is_reported(tekkie):
    tekkie("partners", "add", "Shop")
    again = tekkie("partners", "add", "Shop")
    assert again.exit_code == 1
    assert "There is a partner with this name. Choose another name" in again.stderr
    for words in (("key", "None"), ("revoke", "tk_live_none"), ("members", "None")):
        assert tekkie("partners", *words).exit_code == 1
    assert tekkie("partners", "add", " ").exit_code == 2


def test_members_are_added_and_removed(tekkie, file):
    tekkie("friends", "import", file)
    tekkie("partners", "add", "Shop")
    added = tekkie("partners", "members", "Shop", "--add", "ana", "--add", "eva")
    assert added.stdout.split() == ["ana", "eva"]
    left = tekkie("partners", "members", "Shop", "--remove", "ana", "--json")
    assert json.loads(left.stdout)["members"] == ["eva"]
    assert tekkie("partners", "members", "Shop", "--add", "nobody").exit_code == 1
