"""`squall alerts`: what fired, what was sent, and does a channel work?"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import click

from monitor.commands.opening import settings_of
from monitor.errors import InputUnusable

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@click.group()
def alerts() -> None:
    """List alerts and deliveries, test channels, redeliver."""


@alerts.command("list")
@click.option("--days", type=click.IntRange(1, 3650), default=30, show_default=True, help="How far to look back.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def list_(ctx: click.Context, days: int, as_json: bool) -> None:
    """Alerts that were open in the last days, latest first."""
    from monitor.naming import Naming
    from monitor.reading import Reader
    from monitor.watched import watched_themes

    settings = settings_of(ctx)
    now = datetime.now(UTC)
    with Reader.open(settings.store.path) as reader:
        found = reader.query("alerts", series="", since=now - timedelta(days=days), until=now, limit=1000)
    if as_json:
        click.echo(json.dumps(found.to_dicts(), indent=2, default=str))
        return
    naming = Naming(watched_themes(settings))
    for row in found.iter_rows(named=True):
        click.echo(
            f"{row['id']}  {row['opened_at']:%Y-%m-%d %H:%M}  {row['state']:<10} {row['severity']:<8} "
            f"{naming.title(row['series'])}: {row['observed']} negative stories, {row['expected']:.1f} expected"
        )
    if found.is_empty():
        click.echo(f"no alert in the last {days} days")


@alerts.command("deliveries")
@click.option("--dead", is_flag=True, help="Only those that were given up.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def deliveries(ctx: click.Context, dead: bool, as_json: bool) -> None:
    """The latest messages with what became of them."""
    from monitor.reading import Reader

    with Reader.open(settings_of(ctx).store.path) as reader:
        found = reader.query("deliveries", state="dead" if dead else "", limit=200)
    if as_json:
        click.echo(json.dumps(found.to_dicts(), indent=2, default=str))
        return
    for row in found.iter_rows(named=True):
        click.echo(
            f"{row['id']}  {row['created_at']:%Y-%m-%d %H:%M}  {row['channel']:<12} {row['state']:<10} "
            f"{row['reason']:<10} {row['attempts']} attempts  {row['last_reason'] or row['outcome']}"
        )
    if found.is_empty():
        click.echo("no message was given up" if dead else "no message yet")


@alerts.command("redeliver")
@click.argument("delivery")
@click.pass_context
def redeliver(ctx: click.Context, delivery: str) -> None:
    """Send a message that was given up once more, under its old id."""
    from monitor.actions import send_again
    from monitor.alert_store import AlertStore
    from monitor.reading import Reader
    from monitor.store import Store

    path = settings_of(ctx).store.path
    with Reader.open(path) as reader:
        if reader.live:
            reader.act("redeliver", delivery=delivery)
            click.echo(f"{delivery} is due again")
            return
    now = datetime.now(UTC)
    with Store.open(path, now) as store:
        send_again(AlertStore(store), delivery, now)
    click.echo(f"{delivery} is due again; it goes out when the daemon runs")


@alerts.command("test")
@click.argument("channel")
@click.pass_context
def test(ctx: click.Context, channel: str) -> None:
    """Send a test message on CHANNEL now, and say what came of it; exit 1 when it did not arrive."""
    from alerts.channels import open_channel
    from alerts.delivery import test_delivery

    settings = settings_of(ctx)
    by_name = {one.name: one for one in settings.channels}
    if channel not in by_name:
        known = ", ".join(by_name) or "none; add a [[channels]] table to the settings"
        raise InputUnusable(f"there is no channel {channel!r}; channels: {known}")
    now = datetime.now(UTC)
    attempt = open_channel(by_name[channel]).send(test_delivery(channel, now), now)
    if attempt.outcome.ok:
        click.echo(f"{channel}: delivered in {attempt.millis} ms")
        return
    click.echo(f"{channel}: {attempt.outcome}: {attempt.reason}", err=True)
    ctx.exit(1)
