"""How the whole house is doing, read from outside.

takes  a `Reader` of the store, the settings, and `now`
gives  `Status`, and the words for it
never  opens the store for writing, and never calls well what it cannot see
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

import polars as pl

from monitor.errors import ServiceError
from monitor.service.stages import Stage, stages_of
from monitor.settings import Settings
from monitor.watched import watched_feeds

_SINCE = timedelta(days=1)
# So long it is told what was given up with a channel that was taken out of the settings: then nobody wants it any more.
_REMOVED = timedelta(days=7)


class Asked(Protocol):
    """What status asks of a reader."""

    live: bool

    def query(self, name: str, **params: object) -> pl.DataFrame:
        """The answer to a named query."""

    def act(self, name: str, **body: object) -> object:
        """What the daemon says; raises `ServiceError` when none runs, or it is older than the question."""


@dataclass(frozen=True, slots=True)
class FeedTrouble:
    """A feed whose last check failed."""

    feed: str
    outcome: str
    reason: str
    failures: int
    next_check_at: datetime | None


@dataclass(frozen=True, slots=True)
class ChannelState:
    """What became of a channel's messages; `failing_recipients` says why some of its recipients hear nothing."""

    channel: str
    delivered: int
    pending: int
    dead: int
    last_outcome: str
    last_reason: str
    failing_recipients: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Status:
    """The state of daemon, feeds, model, alerts and deliveries.

    Attributes:
        alive: whether a daemon answers now.
        runtime: what carries the model out, for people; empty when no daemon says so.
        troubles: everything that needs a look, in words; empty when all is well.
    """

    alive: bool
    store: str
    schema_version: str
    model: str
    runtime: str
    headlines: int
    scored: int
    last_check_at: datetime | None
    feeds: int
    feeds_failing: tuple[FeedTrouble, ...]
    alerts_open: int
    channels: tuple[ChannelState, ...]
    stages: tuple[Stage, ...]
    troubles: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """Plain values; datetimes stay datetimes."""
        return asdict(self)


def status(reader: Asked, settings: Settings, now: datetime) -> Status:
    """Look at everything once.

    The store remembers feeds and channels that were taken out of the settings since; they are nobody's trouble, but
    for the messages that waited then.
    """
    polled = {feed.id for feed in watched_feeds(settings) if feed.enabled}
    named = {channel.name for channel in settings.channels}
    counts = reader.query("status").row(0, named=True)
    notes = {str(key): str(value) for key, value in reader.query("meta").iter_rows()}
    feeds = reader.query("feeds", since=now - _SINCE)
    failing = tuple(
        FeedTrouble(row["feed"], row["outcome"], row["reason"] or "", row["failures"], row["next_check_at"])
        for row in feeds.iter_rows(named=True)
        if row["failures"] and row["feed"] in polled
    )
    written_to = list(reader.query("channels").iter_rows(named=True))
    channels = tuple(
        ChannelState(
            row["channel"],
            row["delivered"],
            row["pending"],
            row["dead"],
            row["last_outcome"] or "",
            row["last_reason"] or "",
            # A daemon that was not begun anew since an upgrade knows no such column.
            tuple(row.get("failing_recipients") or ()),
        )
        for row in written_to
        if row["channel"] in named
    )
    removed = {
        row["channel"]: row["removed"]
        for row in written_to
        if row["channel"] not in named and row.get("removed") and row["removed_at"] > now - _REMOVED
    }
    # A daemon that cannot write, because its disk is full or hangs, still says how it is.
    pulse = _pulse(reader)
    stages = pulse.stages or tuple(stages_of(notes))
    open_alerts = reader.query("open_alerts").height
    return Status(
        alive=reader.live,
        store=str(settings.store.path),
        schema_version=notes.get("schema_version", ""),
        model=counts["model"] or pulse.model,
        runtime=pulse.runtime,
        headlines=counts["headlines"],
        scored=counts["scored"],
        last_check_at=counts["last_check_at"],
        feeds=len(polled),
        feeds_failing=failing,
        alerts_open=open_alerts,
        channels=channels,
        stages=stages,
        troubles=(
            *_troubles(reader.live, failing, channels, stages, counts["headlines"] - counts["scored"]),
            *(_left_behind(name, letters) for name, letters in removed.items()),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Pulse:
    stages: tuple[Stage, ...] = ()
    model: str = ""
    runtime: str = ""


def _pulse(reader: Asked) -> _Pulse:
    """What the daemon knows of itself now; empty when none runs."""
    if not reader.live:
        return _Pulse()
    try:
        told = reader.act("pulse")
    except ServiceError:
        return _Pulse()  # it ended meanwhile, or is of an older version
    if not isinstance(told, dict):
        return _Pulse()
    late = {str(one["stage"]): str(one["words"]) for one in told["late"]}
    known = {one["name"]: Stage(**one) for one in told["stages"]}
    # By now it is later than it was when it was noted.
    stages = (replace(stage, reason=late.get(name, stage.reason)) for name, stage in sorted(known.items()))
    return _Pulse(tuple(stages), str(told["model"]), str(told["runtime"]))


def _troubles(
    alive: bool,
    failing: tuple[FeedTrouble, ...],
    channels: tuple[ChannelState, ...],
    stages: tuple[Stage, ...],
    unscored: int,
) -> tuple[str, ...]:
    found = [] if alive else ["no daemon is running: start one with `squall run`"]
    found += [f"stage {stage.name}: {stage.reason}" for stage in stages if stage.reason]
    if unscored:
        found.append(f"{unscored} headlines wait for a score")
    found += [f"feed {one.feed}: {one.reason}" for one in failing]
    for one in channels:
        if one.dead:
            found.append(
                f"channel {one.channel}: {one.dead} messages were given up; "
                "`squall alerts deliveries --dead` lists them, `squall alerts redeliver ID` sends one again"
            )
        if one.last_outcome not in ("", "delivered"):
            found.append(f"channel {one.channel}: {one.last_reason}")
        found += [f"channel {one.channel}: {reason}" for reason in one.failing_recipients]
    return tuple(found)


def _left_behind(channel: str, letters: int) -> str:
    what = "1 message for it was" if letters == 1 else f"{letters} messages for it were"
    return (
        f"channel {channel} was taken out of the settings: {what} given up; name it again and reload, and "
        f"`squall alerts redeliver --channel {channel}` sends what there is"
    )
