"""How long from an entry that a feed serves to a verified webhook at the receiver.

    python benchmarks/latency.py --seconds 180 --rate 50

A real `squall run` between sixty feeds and a receiver on loopback. The feeds are due one after the other, one a second,
and each answer carries a second's worth of new headlines, so the stream is even. Six of every answer's headlines are
bad news of one company that was not in the news before: that is enough for an alert of its own (four are asked for), so
every answer leads to one alert and one post. The clock of an alert starts when the feed's server begins to send that
answer, and stops when the receiver has verified the post's signature. The wait until the feed is asked is not in it:
that is the polling interval. Everything else is: fetching, parsing, storing, the model, detection, the outbox, posting.

What is not as in an ordinary installation: `minimum_publishers` is 1, for a feed is one publisher, and the store is
days old, not months. `poll_seconds` and `deliver_seconds` are 1.
"""

from __future__ import annotations

import argparse
import json
import os
import runpy
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from monitor.news.companies import CompanyMatcher, gazetteer

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
    """(ticker, name) of companies that are recognised in each of the bad headlines, and no other with them."""
    matcher = CompanyMatcher()
    return [
        (company.ticker, company.name)
        for company in gazetteer()
        if all(
            [one.ticker for one in matcher.mentions(words.format(company.name))] == [company.ticker] for words in BAD
        )
    ]


def measure(folder: Path, seconds: float, rate: int) -> dict[str, object]:
    room = Newsroom(rate, known_companies()[: int(seconds) + FEEDS])
    arrived: dict[str, float] = {}
    with SCENE["serving"](SCENE["Press"]()) as press, SCENE["serving"](SCENE["Desk"]()) as desk:
        house = SCENE["House"](folder)
        house.webhook(desk)
        house.tables["rules"] = {"learning_days": 2, "minimum_publishers": 1}
        house.tables["log"] = {"format": "json", "level": "info"}
        house.tables["daemon"] = {"poll_seconds": 1, "deliver_seconds": 1}
        now = SCENE["utc_now"]()
        for number in range(FEEDS):
            path = f"wire-{number:02}"
            press.answers[path] = lambda path=path: room.answer(path)
            house.feed(press, path)
        watched = ["market", *(f"company:{ticker}" for ticker, _ in room.companies)]
        due = {feed.id: now + timedelta(seconds=10 + number) for number, feed in enumerate(house.feeds)}
        SCENE["prefill"](house.store, house.feeds, now, series=watched, due=due)
        with house.daemon() as daemon:
            daemon.line("model_loaded")
            begun, seen = time.time(), 0
            while time.time() < begun + seconds:
                with desk.change:
                    desk.change.wait(0.2)
                    fresh, seen = desk.posts[seen:], len(desk.posts)
                for post in fresh:
                    series = post.payload["data"].get("series", "")
                    if post.payload["type"].endswith("fired"):
                        arrived.setdefault(series, time.time())
            ended = time.time()
            fired = {
                line["series"]: stamp(line["timestamp"]) for line in daemon.logged("alert_changed", reason="fired")
            }
            headlines = sum(line["headlines"] for line in daemon.logged("polled"))
            waiting = house.status()["headlines"] - house.status()["scored"]
            code, took = daemon.stop()
    # What was served in the last seconds had no time to arrive; what was served in the first met a model still cold.
    fair = {series: at for series, at in room.served.items() if begun + 15 <= at <= ended - 15}
    took_each = sorted(arrived[series] - at for series, at in fair.items() if series in arrived)
    if not took_each:
        raise SystemExit(f"none of {len(fair)} alerts arrived in time: measure for longer, on a machine that is idle")
    looking = sorted(fired[series] - at for series, at in fair.items() if series in fired)
    return {
        "seconds": round(ended - begun),
        "headlines_a_second": round(headlines / (ended - begun), 1),
        "cores": len(os.sched_getaffinity(0)),
        "alerts_expected": len(fair),
        "alerts_arrived": len(took_each),
        "p50_seconds": round(statistics.median(took_each), 2),
        "p95_seconds": round(took_each[int(0.95 * (len(took_each) - 1))], 2),
        "longest_seconds": round(took_each[-1], 2),
        "until_the_alert_p50_seconds": round(statistics.median(looking), 2),
        "until_the_alert_p95_seconds": round(looking[int(0.95 * (len(looking) - 1))], 2),
        "left_unscored": waiting,
        "signatures_refused": len(desk.refused),
        "load_before": round(os.getloadavg()[2], 1),
        "stopped": [code, round(took, 1)],
    }


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
