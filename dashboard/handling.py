"""What was done about an alert, in a line: who was told, and who has it in hand.

takes  a row of query `open_alerts`, and what was written of it (queries `alert_deliveries`, `alert_decisions`)
gives  words, in Markdown where they are others'
never  decides whether anybody should be told: the monitor did, and kept its reasons
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashboard import texts

# Of a channel counts what is best: a reminder that waits takes nothing back of what arrived.
_BEST = ("delivered", "pending", "bundled", "dead")
_WORDS = {"delivered": "Told", "pending": "waiting", "bundled": "waiting", "dead": "given up"}
# Why a notice was not sent; of those that came later than the first message nothing is said here.
CHOICES = {
    "no_route": "no route leads there",
    "below_severity": "not grave enough for the route",
    "not_wanted": "the route does not want this kind of notice",
    "left_to_digest": "left to the digest",
    "silenced": "silenced",
    "inhibited": "the market's own alert says it",
    "acknowledged": "somebody has taken it on",
    "judged_false": "somebody judged it false",
    "never_told": "this channel never heard of the alert",
    "channel_disabled": "the channel is switched off",
    "channel_removed": "the channel has left the settings",
    "recipient_removed": "the recipient has left the channel",
    "held_quiet": "held until quiet hours end",
    "held_group": "held to be sent with others",
    "superseded": "a later message took its place",
    "overtaken": "a later message arrived before it",
}


def told(
    alert: Mapping[str, Any], messages: Sequence[Mapping[str, Any]], decisions: Sequence[Mapping[str, Any]]
) -> str:
    """Who was told: `Told: mail, webhook; given up: chat`, or why nobody was."""
    found: dict[str, set[str]] = {}
    for one in messages:
        found.setdefault(str(one["channel"]), set()).add(str(one["state"]))
    by_state: dict[str, list[str]] = {}
    for channel in sorted(found):
        best = next((state for state in _BEST if state in found[channel]), None)
        if best is not None:
            by_state.setdefault(_WORDS[best], []).append(texts.literal(channel))
    if by_state:
        words = [f"{word}: {', '.join(by_state[word])}" for word in dict.fromkeys(_WORDS.values()) if word in by_state]
        return texts.sentence("; ".join(words)).removesuffix(".")
    if alert["fired_at"] is None:
        return "Nobody is told before it fires"
    if not decisions:
        return "Nobody was told"
    choice = str(decisions[-1]["choice"])
    return f"Nobody was told: {CHOICES.get(choice, texts.sentence_case(choice).lower())}"


def in_hand(alert: Mapping[str, Any]) -> str:
    """Who has taken it on, or what they judged: `taken on by ana`, `nobody has taken it on`."""
    parts = [f"judged a {alert['judged']} alert"] if alert["judged"] else []
    if alert["acknowledged_by"]:
        parts.append(f"taken on by {texts.literal(alert['acknowledged_by'])}")
    if alert["assigned_to"]:
        parts.append(f"assigned to {texts.literal(alert['assigned_to'])}")
    return ", ".join(parts) or "nobody has taken it on"
