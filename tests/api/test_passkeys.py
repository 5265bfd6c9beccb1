"""Passkeys of operators: made and used by an authenticator of our own."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from data.enums import OperatorRole
from dispatch.flows.people import sessions
from tests.api.conftest import BASE, expect

HOST = "tekkie.test"
PRESENT_AND_VERIFIED, WITH_CREDENTIAL = 0x05, 0x40


def encode(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "==")


@dataclass
class Authenticator:
    """A device with one passkey."""

    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    credential_id: bytes = b"\x07" * 32
    count: int = 0
    origin: str = BASE

    def create(self, options: dict[str, Any]) -> dict[str, Any]:
        numbers = self.key.public_key().public_numbers()
        x, y = numbers.x.to_bytes(32), numbers.y.to_bytes(32)
        public = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})
        size = len(self.credential_id).to_bytes(2)
        data = self._data(WITH_CREDENTIAL) + bytes(16) + size + self.credential_id + public
        attestation = {"fmt": "none", "attStmt": {}, "authData": data}
        client = self._client("webauthn.create", options)
        return self._credential(
            {
                "clientDataJSON": encode(client),
                "attestationObject": encode(cbor2.dumps(attestation)),
            }
        )

    def get(self, options: dict[str, Any]) -> dict[str, Any]:
        self.count += 1
        data, client = self._data(), self._client("webauthn.get", options)
        signed = self.key.sign(data + sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return self._credential(
            {
                "clientDataJSON": encode(client),
                "authenticatorData": encode(data),
                "signature": encode(signed),
            }
        )

    def _data(self, flags: int = 0) -> bytes:
        head = sha256(HOST.encode()).digest() + bytes([PRESENT_AND_VERIFIED | flags])
        return head + self.count.to_bytes(4)

    def _client(self, kind: str, options: dict[str, Any]) -> bytes:
        client = {"type": kind, "challenge": options["challenge"], "origin": self.origin}
        return json.dumps(client | {"crossOrigin": False}).encode()

    def _credential(self, response: dict[str, str]) -> dict[str, Any]:
        name = encode(self.credential_id)
        return {"id": name, "rawId": name, "type": "public-key", "response": response}


async def register(api, owner, device, *, at="/v1/desk/passkeys", **changes):
    options = (await owner.post(f"{at}/challenge")).json()["options"]
    made = device.create(options | changes)
    return await owner.post(at, {"name": "Laptop", "credential": made})


async def sign_in(api, device, **changes):
    options = (await api.client().post("/v1/passkey-challenges")).json()["options"]
    signed = device.get(options | changes)
    return await api.client().post("/v1/sessions/passkey", {"credential": signed}), signed


async def test_a_passkey_signs_an_operator_in_and_no_signature_works_twice(api):
    operator, device = await api.operator(OperatorRole.VIEWER), Authenticator()
    made = await register(api, operator, device)
    assert made.status_code == 201, made.text
    created, signed = await sign_in(api, device)
    assert created.status_code == 201, created.text
    assert created.json()["kind"] == "operator"
    assert "tekkie_desk=ts_" in created.headers["set-cookie"]
    me = api.client(created.json()["token"])
    assert (await me.get("/v1/sessions/current")).json()["role"] == "viewer"
    again = await api.client().post("/v1/sessions/passkey", {"credential": signed})
    expect(again, 422, "passkey-refused")
    [listed] = (await operator.get("/v1/desk/passkeys")).json()["items"]
    assert listed["used_at"] is not None
    path = f"/v1/desk/passkeys/{listed['id']}"
    expect(await (await api.operator()).delete(path), 404, "not-found")
    assert (await operator.delete(path)).status_code == 204
    expect((await sign_in(api, device))[0], 422, "passkey-refused")


async def test_a_passkey_is_refused_unless_everything_about_it_is_ours(api, clock):
    operator, device = await api.operator(OperatorRole.VIEWER), Authenticator()
    assert (await register(api, operator, device)).status_code == 201
    expect(await register(api, operator, device), 422, "passkey-refused")  # it exists
    foreign = Authenticator(device.key, count=5, origin="https://evil.example")
    expect((await sign_in(api, foreign))[0], 422, "passkey-refused")
    other_key = Authenticator(count=5)
    expect((await sign_in(api, other_key))[0], 422, "passkey-refused")
    invented = encode(b"\x01" * 56)
    expect((await sign_in(api, device, challenge=invented))[0], 422, "passkey-refused")
    mine = (await operator.post("/v1/desk/passkeys/challenge")).json()["options"]["challenge"]
    expect((await sign_in(api, device, challenge=mine))[0], 422, "passkey-refused")
    assert (await sign_in(api, device))[0].status_code == 201
    copied = Authenticator(device.key, count=0)
    expect((await sign_in(api, copied))[0], 422, "passkey-refused")
    options = (await api.client().post("/v1/passkey-challenges")).json()["options"]
    await clock.advance(timedelta(minutes=6))
    late = await api.client().post("/v1/sessions/passkey", {"credential": device.get(options)})
    expect(late, 422, "passkey-refused")


async def test_a_challenge_of_one_operator_serves_no_other(api):
    mine, other = await api.operator(OperatorRole.VIEWER), await api.operator()
    options = (await mine.post("/v1/desk/passkeys/challenge")).json()["options"]
    made = {"name": "Laptop", "credential": Authenticator().create(options)}
    expect(await other.post("/v1/desk/passkeys", made), 422, "passkey-refused")


async def test_a_removed_operator_has_no_passkey(api, owner):
    operator, device = await api.operator(), Authenticator()
    assert (await register(api, operator, device)).status_code == 201
    [account] = await sessions.list_operators(api.rt)
    await sessions.remove_operator(api.rt, account.id, actor="desk")
    assert await owner.fetchval("SELECT count(*) FROM passkeys") == 0
    expect((await sign_in(api, device))[0], 422, "passkey-refused")


@pytest.mark.parametrize(
    "credential",
    [
        {},
        {"response": 3},
        {"response": {"clientDataJSON": 3}},
        {"response": {"clientDataJSON": encode(b'{"challenge": 3}')}},
        {"response": {"clientDataJSON": encode(b"[]")}},
        {"response": {"clientDataJSON": "\x00"}},
    ],
)
async def test_a_malformed_passkey_is_refused(shared_api, credential):
    answer = await shared_api.client().post("/v1/sessions/passkey", {"credential": credential})
    expect(answer, 422, "passkey-refused")
