"""The channels that the settings may name.

takes  the [[channels]] tables
gives  `ChannelSettings`, told apart by `type`, the `Channel` that each opens, and the recipients of each
never  knows how a channel sends
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from alerts.sending.chat import ChatChannel, ChatSettings
from alerts.sending.delivery import Channel
from alerts.sending.mail import MailChannel, MailSettings
from alerts.sending.webhook import WebhookChannel, WebhookSettings

ChannelSettings = Annotated[WebhookSettings | MailSettings | ChatSettings, Field(discriminator="type")]


def open_channel(settings: WebhookSettings | MailSettings | ChatSettings) -> Channel:
    """The channel that these settings describe. Reads its secrets once, to say at the start what is missing.

    Raises:
        ChannelUnusable: when a secret, address or certificate cannot be read or used.
    """
    match settings:
        case WebhookSettings():
            return WebhookChannel(settings)
        case MailSettings():
            return MailChannel(settings)
        case ChatSettings():
            return ChatChannel(settings)


def recipients_of(settings: WebhookSettings | MailSettings | ChatSettings) -> tuple[str, ...]:
    """The addresses of which one may take a message that another does not; none where a message goes to one place."""
    return settings.addresses if isinstance(settings, MailSettings) else ()
