import re
import tomllib

import pytest

from tests.architecture.source import ROOT

PIN = re.compile(r"^([a-z0-9.-]+)==([^ ;]+)", re.MULTILINE)
LOCKS = ["requirements.lock", "requirements-dev.lock"]


def read(lock: str) -> str:
    return (ROOT / lock).read_text("utf-8")


def pins(lock: str) -> set[tuple[str, str]]:
    return set(PIN.findall(read(lock)))


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_carries_no_address(lock):
    found = [line for line in read(lock).splitlines() if "://" in line or "--index" in line]
    assert found == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_carries_a_hash(lock):
    blocks = re.split(r"^(?=[a-z0-9])", read(lock), flags=re.MULTILINE)[1:]
    assert blocks
    assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []


def test_both_lock_files_agree():
    assert pins("requirements.lock") - pins("requirements-dev.lock") == set()


def test_every_dependency_is_locked():
    project = tomllib.loads(read("pyproject.toml"))
    asked = project["project"]["dependencies"] + project["dependency-groups"]["geodata"]
    names = {re.split(r"[\[=<>;~! ]", requirement)[0] for requirement in asked}
    assert names - {name for name, _ in pins("requirements.lock")} == set()
