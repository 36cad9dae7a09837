"""Why a series alerted, or why it did not, in words that can be checked by hand.

takes  a `Spike` (or none), the rules it was judged by, and changes of sources
gives  lines of text
never  decides or looks anything up: every number is one that the decision used
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from alerts.detection.sources import SourceChange, SourceShift
from alerts.detection.spikes import Considered, Spike, Verdict
from alerts.detection.windows import Outlook
from alerts.rules import Detector, Rules
from alerts.texts import wording

_VERDICTS = {
    Verdict.SURGE: "a surge: it alerts",
    Verdict.LEARNING: "no alert: the series is still learning what is usual",
    Verdict.USUAL: "no alert: chance brings this more often than the rules allow",
    Verdict.AMONG_MANY: "no alert: among so many series one like it is no surprise",
    Verdict.TOO_FEW: "no alert: improbable, but too few",
    Verdict.ONE_PUBLISHER: "no alert: improbable, but too few publisher families carry it",
    Verdict.SMALL_RISE: "no alert: certain, but a small rise",
}
_SHORT = {
    Verdict.SURGE: "surge",
    Verdict.LEARNING: "still learning",
    Verdict.USUAL: "too likely by chance",
    Verdict.AMONG_MANY: "no surprise among many",
    Verdict.TOO_FEW: "too few",
    Verdict.ONE_PUBLISHER: "too few publishers",
    Verdict.SMALL_RISE: "small rise",
}
_WHAT = {
    Detector.VOLUME: "volume",
    Detector.TONE: "tone",
    Detector.SLOW: "slow rise",
    Detector.BREAKING: "breaking story",
}
_CHANGES = {
    SourceShift.ADDED: "is new, so what it alone carries does not count yet",
    SourceShift.SILENT: "has fallen silent",
    SourceShift.DOUBLED: "publishes at least twice as much as it used to",
    SourceShift.RETURNED: "is back after a week or more",
}


def explained(
    spike: Spike | None, series: str, at: datetime, rules: Rules, changes: Sequence[SourceChange] = ()
) -> list[str]:
    """Lines that say what was seen, what was usual, which test said what, and what was missing.

    Args:
        spike: of this series at that moment; None when it had no fresh negative story in the longest window.
        series, at: what was asked for.
        rules: those it was judged by.
        changes: publishers whose output had changed.
    """
    lines = [f"{series} at {at:%Y-%m-%d %H:%M} UTC"]
    if spike is None:
        return [*lines, f"no alert: {absence(series, rules)}", *_sources(changes)]
    lines.append(_VERDICTS[spike.verdict])
    if spike.verdict is Verdict.LEARNING:
        lines.append(missing(spike.history_days, rules))
    lines += [
        "",
        f"{'test':<16}{'hours':>6}{'seen':>6}{'usual':>8}{'families':>9}{'by chance a week':>18}{'allowed':>10}  says",
    ]
    lines += [_row(one) for one in spike.considered]
    lines += ["", *_limits(spike, rules)]
    if spike.gravity is not None:
        lines.append(
            f"severity {spike.severity}: {spike.gravity.words} "
            f"(warning from {rules.warning_score:g}, critical from {rules.critical_score:g})"
        )
    return lines + _sources(changes)


def foreseen(outlook: Outlook, rules: Rules) -> list[str]:
    """Lines that say what would alert in a series in which nothing stirs."""
    learning = outlook.history_days < rules.learning_days
    lines = [missing(outlook.history_days, rules)] if learning else []
    if Detector.VOLUME not in rules.detectors:
        return [*lines, "no count alone would alert: rules.detectors does not name volume"]
    told = ", ".join(f"{count} in {hours} h ({usual:.2f} usual)" for hours, usual, count in outlook.smallest)
    when = "with what is known so far, were it not learning" if learning else "now"
    return [*lines, f"the smallest counts that would alert by volume {when}: {told}"]


def missing(history_days: float, rules: Rules) -> str:
    """What a learning series still lacks."""
    lacking = max(rules.learning_days - history_days, 0.0)
    return (
        f"learned from {history_days:.1f} of {rules.learning_days:g} days; {lacking * 24:.0f} hours of news are missing"
    )


def absence(series: str, rules: Rules) -> str:
    """Why nothing was tested in a series."""
    if wording.is_story(series):
        return (
            "one publisher family at most carried the story by then, or it had not turned negative in the "
            f"last {rules.breaking_hours} hours"
        )
    if Detector.VOLUME not in rules.detectors:
        named = ", ".join(rules.detectors)
        return f"too few fresh negative stories for what rules.detectors names ({named})"
    return (
        f"no fresh negative story that counts in the last {rules.windows[-1]} hours (undated, future-dated "
        "and backfilled headlines never do, nor what only a new source carries)"
    )


def _row(one: Considered) -> str:
    return (
        f"{_WHAT[one.detector]:<16}{one.hours:>6}{one.observed:>6}{one.expected:>8.2f}{one.publishers:>9}"
        f"{one.per_week:>18.2g}{one.allowed:>10.2g}  {_SHORT[one.verdict]}"
    )


def _limits(spike: Spike, rules: Rules) -> list[str]:
    about = spike.considered[0] if spike.considered else None
    lines = [
        f"usual is learned from {spike.history_days:.1f} days of history",
        f"needed besides: {_needed(spike, rules)}",
    ]
    if spike.detector is not Detector.BREAKING and Detector.VOLUME in rules.detectors:
        # Of a slow rise it is known for the longest window.
        hours = rules.windows[-1] if spike.detector is Detector.SLOW else spike.hours
        lines.append(
            f"the smallest count in {hours} hours that would have alerted by volume: {spike.smallest_detectable}"
        )
    if about is not None and about.carried < 1:
        lines.append(
            f"as many usual stories are carried by so many families in {about.carried:.2g} of cases: that counts, too"
        )
    if about is not None:
        lines.append(
            f"chance brings such a count {about.per_week:.2g} times a week, and may {about.allowed:.2g} times: "
            f"the share of this series and test in {rules.false_alerts_per_week:g} false alerts a week"
        )
    if about is not None and about.per_week > about.allowed and spike.verdict not in (Verdict.USUAL, Verdict.LEARNING):
        lines.append("several series stirred at that moment, so each might be that many times as likely")
    return lines


def _needed(spike: Spike, rules: Rules) -> str:
    """What a surge of this test needs beside being rare."""
    if spike.detector is Detector.BREAKING:
        return f"{max(rules.breaking_publishers, rules.minimum_publishers)} publisher families"
    return (
        f"{rules.minimum_negative} stories, {rules.minimum_publishers} publisher families, "
        f"{rules.minimum_ratio:g} times the usual count"
    )


def _sources(changes: Sequence[SourceChange]) -> list[str]:
    if not changes:
        return []
    told = [
        f"  {one.publisher} {_CHANGES[one.shift]} ({one.seen} headlines in 24 hours, {one.usual:.0f} usual)"
        for one in changes
    ]
    return ["", "sources that changed; what is usual follows them, so none of this alerts by itself:", *told]
