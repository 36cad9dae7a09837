"""Series and stories: what is shown of a series, which stories stand behind a point, what is found and taken away."""

from __future__ import annotations

import io
import runpy
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as some
from streamlit.testing.v1 import AppTest

import dashboard.app
from alerts.detection.bands import BAND
from dashboard import charts, choosing, exports, periods, reads, series_page, story_list
from dashboard.zones import UTC_ZONE, Zone, zone_named
from monitor.storage.reading import Reader
from monitor.storage.words import wanted

SCENE = runpy.run_path(str(Path(__file__).with_name("dashboard_scene.py")))
APP = str(Path(dashboard.app.__file__))
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reading") / "squall.duckdb"
    SCENE["fill"](path, datetime.now(UTC))
    return path


def page(module: str, store: Path, **asked: str) -> AppTest:
    """One page as the browser gets it at an address."""
    words = f"from pathlib import Path\nfrom dashboard import frame, {module}\n"
    app = AppTest.from_string(words + f"frame.show(Path({str(store)!r}), {module}.draw)", default_timeout=60)
    for name, value in asked.items():
        app.query_params[name.rstrip("_")] = value
    return app.run()


def said(app: AppTest) -> str:
    kinds = ("markdown", "text", "caption", "success", "info", "warning", "error", "subheader")
    return "\n".join(str(each.value) for kind in kinds for each in app.get(kind) if hasattr(each, "value"))


def told(app: AppTest, parameter: str) -> str:
    """What the address says."""
    value = app.query_params[parameter]
    return value if isinstance(value, str) else value[0]


# One series


def test_the_address_names_series_and_range(scene: Path) -> None:
    app = page("series_page", scene, series="theme:bank-stress", range="24 hours")
    words = said(app)
    assert not app.error
    assert "Bank stress \\(theme\\)" in words
    assert "Bank 1 in trouble" in words
    assert app.selectbox(key="series_chosen").value == "theme:bank-stress"
    assert app.button_group(key="series_range").value in ("24 hours", ["24 hours"])


@pytest.mark.parametrize(("series", "words"), [("sector:Financials", "not watched"), ("company:JPM", "Learning")])
def test_a_series_that_is_only_counted_is_not_said_to_be_learning(scene: Path, series: str, words: str) -> None:
    said_of = said(page("series_page", scene, series=series, range="7 days"))
    assert {one for one in ("not watched", "Learning") if one in said_of} == {words}


def test_another_series_is_written_into_the_address_and_kept(scene: Path) -> None:
    app = page("series_page", scene)
    assert "series" not in app.query_params
    app.selectbox(key="series_chosen").select("theme:bank-stress").run()
    assert told(app, "series") == "theme:bank-stress"
    stories = next(one for one in app.metric if one.label == "Stories")
    assert stories.value == "20"
    app.button_group(key="series_range").set_value(reads.Choice.ALL).run()
    assert app.session_state["series_chosen"] == "theme:bank-stress", "another range keeps the series"
    assert told(app, "range") == "All"


def test_a_link_with_two_times_shows_the_stories_between_them(scene: Path) -> None:
    now = datetime.now(UTC)
    begun, ended = now - 4 * HOUR, now - HOUR
    app = page("series_page", scene, series="market", from_=f"{begun:%Y-%m-%dT%H:%M}", to=f"{ended:%Y-%m-%dT%H:%M}")
    words = said(app)
    assert not app.error
    assert "Bank 3 in trouble" in words
    assert "Bank 9 in trouble" not in words
    assert told(app, "from") == f"{begun:%Y-%m-%dT%H}:00"


@pytest.mark.parametrize(("series", "words"), [("nonsense", "Whole market"), ("company:NONE", "No story between")])
def test_an_address_that_means_nothing_is_no_traceback(scene: Path, series: str, words: str) -> None:
    app = page("series_page", scene, series=series, from_="yesterday", to="x" * 300)
    assert not app.error
    assert words in said(app)


def test_points_and_stretches_of_the_chart_are_times() -> None:
    over = periods.Period(NOW - DAY, NOW, "hour")
    at = int((NOW - 5 * HOUR).timestamp() * 1000)
    assert series_page.selected({"point": [{"at": at}]}, over) == (NOW - 5 * HOUR, NOW - 4 * HOUR)
    # A stretch means every step that it touches.
    span = {"span": {"at": [at + 60_000, at + 3_700_000]}}
    assert series_page.selected(span, over) == (NOW - 5 * HOUR, NOW - 3 * HOUR)
    empty: list[dict[str, object]] = [{}, {"point": [], "span": {}}, {"span": {"at": [at, at]}}]
    for nothing in empty:
        assert series_page.selected(nothing, over) is None


def test_a_chart_draws_every_negative_story_the_band_and_alerts() -> None:
    over = periods.Period(NOW - 3 * HOUR, NOW, "hour")
    at = [NOW - 3 * HOUR, NOW - HOUR]
    instants = {"at": pl.Datetime("us", "UTC")}
    trend = pl.DataFrame(
        {"at": at, "stories": [5, 1], "negative": [2, 1], "tone": [0.1, -0.5]}, schema_overrides=instants
    )
    usual = pl.DataFrame({name: [at[0]] if name == "at" else [1.0] for name in BAND}, schema=BAND)
    none = pl.DataFrame(schema={"series": pl.String})
    drawn = charts.negatives(trend, usual, none, over).to_dict()
    rows = [row for data in drawn["datasets"].values() for row in data]
    assert sum(row["negative"] for row in rows if "edge" in row) == 3
    assert len([row for row in rows if "usual" in row]) == 3, "a column to click for every hour, also without a story"
    assert {one["name"] for one in drawn["params"]} == {charts.SPAN, charts.POINT}
    without = charts.negatives(trend, pl.DataFrame(schema=BAND), none, over).to_dict()
    assert len(without["layer"]) == len(drawn["layer"]) - 2


def test_a_chart_in_another_zone_says_so() -> None:
    over = periods.Period(NOW - DAY, NOW, "hour", Zone("Europe/Berlin"))
    trend = pl.DataFrame(
        {"at": [NOW - HOUR], "stories": [5], "negative": [2], "tone": [0.1]},
        schema_overrides={"at": pl.Datetime("us", "UTC")},
    )
    drawn = charts.tone(trend, pl.DataFrame(schema={"series": pl.String}), over).to_dict()
    axes = [layer["encoding"]["x"] for layer in drawn["layer"] if "x" in layer["encoding"]]
    assert {axis["scale"]["type"] for axis in axes} == {"time"}
    assert {axis["axis"]["title"] for axis in axes} == {"CET"}
    assert [row["when"] for data in drawn["datasets"].values() for row in data if "when" in row] == [
        "Tue 10 Mar 2026, 12:00 CET"
    ]


# Zones and steps


def test_times_name_their_zone() -> None:
    assert UTC_ZONE.full(NOW) == "Tue 10 Mar 2026, 12:00 UTC"
    assert Zone("Europe/Berlin").clock(NOW) == "10 Mar, 13:00 CET"
    assert Zone("Asia/Kathmandu").full(NOW) == "Tue 10 Mar 2026, 17:45 UTC+05:45"
    assert Zone("Europe/Berlin").words(NOW) == "Europe/Berlin (CET, UTC+01:00)"
    assert zone_named("Mars/Olympus") is None
    assert UTC_ZONE.full(None) == "never"


def test_a_day_of_a_zone_may_have_23_hours() -> None:
    berlin = Zone("Europe/Berlin")
    over = periods.Period(berlin.instant(datetime(2026, 3, 28)), berlin.instant(datetime(2026, 3, 31)), "day", berlin)  # noqa: DTZ001 - wall times of the zone
    lengths = [end - at for at, end in zip(over.steps, over.steps[1:], strict=False)]
    assert lengths == [DAY, 23 * HOUR, DAY]


@given(
    some.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"]),
    some.integers(0, 20_000),
    some.integers(1, 20_000),
)
def test_steps_follow_each_other_and_cover_the_range(zone: str, start: int, hours: int) -> None:
    since = datetime(2024, 1, 1, tzinfo=UTC) + start * HOUR
    over = periods.between(since, since + hours * HOUR, Zone(zone))
    assert over.steps[0] == over.since
    assert over.steps[-1] == over.until
    assert over.steps == sorted(set(over.steps))
    assert len(over.steps) <= 900


def test_what_is_counted_by_the_hour_is_asked_for_by_the_hour() -> None:
    begun, ended = choosing.whole_hours(NOW + timedelta(minutes=15), NOW + timedelta(minutes=75))
    assert (begun, ended) == (NOW, NOW + 2 * HOUR)
    assert choosing.whole_hours(NOW, NOW + HOUR) == (NOW, NOW + HOUR)


# Stories


def test_a_search_narrows_the_table_and_stands_in_the_address(scene: Path) -> None:
    app = page("stories_page", scene, q="bank 7")
    assert not app.error
    assert app.dataframe[0].value["title"].to_list() == ["Bank 7 in trouble"]
    app.text_input(key="stories_text").input("nothing like it").run()
    assert any("No headline of this range holds all" in one.value for one in app.info)
    assert told(app, "q") == "nothing like it"
    app.text_input(key="stories_text").input("!!!").run()
    assert any("no word in that" in one.value for one in app.info)


def test_filters_come_from_the_address(scene: Path) -> None:
    app = page("stories_page", scene, tone="positive", publisher="nobody", series="topic:Macro")
    assert not app.error
    assert app.selectbox(key="stories_tone").value == "positive"
    assert app.selectbox(key="stories_publisher").value == "Any", "a publisher that nobody heard of is passed over"
    assert any("No headline fits" in one.value for one in app.info)


def test_the_rows_of_a_company_are_found_by_its_name(scene: Path) -> None:
    now = datetime.now(UTC)
    with Reader.open(scene) as reader:
        found = reads.headlines(reader, "company:JPM", periods.between(now - 40 * DAY, now + DAY), limit=500)
    assert found.height == 64
    assert all("JPM" in one for one in found["companies"])


class Asked:
    """A reader that notes how far back it is asked."""

    def __init__(self, reader: Reader, until: datetime) -> None:
        self._reader, self._until = reader, until
        self.spans: list[timedelta] = []

    @property
    def live(self) -> bool:
        return self._reader.live

    def query(self, name: str, **params: object) -> pl.DataFrame:
        since = params["since"]
        assert isinstance(since, datetime)
        self.spans.append(self._until - since)
        return self._reader.query(name, **params)


@pytest.mark.parametrize("days", [2, 40, 400])
@pytest.mark.parametrize("limit", [1, 5, 40, 5000])
@pytest.mark.parametrize("name", ["market", "theme:bank-stress", "company:JPM"])
def test_what_is_asked_in_parts_is_what_the_whole_range_holds(scene: Path, name: str, limit: int, days: int) -> None:
    until = datetime.now(UTC) + DAY
    over = periods.between(until - days * DAY, until)
    with Reader.open(scene) as reader:
        asked = Asked(reader, until)
        found = reads.headlines(asked, name, over, limit=limit)
        words = wanted(f"${name.removeprefix('company:')}" if name.startswith("company:") else "")
        sift = {"series": name, "negative_only": False, "tone": "", "publisher": "", "limit": limit}
        more = {} if words.empty else words.params()
        whole = reader.query("latest" if words.empty else "search", **sift, **more, since=over.since, until=over.until)
    assert found["id"].to_list() == whole["id"].to_list()
    assert len(asked.spans) <= 3
    assert found.height == limit or asked.spans[-1] == days * DAY, "less than asked for only where there is no more"
    # A second part is asked for only where it promises enough for less than half of the work.
    assert all(span < days * DAY / 2 for span in asked.spans[:-1])


def test_where_nothing_is_found_at_first_all_is_asked_at_once(scene: Path) -> None:
    until = datetime.now(UTC) + DAY
    with Reader.open(scene) as reader:
        asked = Asked(reader, until)
        sift = reads.Sift(text="zebra")
        assert reads.headlines(asked, "market", periods.between(until - 64 * DAY, until), sift).is_empty()
    assert asked.spans == [DAY, 64 * DAY]


def test_stories_are_told_once_with_all_who_carry_them() -> None:
    at = [NOW - 3 * HOUR, NOW - HOUR, NOW - 2 * HOUR]
    found = pl.DataFrame(
        {
            "id": [1, 2, 3],
            "story": [7, 7, 9],
            "effective": at,
            "publisher": ["a", "b", "a"],
            "negative": [0.4, 0.9, 0.5],
        },
        schema_overrides={"effective": pl.Datetime("us", "UTC")},
    )
    told = reads.distinct(found)
    assert told["id"].to_list() == [2, 3], "the worst headline stands for the story, the newest story first"
    assert told["publishers"].to_list() == [["a", "b"], ["a"]]
    assert told["copies"].to_list() == [2, 1]
    assert reads.distinct(found.head(0)).is_empty()


def test_scores_towards_companies_stand_beside_those_of_the_headline() -> None:
    row = {
        "abstention": "none", "sentiment": "neutral", "negative": 0.3, "positive": 0.2, "towards": ["GS", "JPM"],
        "towards_negative": [0.91, 0.04], "towards_positive": [0.02, 0.9],
    }  # fmt: skip
    words = story_list.scores(row, "company:GS")
    assert "**towards Goldman Sachs \\(GS\\): 91% negative, 2% positive**" in words
    assert "towards JPMorgan" in words
    assert "Unsure" in story_list.scores({**row, "abstention": "unsure"}, "market")


# Files


def exported(*titles: str) -> pl.DataFrame:
    row = dict.fromkeys(exports._COLUMNS, "x") | {
        "id": 1, "story": 18446744073709551615, "effective": NOW, "published": None, "fetched": NOW, "negative": 0.5,
        "neutral": 0.3, "positive": 0.2, "companies": ["GS", "=1"], "topics": ["Macro"], "themes": [],
        "towards": ["GS"], "towards_negative": [0.5], "towards_positive": [0.25],
    }  # fmt: skip
    instants = dict.fromkeys(("effective", "published", "fetched"), pl.Datetime("us", "UTC"))
    kinds: dict[str, pl.DataType] = {**instants, "id": pl.UInt64(), "story": pl.UInt64(), "themes": pl.List(pl.String)}
    return pl.DataFrame([{**row, "title": title} for title in titles], schema_overrides=kinds)


def test_a_csv_file_holds_text_times_and_lists() -> None:
    text = exports.csv(exported('A "quoted", title\nin two lines')).decode("utf-8-sig")
    (row,) = pl.read_csv(io.StringIO(text), infer_schema=False).to_dicts()
    assert row["title"] == 'A "quoted", title\nin two lines'
    assert row["effective"] == "2026-03-10T12:00:00Z"
    assert row["story"] == "18446744073709551615"
    assert row["companies"] == "GS; '=1"
    assert row["towards_negative"] == "0.5"


@given(
    some.text(alphabet=some.sampled_from("=+-@\t\r\n '\"|a1\uff1d"), max_size=6), some.sampled_from("=+-@\t\r\uff1d")
)
def test_no_cell_of_a_csv_file_begins_as_a_formula(behind: str, first: str) -> None:
    (title,) = exports.harmless(pl.DataFrame({"title": [f" {first}{behind}"]}), ["title"])["title"]
    assert title == f"' {first}{behind}"
    assert exports.harmless(pl.DataFrame({"title": ["plain - text"]}), ["title"])["title"].item() == "plain - text"


def test_a_parquet_file_keeps_titles_and_types() -> None:
    back = pl.read_parquet(io.BytesIO(exports.parquet(exported("=1+1"))))
    assert back["title"].item() == "=1+1"
    assert back.schema["effective"] == pl.Datetime("us", "UTC")
    assert back["companies"].to_list() == [["GS", "=1"]]


# The frame


def test_every_page_of_the_app_can_be_drawn_from_an_empty_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from monitor.storage.store import Store

    path = tmp_path / "squall.duckdb"
    Store.open(path, NOW).close()
    monkeypatch.setattr(sys, "argv", ["app.py", "--store", str(path)])
    for module in ("overview", "series_page", "stories_page"):
        app = page(module, path)
        assert not app.error, module
        assert "squall run" in said(app), module


def test_every_place_has_its_module_and_an_address_of_its_own() -> None:
    places = dashboard.app.PLACES
    assert len({one.path for one in places}) == len(places)
    assert [one.path for one in places][:4] == ["", "series", "alerts", "stories"]
