"""Serve the tekkie installed beside this Python, ask /readyz and the first page, and book."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

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
                ask(f"http://127.0.0.1:{port}", server)
            finally:
                server.terminate()


def ask(base: str, server: subprocess.Popen[bytes]) -> None:
    """Ask the server that is starting."""
    deadline = time.monotonic() + STARTS_WITHIN_S
    while True:
        assert server.poll() is None, "tekkie serve has ended"
        assert time.monotonic() < deadline, "tekkie serve was not ready in time"
        try:
            urlopen(f"{base}/readyz").close()
            break
        except URLError:
            time.sleep(0.2)
    with urlopen(f"{base}/") as page:
        assert b"<html" in page.read()
    request = Request(
        f"{base}/v1/bookings",
        json.dumps(BOOKING).encode(),
        {"Content-Type": "application/json", "Idempotency-Key": "installed"},
    )
    with urlopen(request) as answer:
        assert answer.status == 201
        booking = json.load(answer)
    print(f"Python {sys.version.split()[0]}: ready, a page, and a booking that is {booking['state']}")


if __name__ == "__main__":
    main()
