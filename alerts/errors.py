"""Everything that the alerts room raises.

    AlertError
    ├── FrameUnusable     a frame handed in lacks a declared column or type
    └── ChannelUnusable   a channel's settings cannot work (address, secret, scheme)

A refused or hanging receiver is no error: it is an `Attempt` with a reason.
"""

from __future__ import annotations


class AlertError(Exception):
    """Detection or delivery cannot work as it was asked to; the message names the thing and the way out."""


class FrameUnusable(AlertError):
    """A frame lacks a declared column, or has it in another type."""


class ChannelUnusable(AlertError):
    """A channel's settings cannot work."""
