import json

import pytest

from data.enums import Outcome
from tests.builders import book_job
from tests.cli.conftest import FRIENDS


def counts(done):
    counts = json.loads(done.stdout)
    return counts["created"], counts["changed"], counts["unchanged"]


def test_an_import_is_idempotent_and_updates_only_changed_rows(tekkie, file):
    assert counts(tekkie("friends", "import", file, "--json")) == (3, 0, 0)
    assert counts(tekkie("friends", "import", file, "--json")) == (0, 0, 3)
    file.write_text(FRIENDS.replace("Ben Muster", "Benno Muster"), encoding="utf-8")
    done = tekkie("friends", "import", file)
    assert done.exit_code == 0
    assert "0 created, 1 changed, 2 unchanged." in done.stderr


def test_one_bad_row_stops_the_import_and_is_reported_with_line_field_and_cure(tekkie, file):
    file.write_text(FRIENDS.replace("47.38,8.55", "8.55,47.38"), encoding="utf-8")
    done = tekkie("friends", "import", file)
    assert done.exit_code == 1
    [row] = [line for line in done.stdout.splitlines() if line.lstrip().startswith("3 ")]
    assert "lat" in row
    assert "swapped" in row
    assert "1 bad row: nothing was imported." in done.stderr
    assert "--skip-bad imports the 2 good" in done.stderr
    assert json.loads(tekkie("friends", "list", "--json").stdout) == []


def test_bad_rows_can_be_skipped(tekkie, file):
    file.write_text(FRIENDS.replace("ben@example.org", "ben"), encoding="utf-8")
    done = tekkie("friends", "import", file, "--skip-bad", "--json")
    assert done.exit_code == 0
    assert counts(done) == (2, 0, 0)
    [row] = json.loads(done.stdout)["faults"]
    assert (row["line"], row["field"]) == (3, "email")


def test_fifty_bad_rows_are_shown_and_all_are_counted(tekkie, file):
    header, *_ = FRIENDS.splitlines()
    rows = "\n".join(f"r{n},,e{n}@example.org,x,47,8,5,,de,friend,1" for n in range(60))
    file.write_text(f"{header}\n{rows}\n", encoding="utf-8")
    done = tekkie("friends", "import", file)
    assert "60 bad rows, the first 50 of 120 faults shown; --json lists all" in done.stderr
    result = json.loads(tekkie("friends", "import", file, "--json").stdout)
    assert [fault["field"] for fault in result["faults"]] == ["name", "phone"] * 60
    assert (result["bad_rows"], result["good_rows"]) == (60, 0)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "does not exist"),
        ("empty.csv", b"", "is empty"),
        ("broken.gpkg", b"SQLite format 3\0 and then nothing", ""),
        ("header.csv", FRIENDS.splitlines()[0].encode(), "no rows"),
        ("odd.csv", b"\xff\xfe\x00", "UTF-8"),
    ],
)
@pytest.mark.parametrize("skip", [[], ["--skip-bad"]])
def test_an_unreadable_file_is_refused(*, tekkie, tmp_path, name, content, message, skip):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    done = tekkie("friends", "import", path, *skip)
    assert done.exit_code == 1
    assert message in done.stdout
    assert "Nothing was imported." in done.stderr
    assert "Traceback" not in done.output


def test_every_address_of_another_friend_is_a_bad_row(tekkie, file, tmp_path):
    tekkie("friends", "import", file)
    other = tmp_path / "other.csv"
    other.write_text(FRIENDS.replace("ana,Ana", "zoe,Zoe").replace("ben,", "b2,"), encoding="utf-8")
    done = tekkie("friends", "import", other, "--json")
    assert done.exit_code == 1
    faults = json.loads(done.stdout)["faults"]
    assert [(fault["line"], fault["field"]) for fault in faults] == [(2, "email"), (3, "email")]
    assert counts(tekkie("friends", "import", other, "--skip-bad", "--json")) == (0, 0, 1)


def test_friends_are_listed_filtered_and_shown(tekkie, file):
    tekkie("friends", "import", file)
    found = json.loads(tekkie("friends", "list", "--certificate", "mac", "--json").stdout)
    assert [one["ref"] for one in found] == ["ana"]
    assert "eva" in tekkie("friends", "list", "--market", "ch").stdout
    friend = json.loads(tekkie("friends", "show", "ben", "--json").stdout)
    assert friend["name"] == "Ben Muster"
    assert friend["certificates"] == ["wifi"]
    assert json.loads(tekkie("friends", "show", friend["id"], "--json").stdout) == friend


def test_a_friend_is_paused_activated_and_suspended(tekkie, file):
    tekkie("friends", "import", file)
    for word, state in (("pause", "paused"), ("activate", "active"), ("suspend", "suspended")):
        assert tekkie("friends", word, "ana").exit_code == 0
        [found] = json.loads(tekkie("friends", "list", "--state", state, "--json").stdout)[:1]
        assert found["state"] == state
    assert tekkie("token", "friend", "ana").exit_code == 1


def test_names_in_a_terminal_table_are_not_taken_for_markup(tekkie, file):
    file.write_text(FRIENDS.replace("ana,Ana", "[bold]a[/nonsense],Ana"), encoding="utf-8")
    assert tekkie("friends", "import", file).exit_code == 0
    assert "[bold]a[/nonsense]" in tekkie("friends", "list").stdout


def test_a_friend_blocked_for_a_customer_gets_no_offer(tekkie, file, in_service):
    tekkie("friends", "import", file)
    assert tekkie("friends", "block", "ana", "Vera@Example.com").exit_code == 0
    refused = tekkie("friends", "block", "ana", "no address")
    assert refused.exit_code == 2

    async def outcomes(rt):
        done = await book_job(rt, email="vera@example.com")
        [decision] = done.changes.decisions
        return {rt.index.get(f.friend_id).ref: f.outcome for f in decision.friends}

    assert in_service(outcomes)["ana"] is Outcome.BLOCKED


def certificates(tekkie, ref):
    return json.loads(tekkie("friends", "show", ref, "--json").stdout)["certificates"]


def test_a_certificate_is_added_and_removed(tekkie, file):
    tekkie("friends", "import", file)
    before = certificates(tekkie, "ana")
    for _ in range(2):
        done = tekkie("friends", "certify", "ana", "printer")
        assert done.exit_code == 0, done.output
    assert certificates(tekkie, "ana") == sorted([*before, "printer"])
    assert tekkie("friends", "uncertify", "ana@example.org", "printer").exit_code == 0
    assert certificates(tekkie, "ana") == before
    again = tekkie("friends", "uncertify", "ana", "printer")
    assert again.exit_code == 1
    assert "This friend does not hold this certificate." in again.stderr
    unknown = tekkie("friends", "certify", "ana", "magic")
    assert unknown.exit_code == 2
    assert "CODE must be one of" in unknown.stderr
