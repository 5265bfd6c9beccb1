"""`tekkie backup` and `tekkie restore` on the command line."""

import json

from tests.builders import book_job, import_neighbours


def test_a_backup_goes_to_a_new_file_and_says_what_it_holds(tekkie, in_service, tmp_path):
    async def work(rt):
        await import_neighbours(rt, 4)
        await book_job(rt)

    in_service(work)
    file = tmp_path / "one.backup"
    done = tekkie("backup", file, "--json")
    assert done.exit_code == 0, done.output
    contents = json.loads(done.stdout)
    assert (contents["bookings"], contents["people"]) == (1, 5)
    assert contents["bytes"] == file.stat().st_size
    assert file.stat().st_mode & 0o777 == 0o600
    again = tekkie("backup", file)
    assert again.exit_code == 1
    assert "not overwritten" in again.stderr


def test_the_message_names_the_missing_secret_key(tekkie, tmp_path):
    done = tekkie("backup", tmp_path / "one.backup")
    assert "0 bookings" in done.stderr
    assert "secret key" in done.stderr


def test_the_message_names_the_folder_of_pictures(tekkie, tmp_path):
    folder = tmp_path / "pictures"
    done = tekkie("--files-folder", folder, "backup", tmp_path / "one.backup")
    assert f"Copy {folder} too" in "".join(done.stderr.split("\n"))


def test_a_restore_over_people_is_refused_with_the_cure(tekkie, in_service, tmp_path):
    in_service(lambda rt: import_neighbours(rt, 2))
    file = tmp_path / "one.backup"
    assert tekkie("backup", file).exit_code == 0
    for words in (("restore", file), ("restore", file, "--force")):
        done = tekkie(*words)
        assert done.exit_code == 1
        assert "2 people" in done.stderr
        assert "TEKKIE_DATA_DIR" in done.stderr


def test_a_restore_from_something_else_is_refused(tekkie, tmp_path):
    file = tmp_path / "notes.txt"
    assert "is not a file" in tekkie("restore", file).stderr
    file.write_text("no backup", encoding="utf-8")
    done = tekkie("restore", file, "--force")
    assert done.exit_code == 1
    assert "cannot be read as a backup" in done.stderr


def test_tables_without_people_are_replaced_when_forced(tekkie, tmp_path):
    file = tmp_path / "one.backup"
    assert tekkie("backup", file).exit_code == 0
    assert "--force" in tekkie("restore", file).stderr
    done = tekkie("restore", file, "--force", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["migrations_missing"] == []
