"""A push service on loopback, and phones that read what it takes for them.

It refuses whatever a real one would: a token that is not signed by the key it names, for another
service, too old or too long; a body in another form; a header missing. What it takes it opens with
the phone's own key, by RFC 8291 written out once more with nothing of ours.
"""

import asyncio
import hmac
import json
import os
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

DAY_S = 86_400


def url64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def from_url64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def uncompressed(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


@dataclass
class Taken:
    """A push as it arrived: its headers, what the token said, and what the phone read."""

    headers: dict[str, str]
    claims: dict[str, Any]
    body: bytes
    plain: bytes

    @property
    def said(self) -> dict[str, Any]:
        return json.loads(self.plain)

    @property
    def notification(self) -> dict[str, Any]:
        assert self.said["web_push"] == 8030
        return self.said["notification"]

    @property
    def ttl_s(self) -> int:
        return int(self.headers["ttl"])


@dataclass
class Handset:
    """A phone that subscribed; `answer` is what its service says."""

    name: str
    endpoint: str
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    auth: bytes = field(default_factory=lambda: os.urandom(16))
    answer: tuple[int, dict[str, str], bytes] = (201, {}, b"")
    hold: asyncio.Event | None = None
    taken: list[Taken] = field(default_factory=list)

    @property
    def subscription(self) -> dict[str, Any]:
        """As PushManager gives it."""
        keys = {"p256dh": url64(uncompressed(self.key.public_key())), "auth": url64(self.auth)}
        return {"endpoint": self.endpoint, "keys": keys}

    @property
    def keys(self) -> dict[str, bytes]:
        return {"p256dh": uncompressed(self.key.public_key()), "auth": self.auth}


@dataclass
class PushService:
    """Takes pushes for its phones; `calls` counts every request, `faults` says what was wrong."""

    url: str = ""
    handsets: dict[str, Handset] = field(default_factory=dict)
    calls: int = 0
    faults: list[str] = field(default_factory=list)
    senders: set[str] = field(default_factory=set)

    def handset(self, name: str) -> Handset:
        return self.handsets.setdefault(name, Handset(name, f"{self.url}/push/{name}"))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await self._head(reader):
                self.calls += 1
                method, path, headers = head
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                status, more, content = await self._take(method, path, headers, body)
                lines = [f"HTTP/1.1 {status} X", f"content-length: {len(content)}"]
                lines += [f"{name}: {value}" for name, value in more.items()]
                writer.write("\r\n".join([*lines, "", ""]).encode() + content)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _head(self, reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str]] | None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        except asyncio.IncompleteReadError:
            return None
        method, path, _ = head[0].split(" ")
        named = (line.split(": ", 1) for line in head[1:] if line)
        return method, path, {name.lower(): value for name, value in named}

    async def _take(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        handset = self.handsets.get(path.rpartition("/")[2])
        if method != "POST" or handset is None:
            self.faults.append(f"{method} {path}")
            return 404, {}, b""
        try:
            claims = self._checked(headers)
            plain = opened(handset, body)
        except Exception as error:
            self.faults.append(f"{type(error).__name__}: {error}")
            return 400, {}, b""
        if handset.hold:
            await handset.hold.wait()
        handset.taken.append(Taken(headers, claims, body, plain))
        return handset.answer

    def _checked(self, headers: dict[str, str]) -> dict[str, Any]:
        assert headers["content-encoding"] == "aes128gcm"
        assert headers["urgency"] == "high"
        assert int(headers["ttl"]) >= 0
        assert 1 <= len(headers["topic"]) <= 32
        assert set(headers["topic"]) <= set(url64(bytes(range(256)))) | set("-_")
        scheme, _, rest = headers["authorization"].partition(" ")
        assert scheme == "vapid"
        parts = dict(part.strip().split("=", 1) for part in rest.split(","))
        signed, _, signature = parts["t"].rpartition(".")
        raw = from_url64(signature)
        assert len(raw) == 64
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), from_url64(parts["k"]))
        pair = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
        key.verify(pair, signed.encode(), ec.ECDSA(hashes.SHA256()))
        kind, claims = (json.loads(from_url64(part)) for part in signed.split("."))
        assert kind == {"typ": "JWT", "alg": "ES256"}
        assert claims["aud"] == self.url
        assert 0 < claims["exp"] - time.time() <= DAY_S
        assert claims["sub"].startswith(("mailto:", "https://"))
        self.senders.add(parts["k"])
        return claims


def opened(handset: Handset, body: bytes) -> bytes:
    """What the phone reads, by RFC 8188 and RFC 8291."""
    assert len(body) <= 4096
    salt, length = body[:16], body[20]
    assert int.from_bytes(body[16:20]) >= len(body) - 21 - length
    sender, sealed = body[21 : 21 + length], body[21 + length :]
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender)
    shared = handset.key.exchange(ec.ECDH(), public)
    info = b"WebPush: info\0" + uncompressed(handset.key.public_key()) + sender
    secret = _hmac(_hmac(handset.auth, shared), info + b"\1")
    first = _hmac(salt, secret)
    key = _hmac(first, b"Content-Encoding: aes128gcm\0\1")[:16]
    nonce = _hmac(first, b"Content-Encoding: nonce\0\1")[:12]
    plain = AESGCM(key).decrypt(nonce, sealed, None).rstrip(b"\0")
    assert plain.endswith(b"\2")
    return plain[:-1]


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, sha256)


@asynccontextmanager
async def push_service() -> AsyncIterator[PushService]:
    """A push service that listens while inside; nothing it saw may have been wrong."""
    service = PushService()
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    service.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield service
    finally:
        server.close()
        for one in service.handsets.values():
            if one.hold:
                one.hold.set()
        await server.wait_closed()
    assert service.faults == []
