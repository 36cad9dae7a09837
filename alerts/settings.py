"""What the settings of every kind of channel share, and what holds for all notices.

takes  a [[channels]] table, and [notify]
gives  `ChannelBase`: a name, frozen, unknown keys refused; `NotifySettings`
never  shows what was typed in an error: it may be a password in the wrong place
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

ChannelName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class ChannelBase(BaseModel):
    """A channel's name; each kind adds its own keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: ChannelName = Field(description="Lower case letters, digits and hyphens; deliveries remember it.")


def digest(address: str) -> str:
    """Tells one address from another without holding it: it may be a password."""
    return hashlib.blake2b(address.encode(), digest_size=16, person=b"squall-endpoint").hexdigest()


class NotifySettings(BaseModel):
    """What holds for all notices, whatever their route."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    inhibit: tuple[Literal["topic", "theme", "sector", "company"], ...] = Field(
        ("topic", "sector"),
        description="Kinds of series (topic, theme, sector, company) that are not told of while an alert of the whole "
        "market, at least as grave, fires on the same channel.",
    )
    no_data_hours: float = Field(
        6,
        gt=0,
        le=168,
        description="After so long without an answer from any feed nothing is called calm, and people are told.",
    )
    failing_minutes: int = Field(
        30,
        ge=1,
        le=10080,
        description="A channel or stage that fails for so long is told of on the other channels.",
    )
    heartbeat_channel: str = Field(
        "", description="Channel that is told at intervals that the daemon works; none when empty."
    )
    heartbeat_minutes: int = Field(5, ge=1, le=1440, description="The interval.")
