"""`squall alerts explain` and `squall alerts why`: what detection saw, and what it made of it."""

from __future__ import annotations

import difflib
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from monitor.commands.opening import in_json, settings_of
from monitor.errors import InputUnusable

if TYPE_CHECKING:
    from alerts.detection.windows import Outlook
    from alerts.rules import Rules

_AFTER = timedelta(days=400)
# Years that leave room for what is looked at before and after a moment.
_YEARS = range(1970, 2200)


@click.command()
@click.argument("alert")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: every finding as it was kept.")
@click.pass_context
def explain(ctx: click.Context, alert: str, as_json: bool) -> None:
    """Say why ALERT fired: every test with its numbers, the severity's formula, the stories, every step since."""
    from alerts.texts.explaining import explained
    from monitor.service.detecting import changes_back, read_finding
    from monitor.storage.reading import Reader

    with Reader.open(settings_of(ctx).store.path) as reader:
        found = reader.query("alert", alert=alert)
        if found.is_empty():
            raise InputUnusable(f"there is no alert {alert!r}; `squall alerts list` names them")
        row = found.row(0, named=True)
        until = row["resolved_at"] or row["opened_at"] + _AFTER
        findings = reader.query("findings", series=row["series"], since=row["opened_at"], until=until)
        steps = reader.query("alert_changes", alert=alert)
        if as_json:
            told = [json.loads(one) for one in findings["finding"]]
            click.echo(in_json({"alert": alert, "findings": told, "changes": steps.to_dicts()}))
            return
        if findings.is_empty():
            click.echo(f"{alert}: this alert is older than the keeping of findings; its steps:")
        for text in findings["finding"]:
            try:
                spike, rules = read_finding(text)
            except ValueError as error:
                click.echo(str(error))
                continue
            lines = explained(spike, spike.series, spike.at, rules, changes_back(reader, spike.at, rules))
            click.echo("\n".join(lines) + "\n")
    for story in json.loads(row["evidence"]):
        click.echo(f"- {', '.join(story['publishers'])}: {story['title']}")
    click.echo("")
    for step in steps.iter_rows(named=True):
        click.echo(
            f"{step['at']:%Y-%m-%d %H:%M}  {step['state_before']} -> {step['state_after']}: {step['reason']} "
            f"({step['observed']} seen, {step['expected']:.1f} expected)"
        )


@click.command()
@click.argument("series")
@click.option(
    "--at",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]),
    help="The moment, in UTC; now when left out.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def why(ctx: click.Context, series: str, at: datetime | None, as_json: bool) -> None:
    """Say why SERIES did, or did not, alert at a moment, from what had been fetched by then."""
    from alerts.texts.explaining import explained, foreseen
    from monitor.series import parted
    from monitor.service.detecting import changes_back, finding_json, look_back, outlook_back
    from monitor.storage.reading import Reader

    settings = settings_of(ctx)
    try:
        parted(series)
    except ValueError as error:
        raise InputUnusable(str(error)) from error
    when = at.replace(tzinfo=UTC) if at else datetime.now(UTC)
    if when.year not in _YEARS:
        raise InputUnusable(f"there is no news of the year {when.year}: name a moment between 1970 and 2199 with --at")
    if when > datetime.now(UTC):
        raise InputUnusable(f"{when:%Y-%m-%d %H:%M} UTC is still to come: name a moment that is over with --at")
    with Reader.open(settings.store.path) as reader:
        found = look_back(reader, when, settings.rules, settings.watch.weights)
        changes = changes_back(reader, when, settings.rules)
        watched = set(reader.query("watched")["series"])
        spike = next((one for one in found if one.series == series), None)
        outlook = None
        if spike is None and series in watched:
            outlook = outlook_back(reader, series, when, settings.rules, settings.watch.weights)
    if spike is None and series not in watched and not series.startswith("story:"):
        near = difflib.get_close_matches(series, watched, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "settings say what is, from the next `squall run` on"
        raise InputUnusable(f"{series} is not watched; {hint}")
    if as_json:
        click.echo(finding_json(spike, settings.rules) if spike else _nothing(series, when, settings.rules, outlook))
        return
    lines = explained(spike, series, when, settings.rules, changes)
    click.echo("\n".join([*lines, *(foreseen(outlook, settings.rules) if outlook else ())]))


def _nothing(series: str, at: datetime, rules: Rules, outlook: Outlook | None) -> str:
    """Why there is no finding, and what would alert, as JSON."""
    from alerts.texts.explaining import absence

    told: dict[str, object] = {"series": series, "at": at, "verdict": "nothing", "reason": absence(series, rules)}
    if outlook is not None:
        told["history_days"] = outlook.history_days
        told["smallest"] = [
            {"hours": hours, "expected": usual, "observed": count} for hours, usual, count in outlook.smallest
        ]
    return in_json(told | {"rules": rules.model_dump(mode="json")})
