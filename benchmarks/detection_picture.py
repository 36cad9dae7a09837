"""The picture of docs/detection.md: a simulated series with two events, as detection sees it.

python benchmarks/detection_picture.py [--out docs/images/detection.svg]
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from detectors import framed, looks
from newsworld import Assumptions, Carriers, Event, simulate

from alerts.detection.spikes import Spike, Verdict
from alerts.rules import Detector, Rules

SERIES = 3
PAST, EVENT = Event(SERIES, 33 * 24 + 9, 16), Event(SERIES, 52 * 24 + 9, 16)
FROM_DAY, DAYS, STEP = 28, 60, 4
WIDTH, HEIGHT, LEFT, GAP = 900, 380, 60, 40


def watched() -> tuple[list[int], list[Spike | None]]:
    """Hours, and the spike of the series at each."""
    import numpy as np

    assumed = Assumptions(series=6, days=DAYS, learned_days=FROM_DAY, rate_low=1.2, rate_high=3.0, past_events=0.0)
    world = simulate(5, assumed)
    random = np.random.default_rng(2)
    awake = np.ones((assumed.families, world.hours))
    carriers = Carriers(random, assumed, awake, 1 / np.arange(1, assumed.families + 1))
    for event in (PAST, EVENT):
        for _ in range(event.size):
            at = event.hour + min(random.exponential(8.0), 23.0)
            carriers.tell(world.told, (SERIES,), at, True, assumed.more_families_event)
    rules = Rules(false_alerts_per_week=1, baseline_days=28)
    hours, spikes = [], []
    for hour, found in looks(framed(world), rules, FROM_DAY * 24, world.hours, STEP):
        hours.append(hour)
        spikes.append(next((one for one in found if one.series == world.names[SERIES]), None))
    return hours, spikes


def line(points: Sequence[tuple[float, float]], style: str) -> str:
    return f"<polyline fill='none' {style} points='{' '.join(f'{x:.1f},{y:.1f}' for x, y in points)}'/>"


def picture(hours: Sequence[int], spikes: Sequence[Spike | None]) -> str:
    """Above: seen and expected in 24 hours. Below: how often chance brings it, over what is allowed."""
    first, last = hours[0], hours[-1]
    tall = (HEIGHT - GAP) / 2 - 20

    def across(hour: float) -> float:
        return LEFT + (hour - first) / (last - first) * (WIDTH - LEFT - 10)

    def day(spike: Spike | None) -> tuple[float, float]:
        long = [one for one in spike.considered if one.hours == 24 and one.detector is Detector.VOLUME] if spike else []
        return (long[0].observed, long[0].expected) if long else (0.0, math.nan)

    counts = [day(one) for one in spikes]
    top = max(seen for seen, _ in counts) * 1.1
    rarity = [min(max(math.log10(one.per_week / one.allowed), -9), 3) if one else 3 for one in spikes]
    below = HEIGHT / 2 + 20
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}'>",
        "<style>text { font: 12px sans-serif }</style>",
        f"<rect width='{WIDTH}' height='{HEIGHT}' fill='#fff'/>",
    ]
    for hour, spike in zip(hours, spikes, strict=True):
        if spike is not None and spike.verdict is Verdict.SURGE:
            parts.append(f"<rect x='{across(hour) - 3:.1f}' y='20' width='6' height='{HEIGHT - 50}' fill='#f6d9d5'/>")
    seen = [(across(hour), 20 + tall - count / top * tall) for hour, (count, _) in zip(hours, counts, strict=True)]
    usual = [
        (across(hour), 20 + tall - expected / top * tall)
        for hour, (_, expected) in zip(hours, counts, strict=True)
        if not math.isnan(expected)
    ]
    parts += [line(seen, "stroke='#b3372c' stroke-width='2'"), line(usual, "stroke='#3f6b8f' stroke-width='2'")]
    chance = [(across(hour), below + (3 - one) / 12 * tall) for hour, one in zip(hours, rarity, strict=True)]
    limit = below + 3 / 12 * tall
    parts += [
        line(chance, "stroke='#444' stroke-width='1.5'"),
        line([(LEFT, limit), (WIDTH - 10, limit)], "stroke='#b3372c' stroke-dasharray='5 4'"),
        f"<text x='{LEFT}' y='14' fill='#b3372c'>negative stories seen in 24 hours</text>",
        f"<text x='{LEFT + 230}' y='14' fill='#3f6b8f'>expected</text>",
        f"<text x='{LEFT}' y='{below - 8:.0f}' fill='#444'>by chance / allowed, powers of ten</text>",
        f"<text x='{WIDTH - 120}' y='{limit - 5:.0f}' fill='#b3372c'>below: an alert</text>",
    ]
    for number in range(0, int(top) + 1, 5):
        parts.append(f"<text x='{LEFT - 26}' y='{24 + tall - number / top * tall:.0f}' fill='#666'>{number}</text>")
    for power in (3, 0, -3, -6, -9):
        parts.append(f"<text x='{LEFT - 26}' y='{below + (3 - power) / 12 * tall + 4:.0f}' fill='#666'>{power}</text>")
    for at in range(FROM_DAY, DAYS, 4):
        parts.append(f"<text x='{across(at * 24):.0f}' y='{HEIGHT - 6}' fill='#666'>day {at}</text>")
    return "\n".join(parts) + "\n</svg>\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/images/detection.svg"))
    asked = parser.parse_args()
    asked.out.write_text(picture(*watched()), encoding="utf-8")


if __name__ == "__main__":
    main()
