"""What became of a notice that was not sent, or not at once.

takes  the alert, the notice, the channel, and why
gives  `Decision`s, to be kept on record
never  decides: `alerts.telling.notices` does
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Choice(StrEnum):
    """Why a notice was not sent, or not at once."""

    NO_ROUTE = "no_route"  # no route leads this series to this channel
    BELOW_SEVERITY = "below_severity"  # a route would, for graver alerts
    NOT_WANTED = "not_wanted"  # a route would, but not this kind of notice
    LEFT_TO_DIGEST = "left_to_digest"
    SILENCED = "silenced"
    INHIBITED = "inhibited"  # the market's own alert says it already
    ACKNOWLEDGED = "acknowledged"  # no reminder of what somebody has taken on
    JUDGED_FALSE = "judged_false"  # no reminder of what somebody has called a false alert
    NEVER_TOLD = "never_told"  # the end of an alert that this channel never heard of
    CHANNEL_DISABLED = "channel_disabled"
    CHANNEL_REMOVED = "channel_removed"  # it was taken out of the settings while the notice waited
    RECIPIENT_REMOVED = "recipient_removed"  # out of a channel's settings, while the notice waited for this one alone
    OVERTAKEN = "overtaken"  # its receiver did not take it, and took a later notice of the same alert
    HELD_QUIET = "held_quiet"  # sent when the quiet hours are over
    HELD_GROUP = "held_group"  # sent with others
    SUPERSEDED = "superseded"  # it was held back, and a later notice of the same alert took its place, or it is over


@dataclass(frozen=True, slots=True)
class Decision:
    """One notice to one channel that was not sent, or not at once.

    Attributes:
        alert: id of the alert.
        at: of the notice; with the other fields it tells decisions apart.
        notice: "fired", "escalated", "reminded" or "resolved".
        channel: name; empty when there is no channel at all.
        choice: why.
        words: the same for people.
    """

    alert: str
    at: datetime
    notice: str
    channel: str
    choice: Choice
    words: str
