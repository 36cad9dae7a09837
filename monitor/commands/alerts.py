"""`squall alerts`: what fired, who was told, what people say of it, and does a channel work?"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from alerts.texts.wording import seen
from monitor.commands.desk import COMMANDS
from monitor.commands.explaining import explain, why
from monitor.commands.opening import in_json, keep_private, settings_of
from monitor.errors import InputUnusable, MonitorError

if TYPE_CHECKING:
    import polars as pl

    from monitor.desk.audit import Receipt
    from monitor.storage.reading import Reader


@click.group()
def alerts() -> None:
    """List, judge, silence and acknowledge alerts; see messages, test channels, redeliver."""


for _command in COMMANDS:
    alerts.add_command(_command)


@alerts.command("list")
@click.option("--days", type=click.IntRange(1, 3650), default=30, show_default=True, help="How far to look back.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def list_(ctx: click.Context, days: int, as_json: bool) -> None:
    """Alerts that were open in the last days, latest first."""
    from monitor.naming import Naming
    from monitor.news.own_companies import with_own
    from monitor.storage.reading import Reader
    from monitor.watched import watched_themes

    settings = settings_of(ctx)
    now = datetime.now(UTC)
    with Reader.open(settings.store.path) as reader:
        found = reader.query("alerts", series="", since=now - timedelta(days=days), until=now, limit=1000)
    if as_json:
        click.echo(in_json(found.to_dicts()))
        return
    naming = Naming(watched_themes(settings), with_own(settings.companies))
    for row in found.iter_rows(named=True):
        said = [row["judged"] and f"judged {row['judged']}", row["acknowledged_by"] and f"ack {row['acknowledged_by']}"]
        click.echo(
            f"{row['id']}  {row['opened_at']:%Y-%m-%d %H:%M}  {row['state']:<10} {row['severity']:<8} "
            f"{naming.title(row['series'])}: {seen(row['series'], row['observed'])}, {row['expected']:.1f} expected"
            + "".join(f" [{words}]" for words in said if words)
        )
    if found.is_empty():
        click.echo(f"no alert in the last {days} days")


@alerts.command("show")
@click.argument("alert")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def show(ctx: click.Context, alert: str, as_json: bool) -> None:
    """One alert with its evidence and everything that happened: changes, messages, what was not sent, remarks."""
    from monitor.desk.audit import audit, set_back
    from monitor.naming import Naming
    from monitor.news.own_companies import with_own
    from monitor.storage.reading import Reader
    from monitor.watched import watched_themes

    settings = settings_of(ctx)
    with Reader.open(settings.store.path) as reader:
        found = audit(reader, alert)
    if as_json:
        click.echo(in_json(found.as_dict()))
        return
    row = found.alert
    title = Naming(watched_themes(settings), with_own(settings.companies)).title(row["series"])
    click.echo(f"{title}: {row['state']}, {row['severity']}  ({row['id']}, {row['series']})")
    over = f", over {row['resolved_at']:%Y-%m-%d %H:%M}" if row["resolved_at"] else ""
    fired = f", fired {row['fired_at']:%Y-%m-%d %H:%M}" if row["fired_at"] else ""
    click.echo(f"opened {row['opened_at']:%Y-%m-%d %H:%M}{fired}{over} (UTC)")
    click.echo(
        f"{'at last' if over else 'now'} {seen(row['series'], row['observed'])} in {row['hours']} h, "
        f"{row['expected']:.1f} expected; peak {row['peak_observed']} at {row['peak_at']:%Y-%m-%d %H:%M}"
    )
    for line in (
        row["assigned_to"] and f"assigned to {row['assigned_to']}",
        row["acknowledged_by"] and f"acknowledged by {row['acknowledged_by']}",
        row["judged"] and f"judged {row['judged']}",
    ):
        if line:
            click.echo(line)
    click.echo("\nstories")
    for story in found.evidence:
        click.echo(f"  {story['at'][:16].replace('T', ' ')}  {story['title']}  ({', '.join(story['publishers'])})")
    click.echo("\nwho has which message (UTC)")
    for receipt in found.receipts:
        click.echo(f"  {_receipt(receipt)}")
    if not found.receipts:
        click.echo("  no message was written; what happened says why")
    click.echo("\nwhat happened (UTC)")
    before: datetime | None = None
    for step in found.steps:
        # The times of an alert itself never go back, and a decision bears the time of its notice, hours ago perhaps.
        if step.what not in ("change", "not sent"):
            if words := set_back(before, step.at):
                click.echo(f"  {words}")
            before = step.at
        click.echo(f"  {step.at:%Y-%m-%d %H:%M:%S}  {step.what:<9} {step.words}")


def _receipt(one: Receipt) -> str:
    """ "fired      desk-mail  ann@example.com  delivered 2026-03-10 12:00:02 at attempt 1: ..."."""
    when = f" {one.at:%Y-%m-%d %H:%M:%S}" if one.at else ""
    standing = {
        "delivered": f"delivered{when} at attempt {one.tries}",
        "dead": f"given up{when} after {one.tries} {'attempt' if one.tries == 1 else 'attempts'}",
        "pending": f"waits, {one.tries} {'attempt' if one.tries == 1 else 'attempts'} so far, next{when}",
    }.get(one.state, f"{one.state}{when}")
    said = f": {one.words}" if one.words else ""
    return f"{one.message:<10} {one.channel:<12} {one.recipient or '-':<24} {standing}{said}"


@alerts.command("deliveries")
@click.option("--dead", is_flag=True, help="Only those that were given up.")
@click.option("--unsent", is_flag=True, help="Instead: notices that were not sent, or not at once, and why.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def deliveries(ctx: click.Context, dead: bool, unsent: bool, as_json: bool) -> None:
    """The latest messages with what became of them."""
    from monitor.storage.reading import Reader

    with Reader.open(settings_of(ctx).store.path) as reader:
        found = _unsent(reader) if unsent else reader.query("deliveries", state="dead" if dead else "", limit=200)
    if as_json:
        click.echo(in_json(found.to_dicts()))
        return
    for row in found.iter_rows(named=True):
        if unsent:
            click.echo(
                f"{row['at']:%Y-%m-%d %H:%M}  {row['channel'] or '-':<12} {row['notice']:<10} {row['choice']:<16} "
                f"{row['series'] or row['alert']}: {row['words']}"
            )
            continue
        click.echo(
            f"{row['id']}  {row['created_at']:%Y-%m-%d %H:%M}  {row['channel']:<12} {row['state']:<10} "
            f"{row['reason']:<10} {row['attempts']} {'attempt' if row['attempts'] == 1 else 'attempts'}  "
            + (f"{row['alert']}  " if row["alert"] else "")
            + (f"to {row['recipient']} alone: " if row["recipient"] else "")
            + _ending(row)
        )
    if found.is_empty():
        click.echo("every notice was sent" if unsent else "no message was given up" if dead else "no message yet")


def _ending(row: dict[str, Any]) -> str:
    """What became of a message at last; where its channel was taken out, that, and not what the last attempt said."""
    removed = row["state"] == "dead" and row["outcome"] == "channel_removed"
    return str(row["outcome"] if removed else row["last_reason"] or row["outcome"])


def _unsent(reader: Reader) -> pl.DataFrame:
    return reader.query("decisions", limit=200)


@alerts.command("test")
@click.argument("channel")
@click.pass_context
def test(ctx: click.Context, channel: str) -> None:
    """Send a test message on CHANNEL now, and say what came of it; exit 1 when it did not reach everybody there.

    Where it arrives, what waits there for its next attempt is tried too.
    """
    from alerts.sending.channels import open_channel
    from alerts.sending.delivery import test_delivery

    settings = settings_of(ctx)
    by_name = {one.name: one for one in settings.channels}
    if channel not in by_name:
        known = ", ".join(by_name) or "none; add a [[channels]] table to the settings"
        raise InputUnusable(f"there is no channel {channel!r}; channels: {known}")
    now = datetime.now(UTC)
    attempt = open_channel(by_name[channel]).send(test_delivery(channel, now), now)
    everybody = attempt.outcome.ok and not attempt.refused
    if everybody:
        click.echo(f"{channel}: delivered in {attempt.millis} ms{f'; {attempt.reason}' if attempt.reason else ''}")
    else:
        click.echo(f"{channel}: {attempt.outcome}: {attempt.reason}", err=True)
    if attempt.outcome.ok:
        _hasten(settings.store.path, channel)
    ctx.exit(0 if everybody else 1)


def _hasten(store: Path, channel: str) -> None:
    """What waits there goes too. That it cannot, for want of a store or its daemon's answer, is no news of a test."""
    from monitor.desk.desk import Desk

    if not store.exists():
        return
    keep_private()
    with suppress(MonitorError), Desk.open(store) as desk:
        if waited := desk.hasten(channel):
            what = "1 message that waits for it is" if waited == 1 else f"{waited} messages that wait for it are"
            when = "now" if desk.reader.live else "when the daemon runs"
            click.echo(f"{what} tried again {when}")


alerts.add_command(explain)
alerts.add_command(why)
