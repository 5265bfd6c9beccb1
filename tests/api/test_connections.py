"""Connections: limits and deadlines, on a transport and a clock of the test."""

import asyncio
import json
import re

import pytest
from uvicorn.server import ServerState

from api.http.limits import HEADERS_BYTES_MAX, HEADERS_MAX, URL_BYTES_MAX
from api.server.connections import (
    BYTES_A_SECOND,
    FOR_HEALTH,
    LINGER_S,
    BoundedConfig,
    BoundedProtocol,
    Connections,
    UntilTheEnd,
)
from data.settings import Settings

GET = b"GET /v1/packages HTTP/1.1\r\nHost: t\r\n\r\n"
POST = b"POST /v1/bookings HTTP/1.1\r\nHost: t\r\nContent-Length: 60000\r\n\r\n"
HEADERS_S, BODY_S, WRITE_S = 10, 10, 20


class Transport(asyncio.Transport):
    """Records what is written; the client takes it at once unless `is_stuck`."""

    def __init__(self, peer: str) -> None:
        super().__init__({"peername": (peer, 4711), "sockname": ("127.0.0.1", 80)})
        self.sent = bytearray()
        self.unsent = 0
        self.is_stuck = self.closed = self.aborted = self.ended = False

    def write(self, data: bytes) -> None:
        if self.ended:
            raise RuntimeError("Cannot call write() after write_eof()")
        self.sent += data
        self.unsent += len(data) if self.is_stuck else 0

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    @property
    def statuses(self) -> list[int]:
        return [int(status) for status in re.findall(rb"HTTP/1.1 (\d+) ", self.sent)]

    @property
    def problem(self) -> dict:
        head, _, body = bytes(self.sent).partition(b"\r\n\r\n")
        assert b"connection: close" in head
        assert b"content-type: application/problem+json" in head
        assert b"x-content-type-options: nosniff" in head
        return json.loads(body)


class Server:
    """Connections of a server whose application answers `answer` to a whole request."""

    def __init__(self, **settings) -> None:
        self.now_s = 0.0
        self.answer = b"ok"
        self.seen: list[str] = []
        limits = {"proxies": "10.9.9.9", "headers_s": HEADERS_S, "body_s": BODY_S}
        self.connections = Connections(
            Settings(**limits | {"write_s": WRITE_S} | settings), clock=lambda: self.now_s
        )
        self.config = BoundedConfig(self._app, self.connections, log_config=None, lifespan="off")
        self.state = ServerState()

    async def _app(self, scope, receive, send) -> None:
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message["more_body"]:
                break
        self.seen.append(f"{scope['method']} {message['type']}")
        headers = [(b"content-length", b"%d" % len(self.answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self.answer})

    def open(self, peer: str = "192.0.2.1") -> BoundedProtocol:
        protocol = BoundedProtocol(self.config, self.state, {})
        protocol.connection_made(Transport(peer))
        return protocol

    def wait(self, seconds: float) -> None:
        """Let this time pass, swept every second."""
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            self.now_s = min(self.now_s + 1, until_s)
            self.connections.sweep()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
async def server():
    return Server()


async def test_a_request_is_answered_and_its_connection_kept(server):
    one = server.open()
    for _ in range(3):
        one.data_received(GET)
        await settle()
        server.wait(60)
    assert one.transport.statuses == [200, 200, 200]
    assert not one.transport.closed


def head(lines: int, length: int) -> bytes:
    lengthy = b"".join(b"x%05d: %s\r\n" % (n, b"a" * length) for n in range(lines))
    return b"GET / HTTP/1.1\r\nHost: t\r\n" + lengthy + b"\r\n"


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (head(HEADERS_MAX, 1), 431, "headers-too-large"),
        (head(1, HEADERS_BYTES_MAX), 431, "headers-too-large"),
        (head(40, 1000), 431, "headers-too-large"),
        (b"GET /" + b"a" * URL_BYTES_MAX + b" HTTP/1.1\r\n\r\n", 414, "url-too-long"),
        (b"GET /?" + b"a" * URL_BYTES_MAX + b" HTTP/1.1\r\n\r\n", 414, "url-too-long"),
        (b"NO SUCH THING\r\n\r\n", 400, "malformed-request"),
        (b"\x16\x03\x01\x02\x00", 400, "malformed-request"),
    ],
)
@pytest.mark.parametrize("size", [100_000, 1000, 7])
async def test_a_head_beyond_its_limits_is_refused(server, request_, status, code, size):
    one = server.open()
    for begin in range(0, len(request_), size):
        one.data_received(request_[begin : begin + size])
    await settle()
    assert (one.transport.problem["status"], one.transport.problem["code"]) == (status, code)
    assert server.seen == []
    assert one.transport.ended
    one.data_received(GET)
    server.wait(LINGER_S)
    assert one.transport.statuses == [status]
    assert one.transport.aborted


@pytest.mark.parametrize(
    "request_",
    [
        head(HEADERS_MAX - 1, 1),
        head(1, HEADERS_BYTES_MAX - 100),
        b"GET /" + b"a" * (URL_BYTES_MAX - 1) + b" HTTP/1.1\r\n\r\n",
    ],
)
@pytest.mark.parametrize("size", [100_000, 7])
async def test_a_head_within_its_limits_is_served(server, request_, size):
    one = server.open()
    for begin in range(0, len(request_), size):
        one.data_received(request_[begin : begin + size])
    await settle()
    assert one.transport.statuses == [200]


@pytest.mark.parametrize("whole", [True, False])
async def test_a_header_line_without_end_is_refused(server, whole):
    one = server.open()
    begin = b"GET / HTTP/1.1\r\nx: "
    for _ in range(4 if whole else 1):
        one.data_received(begin + b"a" * (16 * 1024 if whole else 200_000))
        begin = b""
    assert one.transport.statuses == [431]


async def test_lines_after_a_body_in_chunks_are_no_headers_and_limited(server):
    one = server.open()
    one.data_received(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
    one.data_received(b"authorization: Bearer x\r\n")
    one.data_received(b"x: y\r\n")
    assert [name for name, _ in one.scope["headers"]] == [b"transfer-encoding"]
    one.data_received(b"".join(b"x%d: y\r\n" % n for n in range(HEADERS_MAX)) * 400)
    await settle()
    assert one.transport.statuses == [431]


async def test_a_body_in_small_chunks_is_read(server):
    one = server.open()
    one.data_received(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    one.data_received(b"1\r\na\r\n" * 60_000)
    await settle()
    one.data_received(b"0\r\n\r\n")
    await settle()
    assert one.transport.statuses == [200]


async def test_slow_headers_and_slow_bodies_are_ended(server):
    silent, slow_head, slow_body, idle = (server.open() for _ in range(4))
    slow_head.data_received(GET[:10])
    slow_body.data_received(POST)
    idle.data_received(GET)
    for _ in range(BODY_S - 1):
        server.wait(1)
        slow_head.data_received(b"a")
        slow_body.data_received(b"a")
    await settle()
    assert not any(one.transport.closed for one in (silent, slow_head, slow_body))
    server.wait(1.1)
    await settle()
    assert silent.transport.closed
    assert not silent.transport.sent
    for one in (slow_head, slow_body):
        assert one.transport.problem["code"] == "request-timeout"
    assert server.seen == ["GET http.request", "POST http.disconnect"]
    assert not idle.transport.closed


async def test_a_body_that_arrives_steadily_may_take_longer(server):
    one = server.open()
    one.data_received(POST.replace(b"60000", b"%d" % (BYTES_A_SECOND * 3 * BODY_S)))
    for _ in range(3 * BODY_S):
        server.wait(1)
        one.data_received(b"a" * BYTES_A_SECOND)
        await settle()
    assert one.transport.statuses == [200]


async def test_a_process_that_stood_still_reads_before_it_judges(server):
    one = server.open()
    one.data_received(POST)
    server.now_s += 100
    server.connections.sweep()
    assert not one.transport.closed
    one.data_received(b"a" * 60_000)
    await settle()
    server.wait(1)
    assert one.transport.statuses == [200]


async def test_a_body_that_was_refused_unread_is_not_awaited(server):
    one = server.open()

    async def refuse(scope, receive, send):
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    one.app = refuse
    one.data_received(POST)
    await settle()
    for _ in range(3):
        one.data_received(b"a" * BYTES_A_SECOND)
        server.wait(1)
    assert one.transport.statuses == [413]
    assert one.transport.aborted


async def test_a_client_that_does_not_take_its_answer_is_cut_off(server):
    server.answer = b"a" * 10_000_000
    one, steady = server.open(), server.open()
    for client in (one, steady):
        client.transport.is_stuck = True
        client.data_received(GET)
        await settle()
    for _ in range(2 * WRITE_S):
        server.wait(1)
        steady.transport.unsent -= 2 * BYTES_A_SECOND
    assert one.transport.aborted
    assert not steady.transport.closed
    steady.transport.unsent = 0
    server.wait(WRITE_S)
    server.wait(WRITE_S)
    assert not steady.transport.closed


async def test_a_stream_whose_client_reads_nothing_is_cut_off(server):
    one, other = server.open(), server.open()
    for client in (one, other):
        client.data_received(GET)
        await settle()
        client.transport.unsent = 70_000
        client.pause_writing()
    other.resume_writing()
    server.wait(WRITE_S)
    server.wait(WRITE_S)
    assert one.transport.aborted
    assert not other.transport.closed


async def test_one_address_has_a_limit_and_a_proxy_has_none():
    server = Server(connections_per_peer=3)
    attackers = [server.open() for _ in range(5)]
    assert [one.transport.statuses for one in attackers] == [[], [], [], [429], [429]]
    assert attackers[3].transport.problem["code"] == "too-many-connections"
    others = [server.open("192.0.2.2"), *(server.open("10.9.9.9") for _ in range(9))]
    assert not any(one.transport.sent for one in others)
    for one in attackers:
        one.connection_lost(None)
    assert not server.open().transport.sent


async def test_in_ipv6_a_network_is_one_address():
    server = Server(connections_per_peer=2)
    for n in range(2):
        server.open(f"2001:db8:0:1::{n}")
    assert server.open("2001:db8:0:1:f::9").transport.statuses == [429]
    assert server.open("2001:db8:0:2::1").transport.statuses == []
    for _ in range(2):
        server.open("::ffff:192.0.2.1")
    assert server.open("192.0.2.1").transport.statuses == [429]


async def test_a_full_process_answers_health_alone_and_closes_what_is_idle():
    server = Server(connections_max=16)
    assert server.connections.problem() == ""
    idle = server.open()
    idle.data_received(GET)
    busy = [server.open() for _ in range(15)]
    await settle()
    assert "16 connections" in server.connections.problem()
    late, stream, health = server.open(), server.open(), server.open()
    late.data_received(GET)
    stream.data_received(GET.replace(b"/v1/packages", b"/v1/live"))
    health.data_received(GET.replace(b"/v1/packages", b"/readyz?a"))
    await settle()
    for one in (late, stream):
        assert one.transport.problem["code"] == "overloaded"
    assert health.transport.statuses == [200]
    beyond = [server.open() for _ in range(FOR_HEALTH)]
    assert beyond[-1].transport.statuses == [503]
    server.wait(1)
    assert idle.transport.closed
    assert not any(one.transport.closed for one in busy)


async def test_the_limit_of_open_files_bounds_the_connections():
    connections = Connections(Settings(), files_max=400)
    assert connections.most == 272
    assert Connections(Settings(connections_max=100), files_max=400).most == 100


async def test_a_request_for_an_upgrade_is_an_ordinary_one_and_the_last(server):
    one = server.open()
    one.data_received(
        b"GET /v1/live HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    await settle()
    assert one.transport.statuses == [200]
    assert one.transport.closed


async def test_while_draining_each_answer_closes_its_connection(server):
    before = server.open()
    before.data_received(GET)
    await settle()
    server.connections.is_draining = True
    assert server.connections.draining()
    for one in (before, server.open()):
        assert not one.transport.closed
        one.data_received(GET)
        await settle()
        assert one.transport.statuses[-1] == 200
        assert b"connection: close" in one.transport.sent
        assert one.transport.closed


async def test_when_the_server_stops_no_rest_of_a_request_is_awaited(server):
    too_large, late, idle, half_head, half_body, whole = (server.open() for _ in range(6))
    too_large.data_received(head(HEADERS_MAX, 1))
    late.data_received(GET[:10])
    late.check_read()
    half_head.data_received(GET[:10])
    half_body.data_received(POST)
    whole.data_received(GET)
    for one in (too_large, late, idle, half_head, half_body, whole):
        one.shutdown()
    await settle()
    assert [one.transport.statuses for one in (too_large, late)] == [[431], [408]]
    assert [one.transport.statuses for one in (idle, whole)] == [[], [200]]
    for one in (half_head, half_body):
        assert one.transport.problem["code"] == "stopping"
    for one in (too_large, late, idle, half_head, half_body, whole):
        assert one.transport.closed


async def test_a_request_that_is_not_answered_before_the_end_gets_a_problem(server, caplog):
    waiting, begun = server.open(), server.open()

    async def never(scope, receive, send):
        await asyncio.Event().wait()

    async def half(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.Event().wait()

    for one, app in ((waiting, never), (begun, half)):
        one.app = UntilTheEnd(app)
        one.data_received(GET)
    await settle()
    for task in list(server.state.tasks):
        task.cancel()
    await settle()
    assert waiting.transport.problem["code"] == "stopping"
    assert begun.transport.statuses == [200]
    assert begun.transport.closed
    assert not any(record.exc_info for record in caplog.records)
