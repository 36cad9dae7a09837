"""Everything that may keep Squall from its work, looked at one by one.

takes  settings, `now`, and what was seen: disk, store, clock, ports, model, channels, feeds
gives  `Finding`s: a verdict, what was seen, and the way out
never  changes anything, and never repeats a secret

What decides is pure and takes what was seen; `monitor.commands.doctor` looks.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from monitor.service.ports import IN_USE
from monitor.storage.forecast import Growth, days_until, size_after

_SCARCE = 512 * 2**20  # bytes: less is told of whatever the forecast says
_NEARLY_NONE = 64 * 2**20
_FORESEEN_DAYS = 90
_CLOCK_SLACK = timedelta(minutes=5)
_BACKUP_DAYS = 7
_SHOWN = 5


class Verdict(StrEnum):
    """What a finding comes to."""

    WELL = "well"
    LOOK = "look"  # it works, and something should be done
    BAD = "bad"  # it does not work


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: what: store, disk, clock, port, model, channel:NAME, feeds, files, backup.
        words: what was seen.
        way_out: what to do; empty when all is well.

    Raises:
        ValueError: on a finding without a way out, or a way out of nothing.
    """

    subject: str
    verdict: Verdict
    words: str
    way_out: str = ""

    def __post_init__(self) -> None:
        if (self.verdict is Verdict.WELL) == bool(self.way_out):
            raise ValueError(f"{self.subject}: a way out is told exactly when something is wrong")


def store_finding(faults: Sequence[str], rows: int) -> Finding:
    """What an examination of the store came to: `faults` in words, `rows` read in all."""
    if faults:
        return Finding(
            "store",
            Verdict.BAD,
            "; ".join(faults),
            "`squall rescore` counts anew from what is stored; else `squall restore` puts a backup in its place",
        )
    return Finding("store", Verdict.WELL, f"every value of {rows} rows was read, and they agree with each other")


def disk_finding(free: int, growth: Growth, keep_days: int) -> Finding:
    """Whether the disk has room for the store in the next months; `free` in bytes."""
    size, soon = growth.bytes, size_after(growth, _FORESEEN_DAYS, keep_days)
    words = (
        f"{_size(free)} free; the store has {_size(size)}, grows by {growth.a_day:.0f} headlines a day, "
        f"and will have {_size(soon)} in {_FORESEEN_DAYS} days"
    )
    full = days_until(growth, max(0, free - _NEARLY_NONE), keep_days)
    more = "make room, move store.path to a larger disk, or keep fewer days (store.keep_days)"
    if free < _NEARLY_NONE:
        return Finding("disk", Verdict.BAD, f"{words}: nothing is fetched any more", more)
    if full is not None and full < _FORESEEN_DAYS:
        return Finding("disk", Verdict.LOOK, f"{words}: full in {full} days", more)
    if free < _SCARCE:
        return Finding("disk", Verdict.LOOK, words, more)
    return Finding("disk", Verdict.WELL, words)


def clock_finding(now: datetime, latest: datetime | None, released: datetime) -> Finding:
    """Whether the machine's clock can be right: not before this version, nor before what was stored last."""
    if now < released:
        return Finding("clock", Verdict.BAD, f"it says {now:%Y-%m-%d %H:%M} UTC", "set it, and let NTP keep it")
    if latest is not None and latest > now + _CLOCK_SLACK:
        behind = latest - now
        return Finding(
            "clock",
            Verdict.BAD,
            f"it says {now:%Y-%m-%d %H:%M} UTC, {_length(behind)} before the last check of a feed",
            "set it, and let NTP keep it; a clock that was ahead is put right at the next start",
        )
    return Finding("clock", Verdict.WELL, f"{now:%Y-%m-%d %H:%M} UTC")


def port_finding(name: str, port: int, error: str, *, running: bool) -> Finding:
    """Whether a port can be had; `error` is why not, `running` whether Squall itself may hold it."""
    subject = f"port:{name}"
    if error and error != IN_USE:
        return Finding(subject, Verdict.BAD, f"{port}: {error}", f"change where to listen: [{name}] in the settings")
    if error and not running:
        return Finding(subject, Verdict.BAD, f"{port}: {error}", f"end what holds it, or change {name}.port")
    return Finding(subject, Verdict.WELL, f"{port}: {'in use' if error else 'free'}")


def channel_finding(name: str, unusable: str, last_reason: str, dead: int) -> Finding:
    """Whether a channel can work, and did: `unusable` from opening it, `last_reason` of its last attempt."""
    subject = f"channel:{name}"
    if unusable:
        return Finding(subject, Verdict.BAD, unusable, "put it right; `squall config check` checks again")
    if last_reason:
        return Finding(subject, Verdict.LOOK, last_reason, f"then try it: `squall alerts test {name}`")
    if dead:
        way_out = f"`squall alerts redeliver --channel {name}` sends them again"
        return Finding(subject, Verdict.LOOK, f"{dead} messages were given up", way_out)
    return Finding(subject, Verdict.WELL, "usable")


def no_channel_finding() -> Finding:
    """Nobody would hear of an alert."""
    return Finding("channels", Verdict.LOOK, "there is none: nobody is told of an alert", "add a [[channels]] table")


def feeds_finding(
    watched: int,
    failing: Sequence[tuple[str, str]],
    last_success: datetime | None,
    now: datetime,
    silent_hours: float,
    *,
    unasked: int = 0,
) -> Finding:
    """How the feeds are.

    Args:
        watched: how many there are.
        failing: id and reason of those that fail.
        last_success: when any of them last answered.
        silent_hours: how long none may answer.
        unasked: how many of them nobody has asked yet.
    """
    if not watched:
        return Finding("feeds", Verdict.BAD, "none is watched", "add one: `squall feeds add` takes its address")
    if unasked >= watched:
        words = f"none of {watched} has been asked yet"
        return Finding("feeds", Verdict.LOOK, words, "start `squall run`, or look again when its first round is over")
    if last_success is not None and now - last_success > timedelta(hours=silent_hours):
        return Finding(
            "feeds",
            Verdict.BAD,
            f"none of {watched} has answered for {_length(now - last_success)}",
            "look at the network, and at `squall status`: is the daemon running?",
        )
    if last_success is None and len(failing) >= watched - unasked:
        feed, reason = failing[0]
        words = f"none of the {len(failing)} that were asked has ever answered: {feed}: {reason}"
        return Finding(
            "feeds", Verdict.BAD, words, "look at the network of this machine: its names, its proxy, its rules"
        )
    if failing:
        told = "; ".join(f"{feed}: {reason}" for feed, reason in failing[:_SHOWN])
        more = f" and {len(failing) - _SHOWN} more" if len(failing) > _SHOWN else ""
        words = f"{len(failing)} of {watched} fail: {told}{more}"
        return Finding("feeds", Verdict.LOOK, words, "each reason says what to do; `squall feeds list` lists all")
    if unasked:
        words = f"{watched} are watched, and {unasked} of them {'has' if unasked == 1 else 'have'} not been asked yet"
        return Finding("feeds", Verdict.LOOK, words, "a running daemon asks them in its next round: look again then")
    return Finding("feeds", Verdict.WELL, f"{watched} are watched, none fails")


def files_finding(modes: Mapping[Path, int]) -> Finding:
    """Whether others on this machine may read what is the owner's; modes as `os.stat` gives them."""
    open_ones = sorted(str(path) for path, mode in modes.items() if stat.S_IMODE(mode) & 0o077)
    if open_ones:
        way_out = f"chmod go-rwx {' '.join(open_ones)}"
        return Finding("files", Verdict.LOOK, f"others may read or write {', '.join(open_ones)}", way_out)
    return Finding("files", Verdict.WELL, f"{len(modes)} private files are their owner's alone")


def backup_finding(made: Iterable[datetime], now: datetime, folder: Path) -> Finding:
    """Whether there is a recent backup in the usual folder."""
    newest = max(made, default=None)
    if newest is None:
        words, way_out = f"none in {folder}", "`squall backup` makes one while the daemon runs; let a timer do it daily"
        return Finding("backup", Verdict.LOOK, words, way_out)
    if now - newest > timedelta(days=_BACKUP_DAYS):
        return Finding("backup", Verdict.LOOK, f"the last is {_length(now - newest)} old", "`squall backup` makes one")
    return Finding("backup", Verdict.WELL, f"the last is of {newest:%Y-%m-%d %H:%M} UTC")


def _length(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    if hours >= 48:
        return f"{hours / 24:.0f} days"
    return f"{hours:.0f} hours" if hours >= 2 else f"{hours * 60:.0f} minutes"


def _size(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"
