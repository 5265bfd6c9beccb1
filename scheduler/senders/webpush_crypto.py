"""Encryption of push messages, which only the phone can read, and authentication of the sender.

RFC 8291 (Message Encryption for Web Push) over RFC 8188 (aes128gcm), in one record, and RFC 8292
(VAPID).
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


class InvalidKeys(ValueError):
    """The keys of a subscription are invalid."""


def seal(
    plain: bytes,
    *,
    p256dh: bytes,
    auth: bytes,
    sender: ec.EllipticCurvePrivateKey | None = None,
    salt: bytes | None = None,
) -> bytes:
    """Encrypt a push for the holder of these keys. Raises InvalidKeys.

    The key of the sender and the salt are random for every push; tests give those of the RFC.
    """
    sender = sender or ec.generate_private_key(CURVE)
    salt = salt or os.urandom(16)
    own = point(sender)
    shared = sender.exchange(ec.ECDH(), _public(p256dh))
    secret = _derive(shared, auth, b"WebPush: info\x00" + p256dh + own, 32)
    key = _derive(secret, salt, b"Content-Encoding: aes128gcm\x00", 16)
    nonce = _derive(secret, salt, b"Content-Encoding: nonce\x00", 12)
    header = salt + pack(">IB", RECORD_BYTES, len(own)) + own
    return header + AESGCM(key).encrypt(nonce, plain + LAST_RECORD, None)


def pad(plain: bytes) -> bytes:
    """Pad JSON with blanks, so that its length does not reveal the kind of message."""
    return plain + b" " * (-len(plain) % PADDED_TO)


def _derive(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(secret)


def _public(p256dh: bytes) -> ec.EllipticCurvePublicKey:
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(CURVE, p256dh)
    except (ValueError, InvalidKey) as error:
        raise InvalidKeys("p256dh is no point of P-256") from error


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The public half of a key, as an uncompressed point."""
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def url64(raw: bytes) -> str:
    """Base64 for URLs and headers, without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass(frozen=True)
class Vapid:
    """The sender: the key of the installation and its contact."""

    secret: bytes
    subject: str

    @cached_property
    def _key(self) -> ec.EllipticCurvePrivateKey:
        # All but one in 2**32 strings of 32 bytes are a valid key.
        return ec.derive_private_key(int.from_bytes(self.secret) % ORDER or 1, CURVE)

    @cached_property
    def public(self) -> str:
        """The public key that browsers subscribe with."""
        return url64(point(self._key))

    def authorization(self, endpoint: str, now: datetime) -> str:
        """The Authorization header for the service of this endpoint."""
        service = urlsplit(endpoint)
        claims = {
            "aud": f"{service.scheme}://{service.netloc}",
            "exp": int((now + TOKEN_LIFE).timestamp()),
            "sub": self.subject,
        }
        signed = f"{_encode_part({'typ': 'JWT', 'alg': 'ES256'})}.{_encode_part(claims)}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(SHA256())))
        signature = r.to_bytes(32) + s.to_bytes(32)
        return f"vapid t={signed}.{url64(signature)}, k={self.public}"


def _encode_part(content: dict[str, object]) -> str:
    return url64(json.dumps(content, separators=(",", ":")).encode())
