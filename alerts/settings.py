"""What the settings of every kind of channel share.

takes  a [[channels]] table
gives  `ChannelBase`: a name, frozen, unknown keys refused
never  shows what was typed in an error: it may be a password in the wrong place
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

ChannelName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class ChannelBase(BaseModel):
    """A channel's name; each kind adds its own keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: ChannelName = Field(description="Lower case letters, digits and hyphens; deliveries remember it.")
