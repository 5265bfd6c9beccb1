"""The parts of a running process."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from api.server import process
from data.settings import Settings
from dispatch.flows.bootstrap import open_runtime
from tests.builders import friend_row, import_friends


@pytest.mark.parametrize("api_only", [True, False], ids=["api only", "with a worker"])
async def test_an_api_process_follows_imports_of_another_process(rt, database, tmp_path, api_only):
    settings = Settings(data_dir=tmp_path)
    async with AsyncExitStack() as stack:
        await process.start_worker(stack, rt, api_only=api_only)
        async with open_runtime(settings, database, application="another") as other:
            await import_friends(other, [friend_row("new")])
        async with asyncio.timeout(10):
            while not len(rt.index):  # noqa: ASYNC110 - an index tells nobody that it has grown
                await asyncio.sleep(0.02)


def test_the_file_limit_is_raised_to_the_hard_limit():
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
        process.raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
