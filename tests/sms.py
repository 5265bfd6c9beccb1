"""The SMS of a test: a folder is the gateway, and what is due is sent when the test says so."""

import asyncio
from typing import Any

from api.server.adapters import build_ports
from scheduler.errands import Errands, Notices
from scheduler.providers import Providers
from scheduler.providers.sms_folder import SmsFolder


class Texts:
    """The SMS that were sent; `send` sends what is due, `hear` reads what the provider told."""

    def __init__(self, api: Any) -> None:
        api.rt.settings = api.rt.settings.model_copy(update={"sms_provider": "folder"})
        api.app.state.ports = build_ports(api.rt)
        settings = api.rt.settings
        self.folder = SmsFolder(settings.text_folder, settings.key())
        self.providers = Providers(sms=self.folder)
        self.api = api

    async def send(self) -> list[str]:
        """Send what is due; returns all texts, the oldest first."""
        await self._turn(Errands)
        return [one["text"] for one in self.folder.texts()]

    async def hear(self) -> None:
        """Read what the provider told."""
        await self._turn(Notices)

    async def code(self) -> str:
        """The code of the newest SMS."""
        return (await self.send())[-1].partition(" ")[0]

    async def _turn(self, kind: Any) -> None:
        engine = kind(self.api.rt, self.providers, request_tick=lambda: None)
        await engine.tick()
        await asyncio.gather(*engine._under_way)
        await engine.tick()
