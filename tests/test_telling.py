"""From a change of an alert to the outbox and the receivers, with a real store: what people asked for is respected."""

from __future__ import annotations

import runpy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from alerts.detection.spikes import Severity
from alerts.lifecycle import Sight
from alerts.sending.delivery import delivery_id
from alerts.telling.conditions import Condition, Health
from monitor.desk.actions import ACTIONS
from monitor.desk.audit import audit
from monitor.desk.desk import Desk
from monitor.errors import InputUnusable, MonitorError
from monitor.feeds.feed import Check, Feed, Outcome, succeeded, unseen
from monitor.storage.alert_store import AlertStore
from monitor.storage.desk_store import DeskStore
from monitor.storage.queries import QUERIES
from monitor.storage.readservice import ReadService, answer
from monitor.storage.setting_back import set_back
from monitor.storage.store import Batch, Store

SCENE = runpy.run_path(str(Path(__file__).with_name("desk_scene.py")))
BANKS, HOUR, MINUTE, START = (SCENE[name] for name in ("BANKS", "HOUR", "MINUTE", "START"))
House, hook, spike = (SCENE[name] for name in ("House", "hook", "spike"))
Hook = Any  # desk_scene.Hook


def kinds(one: Hook) -> list[str]:
    return [payload["type"].removeprefix("squall.") for _, payload in one.taken]


def test_an_alert_is_told_from_its_beginning_to_its_end(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk})
        house.look(START, spike())
        house.look(START + MINUTE, spike(Severity.CRITICAL))
        house.send(START + MINUTE)
        house.look(START + 25 * HOUR, spike())
        house.oversee(START + 25 * HOUR)
        house.look(START + 26 * HOUR)
        house.look(START + 28 * HOUR)
        house.send(START + 28 * HOUR)
    assert kinds(desk) == ["alert.fired", "alert.escalated", "alert.reminded", "alert.resolved"]
    assert len({id_ for id_, _ in desk.taken}) == 4
    assert desk.taken[0][1]["data"]["trend"]["negative"] == [0] * 56


def test_an_acknowledged_alert_is_not_reminded_of_but_its_end_is_told(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk})
        house.look(START, spike())
        house.send(START)
        house.act("remark", START + HOUR, alert=house.alert, what="acknowledged")
        house.look(START + 25 * HOUR, spike())
        house.oversee(START + 25 * HOUR)
        house.act("remark", START + 26 * HOUR, alert=house.alert, what="reopened")
        house.oversee(START + 27 * HOUR)
        house.look(START + 28 * HOUR)
        house.look(START + 30 * HOUR)
        house.send(START + 30 * HOUR)
    assert kinds(desk) == ["alert.fired", "alert.reminded", "alert.resolved"]
    assert house.choices() == ["acknowledged"]


def test_after_a_pause_nothing_is_said_to_go_on_before_it_was_looked_at(store: Store) -> None:
    """The first turn after a start may be that of reminders; the alert is as it was when the daemon was stopped."""
    later = START + 72 * HOUR
    with hook() as desk:
        house = House(store, {"desk": desk})
        house.look(START, spike())
        house.send(START)
        house.oversee(later)
        assert kinds(desk) == ["alert.fired"]
        house.look(later + MINUTE, spike())
        house.oversee(later + MINUTE)
    assert kinds(desk) == ["alert.fired", "alert.reminded"]


def test_a_silence_keeps_quiet_until_it_is_ended_and_then_the_alert_is_told(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk})
        made = house.act("silence", START, pattern="theme:*", until=(START + 9 * HOUR).isoformat(), why="known")
        house.look(START, spike())
        for minute in range(5):
            house.oversee(START + minute * MINUTE)
        assert desk.taken == []
        assert house.choices() == ["silenced"], "however often one looks"
        house.act("unsilence", START + HOUR, silence=made["silence"])
        house.oversee(START + HOUR)
        house.oversee(START + HOUR + MINUTE)
    assert kinds(desk) == ["alert.fired"]


def test_a_silence_takes_back_what_is_held(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk}, routes=[{"name": "night", "quiet_hours": "11:00-14:00"}])
        house.look(START, spike(), spike(series="company:JPM"))
        until = (START + 4 * HOUR).isoformat()
        house.act("silence", START + HOUR, pattern="company:*", until=until)
        house.oversee(START + 2 * HOUR)
        assert [payload["data"]["series"] for _, payload in desk.taken] == [BANKS]
        assert "silenced" in house.choices()
        house.look(START + 5 * HOUR, spike(), spike(series="company:JPM"))
        house.oversee(START + 5 * HOUR)
    assert [payload["data"]["series"] for _, payload in desk.taken] == [BANKS, "company:JPM"]
    assert len({id_ for id_, _ in desk.taken}) == 2


def test_a_silence_takes_back_also_what_is_held_of_an_alert_that_is_over(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk}, routes=[{"name": "night", "quiet_hours": "14:00-20:00"}])
        house.look(START, spike())
        house.send(START)
        house.look(START + HOUR)
        house.look(START + 3 * HOUR)
        house.act("silence", START + 4 * HOUR, pattern="theme:*", until=(START + 24 * HOUR).isoformat())
        house.oversee(START + 9 * HOUR)
    assert kinds(desk) == ["alert.fired"]
    assert sorted(house.choices()) == ["held_quiet", "silenced"]


SECTOR = "sector:Financials"


def grave(one: Hook) -> list[tuple[str, str, str]]:
    return [
        (kind, p["data"]["series"], p["data"]["severity"]) for kind, (_, p) in zip(kinds(one), one.taken, strict=True)
    ]


@pytest.mark.parametrize("held", [False, True])
def test_an_escalation_under_a_silence_is_told_when_it_ends_once(store: Store, held: bool) -> None:
    """Whether the silence was there before it, or took it back while it was held."""
    silent, graver = (START + 31 * MINUTE, START + 30 * MINUTE) if held else (START + MINUTE, START + 31 * MINUTE)
    routes = [{"name": "night", "quiet_hours": "12:20-13:00"}] if held else []
    with hook() as desk:
        house = House(store, {"desk": desk}, routes=routes)
        house.look(START, spike(Severity.INFO))
        house.send(START)
        house.act("remark", START, alert=house.alert, what="acknowledged")
        for at in sorted((silent, graver)):
            if at == silent:
                house.act("silence", at, pattern=BANKS, until=(START + 2 * HOUR).isoformat())
            else:
                house.look(at, spike(Severity.WARNING))
        for minutes in (60, 90, 119):
            house.oversee(START + minutes * MINUTE)
        assert kinds(desk) == ["alert.fired"]
        assert house.choices().count("silenced") == 1, "however often one looks"
        for minutes in (120, 121, 60 * 30):
            house.oversee(START + minutes * MINUTE)
    assert grave(desk) == [("alert.fired", BANKS, "info"), ("alert.escalated", BANKS, "warning")]
    ids = [row["id"] for row in house.query("alert_deliveries", alert=house.alert)]
    assert delivery_id(house.alert, "escalated", graver, "desk") in ids, "under the id that it would have had"


def test_an_escalation_that_the_market_muted_is_told_when_it_calms_down(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk})
        house.look(START, spike(Severity.INFO, series=SECTOR))
        for minute in (1, 2):
            severity = Severity.INFO if minute == 1 else Severity.CRITICAL
            at = START + minute * MINUTE
            house.look(at, spike(severity, series=SECTOR), spike(Severity.CRITICAL, series="market"))
            house.oversee(at)
        assert house.choices() == ["inhibited"]
        house.look(START + 3 * MINUTE, spike(Severity.CRITICAL, series=SECTOR))
        for minute in (3, 4):
            house.oversee(START + minute * MINUTE)
    assert grave(desk) == [
        ("alert.fired", "market", "critical"),
        ("alert.fired", SECTOR, "info"),
        ("alert.escalated", SECTOR, "critical"),
    ]


def test_what_became_graver_while_a_channel_was_switched_off_is_told_when_it_is_on_again(store: Store) -> None:
    with hook() as desk, hook() as ops:
        house = House(store, {"desk": desk, "ops": ops})
        house.look(START, spike(Severity.INFO))
        house.send(START)
        desk.status = 410
        house.look(START + MINUTE, spike(Severity.WARNING))
        house.send(START + MINUTE)
        house.look(START + 2 * MINUTE, spike(Severity.CRITICAL))
        house.oversee(START + 2 * MINUTE)
        desk.status = 204
        house.act("enable", START + HOUR, channel="desk")
        for minute in (60, 61):
            house.oversee(START + minute * MINUTE)
    told = [severity for kind, _, severity in grave(desk) if kind.startswith("alert.")]
    assert told == ["info", "warning", "critical"]
    assert house.choices() == ["channel_disabled"]


@pytest.mark.parametrize("off", [False, True])
def test_an_end_that_a_silence_or_a_410_kept_is_told_once_when_that_is_over(store: Store, *, off: bool) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk})
        house.look(START, spike())
        house.send(START)
        made: dict[str, object] = {}
        if off:
            DeskStore(store).keep_condition(Condition("channel:desk", Health.DISABLED, START, "410"))
        else:
            made = house.act("silence", START, pattern="theme:*", until=(START + 4 * HOUR).isoformat())
        house.look(START + HOUR, spike(series="theme:fraud"))
        house.look(START + 2 * HOUR)
        house.look(START + 3 * HOUR)
        house.oversee(START + 3 * HOUR)
        assert [one["type"] for _, one in desk.taken] == ["squall.alert.fired"]
        over = {"channel": "desk"} if off else {"silence": made["silence"]}
        house.act("enable" if off else "unsilence", START + 3 * HOUR, **over)
        for minutes in (1, 2, 3):
            house.oversee(START + 3 * HOUR + minutes * MINUTE)
    told = [(one["type"], one["data"]["series"]) for _, one in desk.taken[1:]]
    assert told == [("squall.alert.resolved", "theme:bank-stress")], "of what it never heard of it hears no end"


def test_a_reminder_that_says_how_grave_it_is_leaves_no_escalation_to_be_told(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk}, routes=[{"name": "r", "notices": ["fired", "reminded"]}])
        house.look(START, spike(Severity.INFO))
        house.send(START)
        house.look(START + MINUTE, spike(Severity.CRITICAL))
        house.look(START + 25 * HOUR, spike(Severity.CRITICAL))
        house.oversee(START + 25 * HOUR)
        house = House(store, {"desk": desk})  # escalations are wanted from now on
        house.oversee(START + 26 * HOUR)
    assert grave(desk) == [("alert.fired", BANKS, "info"), ("alert.reminded", BANKS, "critical")]


def test_both_escalations_under_a_clock_that_was_set_back_arrive(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk})
        house.look(START + 2 * HOUR, spike(Severity.INFO))
        house.send(START + 2 * HOUR)
        for minutes, severity in ((1, Severity.WARNING), (40, Severity.CRITICAL)):
            house.look(START + minutes * MINUTE, spike(severity))
            house.oversee(START + minutes * MINUTE)
        house.oversee(START + 3 * HOUR)
    assert [severity for _, _, severity in grave(desk)] == ["info", "warning", "critical"]
    changes = house.query("alert_changes", alert=house.alert)
    assert [row["severity"] for row in changes if row["reason"] == "escalated"] == ["warning", "critical"]


def test_in_the_morning_one_message_tells_what_the_night_held_back(store: Store) -> None:
    route = {"name": "night", "quiet_hours": "11:00-14:00"}
    with hook() as desk:
        house = House(store, {"desk": desk}, routes=[route])
        house.look(START, spike(), spike(series="company:JPM"), spike(series="topic:Macro"))
        house.look(START + MINUTE, spike(series="company:JPM"), spike(series="topic:Macro"))
        house.look(START + 70 * MINUTE, spike(series="company:JPM"), spike(series="topic:Macro"))
        house.send(START + 119 * MINUTE)
        assert desk.taken == []
        house.send(START + 2 * HOUR)
        house.send(START + 2 * HOUR + MINUTE)
    ((id_, group),) = desk.taken
    assert [member["type"] for member in group["members"]] == [
        "squall.alert.fired",
        "squall.alert.fired",
        "squall.alert.resolved",
    ]
    states = {
        row["state"]
        for one in house.query("alerts", **_ever())
        for row in house.query("alert_deliveries", alert=one["id"])
    }
    assert states == {"delivered", "withdrawn"}
    jpm = next(one["id"] for one in house.query("alerts", **_ever()) if one["series"] == "company:JPM")
    assert [row["sent_as"] for row in house.query("alert_deliveries", alert=jpm)] == [id_]
    assert [row["outcome"] for row in house.query("alert_attempts", alert=jpm)] == ["delivered"]


def test_reminders_of_a_group_are_reckoned_from_when_it_arrived(store: Store) -> None:
    route = {"name": "night", "quiet_hours": "12:00-06:00", "repeat_hours": 12}
    spikes = (spike(), spike(series="company:JPM"))
    with hook() as desk:
        house = House(store, {"desk": desk}, routes=[route])
        house.look(START, *spikes)
        arrived = START + 18 * HOUR
        for now in (arrived, arrived + 10 * MINUTE, arrived + HOUR, arrived + 5 * HOUR):
            house.look(now, *spikes)
            house.oversee(now)
        assert kinds(desk) == ["group"]
        # A receiver takes its time.
        assert all(arrived <= told.last_at < arrived + MINUTE for told in _told(house).values())
        for now in (arrived + 12 * HOUR + MINUTE, arrived + 24 * HOUR):
            house.look(now, *spikes)
            house.oversee(now)
    assert kinds(desk) == ["group", "group"], "the reminders wait for the end of the next night"
    assert {member["type"] for member in desk.taken[1][1]["members"]} == {"squall.alert.reminded"}


def test_a_group_that_waits_for_its_receiver_needs_no_reminders(store: Store) -> None:
    route = {"name": "room", "group_minutes": 10, "repeat_hours": 6, "repeat_backoff": 1}
    spikes = (spike(), spike(series="company:JPM"))
    with hook() as desk:
        desk.status = 500
        house = House(store, {"desk": desk}, routes=[route])
        for hours in range(0, 49, 2):
            house.look(START + hours * HOUR, *spikes)
            house.oversee(START + hours * HOUR)
        assert {(told.reminders, told.waiting) for told in _told(house).values()} == {(0, True)}
        assert [row["reason"] for row in house.query("deliveries", state="", limit=99)] == ["group", "fired", "fired"]


def _told(house: Any) -> dict[tuple[str, str], Any]:
    told: dict[tuple[str, str], Any] = house.desk.told([one.id for one in AlertStore(house.store).open_alerts()])
    return told


def _ever() -> dict[str, object]:
    return {"series": "", "since": START - HOUR, "until": START + 999 * HOUR, "limit": 99}


def test_while_no_feed_answers_an_alert_stays_open_and_people_are_told_once(store: Store) -> None:
    feed = Feed(id="wire", url="https://news.example/rss", name="Wire", publisher="wire")
    with hook() as desk:
        house = House(store, {"desk": desk})

        def checked(at: datetime, answered: datetime) -> None:
            state = succeeded(feed, unseen(feed, START), answered, Outcome.NEW, etag=None, last_modified=None)
            state = replace(state, last_check_at=at)
            store.append(Batch([Check("wire", at, Outcome.NEW, "", 200, 0, 0, (), state)]), at)

        checked(START, START)
        house.look(START, spike())
        for hours in (7, 8, 20):
            now = START + hours * HOUR
            checked(now, START)
            house.look(now, sight=house.teller.sight(now, ""))
            house.oversee(now)
        assert AlertStore(store).open_alerts()[0].state.value == "no_data"
        back = START + 21 * HOUR
        checked(back, back)
        house.look(back, sight=house.teller.sight(back, ""))
        house.oversee(back)
        assert AlertStore(store).open_alerts()[0].state.value == "recovering"
        house.look(back + 59 * MINUTE)
        assert AlertStore(store).open_alerts() != ()
        house.look(back + 61 * MINUTE)
        house.send(back + 61 * MINUTE)
    assert kinds(desk) == ["alert.fired", "condition.no_data", "condition.well", "alert.resolved"]
    assert "no feed answers" in desk.taken[1][1]["bulletin"]["subject"]


@pytest.mark.parametrize("fails", [False, True])
def test_a_short_pause_ends_no_alert_before_a_feed_has_answered(store: Store, fails: bool) -> None:
    feed = Feed(id="wire", url="https://news.example/rss", name="Wire", publisher="wire")
    fresh = unseen(feed, START)

    def asked(at: datetime, answered: datetime) -> None:
        store.remember([replace(fresh, last_check_at=at, last_success_at=answered, next_check_at=at + 15 * MINUTE)])

    def state(now: datetime) -> str:
        house.look(now, sight=house.teller.sight(now, ""))
        return AlertStore(store).open_alerts()[0].state.value

    with hook() as desk:
        house = House(store, {"desk": desk})
        asked(START, START)
        house.look(START, spike())
        back = START + 5 * HOUR
        house = House(store, {"desk": desk})
        house.teller.begin(back)
        assert [state(back), state(back + MINUTE)] == ["no_data", "no_data"]
        if fails:
            asked(back + MINUTE, START)
            assert state(back + 2 * MINUTE) == "no_data"
        asked(back + 3 * MINUTE, back + 3 * MINUTE)
        assert [state(back + 4 * MINUTE), state(back + 5 * MINUTE)] == ["recovering", "recovering"]
        house.look(back + 64 * MINUTE, sight=house.teller.sight(back + 17 * MINUTE, ""))
        house.send(back + 64 * MINUTE)
    assert kinds(desk) == ["alert.fired", "alert.resolved"], "nobody is alarmed by a pause"


@pytest.mark.parametrize(("hours", "answered"), [(1, 2), (1, 5), (12, 2), (30, 3)])
def test_alerts_end_where_a_round_every_few_hours_is_answered_now_and_then(
    store: Store, hours: int, answered: int
) -> None:
    fresh = unseen(Feed(id="wire", url="https://news.example/rss", name="Wire", publisher="wire"), START)

    def asked(now: datetime, at: datetime) -> None:
        store.remember([replace(fresh, last_check_at=now, last_success_at=at, next_check_at=now + 15 * MINUTE)])

    asked(START, START)
    House(store, {}).look(START, spike())
    last = START
    for number in range(1, 9 * answered):
        now = START + number * hours * HOUR
        house = House(store, {})
        house.teller.begin(now)
        last = last if number % answered else now
        asked(now, last)
        seen = house.teller.sight(now, "")
        house.look(now, sight=seen, seen_until=house.teller.seen_until(seen))
        # Not before a feed has answered, and before long.
        assert AlertStore(store).open_alerts() or number >= answered
    assert AlertStore(store).open_alerts() == ()


def test_a_pause_under_a_clock_that_ran_ahead_is_over_with_the_next_answer(store: Store) -> None:
    feed = Feed(id="wire", url="https://news.example/rss", name="Wire", publisher="wire")
    house = House(store, {})
    ahead, fresh = START + 365 * 24 * HOUR, unseen(feed, START)
    told = replace(fresh, last_check_at=ahead, last_success_at=ahead, next_check_at=ahead + MINUTE)
    store.remember([told])
    assert house.teller.sight(ahead + HOUR, "") is Sight.NO_DATA
    set_back(store, START)
    assert house.teller.sight(START + MINUTE, "") is Sight.NO_DATA
    store.remember([replace(fresh, last_check_at=START + 2 * MINUTE, last_success_at=START + 2 * MINUTE)])
    assert house.teller.sight(START + 3 * MINUTE, "") is Sight.CLEAR


def test_a_stage_that_fails_for_long_is_told_of(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk})
        for minute in (0, 29, 30, 31):
            house.oversee(START + minute * MINUTE, detect="RuntimeError: x")
        house.oversee(START + 40 * MINUTE, detect="")
    assert kinds(desk) == ["condition.failing", "condition.well"]
    assert desk.taken[0][1]["bulletin"]["title"] == "Stage detect"


# Channels that fail


def test_a_receiver_that_is_gone_is_switched_off_and_the_others_hear_of_it(store: Store) -> None:
    with hook() as desk, hook() as ops:
        house = House(store, {"desk": desk, "ops": ops})
        desk.status = 410
        house.look(START, spike(), spike(series="company:JPM"))
        house.send(START)
        assert len(desk.taken) == 1, "after the first 410 it is not asked again"
        house.oversee(START + MINUTE)
        house.look(START + 2 * MINUTE, spike(Severity.CRITICAL), spike(series="company:JPM"))
        house.send(START + 2 * MINUTE)
        assert len(desk.taken) == 1
        assert kinds(ops) == ["alert.fired", "alert.fired", "condition.disabled", "alert.escalated"]
        assert house.choices() == ["channel_disabled"]
        dead = house.query("deliveries", state="dead", limit=9)
        assert [row["channel"] for row in dead] == ["desk", "desk"]
        with pytest.raises(InputUnusable, match="squall alerts enable desk"):
            house.act("redeliver", START + HOUR, channel="desk")
        desk.status = 204
        house.act("enable", START + HOUR, channel="desk")
        house.act("redeliver", START + HOUR, channel="desk")
        house.send(START + HOUR)
        house.oversee(START + HOUR)
        assert kinds(desk) == ["alert.fired"] * 3 + ["alert.escalated"]
        assert len({id_ for id_, _ in desk.taken}) == 3


def test_a_new_address_switches_a_channel_on_again(store: Store) -> None:
    with hook() as desk, hook() as ops:
        desk.status = 410
        house = House(store, {"desk": desk, "ops": ops})
        house.look(START, spike())
        house.send(START)
        assert DeskStore(store).conditions()["channel:desk"].health.value == "disabled"
        House(store, {"desk": desk, "ops": ops})
        assert DeskStore(store).conditions()["channel:desk"].health.value == "disabled", "the address is the same"
        with hook() as moved:
            House(store, {"desk": moved, "ops": ops})
            assert DeskStore(store).conditions()["channel:desk"].health.value == "well"


def test_a_channel_that_fails_is_told_of_on_another_and_the_other_is_undisturbed(store: Store) -> None:
    with hook() as desk, hook() as ops:
        desk.status = 500
        house = House(store, {"desk": desk, "ops": ops})
        house.look(START, spike())
        for minute in range(0, 60, 5):
            house.oversee(START + minute * MINUTE)
        assert kinds(ops) == ["alert.fired", "condition.failing"]
        desk.status = 204
        day_later = START + 25 * HOUR
        house.send(day_later)
        house.oversee(day_later)
    assert kinds(desk)[-1] == "alert.fired"
    assert len({id_ for id_, _ in desk.taken if id_ == desk.taken[0][0]}) == 1
    assert "condition.well" in kinds(ops)


# Digests


def test_a_digest_comes_once_a_day_and_says_what_happened(store: Store) -> None:
    digest = {"name": "daily", "at": "18:00"}
    with hook() as desk:
        house = House(store, {"desk": desk}, digests=[digest], routes=[{"name": "r", "digest_only": True}])
        house.look(START, spike())
        for hours in (0, 5, 6, 7, 30, 31):
            house.oversee(START + hours * HOUR)
    assert kinds(desk) == ["digest", "digest"]
    first = desk.taken[0][1]["bulletin"]
    assert first["subject"] == "[Squall] Daily digest: 1 alert, 1 open"
    assert any("left to digest" in item["title"] for section in first["sections"] for item in section["items"])


def leads(desk: Hook) -> list[str]:
    return [payload["bulletin"]["lead"] for _, payload in desk.taken]


def test_a_digest_that_comes_back_after_months_tells_of_its_usual_period(store: Store) -> None:
    daily = [{"name": "daily", "at": "18:00"}]
    with hook() as desk:
        House(store, {"desk": desk}, digests=daily).oversee(START)
        for days in (1, 2):
            House(store, {"desk": desk}).teller.begin(START + days * 24 * HOUR)
        back = START + 90 * 24 * HOUR
        house = House(store, {"desk": desk}, digests=daily)
        for hours in (0, 1, 6, 30):
            house.oversee(back + hours * HOUR)
    assert [lead.partition(":00 UTC: ")[0] for lead in leads(desk)] == [
        "From 6 Jun 2026, 18:00 UTC to 7 Jun 2026, 18",
        "From 7 Jun 2026, 18:00 UTC to 8 Jun 2026, 18",
        "From 8 Jun 2026, 18:00 UTC to 9 Jun 2026, 18",
    ]
    missing = "Nothing is told of the time from 9 Mar 2026, 18:00 UTC: it was not asked for then."
    assert [missing in lead for lead in leads(desk)] == [True, False, False]


def test_a_digest_that_was_away_within_its_period_leaves_nothing_out(store: Store) -> None:
    daily = [{"name": "daily", "at": "18:00"}]
    with hook() as desk:
        House(store, {"desk": desk}, digests=daily).oversee(START)
        House(store, {"desk": desk}).teller.begin(START + HOUR)
        house = House(store, {"desk": desk}, digests=daily)
        house.oversee(START + 2 * HOUR)
        # What the daemon missed is in the next one, as always.
        house.oversee(START + 75 * HOUR)
    (lead,) = leads(desk)
    assert lead.startswith("From 9 Mar 2026, 18:00 UTC to 12 Mar 2026, 18:00 UTC")
    assert "Nothing is told" not in lead


def test_what_comes_in_is_counted_in_one_digest_also_within_the_hour_in_which_it_ends(store: Store) -> None:
    def come(hour: datetime, headlines: int) -> None:
        with store.database.writing() as connection:
            connection.execute("DELETE FROM rollups WHERE hour = ?", [hour])
            connection.execute("INSERT INTO rollups VALUES ('market', ?, ?, 0, 0, 0)", [hour, headlines])

    with hook() as desk:
        house = House(store, {"desk": desk}, digests=[{"name": "morning", "at": "07:30"}])
        for day in (1, 2, 3):
            seven = START.replace(hour=7) + day * 24 * HOUR
            come(seven, 10)
            house.oversee(seven + 30 * MINUTE)
            come(seven, 13)
            house.oversee(seven + HOUR)
    told = [payload["bulletin"]["sections"][-1]["items"][0]["title"] for _, payload in desk.taken]
    assert [line.split()[0] for line in told] == ["0", "13", "13"]


def test_a_heartbeat_is_sent_once_and_leaves_no_trace_in_the_outbox(store: Store) -> None:
    with hook() as desk, hook() as ops:
        house = House(store, {"desk": desk, "ops": ops}, notify={"heartbeat_channel": "ops"})
        assert house.teller.beat(START).outcome.ok
        ops.status = 500
        assert not house.teller.beat(START + 5 * MINUTE).outcome.ok
        house.send(START + HOUR)
    assert (kinds(desk), kinds(ops)) == ([], ["heartbeat", "heartbeat"])
    assert house.query("deliveries", state="", limit=9) == []


def test_what_decisions_kept_from_being_written_is_known_by_the_ids_that_it_would_have_had(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk}, routes=[{"name": "r", "notices": ["escalated"]}])
        house.look(START, spike())
        house.look(START + MINUTE)
        house.look(START + 2 * HOUR)
        assert house.desk.unsent() == {
            delivery_id(house.alert, "fired", START, "desk"),
            delivery_id(house.alert, "resolved", START + 2 * HOUR, "desk"),
        }


# What people say


def test_the_audit_holds_everything_in_order(store: Store) -> None:
    class Asked:
        def query(self, name: str, **params: object) -> Any:
            import polars as pl

            return pl.from_arrow(answer(store.database, QUERIES[name], params))

    with hook() as desk, hook() as ops:
        ops.status = 500
        house = House(store, {"desk": desk, "ops": ops}, routes=[{"name": "r", "notices": ["fired", "resolved"]}])
        house.look(START, spike())
        house.send(START)
        house.act("remark", START + MINUTE, alert=house.alert, what="assigned", words="bo")
        house.look(START + 2 * MINUTE, spike(Severity.CRITICAL))
        house.act("remark", START + 3 * MINUTE, alert=house.alert, what="false", words="an anniversary")
        found = audit(Asked(), house.alert)
    said = [f"{step.what}: {step.words}" for step in found.steps]
    for words in (
        "change: opened: quiet to pending",
        "change: fired: pending to firing",
        "message: fired to desk: delivered",
        "message: fired to ops: pending",
        "attempt: fired to ops: refused",
        "remark: ann: assigned: bo",
        "change: escalated",
        "not sent: escalated to desk: not_wanted",
        "remark: ann: judged false: an anniversary",
    ):
        assert any(line.startswith(words) for line in said), words
    # Two channels send at once, and may end in another order than they began.
    steps = [step.at.replace(microsecond=0) for step in found.steps]
    assert steps == sorted(steps)
    assert (found.alert["assigned_to"], found.alert["judged"]) == ("bo", "false")
    with pytest.raises(InputUnusable, match="no alert"):
        audit(Asked(), "alert_unknown")


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("remark", {"alert": "alert_none", "what": "note", "words": "x"}, "there is no alert"),
        ("remark", {"what": "note"}, "alert is missing"),
        ("remark", {"alert": "a", "what": "shout"}, "nothing to say"),
        ("remark", {"alert": "a", "what": "note"}, "a note needs words"),
        ("silence", {"pattern": "market", "until": "soon"}, "cannot be"),
        ("silence", {"pattern": "market", "until": "2026-03-10T11:00:00+00:00"}, "after now"),
        ("silence", {"pattern": "market", "until": "2026-03-10T18:00:00"}, "cannot be"),
        ("silence", {"pattern": "x" * 3000, "until": "2026-03-10T18:00:00+00:00"}, "longer than"),
        ("unsilence", {"silence": "silence_1"}, "there is no silence"),
        ("redeliver", {"delivery": "msg_1"}, "there is no delivery"),
        ("enable", {"channel": "desk"}, "not switched off"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(store: Store, name: str, body: dict[str, object], words: str) -> None:
    with pytest.raises(InputUnusable, match=words):
        ACTIONS[name](store, {"who": "ann", **body}, START)


@pytest.mark.parametrize("live", [False, True])
def test_a_desk_works_with_and_without_a_daemon(tmp_path: Path, live: bool) -> None:
    from monitor.desk.actions import actions_of

    path = tmp_path / "squall.duckdb"
    now = datetime.now(UTC)
    with Store.open(path, now) as store:
        house = House(store, {})
        house.look(now, spike())
        alert = house.alert
        if live:
            with ReadService(store, actions=actions_of(store, lambda: now)), Desk.open(path) as desk:
                _work(desk, alert, now)
    if not live:
        with Desk.open(path) as desk:
            _work(desk, alert, now)
    assert Desk.__doc__


def _work(desk: Desk, alert: str, now: datetime) -> None:
    desk.acknowledge(alert, "ann")
    desk.assign(alert, "ann", "bo")
    desk.note(alert, "bo", "looked at it")
    desk.judge(alert, "bo", true=True)
    made = desk.silence("company:*", now + timedelta(days=1), "ann", "results")
    assert [row["pattern"] for row in desk.reader.query("silences", now=now + MINUTE, over=False).to_dicts()] == [
        "company:*"
    ]
    desk.unsilence(made["silence"])
    row = desk.reader.query("alert", alert=alert).row(0, named=True)
    assert (row["acknowledged_by"], row["assigned_to"], row["judged"]) == ("ann", "bo", "true")
    told = desk.tally(now - timedelta(days=9), now + MINUTE, 0.5)
    assert (told.judged_true, told.judged_false, told.unjudged) == (1, 0, 0)
    with pytest.raises(MonitorError, match="there is no alert"):
        desk.judge("alert_none", "ann", true=False)
