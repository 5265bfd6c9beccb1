"""`tekkie backup` and `tekkie restore` as somebody at the desk types them."""

import json

from tests.builders import book_job, import_neighbours


def test_a_backup_goes_to_a_new_file_and_says_what_it_holds(tekkie, in_service, tmp_path):
    async def work(rt):
        await import_neighbours(rt, 4)
        await book_job(rt)

    in_service(work)
    file = tmp_path / "one.backup"
    said = tekkie("backup", file, "--json")
    assert said.exit_code == 0, said.output
    told = json.loads(said.stdout)
    assert (told["bookings"], told["people"]) == (1, 5)
    assert told["bytes"] == file.stat().st_size
    assert file.stat().st_mode & 0o777 == 0o600
    again = tekkie("backup", file)
    assert again.exit_code == 1
    assert "not overwritten" in again.stderr


def test_words_tell_that_the_key_is_not_in_it(tekkie, tmp_path):
    said = tekkie("backup", tmp_path / "one.backup")
    assert "0 bookings" in said.stderr
    assert "secret key" in said.stderr


def test_a_restore_over_people_is_refused_with_the_cure(tekkie, in_service, tmp_path):
    in_service(lambda rt: import_neighbours(rt, 2))
    file = tmp_path / "one.backup"
    assert tekkie("backup", file).exit_code == 0
    for words in (("restore", file), ("restore", file, "--force")):
        said = tekkie(*words)
        assert said.exit_code == 1
        assert "2 people" in said.stderr
        assert "TEKKIE_DATA_DIR" in said.stderr


def test_a_restore_from_something_else_is_refused(tekkie, tmp_path):
    file = tmp_path / "notes.txt"
    assert "is no file" in tekkie("restore", file).stderr
    file.write_text("no backup", encoding="utf-8")
    said = tekkie("restore", file, "--force")
    assert said.exit_code == 1
    assert "cannot be read as a backup" in said.stderr


def test_tables_without_people_are_replaced_when_forced(tekkie, tmp_path):
    file = tmp_path / "one.backup"
    assert tekkie("backup", file).exit_code == 0
    assert "--force" in tekkie("restore", file).stderr
    said = tekkie("restore", file, "--force", "--json")
    assert said.exit_code == 0, said.output
    assert json.loads(said.stdout)["migrations_missing"] == []
