"""Why it fired, and why it did not: findings that are kept, and a look back from what had been fetched by then."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from alerts.detection.sources import SourceChange, SourceShift
from alerts.detection.spikes import Spike, Verdict, spikes
from alerts.detection.window import Chance, Window
from alerts.detection.windows import Outlook
from alerts.lifecycle import advance
from alerts.rules import Detector, Rules
from alerts.texts.explaining import explained, foreseen, missing
from models.score import Score
from monitor.cli import squall
from monitor.news.headlines import Headline, Standing
from monitor.service.detecting import Detecting, Direct, finding_json, look_back, read_finding
from monitor.storage.alert_store import AlertStore
from monitor.storage.recounting import source_faults
from monitor.storage.store import Batch, Scored, Store

HOUR = timedelta(hours=1)
NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
BANKS = "theme:bank-stress"
RULES = Rules(baseline_days=20)
CALM, BAD = Score(0.1, 0.8, 0.1, (), "m"), Score(0.9, 0.05, 0.05, (), "m")


def told(id_: int, at: datetime, house: str, story: int, *, fetched: datetime | None = None) -> Headline:
    return Headline(
        id_,
        house,
        house,
        f"Title {id_}",
        "",
        f"https://x.test/{id_}",
        "en",
        at,
        fetched or at,
        at,
        Standing.FRESH,
        (),
        story,
    )


@pytest.fixture(scope="module")
def store_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nineteen calm days with a bad bank story now and then, then ten of them within three hours."""
    path = tmp_path_factory.mktemp("store") / "squall.duckdb"
    headlines: list[Headline] = []
    scores: dict[int, Scored] = {}
    for hour in range(19 * 24):
        at = NOW - 20 * 24 * HOUR + hour * HOUR
        for number in range(3):
            headlines.append(told(len(headlines) + 1, at, f"house-{number}", len(headlines) + 1))
            bad = number == 0 and hour % 40 == 0
            scores[len(headlines)] = Scored(BAD, ("bank-stress",)) if bad else Scored(CALM)
    for number in range(10):
        at = NOW - number * 18 * timedelta(minutes=1)
        for house in range(2):
            headlines.append(told(len(headlines) + 1, at, f"house-{house}", 9000 + number))
            scores[len(headlines)] = Scored(BAD, ("bank-stress",))
    late = told(99_999, NOW - HOUR, "house-2", 9999, fetched=NOW + 5 * HOUR)
    with Store.open(path, NOW - 20 * 24 * HOUR) as store:
        store.watch(["market", BANKS, "theme:fraud"], NOW - 20 * 24 * HOUR)
        store.watch(["theme:young"], NOW - 50 * HOUR)
        for start in range(0, len(headlines), 200):
            part = headlines[start : start + 200]
            store.append(Batch(headlines=part, scores={one.id: scores[one.id] for one in part}), part[-1].fetched)
        store.append(Batch(headlines=[late], scores={late.id: Scored(BAD, ("bank-stress",))}), late.fetched)
    return path


@pytest.fixture(scope="module")
def fired(store_path: Path) -> tuple[str, Spike]:
    """The alert's id, and the finding behind it; the alert is in the store."""
    with Store.open(store_path, NOW) as store:
        memory = AlertStore(store)
        detecting = Detecting(store.database, memory, RULES, {})
        found = detecting.spikes(NOW)
        spike = next(one for one in found if one.series == BANKS)
        evidence = {
            one.series: memory.evidence(one.series, one.stories) for one in found if one.verdict is Verdict.SURGE
        }
        changes = advance((), found, NOW, RULES, evidence)
        detecting.keep(changes, found)
        detecting.keep(changes, found)
        memory.commit(changes, ())
        with store.database.reading() as cursor:
            assert source_faults(cursor).is_empty()
        alert = next(change.alert for change in changes if change.alert.series == BANKS)
    return alert.id, spike


@pytest.fixture
def run(store_path: Path, tmp_path: Path) -> CliRunner:
    settings = tmp_path / "squall.toml"
    settings.write_text(f'[store]\npath = "{store_path}"\n[rules]\nbaseline_days = 20\n')
    return CliRunner(env={"SQUALL_CONFIG": str(settings)})


def test_a_surge_is_explained_with_every_test_and_the_severity_formula(
    run: CliRunner, fired: tuple[str, Spike]
) -> None:
    id_, spike = fired
    assert spike.verdict is Verdict.SURGE
    told = run.invoke(squall, ["alerts", "explain", id_], catch_exceptions=False)
    assert told.exit_code == 0
    assert "a surge: it alerts" in told.output
    assert all(word in told.output for word in ("volume", "tone", "score", "rarity", "allowed", "quiet -> pending"))
    assert told.output.count("- house-0, house-1: Title") == 10
    assert spike.considered[0].carried < 0.01
    assert "as many usual stories are carried by so many families" in told.output
    plain = json.loads(run.invoke(squall, ["alerts", "explain", id_, "--json"]).output)
    assert len(plain["findings"]) == 1
    assert {one["detector"] for one in plain["findings"][0]["considered"]} >= {"volume", "tone"}


def test_an_alert_that_is_not_there_is_named(run: CliRunner) -> None:
    told = run.invoke(squall, ["alerts", "explain", "alert_0"])
    assert told.exit_code != 0
    assert "there is no alert 'alert_0'" in str(told.exception)


def test_a_finding_is_read_back_as_it_was(fired: tuple[str, Spike]) -> None:
    _, spike = fired
    assert read_finding(finding_json(spike, RULES)) == (spike, RULES)
    with pytest.raises(ValueError, match="another version"):
        read_finding(finding_json(spike, RULES).replace('"hours"', '"length"'))


def test_a_look_back_says_what_the_look_said(store_path: Path, fired: tuple[str, Spike]) -> None:
    """From headlines and scores alone, and without what was fetched later."""
    _, spike = fired
    with Store.open(store_path, NOW, read_only=True) as store:
        again = next(one for one in look_back(Direct(store.database), NOW, RULES, {}) if one.series == BANKS)
        before = look_back(Direct(store.database), NOW - 30 * HOUR, RULES, {})
    assert 9999 in spike.stories  # dated within the window, but fetched hours after it
    assert set(again.stories) == set(spike.stories) - {9999}
    assert again.verdict is Verdict.SURGE
    assert all(one.verdict is not Verdict.SURGE for one in before)


def test_why_not_is_answered_in_words(run: CliRunner) -> None:
    def why(*words: str) -> str:
        told = run.invoke(squall, ["alerts", "why", *words])
        return told.output if told.exit_code == 0 else str(told.exception)

    assert "a surge: it alerts" in why(BANKS, "--at", "2026-03-20T12:00")
    assert "chance brings this more often than the rules allow" in why(BANKS, "--at", "2026-03-19")
    assert "no fresh negative story that counts in the last 24 hours" in why("theme:fraud", "--at", "2026-03-20T12:00")
    assert "the smallest counts that would alert by volume now: " in why("theme:fraud", "--at", "2026-03-20T12:00")
    assert "of 7 days; " in why("theme:young", "--at", "2026-03-20T12:00")
    assert "were it not learning: " in why("theme:young", "--at", "2026-03-20T12:00")
    assert "carried the story by then" in why("story:00000000000000aa", "--at", "2026-03-20T12:00")
    assert "is still to come" in why(BANKS, "--at", "2199-01-01")
    assert "is not watched; " in why("theme:nobody", "--at", "2026-03-20T12:00")
    assert "is no series" in why("banks")
    assert json.loads(why(BANKS, "--at", "2026-03-20T12:00", "--json"))["verdict"] == "surge"


def test_programs_are_told_why_there_is_no_finding_too(run: CliRunner) -> None:
    def why(series: str) -> dict[str, Any]:
        return dict(
            json.loads(run.invoke(squall, ["alerts", "why", series, "--at", "2026-03-20T12:00", "--json"]).output)
        )

    calm = why("theme:fraud")
    assert (calm["series"], calm["at"], calm["verdict"]) == ("theme:fraud", "2026-03-20T12:00:00+00:00", "nothing")
    assert "no fresh negative story that counts in the last 24 hours" in calm["reason"]
    assert calm["history_days"] > calm["rules"]["learning_days"]
    assert all(one["observed"] > one["expected"] and one["hours"] for one in calm["smallest"])
    assert why("theme:young")["history_days"] < calm["rules"]["learning_days"]
    assert "carried the story by then" in why("story:00000000000000aa")["reason"]


def test_a_learning_series_says_what_is_missing() -> None:
    assert missing(2.5, Rules()) == "learned from 2.5 of 7 days; 108 hours of news are missing"
    assert "0 hours" in missing(9.0, Rules())


def of_test(detector: Detector, hours: int, observed: int, expected: float, series: str = BANKS) -> Window:
    stories = (1,) if detector is Detector.BREAKING else tuple(range(observed))
    return Window(
        series=series,
        hours=hours,
        start=NOW - HOUR,
        end=NOW,
        observed=observed,
        exposure=120,
        expected=expected,
        dispersion=0.5,
        publishers=5,
        stories=stories,
        since=NOW - HOUR,
        history_days=20.0,
        budget=0.02,
        smallest_detectable=9,
        detector=detector,
        chance=None if detector is Detector.VOLUME else Chance(1e-7, 1e-6),
    )


def words(*windows: Window, rules: Rules | None = None) -> str:
    """What is said of the first of these, judged together."""
    rules = rules or Rules()
    spike = next(one for one in spikes(windows, rules) if one.series == windows[0].series)
    assert spike.verdict is Verdict.SURGE
    return "\n".join(explained(spike, spike.series, NOW, rules))


def test_what_is_needed_is_what_was_asked_for() -> None:
    """A breaking story is one story, and its families need not be twice as many as usual."""
    told = words(of_test(Detector.BREAKING, 6, 4, 2.5, "story:00000000000000aa"), rules=Rules(minimum_negative=6))
    assert "needed besides: 4 publisher families\n" in told
    assert "needed besides: 4 stories, 2 publisher families, 2 times" in words(of_test(Detector.SLOW, 96, 30, 8.0))


def test_the_smallest_count_stands_beside_the_hours_that_it_is_of() -> None:
    assert "the smallest count in 24 hours that would" in words(of_test(Detector.SLOW, 96, 30, 8.0))
    alone = Rules(detectors=(Detector.SLOW,))
    assert "smallest count" not in words(of_test(Detector.SLOW, 96, 30, 8.0), rules=alone)
    assert foreseen(Outlook(BANKS, 20.0, ((24, 1.0, 1 << 40),)), alone) == [
        "no count alone would alert: rules.detectors does not name volume"
    ]
    assert "what rules.detectors names (slow)" in explained(None, BANKS, NOW, alone)[1]


def test_a_surge_that_comes_more_often_than_its_share_says_why_it_is_one() -> None:
    rules = Rules(false_alerts_per_week=2.0)
    weak = of_test(Detector.VOLUME, 24, 10, 1.0)
    crowd = [of_test(Detector.VOLUME, 24, 40, 1.0, f"theme:{number}") for number in range(9)]
    assert "several series stirred at that moment" in words(weak, *crowd, rules=rules)
    assert "several series stirred" not in words(crowd[0], rules=rules)


def test_changed_sources_are_told() -> None:
    change = SourceChange("wsj.com", SourceShift.SILENT, 0, 41.0, NOW)
    lines = "\n".join(explained(None, BANKS, NOW, Rules(), [change]))
    assert "wsj.com has fallen silent (0 headlines in 24 hours, 41 usual)" in lines
    assert "none of this alerts by itself" in lines
    assert Detector.BREAKING in Rules().detectors
