"""The providers that the settings name."""

from __future__ import annotations

import httpx2

from data.settings import Settings
from dispatch.runtime import Runtime
from scheduler.providers import Providers, TextSender
from scheduler.providers.gatewayapi import GatewayApi
from scheduler.providers.sms_folder import SmsFolder


def providers(rt: Runtime) -> Providers:
    """The providers of this runtime."""
    return Providers(sms=_text_sender(rt.settings, rt.http))


def _text_sender(settings: Settings, http: httpx2.AsyncClient | None) -> TextSender | None:
    if settings.sms_provider == "folder":
        return SmsFolder(settings.text_folder, settings.key())
    if settings.sms_provider == "none" or http is None or settings.sms_token is None:
        return None
    secret = settings.sms_secret
    return GatewayApi(
        http,
        url=settings.sms_url,
        token=settings.sms_token.get_secret_value(),
        sender=settings.sms_sender,
        secret=secret.get_secret_value() if secret else None,
    )
