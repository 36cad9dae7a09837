"""A clock that ran ahead and was put right: what it put off comes in time, with a real store, outbox and receivers."""

from __future__ import annotations

import runpy
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from alerts.detection.spikes import Severity
from alerts.telling.conditions import Condition, Health
from monitor.cli import squall
from monitor.desk.audit import audit
from monitor.feeds.feed import Check, Feed, Outcome, failed, unseen
from monitor.storage.alert_store import AlertStore
from monitor.storage.compacting import compact
from monitor.storage.reading import Reader
from monitor.storage.setting_back import set_back
from monitor.storage.store import Batch, Store

SCENE = runpy.run_path(str(Path(__file__).with_name("desk_scene.py")))
BANKS, HOUR, MINUTE, START = (SCENE[name] for name in ("BANKS", "HOUR", "MINUTE", "START"))
House, hook, spike = (SCENE[name] for name in ("House", "hook", "spike"))
DAY = 24 * HOUR
Hook = Any  # desk_scene.Hook


def leads(desk: Hook) -> list[str]:
    return [payload["bulletin"]["lead"] for _, payload in desk.taken if payload["type"] == "squall.digest"]


# Messages


def test_a_group_that_was_begun_ahead_of_the_time_ends_its_minutes_from_now(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk}, routes=[{"name": "room", "group_minutes": 10}])
        house.look(START + DAY, spike(), spike(series="company:JPM"))
        set_back(store, START)
        house.send(START + 9 * MINUTE)
        assert desk.taken == []
        house.send(START + 10 * MINUTE)
    assert [payload["type"] for _, payload in desk.taken] == ["squall.group"]


@pytest.mark.parametrize(
    ("ahead", "sent_at"),
    [(timedelta(hours=1), START + 2 * HOUR), (10 * DAY, START + 2 * HOUR), (10 * DAY + HOUR, START + 2 * HOUR)],
)
def test_what_quiet_hours_hold_comes_at_their_end_of_the_right_day(
    store: Store, ahead: timedelta, sent_at: datetime
) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk}, routes=[{"name": "night", "quiet_hours": "11:00-14:00"}])
        house.look(START + ahead, spike())
        set_back(store, START)
        house.send(sent_at - MINUTE)
        assert desk.taken == [], "the hours are quiet by the right clock too"
        house.send(sent_at)
    assert len(desk.taken) == 1


def test_reminders_are_reckoned_from_the_right_time(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk})
        house.look(START + 10 * DAY, spike())
        house.send(START + 10 * DAY)
        set_back(store, START)
        house.oversee(START + 23 * HOUR)
        assert len(desk.taken) == 1
        house.oversee(START + 24 * HOUR)
    assert [payload["type"] for _, payload in desk.taken] == ["squall.alert.fired", "squall.alert.reminded"]


# Digests


def test_digests_come_every_day_after_a_minute_ten_days_ahead(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk}, digests=[{"name": "morning"}])
        house.oversee(START + 10 * DAY)
        assert len(leads(desk)) == 1
        set_back(store, START + MINUTE)
        for hours in range(0, 13 * 24, 6):
            house.oversee(START + MINUTE + hours * HOUR)
    assert leads(desk)[1:] == [
        f"From {day} Mar 2026, 07:30 UTC to {day + 1} Mar 2026, 07:30 UTC: no alert." for day in range(10, 22)
    ]
    assert len({id_ for id_, _ in desk.taken}) == 13, "the day that came too early is another period"


def test_a_weekly_digest_takes_its_whole_week_again(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk}, digests=[{"name": "weekly", "every": "week"}])
        house.oversee(START + 21 * DAY)
        set_back(store, START + MINUTE)
        for day in range(9):
            house.oversee(START + MINUTE + day * DAY)
    assert leads(desk)[1:] == ["From 9 Mar 2026, 07:30 UTC to 16 Mar 2026, 07:30 UTC: no alert."]


# Health


@pytest.mark.parametrize("ahead", [timedelta(0), DAY, 3 * DAY])
def test_a_channel_that_fails_is_told_of_although_a_message_arrived_in_the_future(
    store: Store, ahead: timedelta
) -> None:
    with hook() as desk, hook() as ops:
        house = House(store, {"desk": desk, "ops": ops})
        house.look(START + ahead, spike(series="company:JPM"))
        house.send(START + ahead)
        set_back(store, START + MINUTE)
        desk.status = 500
        house.look(START + 2 * MINUTE, spike(Severity.WARNING))
        for minutes in range(2, 42, 10):
            house.oversee(START + minutes * MINUTE)
        (channel,) = [one for one in house.query("channels") if one["channel"] == "desk"]
        # And it stays so when the wrong time comes.
        house.oversee(START + ahead + HOUR)
    told = [payload["bulletin"]["title"] for _, payload in ops.taken if "condition" in payload["type"]]
    assert told == ["Channel desk"]
    assert channel["last_outcome"] == "refused"


def test_what_failed_in_the_future_fails_since_now(store: Store) -> None:
    with hook() as desk, hook() as ops:
        house = House(store, {"desk": desk, "ops": ops})
        desk.status = 500
        house.look(START + DAY, spike())
        for minutes in (0, 1):
            house.oversee(START + DAY + minutes * MINUTE)
        set_back(store, START)
        assert house.desk.conditions()["channel:desk"].since == START
        for minutes in range(0, 40, 10):
            house.oversee(START + minutes * MINUTE)
    assert [payload["type"] for _, payload in ops.taken] == ["squall.alert.fired", "squall.condition.failing"]


def test_a_channel_that_worked_again_in_the_future_is_judged_by_what_comes_now(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk})
        house.desk.keep_condition(Condition("channel:desk", Health.WELL, START + DAY))
        set_back(store, START)
        desk.status = 500
        house.look(START + MINUTE, spike())
        house.send(START + MINUTE)
        assert house.desk.channel_records(START + HOUR)["desk"].failing_since is not None


# What people asked for


def test_a_silence_of_the_future_holds_from_now_and_can_be_ended(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk})
        until = START + 10 * HOUR
        made = house.act("silence", START + 2 * HOUR, pattern=BANKS, until=until.isoformat())
        set_back(store, START + MINUTE)
        house.look(START + 2 * MINUTE, spike())
        house.oversee(START + 2 * MINUTE)
        assert (desk.taken, house.choices()) == ([], ["silenced"])
        (kept,) = house.desk.silences(START + 2 * MINUTE)
        assert (kept.until, kept.ended_at) == (until, None), "as it was asked for"
        house.act("unsilence", START + 3 * MINUTE, silence=made["silence"])
        house.oversee(START + 3 * MINUTE)
    assert len(desk.taken) == 1


def test_a_silence_made_years_ahead_lasts_as_long_as_one_may(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk})
        ahead = START + 900 * DAY
        house.act("silence", ahead, pattern=BANKS, until=(ahead + HOUR).isoformat())
        set_back(store, START)
        (kept,) = house.desk.silences(START)
    assert kept.until == START + 366 * DAY


# Feeds


def test_a_feed_that_never_answered_has_not_answered_now(store: Store) -> None:
    feed = Feed(id="wire", url="https://news.example/rss", name="Wire", publisher="wire")
    state = failed(unseen(feed, START), START + DAY, Outcome.TIMEOUT, "no answer", wait=HOUR)
    store.append(Batch([Check("wire", START + DAY, Outcome.TIMEOUT, "no answer", None, 0, 0, (), state)]), START)
    set_back(store, START)
    kept = store.feed_states()["wire"]
    assert (kept.last_check_at, kept.last_success_at) == (START, None)


def test_an_alert_of_a_clock_that_ran_ahead_is_quiet_by_the_right_one(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk})
        house.look(START + 365 * DAY, spike())
        house.look(START + 365 * DAY + MINUTE)
        set_back(store, START)
        house.look(START + 59 * MINUTE)
        assert house.alert
        house.look(START + 61 * MINUTE)
        house.send(START + 62 * MINUTE)
        assert [payload["type"] for _, payload in desk.taken][-1] == "squall.alert.resolved"


def test_what_people_say_after_a_clock_was_set_back_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQUALL_HOOK", "a secret of sixteen bytes")
    path = tmp_path / "squall.duckdb"

    def standing(house: Any) -> tuple[object, ...]:
        (row,) = house.query("alert", alert=house.alert)
        (counted,) = house.query("tally", since=START - DAY, until=START + DAY)
        return row["judged"], row["acknowledged_by"], row["assigned_to"], counted["judged_true"]

    with Store.open(path, START) as store:
        house = House(store, {})
        house.look(START, spike())
        for at, said in ((START + 10 * DAY, ("false", "acknowledged")), (START + HOUR, ("true", "reopened"))):
            for what in said:
                house.act("remark", at, alert=house.alert, what=what)
            house.act("remark", at, alert=house.alert, what="assigned", words=said[0])
        assert standing(house) == ("true", "", "true", 1)
        assert house.desk.judged_false() == house.desk.acknowledged() == frozenset()
    compact(path, "500MB", 1)
    with Store.open(path, START) as store:
        assert standing(House(store, {})) == ("true", "", "true", 1)


def test_the_record_reads_in_the_order_of_what_happened_and_says_where_the_clock_was_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SQUALL_HOOK", "a secret of sixteen bytes")
    path, config = tmp_path / "squall.duckdb", tmp_path / "squall.toml"
    config.write_text(f'[store]\npath = "{path}"\n')
    with Store.open(path, START) as store, hook() as desk:
        house = House(store, {"desk": desk})
        ahead = START + 10 * DAY
        house.look(ahead, spike())
        house.send(ahead)
        house.act("remark", ahead + MINUTE, alert=house.alert, what="note", words="ahead")
        set_back(store, START)
        for minutes in (1, 62):
            house.look(START + minutes * MINUTE)
        house.act("remark", START + 63 * MINUTE, alert=house.alert, what="note", words="right")
        house.send(START + 64 * MINUTE)
        alert = AlertStore(store).open_alerts() or AlertStore(store).alerts(START - DAY, 9)
        id_ = alert[0].id
    compact(path, "500MB", 1)
    with Reader.open(path) as reader:
        steps = audit(reader, id_).steps
        changes = [row["reason"] for row in reader.query("alert_changes", alert=id_).iter_rows(named=True)]
    assert changes == ["opened", "fired", "eased", "resolved"]
    told = [step.words.split(" ")[0].rstrip(":") if step.what != "remark" else step.words for step in steps]
    first, second = told.index("ann: note: ahead"), told.index("ann: note: right")
    assert set(told[:first]) == {"opened", "fired"}
    assert set(told[first + 1 : second]) == {"eased", "resolved"}
    assert told[second + 1 :] == ["resolved"], "the message was sent after what ann said"
    shown = CliRunner().invoke(squall, ["--config", str(config), "alerts", "show", id_]).output
    assert shown.count("(here the clock was set back, by 9 days 22 hours or more)") == 1, shown
    assert shown.count("set back") == 1


def test_a_decision_on_a_notice_of_hours_ago_is_no_clock_that_was_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SQUALL_HOOK", "a secret of sixteen bytes")
    path, config = tmp_path / "squall.duckdb", tmp_path / "squall.toml"
    config.write_text(f'[store]\npath = "{path}"\n')
    with Store.open(path, START) as store, hook() as desk:
        house = House(store, {"desk": desk}, routes=[{"name": "night", "quiet_hours": "11:00-18:00"}])
        house.look(START, spike())
        house.look(START + HOUR)
        house.act("remark", START + 2 * HOUR, alert=house.alert, what="note", words="seen")
        house.look(START + 3 * HOUR)
        id_ = house.alert
        assert house.choices() == ["held_quiet", "held_quiet", "superseded"]
    shown = CliRunner().invoke(squall, ["--config", str(config), "alerts", "show", id_]).output
    assert "superseded" in shown
    assert "set back" not in shown
