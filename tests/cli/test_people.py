import json


def test_a_person_is_exported_and_erased_with_the_mails(tekkie, file, tmp_path):
    tekkie("friends", "import", file)
    [whole] = json.loads(tekkie("people", "export", "ana@example.org").stdout)
    assert whole["person"]["name"] == "Ana Muster"
    folder = tmp_path / "data" / "mails"
    folder.mkdir(parents=True)
    for name, to in (("a", "Ana@example.org"), ("b", "ben@example.org")):
        (folder / f"{name}.eml").write_bytes(f"To: {to}\r\n\r\nHello".encode())
    done = tekkie("people", "erase", "ana", "--yes", "--json")
    assert json.loads(done.stdout) == {"erased": 1, "address_kept": 0, "mails_deleted": 1}
    assert [path.name for path in folder.iterdir()] == ["b.eml"]
    gone = tekkie("people", "erase", "ana", "--yes")
    assert gone.exit_code == 1
    assert "ana" in gone.stderr


def test_erasing_asks_first(tekkie, file):
    tekkie("friends", "import", file)
    assert tekkie("people", "erase", "ana").exit_code != 0
    assert json.loads(tekkie("people", "export", "ana").stdout)[0]["person"]["name"] == "Ana Muster"
