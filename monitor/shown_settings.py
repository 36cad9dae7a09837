"""The settings as they may be shown: what could be a secret is left out.

takes  settings
gives  plain values for JSON
never  reads a secret, and never shows a path or query of a webhook that may carry a token
"""

from __future__ import annotations

from typing import Any

import httpx2

from alerts.sending.webhook import WebhookSettings, shown
from monitor.settings import Settings


def shown_settings(settings: Settings) -> dict[str, Any]:
    """Settings in force; secrets are shown as where they lie, and webhook addresses lose user, query and fragment."""
    values = settings.model_dump(mode="json")
    for channel, told in zip(settings.channels, values["channels"], strict=True):
        if isinstance(channel, WebhookSettings):
            told["url"] = shown(httpx2.URL(channel.url))
    return values
