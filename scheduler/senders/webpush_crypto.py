"""What travels to a phone, sealed: only the phone can read it, its push service cannot.

RFC 8291 (Message Encryption for Web Push) over RFC 8188 (aes128gcm), in one record, and RFC 8292
(VAPID), by which the service knows who sends.
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from struct import pack
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CURVE = ec.SECP256R1()
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
RECORD_BYTES = 4096
PADDED_TO = 512
LAST_RECORD = b"\x02"
TOKEN_LIFE = timedelta(hours=12)


class KeysUnfit(ValueError):
    """The keys of a subscription are none."""


def seal(
    plain: bytes,
    *,
    p256dh: bytes,
    auth: bytes,
    sender: ec.EllipticCurvePrivateKey | None = None,
    salt: bytes | None = None,
) -> bytes:
    """The body of a push that only the holder of these keys can read. Raises KeysUnfit.

    The key of the sender and the salt are drawn anew for every push; tests give those of the RFC.
    """
    sender = sender or ec.generate_private_key(CURVE)
    salt = salt or os.urandom(16)
    own = point(sender)
    shared = sender.exchange(ec.ECDH(), _public(p256dh))
    secret = _derived(shared, auth, b"WebPush: info\x00" + p256dh + own, 32)
    key = _derived(secret, salt, b"Content-Encoding: aes128gcm\x00", 16)
    nonce = _derived(secret, salt, b"Content-Encoding: nonce\x00", 12)
    header = salt + pack(">IB", RECORD_BYTES, len(own)) + own
    return header + AESGCM(key).encrypt(nonce, plain + LAST_RECORD, None)


def padded(plain: bytes) -> bytes:
    """JSON with blanks behind it, so that its length does not tell which news it is."""
    return plain + b" " * (-len(plain) % PADDED_TO)


def _derived(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(secret)


def _public(p256dh: bytes) -> ec.EllipticCurvePublicKey:
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(CURVE, p256dh)
    except (ValueError, InvalidKey) as error:
        raise KeysUnfit("p256dh is no point of P-256") from error


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The public half of a key, as an uncompressed point."""
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def url64(raw: bytes) -> str:
    """Base64 for addresses and headers, without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass(frozen=True)
class Vapid:
    """Who sends: the installation's key, and an address where its people can be reached."""

    secret: bytes
    subject: str

    @cached_property
    def _key(self) -> ec.EllipticCurvePrivateKey:
        # Of 32 bytes all but one in four thousand million are a key as they stand.
        return ec.derive_private_key(int.from_bytes(self.secret) % ORDER or 1, CURVE)

    @cached_property
    def public(self) -> str:
        """The key by which browsers know who may ring them."""
        return url64(point(self._key))

    def authorization(self, endpoint: str, now: datetime) -> str:
        """The header that proves to the service of this endpoint who sends."""
        service = urlsplit(endpoint)
        claims = {
            "aud": f"{service.scheme}://{service.netloc}",
            "exp": int((now + TOKEN_LIFE).timestamp()),
            "sub": self.subject,
        }
        signed = f"{_part({'typ': 'JWT', 'alg': 'ES256'})}.{_part(claims)}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(SHA256())))
        signature = r.to_bytes(32) + s.to_bytes(32)
        return f"vapid t={signed}.{url64(signature)}, k={self.public}"


def _part(content: dict[str, object]) -> str:
    return url64(json.dumps(content, separators=(",", ":")).encode())
