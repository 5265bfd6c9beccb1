"""A short slice of `python -m tests.proof.chaos`, and tests of its proxy and disk."""

import asyncio
import os

import pytest

from tests.proof.chaos.disk import fill, small_disk
from tests.proof.chaos.run import Plan, run
from tests.proxy import NORMAL, Conditions, Proxy

KINDS = (
    "kill -9 of an API",
    "kill -9 of a worker",
    "kill -9 of PostgreSQL and its children",
    "connections reset",
)


@pytest.mark.timeout(300)
@pytest.mark.xdist_group("proof")
async def test_nothing_acknowledged_is_lost_whatever_is_killed():
    result = await run(
        Plan(
            seed=1,
            lasts_s=6,
            every_s=1.0,
            friends=12,
            customers=3,
            pause_s=0.3,
            workers=1,
            overload=False,
            disk=False,
            jump=True,
            only=KINDS,
        )
    )
    assert result.violations == []
    assert sum(result.kills) >= 1
    assert result.history.count("book") >= 1


@pytest.fixture
async def echo(tmp_path):
    """A proxy to a Unix socket that echoes everything."""

    async def serve(reader, writer):
        while data := await reader.read(1000):
            writer.write(data)
        writer.close()

    server = await asyncio.start_unix_server(serve, str(tmp_path / "echo"))
    proxy = Proxy(str(tmp_path / "echo"))
    await proxy.open()
    yield proxy
    await proxy.close()
    server.close()


async def send(proxy, text=b"hello"):
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        writer.write(text)
        async with asyncio.timeout(0.5):
            return await reader.readexactly(len(text))
    finally:
        writer.transport.abort()


@pytest.mark.parametrize(
    "conditions",
    [
        NORMAL,
        Conditions(latency_s=0.05),
        Conditions(slice_bytes=1),
        Conditions(bytes_a_second=1000),
    ],
)
async def test_everything_arrives_unless_the_proxy_is_a_black_hole(echo, conditions):
    echo.change(conditions)
    assert await send(echo) == b"hello"


async def test_a_black_hole_holds_bytes_back_until_it_is_healed(echo):
    reader, writer = await asyncio.open_connection("127.0.0.1", echo.port)
    echo.change(Conditions(dark=True))
    writer.write(b"hello")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await reader.read(5)
    echo.change(NORMAL)
    assert await reader.readexactly(5) == b"hello"
    writer.transport.abort()


async def test_a_reset_breaks_the_connection(echo):
    reader, writer = await asyncio.open_connection("127.0.0.1", echo.port)
    writer.write(b"hello")
    await reader.readexactly(5)
    assert echo.reset() == 1
    with pytest.raises(ConnectionResetError):
        await reader.read(1)
    writer.transport.abort()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_filled_disk_stays_full_until_the_file_is_deleted():
    with small_disk() as disk:
        if disk is None:
            pytest.skip("no disk may be mounted here")
        ballast = fill(disk)
        with pytest.raises(OSError, match="No space left"):
            (disk / "one more").write_bytes(b"\0" * 100_000)
        ballast.unlink()
        (disk / "one more").write_bytes(b"\0" * 100_000)
