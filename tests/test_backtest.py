"""History through the real path: an invented bank run is noticed, calm days are calm, and broken files say so."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from alerts.rules import Rules
from monitor.backtesting.backtest import FiredAlert, History, Report, backtest, read_history
from monitor.cli import squall
from monitor.demo.storyline import PUBLISHERS, Storyline, storyline
from monitor.errors import InputUnusable
from monitor.settings import ModelSettings, Settings

ENDS = datetime(2026, 3, 19, 17, tzinfo=UTC)
# Of the storyline's three weeks the last nine days are enough to learn and to break.
TOLD = timedelta(days=9)
BANKS = "theme:bank-stress"


def settings() -> Settings:
    return Settings(model=ModelSettings(device="cpu"), rules=Rules(learning_days=5))


def written(path: Path, story: Storyline, until: datetime) -> Path:
    names = {publisher.id: publisher.name for publisher in PUBLISHERS}
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["published", "outlet", "title", "link"])
        for item in reversed(story.items):
            if story.ends - TOLD <= item.at < until:
                rows.writerow([item.at.isoformat(), names[item.publisher], item.title, item.link])
    return path


@pytest.fixture(scope="module")
def story() -> Storyline:
    return storyline(7, ENDS)


@pytest.fixture(scope="module")
def report(story: Storyline, tmp_path_factory: pytest.TempPathFactory) -> Report:
    history = written(tmp_path_factory.mktemp("history") / "history.csv", story, story.ends)
    return backtest(history, settings(), None)


def test_the_bank_run_is_noticed(story: Storyline, report: Report) -> None:
    found = [alert for alert in report.alerts if alert.series == BANKS]
    assert found, [alert.series for alert in report.alerts]
    alert = found[0]
    assert story.breaks <= alert.opened_at <= story.breaks + timedelta(hours=16)
    assert alert.name == "Bank stress"
    assert alert.seen >= 4
    assert alert.seen > 2 * alert.expected
    assert 0 < alert.p_value < 1e-3
    assert alert.hours in Rules().windows
    assert alert.severity in {"info", "warning", "critical"}
    assert alert.peak_seen >= alert.seen
    assert alert.peak_at >= alert.opened_at


def test_calm_days_stay_calm(story: Storyline, report: Report) -> None:
    assert [alert.series for alert in report.alerts if alert.opened_at < story.breaks] == []


def test_an_alert_brings_its_stories(story: Storyline, report: Report) -> None:
    """Each story was published by then, under that title, and at least two houses carry them."""
    titles = {" ".join(item.title.split()) for item in story.items}
    for alert in report.alerts:
        if alert.detector == "breaking":
            assert len(alert.stories) == 1
        else:
            assert len({one.publisher for one in alert.stories}) >= 2
        for one in alert.stories:
            assert one.title in titles
            assert alert.opened_at - timedelta(hours=alert.hours) <= one.at <= alert.opened_at
            assert one.link.startswith("https://www.")


def test_the_report_counts_what_was_there(story: Storyline, report: Report) -> None:
    told = [item for item in story.items if item.at >= story.ends - TOLD]
    assert 0.95 * len(told) <= report.headlines <= len(told)
    assert report.stories < report.headlines
    assert (report.since, report.until) == (told[0].at, told[-1].at)
    assert report.model.startswith("fast-")


def test_the_report_is_plain_json(report: Report) -> None:
    plain = json.loads(json.dumps(report.as_dict()))
    assert set(plain) == {"headlines", "stories", "since", "until", "warmup_until", "model", "alerts", "days"}
    assert {
        "series",
        "name",
        "severity",
        "opened_at",
        "resolved_at",
        "hours",
        "expected",
        "seen",
        "p_value",
        "stories",
    } <= (set(plain["alerts"][0]))
    assert datetime.fromisoformat(plain["alerts"][0]["opened_at"]) == report.alerts[0].opened_at
    assert set(plain["alerts"][0]["stories"][0]) == {"title", "publisher", "link", "at"}


def test_nothing_is_known_before_its_time(story: Storyline, report: Report, tmp_path: Path) -> None:
    """A history that ends earlier brings the same alerts until then."""
    cut = story.breaks + timedelta(hours=14)
    shorter = backtest(written(tmp_path / "shorter.csv", story, cut), settings(), story.breaks - timedelta(hours=6))

    def until_cut(alerts: tuple[FiredAlert, ...]) -> list[tuple[object, ...]]:
        return [(a.series, a.opened_at, a.hours, a.seen, a.expected, a.stories) for a in alerts if a.opened_at <= cut]

    assert until_cut(shorter.alerts) == until_cut(report.alerts)
    assert until_cut(shorter.alerts)


# Files


GOOD = "2026-03-01T10:00:00Z,Wire,A headline\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no file"),
        ("", "cannot be read as CSV"),
        ("published,outlet,title\n", "holds no headline"),
        ("published,outlet,title\n2026-03-01,Wire,\n", "holds no headline"),
        ("published,title\n2026-03-01,A\n", "lacks the column outlet; it has published, title"),
        ("date,source,text\nx,y,z\n", "lacks the column published, outlet, title"),
        (f"published,outlet,title\n{GOOD}{GOOD}yesterday,Wire,B\n", "line 4: 'yesterday' is no ISO 8601 time"),
        (f"published,outlet,title\n{GOOD},Wire,B\n", "line 3: '' is no ISO 8601 time"),
        ("published,outlet,title\n0001-01-01T00:00:00+05:00,Wire,B\n", "line 2: "),
        ("published,outlet,title\n1672570800,Wire,B\n", "line 2: '1672570800' is no ISO 8601 time"),
        (f"published,outlet,title\n{GOOD}9999-12-31T23:30:00Z,Wire,B\n", "line 3: '9999-12-31T23:30:00Z' is no"),
        (f"published,outlet,title\n{GOOD}0001-01-01T00:00:00,Wire,B\n", "time of the years 1990 to 2199"),
        ("published,outlet,title\na,b,c,d\n", "cannot be read as CSV"),
        (b"published,outlet,title\n2026-03-01,\xff,x\n", "cannot be read as CSV"),
        (b"published,outlet,title\n2026-03-01,W,\x93x\x94\n", "byte 0x93 is no UTF-8: convert it with iconv -f WIN"),
    ],
)
def test_a_broken_history_says_what_is_wrong(tmp_path: Path, content: str | bytes | None, words: str) -> None:
    path = tmp_path / "history.csv"
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InputUnusable) as told:
        backtest(path, settings(), None)
    assert words in str(told.value)
    assert str(path) in str(told.value)


def test_times_are_read_as_utc_and_sorted(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text(
        "published,outlet,title,extra\n2026-03-01T12:00:00+02:00,Wire,third,\n2026-03-01,Wire,first,\n"
        "2026-03-01 09:30:00,Wire,second,x\n"
    )
    entries = read_history(path)
    assert [entry.title for entry in entries] == ["first", "second", "third"]
    assert [entry.published and entry.published.hour for entry in entries] == [0, 9, 10]
    assert all(entry.fetched == entry.published for entry in entries)


def test_a_gap_of_decades_is_passed_over(tmp_path: Path) -> None:
    """One wrong year in an archive must not cost hundreds of thousands of empty hours."""
    path = tmp_path / "history.csv"
    path.write_text(f"published,outlet,title\n1996-03-01T10:00:00Z,Wire,An old headline\n{GOOD}")
    hours: list[int] = []
    report = backtest(path, settings(), None, lambda stage, done, total: hours.append(done))
    assert (report.headlines, report.alerts) == (2, ())
    assert len(hours) < 1_000


def test_no_headline_is_scored_by_what_stands_at_its_address_later(tmp_path: Path) -> None:
    """A live blog bears one link under many titles; each is judged by its own words."""
    first, second = "Bank profits rise sharply", "Bank collapses after depositors flee"
    path = tmp_path / "history.csv"
    path.write_text(
        "published,outlet,title,link\n"
        f"2023-01-01T10:00:00Z,reuters,{first},https://live.example.com/a\n"
        f"2023-01-02T10:00:00Z,reuters,{second},https://live.example.com/a\n"
    )
    told = {one.title: scored.score.sentiment.value for one, scored in History(path, settings()).told()}
    assert told == {first: "positive", second: "negative"}


# The command


def test_rules_of_one_name_are_compared_under_their_paths(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text(f"published,outlet,title\n{GOOD}")
    files = [tmp_path / name for name in ("a/strict.toml", "b/strict.toml", "b/loose.toml", "b/your settings.toml")]
    words = ["backtest", str(path), "--json", "--quiet"]
    for number, file in enumerate(files):
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"[rules]\nlearning_days = {number + 3}\n")
        words += ["--compare", str(file)]
    found = json.loads(CliRunner().invoke(squall, words, catch_exceptions=False).stdout)
    assert list(found["compared"]) == [str(files[0]), str(files[1]), "loose", str(files[3])]


def test_the_command_prints_the_same(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text(f"published,outlet,title\n{GOOD}2026-03-01T11:00:00Z,Wire,Oil exporters meet in Vienna\n")

    def typed(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "monitor", "backtest", path, *words],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "XDG_CONFIG_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )

    found = json.loads(typed("--json", "--quiet").stdout)
    assert (found["headlines"], found["alerts"]) == (2, [])
    words = typed("--warmup-until", "2026-03-01")
    assert "2 headlines, 2 stories" in words.stdout
    assert words.stderr.count("playing") == 1
