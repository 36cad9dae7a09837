"""A daemon that looks all the time alerts in the hours that a backtest, which looks at full hours, foretells."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from alerts.lifecycle import Change
from alerts.rules import Detector, Rules
from models.score import Score
from monitor.backtesting.backtest import changes_of
from monitor.feeds.feed import Check, Entry, Outcome, unseen
from monitor.news.headlines import Headline
from monitor.news.outlets import feed_of
from monitor.series import Scored
from monitor.service.pipeline import Pipeline
from monitor.settings import Settings
from monitor.storage.database import MEMORY
from monitor.storage.store import Store

BANKS = "theme:bank-stress"


class Told:
    """Scores that were made with the headlines: no model is needed to compare clocks."""

    fault, model = "", "told"

    def __init__(self) -> None:
        self.by_title: dict[str, Scored] = {}
        self.entries: list[Entry] = []

    def tells(self, at: datetime, house: int, words: str, *themes: str) -> None:
        score = Score(0.95, 0.03, 0.02, (), "told") if themes else Score(0.02, 0.95, 0.03, (), "told")
        self.by_title[words] = Scored(score, themes)
        link = f"https://house{house}.example/{len(self.entries)}"
        self.entries.append(Entry(f"house-{house}", f"House {house}", "en", "", link, words, "", at, at))

    def score(self, headlines: Sequence[Headline], now: datetime) -> dict[int, Scored]:
        return {one.id: self.by_title[one.title] for one in headlines}

    def embed(self, texts: Sequence[str]) -> None:
        return None


def surging() -> Told:
    """Four quiet days and a morning; then eight houses tell of eight things within half an hour."""
    random = Random(5)
    letters = [["".join(random.choices("bdfgklmnprstv", k=2)) for _ in range(4)] for _ in range(3000)]
    words = ["".join(itertools.chain(*zip(one, "aeio", strict=True))) for one in letters]
    told, begin = Told(), datetime(2026, 3, 2, tzinfo=UTC)
    for hour in range(4 * 24 + 11):
        for number in range(3):
            title = " ".join(random.sample(words, 7)).capitalize()
            told.tells(begin + timedelta(hours=hour, minutes=13 * number), (3 * hour + number) % 8, title)
    for number in range(8):
        title = " ".join(random.sample(words, 7)).capitalize()
        told.tells(begin + timedelta(days=4, hours=10, minutes=5 + 4 * number), number, title, "bank-stress")
    return told


def taken_up_late() -> Told:
    """The same days, and one house's story that four others take up shortly before it is six hours old."""
    told = surging()
    told.entries = [one for one in told.entries if told.by_title[one.title].themes == ()]
    at = told.entries[0].fetched + timedelta(days=4, hours=4, minutes=10)
    for house, minutes in ((0, 0), (1, 351), (2, 353), (3, 355), (4, 357)):
        told.tells(at + timedelta(minutes=minutes), house, "Lender admits hidden losses of two billion", "bank-stress")
    return told


@pytest.mark.parametrize(
    ("told", "rules", "every"),
    [
        (surging(), Rules(windows=(1,), learning_days=2, detectors=(Detector.VOLUME,)), 20),
        (taken_up_late(), Rules(learning_days=2, detectors=(Detector.BREAKING,)), 3),
    ],
    ids=["volume", "breaking"],
)
def test_a_daemon_that_looks_all_the_time_alerts_in_the_hours_that_were_foretold(
    told: Told, rules: Rules, every: int
) -> None:
    entries = sorted(told.entries, key=lambda entry: entry.fetched)
    begin = entries[0].fetched
    start = begin + timedelta(days=4, hours=9)
    chosen = Settings(rules=rules)

    def fired(changes: Sequence[Change]) -> list[tuple[str, datetime]]:
        return [(one.alert.series, one.at.replace(minute=0, second=0)) for one in changes if one.reason == "fired"]

    def begun(store: Store) -> Pipeline:
        pipeline = Pipeline(chosen, store, scoring=told)
        pipeline.remember(begin)
        return pipeline

    with Store.open(MEMORY, begin) as store:
        foretold = fired(changes_of(begun(store), entries, start, lambda *_: None))
    with Store.open(MEMORY, begin) as store:
        pipeline, before = begun(store), begin - timedelta(seconds=1)
        changes: list[Change] = []
        for minute in range(0, 120, every):
            now = start + timedelta(minutes=minute + every - 1)
            arrived = [entry for entry in entries if before < entry.fetched <= now]
            feeds = {entry.feed: unseen(feed_of(entry.feed, entry.link), now) for entry in arrived}
            answers = {feed: tuple(entry for entry in arrived if entry.feed == feed) for feed in feeds}
            checks = [Check(feed, now, Outcome.NEW, "", 200, 0, 0, answers[feed], feeds[feed]) for feed in feeds]
            pipeline.take_in(checks, now)
            changes += pipeline.detect(now)
            before = now
    assert fired(changes) == foretold
    told_of = [series for series, at in foretold if at == begin + timedelta(days=4, hours=10)]
    assert BANKS in told_of or [one.partition(":")[0] for one in told_of] == ["story"]
