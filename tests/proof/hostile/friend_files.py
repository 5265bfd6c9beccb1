"""Files of friends that name other files and hosts, or unpack to far more than they are.

An operator's session sends them to the desk's import. No answer holds a line of another file, no
host is called, and the memory of the process hardly grows.
"""

import asyncio
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from data.markets import Language
from dispatch.flows.people import sessions
from tests.proof.connection import Connection
from tests.proof.deployment import connect_runtime
from tests.proof.hostile.target import Figure, Target

ONLY_WHOLE = True
MEGABYTE = 2**20
GROWTH_MAX_MB = 200
SECRET = "TOP-SECRET"
IMPORT = "/v1/desk/friends/import"
VRT = """<OGRVRTDataSource><OGRVRTLayer name="passwd"><SrcDataSource>{}</SrcDataSource>
<SrcLayer>passwd</SrcLayer></OGRVRTLayer></OGRVRTDataSource>"""
BYTES = 4_000_000


async def attack(target: Target) -> list[Figure]:
    """Each file as a dry run and as an import, then the large ones."""
    called: list[int] = []
    host = await asyncio.start_server(lambda *ends: called.append(1), "127.0.0.1", 0)
    port = host.sockets[0].getsockname()[1]
    process = psutil.Process(target.deployment.apis[0].pid)
    client, token = Connection(target.port, timeout_s=60), await operator_token(target)
    before, sent = process.memory_info().rss, 0
    with tempfile.TemporaryDirectory() as folder:
        secret = Path(folder) / "passwd.csv"
        secret.write_text(f"ref,name\n{SECRET},{SECRET}\n", "utf-8")
        for filename, content in [*pointers(secret, port), *bombs()]:
            for dry_run in (True, False):
                body = {"filename": filename, "content": content, "dry_run": dry_run}
                reply = await client.request("POST", IMPORT, token=token, body=body)
                sent += 1
                assert reply.status in {200, 422}, f"{filename}: {reply.status}"
                told = json.dumps(reply.json)
                assert SECRET not in told, f"{filename} made another file be read: {told[:200]}"
                assert len(told) < MEGABYTE, f"{filename} got an answer of {len(told)} bytes"
    client.close()
    host.close()
    growth = (process.memory_info().rss - before) / MEGABYTE
    assert not called, f"{len(called)} calls to a host that a file names"
    assert growth < GROWTH_MAX_MB, f"the process grew by {growth:.0f} MB"
    return [
        Figure("files sent", str(sent)),
        Figure("lines of other files in the answers", "0", "0"),
        Figure("calls to hosts that they name", str(len(called)), "0"),
        Figure("memory more", f"{growth:.1f} MB", f"{GROWTH_MAX_MB} MB"),
    ]


async def operator_token(target: Target) -> str:
    """The token of an operator of this attack."""
    async with connect_runtime(target.deployment) as rt:
        person = await sessions.add_operator(rt, "Files", "files@example.com", Language.EN)
        return await sessions.create_token(rt, person)


def pointers(secret: Path, port: int) -> Iterator[tuple[str, str]]:
    """Files that name another file, or a host."""
    url = f"http://127.0.0.1:{port}/friends.csv"
    for source in (str(secret), f"CSV:{secret}", f"/vsicurl/{url}", url):
        for ending in ("geojson", "json", "csv"):
            yield f"friends.{ending}", VRT.format(source)
    for crs in (
        {"type": "link", "properties": {"href": url, "type": "proj4"}},
        {"type": "name", "properties": {"name": url}},
        {"type": "name", "properties": {"name": f"+proj=longlat +nadgrids=@{secret}"}},
    ):
        yield (
            "friends.geojson",
            json.dumps({"type": "FeatureCollection", "features": [], "crs": crs}),
        )


def bombs() -> Iterator[tuple[str, str]]:
    """Files whose content, or whose faults, are many times as large in memory."""
    yield "friends.json", "[" * BYTES
    features = "{}," * (BYTES // 3)
    yield "friends.json", f'{{"type":"FeatureCollection","features":[{features}{{}}]}}'
    header = "ref,name,email,phone,radius_km,languages,lat,lon\n"
    yield "friends.csv", header + "x\n" * (BYTES // 2)
    yield "friends.csv", header + ",,,,,,,.\n" * (BYTES // 9)
    yield "friends.csv", f'{header}"' + "x" * BYTES
