"""Several notices as one message.

takes  deliveries of one channel that were held back, and whose time has come
gives  `Sealing`: the group's own delivery, and its members, marked as part of it
never  changes a group once it is sealed: a repeat of it has the same id and the same content
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from alerts.detection.spikes import Severity
from alerts.sending.delivery import Delivery, DeliveryState
from alerts.texts import wording
from alerts.texts.messages import Bulletin, Item, Message, Section, bulletin_message, read_message
from alerts.texts.prose import event, subject

_REASON = "group"


@dataclass(frozen=True, slots=True)
class Sealing:
    """What is to be written, all in one transaction: `groups` are new, `members` replace what they were."""

    groups: tuple[Delivery, ...] = ()
    members: tuple[Delivery, ...] = ()


def sealed(ripe: Sequence[Delivery], now: datetime) -> Sealing:
    """Make one delivery of each bundle; a bundle of one goes out as it is.

    Args:
        ripe: pending deliveries of one channel with a bundle, whose time has come.
        now: aware UTC.
    """
    bundles: dict[str, list[Delivery]] = defaultdict(list)
    for delivery in ripe:
        bundles[delivery.bundle].append(delivery)
    groups, members = [], []
    for mine in bundles.values():
        if len(mine) == 1:
            members.append(replace(mine[0], bundle="", next_attempt_at=now))
            continue
        mine.sort(key=lambda one: (one.created_at, one.id))
        group = _group(mine, now)
        groups.append(group)
        members += [
            replace(
                one, state=DeliveryState.BUNDLED, next_attempt_at=None, finished_at=now, outcome=group.id, bundle=""
            )
            for one in mine
        ]
    return Sealing(tuple(groups), tuple(members))


def _group(members: Sequence[Delivery], now: datetime) -> Delivery:
    identity = "\x1f".join(sorted(one.id for one in members))
    messages = [read_message(one.payload) for one in members]
    message = bulletin_message(_REASON, _bulletin(messages, [one.id for one in members]), now, messages)
    return Delivery(
        id="msg_" + hashlib.blake2b(identity.encode(), digest_size=16).hexdigest(),
        alert=None,
        reason=_REASON,
        channel=members[0].channel,
        state=DeliveryState.PENDING,
        created_at=now,
        attempts=0,
        next_attempt_at=now,
        finished_at=None,
        outcome="",
        payload=message.model_dump_json(),
    )


def _bulletin(messages: Sequence[Message], ids: Sequence[str]) -> Bulletin:
    facts = [message.data for message in messages if message.data is not None]
    over = sum(message.resolves for message in messages)
    going = len(messages) - over
    gravest = max(
        (Severity(one.data.severity) for one in messages if one.data is not None and not one.resolves),
        key=lambda severity: severity.rank,
        default=None,
    )
    parts = [f"{going} {'alert' if going == 1 else 'alerts'}" if going else "", f"{over} over" if over else ""]
    names = ", ".join(one.name for one in facts[:3]) + (", …" if len(facts) > 3 else "")
    badge = gravest.value.upper() if gravest else "resolved"
    items = tuple(_item(message) for message in sorted(messages, key=_order))
    return Bulletin(
        subject=wording.one_line(f"[{badge}] {', '.join(part for part in parts if part)}: {names}"),
        title=f"{len(messages)} notices at once",
        lead="These came close together, or were held back until now. Each says what was true when it was written.",
        tone=gravest.value if gravest else "calm",
        about="alerts",
        sections=(Section(heading="The alerts, gravest first", items=items),),
        next_steps=("Read each on the dashboard, or with: squall alerts show ID",),
        alerts=tuple(dict.fromkeys(one.alert for one in facts)),
        threads=tuple(ids),
        # The list of alerts, not the page of one of them.
        dashboard_url=next((one.dashboard_url.partition("?")[0] for one in facts), ""),
    )


def _order(message: Message) -> tuple[bool, int]:
    return message.resolves, -Severity(message.data.severity).rank if message.data else 0


def _item(message: Message) -> Item:
    facts = message.data
    if facts is None:
        return Item(title=subject(message))
    first = f' First: "{facts.stories[0].title}"' if facts.stories and not message.resolves else ""
    words = f"{event(message)} At {wording.moment(message.timestamp)}, {facts.alert}.{first}"
    return Item(title=subject(message), text=wording.one_line(words), link=facts.dashboard_url)
