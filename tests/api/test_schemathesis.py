"""Generated requests by every kind of caller: no 5xx, and only documented responses."""

import asyncio
import socket
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Any

import pytest
import uvicorn

from api.server.app import create_app
from data.database import Database
from data.settings import Settings
from dispatch.flows.bootstrap import open_runtime
from dispatch.runtime import Runtime
from tests.api.test_access import TABLE
from tests.builders import import_friends
from tests.proof.deployment import friend_groups
from tests.proof.fuzz.attack import attack
from tests.proof.fuzz.callers import KINDS, Caller, create_callers

BASE = "https://tekkie.test"
EXAMPLES = 1
# As tests/api/test_access.py calls them.
IN_TABLE = {"anonymous": "nobody", "friend": "other friend"}
DOCUMENT = create_app().openapi()


@dataclass
class ServedApi:
    """The API on a loopback socket, in a thread with its own event loop."""

    database: Database
    folder: Path
    listener: socket.socket
    ready: Event = field(default_factory=Event)
    callers: list[Caller] = field(default_factory=list)
    server: uvicorn.Server | None = None

    @property
    def url(self) -> str:
        host, port = self.listener.getsockname()
        return f"http://{host}:{port}"

    def run(self) -> None:
        try:
            asyncio.run(self.serve())
        finally:
            self.ready.set()

    async def serve(self) -> None:
        settings = Settings(data_dir=self.folder, public_url=BASE, sms_provider="folder")
        async with open_runtime(
            settings, self.database, application="tests", chance=Random(7)
        ) as rt:
            await self.create_data(rt)
            config = uvicorn.Config(create_app(rt), log_config=None, lifespan="on")
            self.server = uvicorn.Server(config)
            self.listener.listen()
            self.ready.set()
            await self.server.serve(sockets=[self.listener])

    async def create_data(self, rt: Runtime) -> None:
        await import_friends(rt, friend_groups(len(KINDS)))
        self.callers = await create_callers(rt, KINDS, seed=1, jobs_each=6)


@pytest.fixture(scope="module")
def served(server, template, tmp_path_factory) -> Iterator[ServedApi]:
    name = server.create(template)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        served = ServedApi(server.database(name), tmp_path_factory.mktemp("served"), listener)
        thread = Thread(target=served.run)
        thread.start()
        served.ready.wait(timeout=20)
        assert served.server is not None
        yield served
        served.server.should_exit = True
        thread.join(timeout=10)
    server.drop(name)


def select_operations(kind: str) -> dict[str, Any]:
    """The document with what this kind of caller may do; the rest is refused before it is read.

    An operator sends everything.
    """
    if kind == "operator":
        return DOCUMENT
    who = IN_TABLE.get(kind, kind)
    refused = {name for name, row in TABLE.items() if row is not None and who not in row}
    document = deepcopy(DOCUMENT)
    for path, methods in list(document["paths"].items()):
        for method, about in list(methods.items()):
            if about["operationId"] in refused:
                del methods[method]
            for answer in about["responses"].values():
                links = answer.get("links", {})
                answer["links"] = {
                    target: link
                    for target, link in links.items()
                    if link["operationId"] not in refused
                }
        if not methods:
            del document["paths"][path]
    return document


@pytest.mark.parametrize("caller", range(len(KINDS)), ids=KINDS)
def test_generated_requests_get_documented_answers(served, caller):
    """The short slice of `python -m tests.proof.fuzz`, with the test clock paused."""
    report = attack(
        select_operations(KINDS[caller]),
        served.url,
        served.callers[caller],
        seed=1,
        examples=EXAMPLES,
        phases=("examples", "fuzzing", "stateful"),
    )
    assert report.failures == []
    assert 500 not in report.statuses


def test_an_undocumented_status_is_detected(served):
    """A document without a status is detected as incomplete."""
    document = deepcopy(DOCUMENT)
    del document["paths"]["/v1/bookings/{booking_id}"]["get"]["responses"]["404"]
    wanted = {"/v1/bookings/{booking_id}": document["paths"]["/v1/bookings/{booking_id}"]}
    found = attack(
        document | {"paths": wanted},
        served.url,
        replace(served.callers[-1], own={}),
        seed=1,
        examples=3,
        phases=("fuzzing",),
    )
    assert [check for check, *_ in found.violations] == ["status_code_conformance"]
