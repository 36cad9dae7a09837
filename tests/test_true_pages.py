"""What a page says is so: its numbers are the store's, also at the edges of ranges, lists and zones."""

from __future__ import annotations

import io
import json
import runpy
import socket
import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

import dashboard.app
from alerts.detection.bands import BAND
from alerts.lifecycle import Change, ChangeReason, State
from alerts.sending.delivery import Delivery, DeliveryState
from dashboard import charts, exports, frame, marks, model_charts, model_page, periods, reads, series_page, texts
from dashboard.zones import UTC_ZONE, Zone
from models.score import CompanyScore, Score
from monitor.desk.actions import actions_of
from monitor.news.identity import Revision
from monitor.storage.alert_store import AlertStore
from monitor.storage.reading import Reader
from monitor.storage.readservice import Address, ReadService, address_file
from monitor.storage.store import Batch, Scored, Store

SCENE = runpy.run_path(str(Path(__file__).with_name("dashboard_scene.py")))
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
BERLIN, KOLKATA, HAVANA = Zone("Europe/Berlin"), Zone("Asia/Kolkata"), Zone("America/Havana")
NONE = pl.DataFrame(schema={"series": pl.String})


def page(module: str, store: Path, now: datetime = NOW, **asked: str) -> AppTest:
    lines = (
        "from datetime import datetime",
        "from pathlib import Path",
        f"from dashboard import frame, {module}",
        f"frame.show(Path({str(store)!r}), {module}.draw, datetime.fromisoformat({now.isoformat()!r}))",
    )
    app = AppTest.from_string("\n".join(lines), default_timeout=120)
    for name, value in asked.items():
        app.query_params[name.rstrip("_")] = value
    return app.run()


def said(app: AppTest) -> str:
    kinds = ("markdown", "text", "caption", "success", "info", "warning", "error", "subheader")
    return "\n".join(str(each.value) for kind in kinds for each in app.get(kind) if hasattr(each, "value"))


def filled(path: Path, ages: list[timedelta], copies: int = 1) -> None:
    """A store with a negative story of each of these ages, in so many headlines."""
    made = [
        replace(SCENE["headline"](1 + n * copies + copy, NOW - age, f"Bank {n} fails, {copy}", "wire"), story=n)
        for n, age in enumerate(ages)
        for copy in range(copies)
    ]
    with Store.open(path, NOW - 600 * DAY) as store:
        store.append(Batch(headlines=made, scores={one.id: SCENE["scored"](0.9) for one in made}), NOW)
        store.watch(["market"], NOW - 600 * DAY)


# Steps of a chart


@pytest.mark.parametrize("zone", [UTC_ZONE, BERLIN, KOLKATA, HAVANA, Zone("Africa/Casablanca")])
@pytest.mark.parametrize("step", ["day", "month"])
def test_every_count_stands_in_a_step_of_the_chart(tmp_path: Path, zone: Zone, step: str) -> None:
    path = tmp_path / "squall.duckdb"
    # A range that begins in the middle of a day and of a month, and holds every change of the clock of a year.
    since, until = NOW - 200 * DAY + 5 * HOUR, NOW
    filled(path, [n * 5 * HOUR for n in range(1, 960)])
    over = periods.Period(since, until, step, zone)
    with Reader.open(path) as reader:
        hours = reads.trend(reader, "market", periods.Period(since, until, "hour", zone))
        points = reads.trend(reader, "market", over)
    assert set(points["at"]) <= set(over.steps[:-1])
    assert points["at"].n_unique() == points.height
    columns = marks.targets(points.with_columns(expected=1.0, low=0.0, high=2.0), over).to_dict()
    rows = [row for data in columns["datasets"].values() for row in data]
    assert sum(row["negative"] for row in rows) == hours["negative"].sum() == points["negative"].sum()
    assert rows[0]["negative"] > 0, "the part of a step at the beginning counts as well"


def test_bars_end_where_the_next_step_begins() -> None:
    # The night to the 29th has 23 hours in Berlin.
    over = periods.Period(BERLIN.instant(datetime(2026, 3, 28)), BERLIN.instant(datetime(2026, 3, 31)), "day", BERLIN)  # noqa: DTZ001 - wall times of the zone
    trend = pl.DataFrame(
        {"at": over.steps[:-1], "stories": [2] * 3, "negative": [1] * 3, "tone": [0.0] * 3},
        schema_overrides={"at": pl.Datetime("us", "UTC")},
    )
    assert marks.timed(trend, over)["end"].to_list() == over.steps[1:]


def test_what_is_usual_is_told_of_the_time_that_it_is_known_of() -> None:
    over = periods.between(NOW - 500 * DAY, NOW)
    part = [at for at in over.steps[:-1] if at >= NOW - 300 * DAY]
    usual = pl.DataFrame({name: part if name == "at" else [2.0] * len(part) for name in BAND}, schema=BAND)
    assert series_page.expected(usual, over) == f"usual: {2 * len(part)} since 15 May 2025"
    whole = pl.DataFrame({name: over.steps[:-1] if name == "at" else [2.0] * 501 for name in BAND}, schema=BAND)
    assert series_page.expected(whole, over) == "usual: 1,002"
    assert series_page.expected(usual.head(0), over) is None


def test_a_year_has_a_band_from_its_first_day_on(tmp_path: Path) -> None:
    path = tmp_path / "squall.duckdb"
    filled(path, [n * 7 * HOUR for n in range(1, 1400)])
    with Reader.open(path) as reader:
        over = reads.period(reads.Choice.YEAR, reads.status(reader), NOW, live=True)
        usual = reads.usual(reader, "market", over, reads.rules({}))
    assert usual["at"].to_list() == over.steps[:-1]


def test_a_day_that_begins_within_an_hour_lists_what_its_bar_counts() -> None:
    day = periods.Period(
        datetime(2026, 3, 9, 18, 30, tzinfo=UTC), datetime(2026, 3, 10, 18, 30, tzinfo=UTC), "day", KOLKATA
    )
    listed = reads.counted(day)
    assert (listed.since, listed.until) == (datetime(2026, 3, 9, 19, tzinfo=UTC), datetime(2026, 3, 10, 19, tzinfo=UTC))
    whole = periods.Period(NOW - DAY, NOW, "day")
    assert reads.counted(whole) == whole


# Marks of zones


def test_days_of_the_model_page_are_those_of_the_zone(tmp_path: Path) -> None:
    path = tmp_path / "squall.duckdb"
    filled(path, [12 * HOUR + HOUR / 2, HOUR])  # half past eleven in the night of the 9th, UTC
    with Reader.open(path) as reader:
        for zone, days in ((UTC_ZONE, ["Mon 9 Mar 2026", "Tue 10 Mar 2026"]), (BERLIN, ["Tue 10 Mar 2026"])):
            over = model_page.days(NOW, 10, zone)
            drift = reader.query("drift", since=over.since, until=over.until, zone=zone.name)
            titles = reader.query("titles_by_day", since=over.since, until=over.until, zone=zone.name, most=9)
            assert titles["day"].unique().sort().to_list() == drift["day"].to_list()
            charted = (
                model_charts.mix(drift, over),
                model_charts.share(model_charts.by_day(drift), "confidence", "Confidence", model_charts.SURE, over),
            )
            for chart in charted:
                drawn = chart.to_dict()
                rows = [row for data in drawn["datasets"].values() for row in data]
                assert sorted({row["when"] for row in rows}) == days
                assert drawn["layer"][0]["encoding"]["x"]["axis"]["title"] == ("UTC" if zone.utc else "CET")


@pytest.mark.parametrize("zone", [UTC_ZONE, BERLIN, KOLKATA, HAVANA], ids=lambda zone: zone.name)
def test_the_days_of_the_model_page_end_with_today(zone: Zone) -> None:
    for now in (NOW, datetime(2026, 3, 29, 23, 30, tzinfo=UTC), datetime(2026, 11, 1, 4, 30, tzinfo=UTC)):
        over = model_page.days(now, 30, zone)
        assert over.since < now < over.until
        dates = [zone.there(at).date() for at in over.steps[:-1]]
        assert dates == [zone.there(now).date() - n * DAY for n in range(29, -1, -1)]


def test_a_mark_stands_once_only_where_it_is_true_of_all() -> None:
    winter, summer = datetime(2026, 1, 10, tzinfo=UTC), datetime(2026, 7, 10, tzinfo=UTC)
    assert BERLIN.marks([winter, winter]) == "CET"
    assert BERLIN.marks([winter, summer]) == "Europe/Berlin"
    assert UTC_ZONE.marks([winter, summer]) == "UTC"
    assert BERLIN.marks([]) == "Europe/Berlin"
    assert periods.Period(winter, summer, "day", BERLIN).mark == "Europe/Berlin"
    assert periods.Period(winter, datetime(2027, 1, 9, tzinfo=UTC), "day", BERLIN).mark == "Europe/Berlin"
    assert periods.Period(summer, summer + DAY, "hour", BERLIN).mark == "CEST"


def test_the_axis_of_a_year_is_not_marked_as_winter() -> None:
    over = periods.Period(NOW - 300 * DAY, NOW, "day", BERLIN)
    trend = pl.DataFrame(
        {"at": over.steps[:1], "stories": [5], "negative": [2], "tone": [0.1]},
        schema_overrides={"at": pl.Datetime("us", "UTC")},
    )
    drawn = charts.tone(trend, NONE, over).to_dict()
    titles = {layer["encoding"]["x"]["axis"]["title"] for layer in drawn["layer"] if "x" in layer["encoding"]}
    assert titles == {"Europe/Berlin"}


# Numbers of lists


def test_a_list_that_was_cut_off_does_not_say_that_it_is_all(tmp_path: Path) -> None:
    path = tmp_path / "squall.duckdb"
    filled(path, [HOUR * (1 + n / 5) for n in range(250)], copies=2)
    with Reader.open(path) as reader:
        over = reads.period(reads.Choice.WEEK, reads.status(reader), NOW, live=True)
        found = reads.headlines(reader, "market", over, limit=series_page._LIMIT)
    assert (found.height, reads.distinct(found).height) == (400, 200), "of 500 headlines in 250 stories"
    assert series_page.all_stories(found, 200) == "All stories of this time"
    assert series_page.all_stories(found.head(60), 30) == "All 30 stories"


def _alerts(store: Store, number: int, opened: datetime) -> None:
    """One alert that is open since then, and so many later ones that are over."""
    (base,) = [one for one in AlertStore(store).open_alerts() if one.id == SCENE["ALERT"]]
    old = replace(base, opened_at=opened)
    over = [
        replace(
            base,
            id=f"alert_1{n:015x}",
            state=State.RESOLVED,
            opened_at=opened + n * HOUR,
            resolved_at=opened + n * HOUR,
        )
        for n in range(1, number + 1)
    ]
    changes = [Change(one, State.FIRING, ChangeReason.RESOLVED, one.opened_at) for one in over]
    AlertStore(store).commit([Change(old, State.PENDING, ChangeReason.FIRED, opened), *changes], [])


def test_an_alert_that_stays_open_for_long_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "squall.duckdb"
    SCENE["fill"](path, NOW)
    with Store.open(path, NOW) as store:
        _alerts(store, 510, NOW - 40 * DAY)
    app = page("alert_page", path)
    app.button_group(key="alerts_shown").set_value("Open now").run()
    assert not app.error, app.error[0].value
    assert [list(one) for one in app.dataframe[0].value["state"]] == [["Firing"]]
    app.button_group(key="alerts_shown").set_value("1 year").run()
    assert "The latest 500 of this time are listed" in said(app)


def test_what_the_overview_has_no_card_for_is_listed_behind_its_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "squall.duckdb"
    SCENE["fill"](path, NOW)
    with Store.open(path, NOW) as store:
        alerts = AlertStore(store)
        (base,) = [one for one in alerts.open_alerts() if one.id == SCENE["ALERT"]]
        more = [replace(base, id=f"alert_2{n:015x}", series=f"company:C{n}") for n in range(5)]
        alerts.commit([Change(one, State.PENDING, ChangeReason.FIRED, one.opened_at) for one in more], [])
        opened = len(alerts.open_alerts())
    monkeypatch.setattr(sys, "argv", ["app.py", "--store", str(path)])
    app = AppTest.from_file(str(Path(dashboard.app.__file__)), default_timeout=120).run()
    (link,) = [one.proto for one in app.get("page_link") if "more open alert" in one.proto.label]
    assert link.label == f"{opened - 4} more open alerts"
    asked = dict(parse_qsl(link.query_string))
    assert asked == {"show": "Open now"}
    listed = page("alert_page", path, **asked)
    assert len(listed.dataframe[0].value) == opened


def test_dead_letters_beyond_the_list_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "squall.duckdb"
    SCENE["fill"](path, NOW)
    with Store.open(path, NOW) as store:
        letters = [
            Delivery(
                f"msg_{n}",
                SCENE["ALERT"],
                "fired",
                "chat",
                DeliveryState.DEAD,
                NOW - n * HOUR,
                1,
                None,
                NOW,
                "gone",
                "{}",
            )
            for n in range(1, 260)
        ]
        AlertStore(store).commit([], letters)
    assert "And 240 more" in said(page("delivery_page", path))


# Which headlines


def test_negative_in_a_companys_series_is_negative_towards_it(tmp_path: Path) -> None:
    path = tmp_path / "squall.duckdb"
    at = NOW - HOUR
    towards = Scored(
        Score(0.1, 0.1, 0.8, (("Macro", 0.9),), "m"), (), (("JPM", CompanyScore("JPMorgan", 0.9, 0.05, 0.05)),)
    )
    against = Scored(
        Score(0.9, 0.05, 0.05, (("Macro", 0.9),), "m"), (), (("JPM", CompanyScore("JPMorgan", 0.05, 0.05, 0.9)),)
    )
    made = [SCENE["headline"](n, at, f"JPMorgan {n}", "wire") for n in (5, 10)]
    with Store.open(path, NOW) as store:
        store.append(Batch(headlines=made, scores={5: towards, 10: against}), NOW)
    over = periods.between(NOW - DAY, NOW)
    with Reader.open(path) as reader:
        for name, ids in (("company:JPM", [5]), ("market", [10])):
            listed = reads.headlines(reader, name, over, reads.Sift(negative_only=True))
            filtered = reads.headlines(reader, name, over, reads.Sift(tone="negative"))
            assert listed["id"].to_list() == filtered["id"].to_list() == ids


def test_publishers_of_the_range_are_offered_however_old_it_is(tmp_path: Path) -> None:
    path = tmp_path / "squall.duckdb"
    filled(path, [200 * DAY])
    app = page("stories_page", path, range="All", publisher="wire")
    assert not app.error
    assert app.selectbox(key="stories_publisher").value == "wire"
    assert app.dataframe[0].value["publisher"].to_list() == ["wire"]
    assert page("stories_page", path, publisher="wire").selectbox(key="stories_publisher").value == "wire"


# Files


def test_a_cell_that_is_parted_at_semicolons_holds_no_formula_either() -> None:
    frame = pl.DataFrame({"title": ["Bank fails;=1+1", "a; +1", "calm; -2 % slump", "plain; text - more"]})
    safe = exports.harmless(frame, ["title"])["title"].to_list()
    assert safe == ["Bank fails;'=1+1", "a; '+1", "calm; '-2 % slump", "plain; text - more"]
    text = frame.write_csv(quote_style="non_numeric")
    assert pl.read_csv(io.StringIO(text))["title"].to_list() == frame["title"].to_list()
    for title in ("\uff1d1+1", "Bank fails;=1+1", "a; +1"):
        shown = texts.cell(title)
        assert shown.replace("\u2060", "") == title
        assert not any(part.strip(" ")[:1] in tuple("=+-@\uff1d") for part in shown.split(";"))


# Quiet


def test_nobody_says_that_all_is_quiet_while_nobody_sees(tmp_path: Path) -> None:
    path = tmp_path / "squall.duckdb"
    with Store.open(path, NOW) as store, ReadService(store):
        store.watch(["market"], NOW - 30 * DAY)
        store.append(Batch([SCENE["_check"]("calm", NOW - HOUR / 2, SCENE["Outcome"].UNCHANGED, "")]), NOW)
        assert "All quiet" in said(page("overview", path))
        words = said(page("overview", path, NOW + 7 * HOUR))
        assert "All quiet" not in words
        assert "no feed has answered for 7 h" in words.lower()
        failed = {"name": "detect", "ok_at": "", "failed_at": NOW.isoformat(), "reason": "disk full"}
        store.note("stage:detect", json.dumps(failed))
        words = said(page("overview", path))
        assert "All quiet" not in words
        assert "none can open at the moment:** detection fails" in words


# Feeds


def test_a_monitor_that_hangs_is_named_with_the_time_since_when(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "squall.duckdb"
    monkeypatch.setattr(frame, "_PATIENCE_SECONDS", 0.5)
    with Store.open(path, NOW), socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        told = Address(f"grpc://127.0.0.1:{mute.getsockname()[1]}", "t", 1)
        address_file(path).write_text(json.dumps(asdict(told)), encoding="utf-8")
        first = datetime.now(UTC)
        words = [one.value for one in page("overview", path).error]
        again = [one.value for one in page("series_page", path, NOW + HOUR).error]
    minutes = (first, first + timedelta(minutes=1))
    assert words in [[f"**The monitor has not answered since {texts.utc(at)}.**"] for at in minutes]
    assert again == words


def test_the_chart_names_the_state_of_each_alert(tmp_path: Path) -> None:
    path = tmp_path / "squall.duckdb"
    SCENE["fill"](path, NOW)
    with Store.open(path, NOW) as store:
        alerts = AlertStore(store)
        firing = next(one for one in alerts.open_alerts() if one.id == SCENE["ALERT"])
        for n, (state, ended) in enumerate([(State.NO_DATA, None), (State.RECOVERING, None), (State.RESOLVED, NOW)]):
            told = replace(firing, id=f"alert_{n:016}", series="topic:Macro", state=state, resolved_at=ended)
            alerts.commit([Change(told, State.FIRING, ChangeReason.CONTINUED, NOW)], [])
        said = {"alert": SCENE["ALERT"], "what": "acknowledged", "who": "ana", "words": ""}
        actions_of(store, lambda: NOW)["remark"](said)
    with Reader.open(path) as reader:
        found = reads.alerts(reader, NOW - DAY, NOW)
    over = periods.Period(NOW - DAY, NOW, "hour")
    (line,) = [one.to_dict() for one in marks.alert_marks(found, over)]
    rows = [row for data in line["datasets"].values() for row in data]
    assert sorted(row["what"] for row in rows) == [
        "Critical alert, firing, acknowledged",
        "Critical alert, no data",
        "Critical alert, recovering",
        "Critical alert, resolved",
        "Warning alert, faded",
    ]
    assert [row["until"] for row in rows].count("still open") == 3


def test_a_breaking_story_is_named_by_its_headline(tmp_path: Path) -> None:
    path = tmp_path / "squall.duckdb"
    SCENE["fill"](path, NOW)
    with Store.open(path, NOW) as store:
        alerts = AlertStore(store)
        firing = next(one for one in alerts.open_alerts() if one.id == SCENE["ALERT"])
        evidence = replace(firing.evidence[0], title=SCENE["HOSTILE"])
        told = replace(firing, id="alert_00000000000000ee", series="story:17", evidence=(evidence,))
        began = [
            Change(replace(told, state=State.PENDING, fired_at=None), State.QUIET, ChangeReason.OPENED, NOW),
            Change(told, State.PENDING, ChangeReason.FIRED, NOW),
            Change(told, State.FIRING, ChangeReason.ESCALATED, NOW),
        ]
        alerts.commit(began[::-1], [])
    with Reader.open(path) as reader:
        found = reader.query("open_alerts")
        assert found.filter(series="theme:bank-stress")["headline"].to_list() == [None]
        changes = reader.query("alert_changes", alert=told.id)
    assert changes["reason"].to_list() == ["opened", "fired", "escalated"], (
        "at one moment, in the order in which it must"
    )
    whole = f"Breaking story: {SCENE['HOSTILE']}"
    assert texts.literal(texts.shortened(whole, 200)) in said(page("alert_page", path, alert=told.id))
    assert texts.literal(texts.shortened(whole)) in said(page("overview", path))
    listed = page("alert_page", path).dataframe[0].value
    assert [one.replace("\u2060", "") for one in listed["series"]].count(whole) == 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Bank fails", "Bank fails"),
        ("Bank of X fails today", "Bank of X…"),
        ("W" * 30, "W" * 12 + "…"),
        (" a\n b ", "a b"),
    ],
)
def test_a_long_name_is_cut_at_a_word(text: str, shown: str) -> None:
    assert texts.shortened(text, 12) == shown


@pytest.mark.parametrize(
    ("number", "words"), [(0.0, "0"), (0.03, "<0.1"), (0.05, "0.1"), (9.96, "10.0"), (1234.5, "1,234")]
)
def test_what_is_little_is_not_said_to_be_nothing(number: float, words: str) -> None:
    assert texts.amount(number) == words


def test_a_card_says_when_a_surge_that_is_over_was_last_seen(tmp_path: Path) -> None:
    path = tmp_path / "squall.duckdb"
    SCENE["fill"](path, NOW)
    last = "Last seen 10 Mar, 06:00 UTC"
    assert last not in said(page("overview", path)), "it goes on"
    with Store.open(path, NOW) as store:
        alerts = AlertStore(store)
        firing = next(one for one in alerts.open_alerts() if one.id == SCENE["ALERT"])
        alerts.commit([Change(replace(firing, state=State.RECOVERING), State.FIRING, ChangeReason.EASED, NOW)], [])
    assert last in said(page("overview", path))


def test_the_line_of_the_tone_breaks_where_nothing_was_told() -> None:
    over = periods.Period(NOW - DAY, NOW, "hour")
    at = [NOW - hours * HOUR for hours in (20, 18, 12, 5)]
    trend = pl.DataFrame(
        {"at": at, "stories": [1] * 4, "negative": [0] * 4, "tone": [0.5] * 4},
        schema_overrides={"at": pl.Datetime("us", "UTC")},
    )
    drawn = marks.smoothed(marks.timed(trend, over), over)
    assert drawn["at"].is_sorted()
    assert drawn["smooth"].to_list() == [0.5, 0.5, 0.5, None, 0.5], "six hours are bridged, seven are not"
    assert drawn["middle"].is_sorted()
    assert marks.smoothed(marks.timed(trend.head(0), over), over).is_empty()


def test_feeds_of_one_name_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "squall.duckdb"
    with Store.open(path, NOW) as store:
        for name in ("one", "two"):
            check = SCENE["_check"](name, NOW, SCENE["Outcome"].UNCHANGED, "")
            store.append(Batch([replace(check, state=replace(check.state, name="Markets"))]), NOW)
    app = page("feed_health", path, feed="two")
    assert app.selectbox(key="feeds_chosen").options == ["Markets (one)", "Markets (two)"]
    assert app.selectbox(key="feeds_chosen").value == "two"


@pytest.mark.parametrize(
    ("module", "asked"),
    [("alert_page", {"alert": SCENE["ALERT"]}), ("series_page", {"series": "theme:bank-stress"})],
)
def test_a_title_that_was_changed_since_stands_beside_the_first_as_text(
    module: str, asked: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "squall.duckdb"
    SCENE["fill"](path, NOW)
    changed = [
        Revision(headline, NOW - timedelta(minutes=minutes), "wire", title)
        for headline, minutes, title in (
            (1, 20, "Bank 1 <b>calm</b> :smile:"),
            (1, 40, "Bank 1 denies"),
            (77, 9, "Calm"),
        )
    ]
    with Store.open(path, NOW) as store:
        store.append(Batch(revisions=changed), NOW)
    words = said(page(module, path, NOW, **asked))
    titles = [texts.literal(title) for title in ("Bank 1 denies", "Bank 1 <b>calm</b> :smile:")]
    first, second = (words.index(f"UTC titled: {title}") for title in titles)
    assert first < second
    assert words.count("UTC titled: ") == 2, "of the headlines that are listed, and of no others"
    assert words.index("Bank 1 in trouble") >= 0, "what was scored stays"
