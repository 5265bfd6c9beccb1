"""A gateway that is a folder: each SMS becomes a file, the last hundred of them. For trials.

It behaves as a careful gateway does: it checks number, length and sender, keeps what it was sent by
idempotency key, refuses another body under the same key, knows the state of each SMS, and signs its
events.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import re
from collections.abc import Collection, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from data.store.phone_codes import CodeDelivery
from scheduler.providers import Answered, Event
from scheduler.providers.sms_text import segments
from scheduler.senders import GiveUp, Result

SIGNATURE: Final = "tekkie-signature"
NUMBER: Final = re.compile(r"\+[1-9][0-9]{6,14}")
SEGMENTS_MAX: Final = 1
NOBODY: Final = "0000000"
"""The end of a number that no SMS reaches."""
KEPT_MAX: Final = 100


class SmsFolder:
    """The gateway at `folder`; `secret` signs its events."""

    def __init__(self, folder: Path, secret: bytes) -> None:
        self._folder = folder
        self._secret = secret

    async def send(self, key: UUID, to: str, text: str) -> Result:
        """Write it down; a repeat is answered as before."""
        return await asyncio.to_thread(self._send, key, to, text)

    async def read(self, reference: str) -> Result:
        """The state of an SMS."""
        kept = await asyncio.to_thread(self._kept, reference)
        if kept is None:
            return GiveUp("there is no such SMS")
        return Answered(answer={"delivery": kept["delivery"]})

    def verify(self, headers: Mapping[str, str], body: bytes) -> Event | None:
        """The event of a signed request."""
        if not hmac.compare_digest(headers.get(SIGNATURE, "").encode(), self._sign(body).encode()):
            return None
        told = json.loads(body)
        return Event(id=str(told["event"]), reference=str(told["id"]))

    def event(self, reference: str, number: int = 1) -> tuple[dict[str, str], bytes]:
        """The headers and body of the request that tells of an SMS."""
        body = json.dumps({"event": f"{reference} {number}", "id": reference}).encode()
        return {SIGNATURE: self._sign(body), "content-type": "application/json"}, body

    def set_delivery(self, reference: str, delivery: CodeDelivery) -> None:
        """Let an SMS have arrived, or not."""
        kept = self._kept(reference)
        assert kept is not None
        self._write(reference, {**kept, "delivery": delivery})

    def texts(self) -> list[dict[str, Any]]:
        """All SMS, the oldest first."""
        return [json.loads(one.read_text("utf-8")) for one in self._files()]

    def _send(self, key: UUID, to: str, text: str) -> Result:
        reference = str(key)
        if not NUMBER.fullmatch(to):
            return Answered(answer={}, problem="the number is not in E.164")
        if not 0 < segments(text) <= SEGMENTS_MAX or not text.strip():
            return GiveUp(f"the text takes {segments(text)} SMS")
        kept = self._kept(reference)
        if kept is not None and (kept["to"], kept["text"]) != (to, text):
            return GiveUp("the same key was used for another SMS")
        if kept is None:
            reached = CodeDelivery.UNDELIVERABLE if to.endswith(NOBODY) else CodeDelivery.DELIVERED
            self._write(reference, {"id": reference, "to": to, "text": text, "delivery": reached})
        return Answered(answer={"reference": reference})

    def _kept(self, reference: str) -> dict[str, Any] | None:
        try:
            kept: dict[str, Any] = json.loads(self._file(reference).read_text("utf-8"))
        except FileNotFoundError:
            return None
        return kept

    def _write(self, reference: str, kept: Mapping[str, Any]) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self._file(reference).with_suffix(".new")
        fresh.write_text(json.dumps(kept, ensure_ascii=False), "utf-8")
        fresh.replace(self._file(reference))
        for old in self._files()[:-KEPT_MAX]:
            old.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return sorted(
            self._folder.glob("*.json"), key=lambda one: (one.stat().st_mtime_ns, one.name)
        )

    def _file(self, reference: str) -> Path:
        return self._folder / f"{UUID(reference)}.json"

    def _sign(self, body: bytes) -> str:
        return hmac.new(self._secret, b"tekkie sms 1:" + body, sha256).hexdigest()


def delete_texts(folder: Path, ids: Collection[UUID]) -> int:
    """Delete the SMS with these ids; returns how many."""
    gone = [file for id_ in ids if (file := folder / f"{id_}.json").exists()]
    for file in gone:
        file.unlink(missing_ok=True)
    return len(gone)
