"""What is watched follows the settings: what leaves them falls silent, and what comes back learns what it missed."""

from __future__ import annotations

import json
import runpy
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from alerts.texts.messages import read_message
from alerts.texts.prose import plain_text, subject
from monitor.service.pipeline import Pipeline
from monitor.settings import Settings
from monitor.storage.queries import QUERIES
from monitor.storage.readservice import answer
from monitor.storage.setting_back import set_back
from monitor.storage.store import Store
from monitor.storage.taking_in import watch_since

SCENE = runpy.run_path(str(Path(__file__).with_name("desk_scene.py")))
BANKS, HOUR, MINUTE, START = (SCENE[name] for name in ("BANKS", "HOUR", "MINUTE", "START"))
House, hook, spike = (SCENE[name] for name in ("House", "hook", "spike"))
ROWS = runpy.run_path(str(Path(__file__).with_name("store_scene.py")))
append, headline, scored = (ROWS[name] for name in ("append", "headline", "scored"))
DAY = 24 * HOUR


def settings(companies: Sequence[str] = (), *, themes: bool = True) -> Settings:
    return Settings.model_validate({"watch": {"companies": companies, "default_themes": themes}})


def since(store: Store, now: datetime, told: Settings | None = None) -> dict[str, datetime]:
    """Since when everything is watched, after a start with these settings."""
    watched = Pipeline.begin(told or settings(), store, now).alerts.watched()
    return dict(watched.iter_rows())


def ask(store: Store, name: str, **params: object) -> pl.DataFrame:
    return pl.DataFrame(answer(store.database, QUERIES[name], params))


def test_companies_that_the_settings_name_no_more_are_no_longer_watched(store: Store) -> None:
    assert {"company:JPM", "company:BAC", "market"} <= since(store, START).keys()
    companies = {name for name in since(store, START + DAY, settings(["JPM"])) if name.startswith("company:")}
    assert companies == {"company:JPM"}


def test_a_company_that_was_only_silent_knows_what_is_usual(store: Store) -> None:
    since(store, START, settings(["JPM"]))
    assert since(store, START + 40 * DAY, settings(["BAC"]))["company:BAC"] == START
    assert since(store, START + 60 * DAY)["company:JPM"] == START


@pytest.mark.parametrize(("away", "learns"), [(HOUR, False), (DAY, False), (DAY + HOUR, True), (30 * DAY, True)])
def test_a_theme_that_comes_back_after_more_than_a_day_learns_anew(store: Store, away: timedelta, learns: bool) -> None:
    since(store, START)
    assert BANKS not in since(store, START + DAY, settings(themes=False))
    back = START + DAY + away
    assert since(store, back)[BANKS] == (back if learns else START)


def test_a_theme_that_is_away_through_several_starts_left_at_the_first(store: Store) -> None:
    since(store, START)
    for hours in (1, 20, 40):
        since(store, START + hours * HOUR, settings(themes=False))
    assert since(store, START + 41 * HOUR)[BANKS] == START + 41 * HOUR


def test_an_archive_says_nothing_of_what_was_not_watched_when_it_was_taken_in(store: Store) -> None:
    since(store, START)
    since(store, START + DAY, settings(themes=False))
    watch_since(store.database, ["market"], START - 300 * DAY, START + DAY + HOUR)
    back = since(store, START + DAY + 2 * HOUR)
    assert (back["market"], back[BANKS]) == (START - 300 * DAY, START)


def test_a_clock_that_ran_ahead_puts_off_neither_learning_nor_leaving(store: Store) -> None:
    since(store, START)
    since(store, START + 365 * DAY, settings(themes=False))
    store.watch(["theme:new"], START + 365 * DAY)
    set_back(store, START + DAY)
    now = START + 3 * DAY
    watched = since(store, now)
    assert watched[BANKS] == now, "it left, by the clock that is right, two days ago"
    assert max(watched.values()) <= now


def test_pages_tell_of_what_is_watched_alone(store: Store) -> None:
    since(store, START)
    every = ask(store, "status")["series"][0]
    since(store, START + DAY, settings(["JPM"], themes=False))
    fewer = ask(store, "status")["series"][0]
    assert fewer < every - 900
    assert ask(store, "watched_since", series=BANKS).height == 0
    assert ask(store, "watched_since", series="company:BAC").height == 0
    assert ask(store, "watched_since", series="company:JPM").height == 1
    assert ask(store, "watched").height == fewer


def test_what_is_not_watched_stirs_nothing_and_has_no_share_of_the_false_alerts(store: Store) -> None:
    begun, now = START - DAY, START + 30 * DAY
    since(store, begun)
    tickers = sorted(name.removeprefix("company:") for name in since(store, begun) if name.startswith("company:"))
    some = [tickers[40 * n] for n in range(20)]
    hours = [(n, START + n * HOUR, some[n % 20], 0.75 if n % 40 < 20 else 0.1) for n in range(29 * 24)]
    surge = [(10_000 + n, now - n * MINUTE, some[n % 2], 0.75) for n in range(12)]
    append(
        store,
        *((headline(id_, at, companies=(ticker,)), scored(bad)) for id_, at, ticker, bad in (*hours, *surge)),
        now=now,
    )
    wide = {one.series: one for one in Pipeline.begin(settings(), store, now).spikes(now)}
    narrow = {one.series: one for one in Pipeline.begin(settings(some[:1]), store, now).spikes(now)}
    mine, other = (f"company:{ticker}" for ticker in some[:2])
    assert {mine, other} <= wide.keys()
    assert other not in narrow
    # One of a thousand companies before, and the only one now: the other nineteen with a past take no part.
    assert narrow[mine].allowed > 100 * wide[mine].allowed


def test_the_alert_of_a_series_that_left_ends_and_says_why(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk}, watch={"default_themes": False})
        house.look(START, spike(), spike(series="company:JPM"))
        for minutes in (1, 90):
            house.look(START + minutes * MINUTE)
        house.send(START + 2 * HOUR)
    told = (read_message(json.dumps(sent)) for _, sent in desk.taken)
    over = {one.data.series: one for one in told if one.resolves and one.data is not None}
    assert "no longer watched" in subject(over[BANKS])
    assert "taken out of the settings" in plain_text(over[BANKS])
    assert "quiet since" not in plain_text(over[BANKS])
    assert "over after" in subject(over["company:JPM"])
    assert "unwatched" not in over["company:JPM"].model_dump_json()
