"""Squall's decision beside the usual rules, all held to one false episode per series in 60 days.

    python benchmarks/detectors.py [--worlds 3] [--series 40] [--json FILE]
    python benchmarks/detectors.py --rate                      observed false alerts beside the stated ones
    python benchmarks/detectors.py --replay FILE --until DATE  events put into the calm weeks of real headlines (CSV)
    python benchmarks/detectors.py --replay FILE --settings JSON  rivals in the settings that did best in an earlier run

Each rival is given the setting that finds most of the events, its counts in copies, in distinct stories, and in
distinct stories with a smallest count beneath which it stays silent: the best of each is shown. An episode is a stretch
of alarms with no gap of twelve hours. An event is found when an episode *begins* within 24 hours of its first story;
nothing is adjusted afterwards. Delay is from the event's first story. The simulator and its assumptions are
newsworld.py's; what could be found in it at all is said by oracle.py, which knows them. Of the daemon's looks one in
`--step` hours is made: fewer looks find less, so this favours the rivals.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from newsworld import Assumptions, Event, World, simulate
from oracle import oracle
from rivals import rivals, rolled

from alerts.detection.breaking import story_of
from alerts.detection.sources import AFFINITIES, SOURCES
from alerts.detection.spikes import Spike, Verdict, spikes
from alerts.detection.windows import HISTORY, MARKET, SIGHTINGS, WATCHED, Past, windows
from alerts.rules import Detector, Rules
from monitor.backtesting.backtest import History
from monitor.settings import Settings

Floats = npt.NDArray[np.float64]
HOUR = timedelta(hours=1)
GAP = 12
WITHIN = 24
_REFUSED = {Verdict.LEARNING, Verdict.TOO_FEW, Verdict.ONE_PUBLISHER, Verdict.SMALL_RISE}


@dataclass(frozen=True, slots=True)
class Frames:
    """What Squall's detection is given of a world."""

    history: pl.DataFrame
    sightings: pl.DataFrame
    sources: pl.DataFrame
    by_source: pl.DataFrame
    names: tuple[str, ...]
    of_story: dict[int, tuple[int, ...]]
    begun: datetime


def framed(world: World) -> Frames:
    """The frames that the store would hold at the end; cut by time they are those of any moment."""
    told = world.told
    stamp = np.datetime64(world.begun.replace(tzinfo=None), "us")

    def when(hours: Sequence[float]) -> pl.Series:
        micros = (np.asarray(hours) * 3_600_000_000).astype("timedelta64[us]")
        return pl.Series(stamp + micros).dt.replace_time_zone("UTC")

    about = [[MARKET, *(world.names[one] for one in series)] for series in told.about]
    stories = pl.DataFrame({"series": about, "at": when(told.at), "negative": told.negative})
    each = stories.with_row_index("story").with_columns(pl.col("story").cast(pl.UInt64)).explode("series")
    history = (
        each.group_by("series", hour=pl.col("at").dt.truncate("1h"))
        .agg(stories=pl.len().cast(pl.Int64), negative=pl.col("negative").sum().cast(pl.Int64))
        .sort("hour", "series")
    )
    rows = [(story, hour, f"house-{family}") for story, carried in enumerate(told.carried) for hour, family in carried]
    copies = pl.DataFrame(rows, schema={"story": pl.UInt64, "hour": pl.Float64, "publisher": pl.String}, orient="row")
    copies = copies.sort("hour").unique(["story", "publisher"], keep="first", maintain_order=True)
    copies = copies.with_columns(carried=when(copies["hour"])).drop("hour")
    said = copies.join(each, on="story")
    sources = (
        said.filter(pl.col("series") == MARKET)
        .group_by("publisher", hour=pl.col("carried").dt.truncate("1h"))
        .agg(headlines=pl.len().cast(pl.Int64), negative=pl.col("negative").sum().cast(pl.Int64))
        .sort("hour", "publisher")
    )
    negative = said.filter("negative")
    return Frames(
        history.select(*HISTORY),
        negative.rename({"at": "negative_at"}).sort("negative_at", "story", "carried"),
        sources.select(*SOURCES),
        negative.select("series", "publisher", at="carried").sort("at"),
        world.names,
        dict(enumerate(told.about)),
        world.begun,
    )


def looks(
    frames: Frames, rules: Rules, first: int, last: int, step: int = 1
) -> Iterator[tuple[int, tuple[Spike, ...]]]:
    """Every look from an hour to another: the number of the hour, and the spikes at its end."""
    watched = pl.DataFrame(
        [(name, frames.begun) for name in (MARKET, *frames.names)], schema=dict(WATCHED), orient="row"
    )
    affinities = pl.DataFrame(schema=dict(AFFINITIES))
    for hour in range(first, last, step):
        now = frames.begun + (hour + 1) * HOUR - timedelta(seconds=1)
        since = now - timedelta(days=rules.baseline_days + 1)
        if hour % 24 == 0 or affinities.is_empty():
            mine = frames.by_source.filter(pl.col("at").is_between(since, now - 24 * HOUR))
            affinities = mine.group_by("series", "publisher").agg(negative=pl.len().cast(pl.Int64)).select(*AFFINITIES)
        recent = (
            between(frames.sightings, "negative_at", now - rules.lookback - HOUR, now)
            .lazy()
            .filter(pl.col("carried") <= now)
            .group_by("series", "story", "negative_at", maintain_order=True)
            .agg(publishers="publisher")
            .select(*SIGHTINGS)
            .collect()
        )
        past = Past(between(frames.sources, "hour", since, now), affinities)
        history = between(frames.history, "hour", since, now)
        yield hour, spikes(windows(history, recent, watched, now, rules, past), rules)


def between(frame: pl.DataFrame, column: str, since: datetime, until: datetime) -> pl.DataFrame:
    """The rows of a frame in order of time that lie within."""
    low, high = (int(frame[column].search_sorted(one, side=side)) for one, side in ((since, "left"), (until, "right")))
    return frame.slice(low, high - low)


def judged(frames: Frames, rules: Rules, hours: int, first: int, step: int = 1) -> Floats:
    """Squall's score of each series and hour: what is allowed over what chance brings; 1 and more would alert.

    A breaking story counts for the series that it is about.
    """
    rows = {name: (row,) for row, name in enumerate(frames.names)}
    scores = np.zeros((len(rows), hours))
    for hour, found in looks(frames, rules, first, hours, step):
        for spike in found:
            story = story_of(spike.series)
            touched = frames.of_story[story] if story is not None else rows.get(spike.series, ())
            for one in spike.considered:
                fewest = rules.breaking_publishers if one.detector is Detector.BREAKING else rules.minimum_negative
                ratio = 1.0 if one.detector is Detector.BREAKING else rules.minimum_ratio
                kept = one.observed >= max(fewest, ratio * one.expected) and one.publishers >= rules.minimum_publishers
                if kept and one.verdict not in _REFUSED:
                    for row in touched:
                        scores[row, hour] = max(scores[row, hour], one.allowed / max(one.per_week, 1e-300))
    return scores


def begins(alarm: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Where episodes begin: an alarm, and none in the twelve hours before."""
    recent = rolled(alarm.astype(np.float64), GAP + 1) - alarm
    return np.asarray(alarm & (recent == 0))


def episodes(scores: Floats, threshold: float, first: int) -> int:
    return int(begins(scores[:, first:] >= threshold).sum())


def threshold(calm: Sequence[Floats], budget: float, first: int) -> float:
    """The lowest threshold under which all calm runs together hold no more than so many episodes."""
    values = np.unique(np.concatenate([one[:, first:].ravel() for one in calm]))
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) // 2
        if sum(episodes(one, float(values[middle]), first) for one in calm) <= budget:
            high = middle
        else:
            low = middle + 1
    return float(values[low]) if low < len(values) else float(np.nextafter(values[-1], np.inf))


def delays(scores: Floats, events: Sequence[Event], starts: Sequence[float], threshold: float) -> list[float]:
    """Hours from each event's first story to the first episode that begins within 24 hours; nan where none does."""
    on = begins(scores >= threshold)
    found = []
    for event, start in zip(events, starts, strict=True):
        from_hour = int(start)
        hit = np.flatnonzero(on[event.series, from_hour : from_hour + WITHIN + 1])
        found.append(float(hit[0] + from_hour + 1 - start) if hit.size else np.nan)
    return found


@dataclass(frozen=True, slots=True)
class Result:
    """How one detector did.

    Attributes:
        recall: part of the events that were found within 24 hours.
        delay: median hours to it among those found by it.
        false: episodes per series in 60 calm days.
        by_world: the part that was found in each world.
    """

    name: str
    setting: str
    recall: float
    delay: float
    false: float
    by_world: tuple[float, ...]


def result(
    name: str, setting: str, calm: Sequence[Floats], loud: Sequence[Floats], worlds: Sequence[World], first: int,
    starts: Sequence[Sequence[float]], at: float | None = None,
) -> Result:  # fmt: skip
    """Tune on the calm runs, or take the threshold `at`, and look for the events."""
    days = sum((one.shape[1] - first) * len(one) for one in calm) / 24
    limit = threshold(calm, days / 60, first) if at is None else at
    found = [
        np.array(delays(scores, world.events, when, limit))
        for scores, world, when in zip(loud, worlds, starts, strict=True)
    ]
    false = sum(episodes(one, limit, first) for one in calm) / days * 60
    hits = np.concatenate(found)
    return Result(
        name,
        setting,
        float(np.isfinite(hits).mean()),
        float(np.nanmedian(hits)) if np.isfinite(hits).any() else np.nan,
        false,
        tuple(float(np.isfinite(one).mean()) for one in found),
    )


def first_stories(world: World, calm: World) -> list[float]:
    """When the first story of each event came: the first that the calm world does not hold."""
    extra = list(zip(world.told.about, world.told.at, strict=True))[len(calm.told.at) :]
    return [
        min((at for about, at in extra if event.series in about and at >= event.hour), default=float(event.hour))
        for event in world.events
    ]


def compare(
    quiet: Sequence[World], loud: Sequence[World], assumed: Assumptions, rules: Rules, step: int,
    settings: Collection[tuple[str, str]] | None = None,
) -> tuple[list[Result], list[Result]]:  # fmt: skip
    """Squall as stated and as tuned, what could be found at all, and every rival at its best.

    Args:
        quiet, loud: worlds without and with events.
        assumed: by which they were made.
        rules: Squall's.
        step: hours between its looks.
        settings: those of rivals among which to choose; all where there are none.
    """
    first = assumed.learned_days * 24
    starts = [first_stories(one, other) for one, other in zip(loud, quiet, strict=True)]
    begun = time.process_time()
    calm_scores = [judged(framed(one), rules, one.hours, first, step) for one in quiet]
    loud_scores = [judged(framed(one), rules, one.hours, first, step) for one in loud]
    print(f"{time.process_time() - begun:.0f} s of processor time for Squall's looks", flush=True)
    ours = [
        result("Squall", "tuned", calm_scores, loud_scores, loud, first, starts),
        result("Squall", "as stated", calm_scores, loud_scores, loud, first, starts, at=1.0),
    ]
    if all(one.truth is not None for one in loud):
        bound = [[oracle(one, assumed, first) for one in worlds] for worlds in (quiet, loud)]
        ours.append(result("oracle", "knows the simulator", bound[0], bound[1], loud, first, starts))
    return ours, others(quiet, loud, len(quiet[0].names), first, starts, settings)


def observed_rate(world: World, rules: Rules, first: int, step: int) -> tuple[float, Counter[str]]:
    """False alerts a week of a calm world over everything that is watched, and by which detector."""
    last: dict[str, int] = {}
    by: Counter[str] = Counter()
    for hour, found in looks(framed(world), rules, first, world.hours, step):
        for spike in found:
            if spike.verdict is Verdict.SURGE:
                by[spike.detector.value] += hour - last.get(spike.series, -GAP - step) > GAP
                last[spike.series] = hour
    return sum(by.values()) / ((world.hours - first) / 168), by


def others(
    quiet: Sequence[World], loud: Sequence[World], series: int, first: int, starts: Sequence[Sequence[float]],
    settings: Collection[tuple[str, str]] | None = None,
) -> list[Result]:  # fmt: skip
    """Each rival in the setting, on the counts and with the smallest count that serve it best.

    Args:
        settings: rivals and settings among which to choose; all where there are none.
    """
    best: dict[tuple[str, str], Result] = {}
    for counted in ("copies", "stories"):
        calm_counts = [one.counted(series, copies=counted == "copies") for one in quiet]
        loud_counts = [one.counted(series, copies=counted == "copies") for one in loud]
        calm = [list(rivals(one)) for one in calm_counts]
        noisy = [list(rivals(one)) for one in loud_counts]
        for place, (name, setting, _) in enumerate(calm[0]):
            for least in (1,) if counted == "copies" else (1, 2, 3, 4):
                floor = counted if least == 1 else f"{counted}, {least} at least"
                if settings is not None and (name, f"{setting}, {floor}") not in settings:
                    continue
                gated = [
                    [
                        np.where(rolled(counts, 24) >= least, run[place][2], -np.inf)
                        for counts, run in zip(c, r, strict=True)
                    ]
                    for c, r in ((calm_counts, calm), (loud_counts, noisy))
                ]
                found = result(name, f"{setting}, {floor}", gated[0], gated[1], loud, first, starts)
                key = (name, "copies" if counted == "copies" else "stories" if least == 1 else "floor")
                if key not in best or found.recall > best[key].recall:
                    best[key] = found
    return sorted(best.values(), key=lambda one: (one.name, one.setting))


def best_settings(results: Sequence[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """The setting in which each rival found most, as `--json` wrote it."""
    rising = sorted(results, key=lambda one: float(one["recall"]))
    return {(name, str(one["setting"])) for name, one in {str(one["name"]): one for one in rising}.items()}


def table(results: Sequence[Result]) -> str:
    lines = [f"{'detector':<30}{'setting':<40}{'recall':>8}{'delay h':>9}{'false/60 d':>12}"]
    lines += [
        f"{one.name:<30}{one.setting:<40}{one.recall:>8.2f}{one.delay:>9.1f}{one.false:>12.2f}" for one in results
    ]
    return "\n".join(lines)


def leads(ours: Result, theirs: Sequence[Result]) -> str:
    """How much more than each rival is found, world by world, with the standard error of its mean."""
    lines = []
    for one in sorted(theirs, key=lambda one: -one.recall):
        more = np.array(ours.by_world) - np.array(one.by_world)
        error = more.std(ddof=1) / np.sqrt(len(more))
        lines.append(f"{more.mean():+.3f} +- {error:.3f} beside {one.name}, {one.setting}")
    return "\n".join(lines)


def rates(worlds: int, assumed: Assumptions, seed: int, step: int) -> None:
    """Print observed beside stated false alerts a week."""
    first = assumed.learned_days * 24
    for stated in (0.12, 0.25, 0.5, 1.0, 2.0, assumed.series * 7 / 60):
        rules = Rules(false_alerts_per_week=stated)
        found = [observed_rate(simulate(seed + one, assumed), rules, first, step) for one in range(worlds)]
        by = sum((detectors for _, detectors in found), Counter())
        print(
            f"stated {stated:.2f} a week, observed {np.mean([rate for rate, _ in found]):.2f}: {dict(by)}", flush=True
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=2)
    parser.add_argument("--series", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--step", type=int, default=2)
    parser.add_argument("--minimum", type=int, default=Rules().minimum_negative, help="Squall's minimum_negative")
    parser.add_argument("--rate", action="store_true")
    parser.add_argument("--replay", type=Path)
    parser.add_argument("--until", type=datetime.fromisoformat, default=datetime(2023, 3, 8))  # noqa: DTZ001 - made aware below
    parser.add_argument("--without", help="take stories out whose titles hold this regular expression, for everybody")
    parser.add_argument("--settings", type=Path, help="JSON of another run: each rival keeps what served it best there")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    assumed = Assumptions(series=asked.series)
    if asked.rate:
        rates(asked.worlds, assumed, asked.seed, asked.step)
        return
    seeds = range(asked.seed, asked.seed + asked.worlds)
    if asked.replay:
        from replayed import replayed

        history = History(asked.replay, Settings())
        until = asked.until.replace(tzinfo=UTC)
        made = [replayed(history, until, 31, 3, seed, asked.without) for seed in seeds]
        quiet, noisy, assumed = [calm for calm, _, _ in made], [loud for _, loud, _ in made], made[0][2]
    else:
        quiet = [simulate(seed, assumed) for seed in seeds]
        noisy = [simulate(seed, assumed, events_a_series=4) for seed in seeds]
    # One false episode a series in 60 days, stated as Squall states it: so many a week over all series together.
    stated = min(len(quiet[0].names) * 7 / 60, 50)
    rules = Rules(false_alerts_per_week=stated, minimum_negative=asked.minimum)
    settings = best_settings(json.loads(asked.settings.read_text())) if asked.settings else None
    ours, theirs = compare(quiet, noisy, assumed, rules, asked.step, settings)
    print(table([*ours, *theirs]))
    if len(quiet) > 1:
        print(leads(ours[0], theirs))
    if asked.json:
        asked.json.write_text(json.dumps([asdict(one) for one in [*ours, *theirs]], indent=2))


if __name__ == "__main__":
    main()
