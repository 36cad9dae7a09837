"""A backtest as one page that needs nothing else: tables and pictures in HTML, without scripts.

takes  reports by the name of their rules, and trials of planted events
gives  HTML
never  fetches anything, and never shows a title as markup
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from html import escape

from monitor.backtesting.report import Day, FiredAlert, Report, Trial

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2733; --soft: #66788a; --line: #d5dde5; --bar: #9db4c8; --bad: #b3372c;
  --band: #f6d9d5; --ground: #fff }
@media (prefers-color-scheme: dark) { :root { --ink: #e4eaf0; --soft: #93a4b5; --line: #33414f; --bar: #5c7891;
  --bad: #ef8378; --band: #4a2622; --ground: #12181f } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground); max-width: 62rem;
  margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem } h3 { font-size: 1rem; margin-bottom: .2rem }
table { border-collapse: collapse; margin: .6rem 0 } td, th { padding: .25rem .8rem .25rem 0; text-align: left;
  border-bottom: 1px solid var(--line) } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
p.soft, li span { color: var(--soft) } ul { margin-top: .2rem; padding-left: 1.2rem } svg { width: 100%; height: auto }
.bar { fill: var(--bar) } .neg { fill: var(--bad) } .band { fill: var(--band) } .axis { stroke: var(--line) }
text { fill: var(--soft); font-size: 11px }
"""
_WIDTH, _HEIGHT, _FOOT = 900, 150, 18
_MOST_STORIES = 8


def page(reports: Mapping[str, Report], trials: Mapping[str, Sequence[Trial]]) -> str:
    """The whole page.

    Args:
        reports: by the name of the rules, at least one; the first is shown in full.
        trials: by the name of the rules; may be empty.
    """
    name, report = next(iter(reports.items()))
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<title>Squall backtest</title><style>{_STYLE}</style></head><body>",
        "<h1>What would have been alerted</h1>",
        f"<p>{report.headlines} headlines, {report.stories} stories, {report.since:%Y-%m-%d} to "
        f"{report.until:%Y-%m-%d}; alerts after {report.warmup_until:%Y-%m-%d %H:%M} UTC. "
        f"Model {escape(report.model)}.</p>",
    ]
    if len(reports) > 1:
        parts.append(_compared(reports))
    if any(trials.values()):
        parts.append(_tried(trials))
    parts.append(f"<h2>Market</h2>{_picture(report.days.get('market', ()), report.alerts)}")
    parts.append(f"<h2>Alerts under {escape(name)}</h2>")
    parts += [_alert(alert, report) for alert in report.alerts] or ["<p>None.</p>"]
    return "\n".join(parts) + "</body></html>\n"


def _compared(reports: Mapping[str, Report]) -> str:
    rows = []
    for name, report in reports.items():
        weeks = max((report.until - report.warmup_until) / timedelta(days=7), 1 / 7)
        grave = sum(alert.severity != "info" for alert in report.alerts)
        first = (
            f"{report.alerts[0].opened_at:%Y-%m-%d %H:%M} {escape(report.alerts[0].name)}" if report.alerts else "none"
        )
        rows.append([escape(name), str(len(report.alerts)), f"{len(report.alerts) / weeks:.2f}", str(grave), first])
    return "<h2>Rules compared</h2>" + _table(["rules", "alerts", "a week", "warnings and worse", "first"], rows)


def _tried(trials: Mapping[str, Sequence[Trial]]) -> str:
    rows = [
        [
            escape(name),
            str(one.size),
            f"{one.found} of {one.events}",
            f"{one.recall:.0%}",
            "" if one.delay_hours is None else f"{one.delay_hours:.1f} h",
            str(one.false_alerts),
        ]
        for name, found in trials.items()
        for one in found
    ]
    heads = ["rules", "stories an event", "found within a day", "recall", "median delay", "other new alerts"]
    return "<h2>Events put in</h2>" + _table(heads, rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th{' class=n' if place else ''}>{text}</th>" for place, text in enumerate(heads))
    body = "".join(
        "<tr>" + "".join(f"<td{' class=n' if place else ''}>{text}</td>" for place, text in enumerate(row)) + "</tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _alert(alert: FiredAlert, report: Report) -> str:
    ended = f"{alert.resolved_at:%Y-%m-%d %H:%M}" if alert.resolved_at else "open at the end"
    stories = "".join(
        f"<li>{escape(story.title)} <span>{escape(story.publisher)}, {story.at:%Y-%m-%d %H:%M}</span></li>"
        for story in alert.stories[:_MOST_STORIES]
    )
    left = len(alert.stories) - _MOST_STORIES
    more = f"<li><span>and {left} more</span></li>" if left > 0 else ""
    return (
        f"<h3>{escape(alert.name)}: {escape(alert.severity)}</h3>"
        f"<p class='soft'>{alert.opened_at:%Y-%m-%d %H:%M} to {ended}. {escape(alert.detector)}: {alert.seen} seen in "
        f"{alert.hours} h, {alert.expected:.1f} expected; {escape(alert.reason)}</p>"
        f"{_picture(report.days.get(alert.series, ()), (alert,))}<ul>{stories}{more}</ul>"
    )


def _picture(days: Sequence[Day], alerts: Sequence[FiredAlert]) -> str:
    """Stories (pale) and negative ones (dark) of each day; spans with an open alert are shaded."""
    if not days:
        return ""
    first, last = days[0].day, days[-1].day
    count = (last - first).days + 1
    step, top = _WIDTH / count, max(day.stories for day in days) or 1
    ground = _HEIGHT - _FOOT
    parts = []
    for alert in alerts:
        left = max((alert.opened_at - first) / timedelta(days=1) * step, 0)
        right = min(((alert.resolved_at or last + timedelta(days=1)) - first) / timedelta(days=1) * step, _WIDTH)
        parts.append(f"<rect class='band' x='{left:.1f}' y='0' width='{max(right - left, 2):.1f}' height='{ground}'/>")
    for day in days:
        x = (day.day - first).days * step
        for kind, number in (("bar", day.stories), ("neg", day.negative)):
            tall = number / top * (ground - 14)
            place = f"x='{x:.1f}' y='{ground - tall:.1f}' width='{step * 0.8:.1f}' height='{tall:.1f}'"
            parts.append(f"<rect class='{kind}' {place}/>")
    parts += [
        f"<line class='axis' x1='0' x2='{_WIDTH}' y1='{ground}' y2='{ground}'/>",
        f"<text x='0' y='10'>{top}</text>",
    ]
    parts += [
        f"<text x='{at * step:.0f}' y='{_HEIGHT - 4}'>{_day(first, at)}</text>"
        for at in range(0, count, max(count // 8, 1))
    ]
    return f"<svg viewBox='0 0 {_WIDTH} {_HEIGHT}' role='img' aria-label='stories by day'>{''.join(parts)}</svg>"


def _day(first: datetime, at: int) -> str:
    return f"{first + timedelta(days=at):%d %b}"
