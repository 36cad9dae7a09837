"""The part of `squall alerts` by which people have a say: acknowledge, note, judge, silence, send again."""

from __future__ import annotations

import getpass
import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from monitor.commands.opening import in_json, keep_private, settings_of
from monitor.errors import InputUnusable

if TYPE_CHECKING:
    from monitor.desk.desk import Desk
    from monitor.settings import Settings

_SPAN = re.compile(r"(\d{1,4})\s*([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_BY = click.option("--by", default="", metavar="NAME", help="Who says so; your login name when left out.")


@click.command("ack")
@click.argument("alert")
@click.option("--undo", is_flag=True, help="Take the acknowledgement back.")
@click.option("--note", default="", help="Words to keep with it.")
@_BY
@click.pass_context
def ack(ctx: click.Context, alert: str, undo: bool, note: str, by: str) -> None:
    """Acknowledge ALERT: no more reminders; that it grows, and that it is over, is still told."""
    with _desk(ctx) as desk:
        (desk.reopen if undo else desk.acknowledge)(alert, _name(by), note)
    click.echo(f"{alert}: {'acknowledgement taken back' if undo else 'acknowledged'}")


@click.command("note")
@click.argument("alert")
@click.argument("words", nargs=-1)
@click.option("--assign", default="", metavar="NAME", help="Also name who looks after it.")
@_BY
@click.pass_context
def note(ctx: click.Context, alert: str, words: tuple[str, ...], assign: str, by: str) -> None:
    """Write WORDS beside ALERT, or assign it to somebody, or both."""
    text = " ".join(words)
    if not (text or assign):
        raise click.UsageError("write something, or name somebody with --assign")
    with _desk(ctx) as desk:
        if assign:
            desk.assign(alert, _name(by), assign)
        if text:
            desk.note(alert, _name(by), text)
    click.echo(f"{alert}: noted")


@click.command("judge")
@click.argument("alert")
@click.argument("verdict", type=click.Choice(["true", "false"]))
@click.option("--note", default="", help="Words to keep with it.")
@_BY
@click.pass_context
def judge(ctx: click.Context, alert: str, verdict: str, note: str, by: str) -> None:
    """Say whether ALERT was worth the notice; then how the judged alerts compare with the stated rate."""
    now = datetime.now(UTC)
    with _desk(ctx) as desk:
        desk.judge(alert, _name(by), true=verdict == "true", words=note)
        told = desk.tally(now - timedelta(days=90), datetime.now(UTC), settings_of(ctx).rules.false_alerts_per_week)
    click.echo(f"{alert}: judged {verdict}")
    click.echo(told.words)


@click.command("tally")
@click.option("--days", type=click.IntRange(1, 3650), default=90, show_default=True, help="How far to look back.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def tally(ctx: click.Context, days: int, as_json: bool) -> None:
    """How many alerts were judged true and false, against the false alerts a week that the rules state."""
    now = datetime.now(UTC)
    with _desk(ctx) as desk:
        told = desk.tally(now - timedelta(days=days), now, settings_of(ctx).rules.false_alerts_per_week)
    if not as_json:
        click.echo(told.words)
        return
    limits = told.range_per_week
    values = {
        "judged_true": told.judged_true,
        "judged_false": told.judged_false,
        "unjudged": told.unjudged,
        "weeks": round(told.weeks, 3),
        "false_per_week": told.per_week,
        "least_per_week": limits[0] if limits else None,
        "most_per_week": limits[1] if limits else None,
        "stated_per_week": told.stated,
        "standing": told.standing.value,
    }
    click.echo(json.dumps(values))


@click.command("silence")
@click.argument("series")
@click.option("--for", "span", default="", metavar="SPAN", help="How long: 90m, 8h, 3d, 2w.")
@click.option("--until", default="", metavar="TIME", help="Until when, ISO 8601; UTC where it names no zone.")
@click.option("--why", default="", help="Words to keep with it.")
@_BY
@click.pass_context
def silence(ctx: click.Context, series: str, span: str, until: str, why: str, by: str) -> None:
    """Send no notices of SERIES for a while: `theme:bank-stress`, `company:JPM`, or several by `company:*`."""
    if bool(span) == bool(until):
        raise click.UsageError("say how long: either --for 8h or --until 2026-03-10T18:00")
    end = datetime.now(UTC) + _span(span) if span else _time(until)
    with _desk(ctx) as desk:
        _demand_series(series, settings_of(ctx), desk)
        made = desk.silence(series, end, _name(by), why)
    click.echo(f"{made['silence']}: no notices of {series} until {end:%Y-%m-%d %H:%M} UTC")


@click.command("unsilence")
@click.argument("silence_id", metavar="SILENCE")
@click.pass_context
def unsilence(ctx: click.Context, silence_id: str) -> None:
    """End a silence now; what still fires is told then."""
    with _desk(ctx) as desk:
        made = desk.unsilence(silence_id)
    click.echo(f"{silence_id}: notices of {made['pattern']} are sent again")


@click.command("silences")
@click.option("--all", "over", is_flag=True, help="Also those that are over.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def silences(ctx: click.Context, over: bool, as_json: bool) -> None:
    """Silences that hold now, the soonest over first."""
    with _desk(ctx) as desk:
        found = desk.reader.query("silences", now=datetime.now(UTC), over=over)
    if as_json:
        click.echo(in_json(found.to_dicts()))
        return
    for row in found.iter_rows(named=True):
        end = row["ended_at"] or row["until"]
        click.echo(f"{row['id']}  until {end:%Y-%m-%d %H:%M}  {row['pattern']:<24} by {row['who']}  {row['why']}")
    if found.is_empty():
        click.echo("nothing is silenced")


@click.command("redeliver")
@click.argument("delivery", default="")
@click.option("--channel", default="", metavar="NAME", help="All messages of this channel that were given up.")
@click.pass_context
def redeliver(ctx: click.Context, delivery: str, channel: str) -> None:
    """Send a message that was given up once more, under its old id; or all of a channel."""
    if bool(delivery) == bool(channel):
        raise click.UsageError("name either one delivery or a --channel; `squall alerts deliveries --dead` lists them")
    with _desk(ctx) as desk:
        made = desk.redeliver(delivery, channel)
        when = "" if desk.reader.live else "; it goes out when the daemon runs"
    count = len(made["deliveries"])
    what = delivery or f"{count} {'message' if count == 1 else 'messages'} of {channel}"
    click.echo(f"{what} {'is' if delivery or count == 1 else 'are'} due again{when}")


@click.command("enable")
@click.argument("channel")
@click.pass_context
def enable(ctx: click.Context, channel: str) -> None:
    """Switch CHANNEL on again after its receiver had said that it wants nothing more (410)."""
    with _desk(ctx) as desk:
        desk.enable(channel)
    click.echo(f"{channel} is switched on")


COMMANDS = (ack, note, judge, tally, silence, unsilence, silences, redeliver, enable)


def _demand_series(pattern: str, settings: Settings, desk: Desk) -> None:
    """A slip of the pen would silence nothing, and nobody would know before the next notice came."""
    from monitor.named_series import misnamed

    # Of the daemon's own settings too, which may be others; and what was watched once may still fire.
    there = {
        *settings.nameable_series(),
        *desk.reader.query("watched")["series"],
        *desk.reader.query("open_alerts")["series"],
    }
    if objection := misnamed(pattern, there):
        raise InputUnusable(objection)


def _desk(ctx: click.Context) -> Desk:
    from monitor.desk.desk import Desk

    # Without a daemon the store is written here.
    keep_private()
    return Desk.open(settings_of(ctx).store.path)


def _name(by: str) -> str:
    if by:
        return by
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "somebody"  # a container may run without a name for its user


def _span(text: str) -> timedelta:
    found = _SPAN.fullmatch(text.strip().lower())
    if not found or not int(found[1]):
        raise click.UsageError(f"{text!r} is no length of time; write 90m, 8h, 3d or 2w")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
        # In UTC a time at either end of the calendar may lie outside it.
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise click.UsageError(f"{text!r} is no time; write 2026-03-10T18:00, with +01:00 for a zone") from None
