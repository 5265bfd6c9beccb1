"""Serve the tekkie installed beside this Python, ask /readyz and the first page, and book."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path

STARTS_WITHIN_S = 60
BOOKING = {
    "package": "wifi-setup",
    "customer": {
        "name": "Vera Beispiel",
        "email": "vera@example.com",
        "phone": "044 000 17 39",
        "language": "de",
    },
    "address": {
        "street": "Bahnhofstrasse 1",
        "postcode": "8001",
        "city": "Zürich",
        "country": "CH",
    },
}


def main() -> None:
    """Fail with a traceback if anything is not as it should be."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="tekkie-installed-") as folder:
        environment = {name: text for name, text in os.environ.items() if name[:7] != "TEKKIE_"}
        environment |= {"TEKKIE_DATA_DIR": folder, "TEKKIE_PORT": str(port)}
        command = [str(Path(sys.executable).parent / "tekkie"), "serve"]
        with subprocess.Popen(command, env=environment) as server:
            try:
                ask(port, server)
            finally:
                server.terminate()


def ask(port: int, server: subprocess.Popen[bytes]) -> None:
    """Ask the server that is starting."""
    deadline = time.monotonic() + STARTS_WITHIN_S
    while answer(port, "GET", "/readyz")[0] != HTTPStatus.OK:
        assert server.poll() is None, "tekkie serve has ended"
        assert time.monotonic() < deadline, "tekkie serve was not ready in time"
        time.sleep(0.2)
    status, page = answer(port, "GET", "/")
    assert status == HTTPStatus.OK, page
    assert b"<html" in page
    status, body = answer(port, "POST", "/v1/bookings", json.dumps(BOOKING))
    assert status == HTTPStatus.CREATED, body
    state = json.loads(body)["state"]
    sys.stdout.write(f"Python {sys.version.split()[0]}: ready, a page, a booking: {state}\n")


def answer(port: int, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
    """Status and body; 0 while nobody listens."""
    connection = HTTPConnection("127.0.0.1", port, timeout=STARTS_WITHIN_S)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        found = connection.getresponse()
        return found.status, found.read()
    except ConnectionError:
        return 0, b""
    finally:
        connection.close()


if __name__ == "__main__":
    main()
