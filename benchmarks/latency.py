"""How long from an entry that a feed serves to a verified webhook at the receiver.

    python benchmarks/latency.py --seconds 180 --rate 50

A real `squall run` between sixty feeds and a receiver on loopback. The feeds are due one after the other, one a second,
and each answer carries a second's worth of new headlines, so the stream is even. Six of every answer's headlines are
bad news of one company that was not in the news before: that is enough for an alert of its own (four are asked for), so
every answer leads to one alert and one post. The clock of an alert starts when the feed's server begins to send that
answer, and stops when the receiver has verified the post's signature. The wait until the feed is asked is not in it:
that is the polling interval. Everything else is: fetching, parsing, storing, the model, detection, the outbox, posting.
The log of the daemon says how much each of these steps took.

What is not as in an ordinary installation: `minimum_publishers` is 1, for a feed is one publisher, and `poll_seconds`
is 1, for a feed is due each second; all else is as it comes. The store is four days old, and knows these days as counts
alone: detection learns from them that these publishers always wrote so much.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import runpy
import sys
import tempfile
import threading
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from monitor.news.companies import CompanyMatcher, gazetteer
from monitor.storage.store import Store

SCENE = runpy.run_path(str(Path(__file__).parents[1] / "tests" / "daemon_scene.py"))
FEEDS = 60
BAD = (
    "{} shares plunge 40% as losses mount",
    "{} sued by investors over accounting fraud",
    "{} warns of bankruptcy after failed rescue",
    "Regulators fine {} record sum for misconduct",
    "{} cuts thousands of jobs as sales collapse",
    "{} halts production after deadly accident",
)
CALM = "Council of {} discusses item {} of its agenda"
# What was served in the last seconds has no time to arrive; what was served in the first meets a model still cold.
MARGIN = 15
# What publishers of such a stream wrote before: without it they are new, and what only new ones carry never counts.
PAST = """
UPDATE rollups SET headlines = 3600 * $rate, stories = 3600 * $rate, negative = 3600 * $bad WHERE series = 'market';
INSERT INTO sources
    SELECT printf('wire-%02d', wire), hour, 3600 * $rate // $feeds, 3600 * $bad // $feeds
    FROM range($feeds) wires(wire), (SELECT hour FROM rollups WHERE series = 'market');
"""
_SHORT = 2
STEPS = ("fetched and stored", "scored", "detected", "posted")
TOWNS = ("Quillon", "Marlow", "Tessel", "Orrin", "Dunmere", "Lothian", "Ulmster", "Kestrow")


@dataclass
class Newsroom:
    """Feeds whose answers carry new headlines each time, and when the bad news of each company was served."""

    rate: int
    companies: list[tuple[str, str]]
    served: dict[str, float] = field(default_factory=dict)
    items: dict[str, list[Any]] = field(default_factory=dict)
    made: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, path: str) -> Any:
        with self.lock:
            now = SCENE["utc_now"]()
            fresh = []
            if self.companies:
                ticker, name = self.companies.pop()
                fresh = [
                    SCENE["Item"](f"{path}-{ticker}-{n}", words.format(name), now - timedelta(seconds=n))
                    for n, words in enumerate(BAD)
                ]
                self.served[f"company:{ticker}"] = time.time()
            for _ in range(self.rate - len(fresh)):
                self.made += 1
                title = CALM.format(TOWNS[self.made % len(TOWNS)], self.made)
                # A feed that dates all of an answer alike is not believed, and what it brings never alerts.
                fresh.append(SCENE["Item"](f"{path}-{self.made}", title, now - timedelta(seconds=len(fresh))))
            # A feed shows its latest two hundred.
            self.items[path] = (fresh + self.items.get(path, []))[:200]
            return SCENE["Answer"](SCENE["rss"](self.items[path]))


def known_companies() -> list[tuple[str, str]]:
    """(ticker, name) of companies that are recognised in each of the bad headlines, and no other with them.

    Short names alone: headlines of one minute that share three rare words are taken for fewer stories than they are.
    """
    matcher = CompanyMatcher()
    return [
        (company.ticker, company.name)
        for company in gazetteer()
        if len(company.name.split()) <= _SHORT
        and all(
            [one.ticker for one in matcher.mentions(words.format(company.name))] == [company.ticker] for words in BAD
        )
    ]


def give_past(store: Path, rate: int, now: datetime) -> None:
    """Counts of the days before, as if this stream had always been."""
    numbers = {"rate": rate, "bad": len(BAD), "feeds": FEEDS}
    with Store.open(store, now) as opened, opened.database.writing() as connection:
        for statement in PAST.strip().split(";\n"):
            connection.execute(statement, {name: each for name, each in numbers.items() if f"${name}" in statement})


def furnished(folder: Path, press: Any, desk: Any, room: Newsroom) -> Any:
    """Settings, and a store in which every feed answered before and every company is watched."""
    house = SCENE["House"](folder)
    house.webhook(desk)
    house.tables["rules"] = {"learning_days": 2, "minimum_publishers": 1}
    house.tables["log"] = {"format": "json", "level": "info"}
    house.tables["daemon"] = {"poll_seconds": 1}
    now = SCENE["utc_now"]()
    for number in range(FEEDS):
        path = f"wire-{number:02}"
        press.answers[path] = lambda path=path: room.answer(path)
        house.feed(press, path)
    watched = ["market", *(f"company:{ticker}" for ticker, _ in room.companies)]
    due = {feed.id: now + timedelta(seconds=10 + number) for number, feed in enumerate(house.feeds)}
    SCENE["prefill"](house.store, house.feeds, now, series=watched, due=due)
    give_past(house.store, room.rate, now)
    return house


def listen(desk: Any, until: float) -> dict[str, float]:
    """When the first verified post of each series arrived, until that moment."""
    arrived: dict[str, float] = {}
    seen = 0
    while time.time() < until:
        with desk.change:
            desk.change.wait(0.2)
            fresh, seen = desk.posts[seen:], len(desk.posts)
        for post in fresh:
            if post.payload["type"].endswith("fired"):
                arrived.setdefault(post.payload["data"].get("series", ""), time.time())
    return arrived


def why_none(daemon: Any, fair: Mapping[str, float], fired: Mapping[str, float], house: Any) -> str:
    """What became of the alerts that nobody heard of."""
    if not fair:
        return f"no bad news was served between the first and the last {MARGIN} s: measure for longer"
    heard = sum(line["headlines"] for line in daemon.logged("scored"))
    if not fired:
        why = house.command("alerts", "why", next(iter(fair))).stdout
        return f"{heard} headlines were scored, and none of {len(fair)} alerts fired; of the first:\n{why}"
    return (
        f"{len(fired)} alerts fired, and none of the {len(fair)} that count arrived before the end: the machine is too "
        f"busy with other things, or deliveries fail; the end of the log:\n{daemon.log[-3000:]}"
    )


def measure(folder: Path, seconds: float, rate: int) -> dict[str, object]:
    room = Newsroom(rate, known_companies()[: int(seconds) + FEEDS])
    with SCENE["serving"](SCENE["Press"]()) as press, SCENE["serving"](SCENE["Desk"]()) as desk:
        house = furnished(folder, press, desk, room)
        with house.daemon() as daemon:
            daemon.line("model_loaded")
            begun = time.time()
            arrived = listen(desk, begun + seconds)
            ended = time.time()
            status = house.status()
            code, took = daemon.stop()
        fired = {line["series"]: stamp(line["timestamp"]) for line in daemon.logged("alert_changed", reason="fired")}
        polled = [line for line in daemon.logged("polled") if begun <= stamp(line["timestamp"]) <= ended]
        fair = {series: at for series, at in room.served.items() if begun + MARGIN <= at <= ended - MARGIN}
        told = {series: (at, arrived[series]) for series, at in fair.items() if series in arrived}
        if not told:
            raise SystemExit(why_none(daemon, fair, fired, house))
        # Who never heard counts as one who waits for ever, lest the slowest make the figures better.
        whole = sorted(arrived.get(series, math.inf) - at for series, at in fair.items())
        return {
            "seconds": round(ended - begun),
            "headlines_a_second": round(sum(line["headlines"] for line in polled) / (ended - begun), 1),
            "cores": len(os.sched_getaffinity(0)),
            "alerts_expected": len(fair),
            "alerts_arrived": len(told),
            "p50_seconds": share(whole, 0.5),
            "p95_seconds": share(whole, 0.95),
            "longest_seconds": share(whole, 1.0),
            "steps": steps(daemon, told, fired),
            "left_unscored": status["headlines"] - status["scored"],
            "signatures_refused": len(desk.refused),
            "load_before": round(os.getloadavg()[2], 1),
            "stopped": [code, round(took, 1)],
        }


def steps(
    daemon: Any, told: Mapping[str, tuple[float, float]], fired: Mapping[str, float]
) -> dict[str, list[float | None]]:
    """p50 and p95 of the seconds that each step took, by the log.

    A line of the log tells a batch, not its headlines: a batch is taken to be stored at the first such line after it
    was served, and scored at the first after that.
    """
    stored, scored = ([stamp(line["timestamp"]) for line in daemon.logged(event)] for event in ("polled", "scored"))
    took: dict[str, list[float]] = {name: [] for name in STEPS}
    for series, (served, arrived) in told.items():
        moments = [served, after(stored, served)]
        moments += [after(scored, moments[-1]), fired[series], arrived]
        for name, (first, last) in zip(STEPS, pairwise(moments), strict=True):
            took[name].append(last - first)
    return {name: [share(sorted(each), 0.5), share(sorted(each), 0.95)] for name, each in took.items()}


def after(moments: Sequence[float], at: float) -> float:
    """The first of these moments, which are in order, from that one on."""
    return moments[bisect_left(moments, at)]


def share(values: Sequence[float], part: float) -> float | None:
    """That quantile of sorted values; None when it never came."""
    value = values[round(part * (len(values) - 1))]
    return round(value, 2) if math.isfinite(value) else None


def stamp(words: str) -> float:
    return datetime.fromisoformat(words).astimezone(UTC).timestamp()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--rate", type=int, default=50, help="headlines a second")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        json.dump(measure(Path(folder), asked.seconds, asked.rate), sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
