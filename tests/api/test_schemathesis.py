"""Generated requests against the whole document: no 5xx, and nothing that is not documented."""

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from threading import Event, Thread

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from api.main import create_app
from data.records import PersonId
from data.server import Database
from data.settings import Settings
from dispatch.flows import jobs, partners, sessions
from dispatch.flows.opening import opened
from dispatch.rules.links import customer_token
from dispatch.runtime import Runtime
from tests.builders import booked, live, neighbours

BASE = "https://tekkie.test"
EXAMPLES = 5
# An endless stream cannot be read to its end.
schema = schemathesis.openapi.from_dict(create_app().openapi()).exclude(operation_id="follow_live")
# A well-formed request may name a package or a place that does not exist; and who may do what is
# tried in test_access.py.
NOT_HERE = [positive_data_acceptance, ignored_auth]


@dataclass
class Whole:
    """The API on a loopback socket, in a thread and an event loop of its own."""

    database: Database
    folder: Path
    listener: socket.socket
    ready: Event = field(default_factory=Event)
    facts: dict[str, str] = field(default_factory=dict)
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
        chosen = Settings(data_dir=self.folder, public_url=BASE)
        async with opened(chosen, self.database, application="tests", chance=Random(7)) as rt:
            await self.furnish(rt)
            config = uvicorn.Config(create_app(rt), log_config=None, lifespan="on")
            self.server = uvicorn.Server(config)
            self.listener.listen()
            self.ready.set()
            await self.server.serve(sockets=[self.listener])

    async def furnish(self, rt: Runtime) -> None:
        friends = await neighbours(rt, 6, capacity=20)
        offer = live(await booked(rt))[0]
        await jobs.accept(rt, offer.id, offer.friend_id)
        operator = await sessions.add_operator(rt, "Olga Pult", "desk@example.com")
        self.facts = {
            "booking_id": str(offer.booking_id),
            "offer_id": str(offer.id),
            "friends": await sessions.token(rt, PersonId(friends["f1"])),
            "desk": await sessions.token(rt, operator),
            "partner": (await partners.add(rt, "Radio Meier"))[1],
            "customer": customer_token(rt.settings.key(), offer.booking_id),
        }


@pytest.fixture(scope="module")
def whole(server, template, tmp_path_factory) -> Iterator[Whole]:
    name = server.create(template)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        whole = Whole(server.database(name), tmp_path_factory.mktemp("whole"), listener)
        thread = Thread(target=whole.run)
        thread.start()
        whole.ready.wait(timeout=20)
        assert whole.server is not None
        yield whole
        whole.server.should_exit = True
        thread.join(timeout=10)
    server.drop(name)


def bearer(facts: dict[str, str], case: schemathesis.Case) -> str | None:
    name = case.operation.definition.raw["operationId"]
    if name in {"rate_booking", "get_booking"}:
        return facts["customer"]
    if name == "list_bookings":
        return facts["partner"]
    return facts.get(case.operation.tags[0], facts["desk"])


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_generated_requests_get_documented_answers(case, whole):
    facts = whole.facts
    for name in case.path_parameters or {}:
        if len(str(case.path_parameters[name])) == len(facts[name]):
            case.path_parameters[name] = facts[name]
    headers = {}
    if "security" in case.operation.definition.raw:
        headers["Authorization"] = f"Bearer {bearer(facts, case)}"
    answer = case.call(base_url=whole.url, headers=headers)
    case.validate_response(answer, excluded_checks=NOT_HERE)
