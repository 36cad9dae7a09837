"""Pages that act, without a browser: alerts, feeds, deliveries, model, settings; who may act, and who only looks."""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as some
from streamlit.testing.v1 import AppTest

import dashboard.app
from alerts.rules import Rules
from dashboard import (
    alert_detail,
    alert_page,
    delivery_page,
    headline_box,
    rule_trial,
    rule_tuning,
    settings_page,
    texts,
)
from dashboard.roles import Role, Visitor, visitor
from monitor.desk.actions import actions_of
from monitor.desk.permission import LOOKING, guarded, objection
from monitor.errors import InputUnusable, ServiceError
from monitor.feeds.added import changes_file, read_changes
from monitor.service.page_actions import for_pages
from monitor.settings import Settings
from monitor.storage.reading import Reader
from monitor.storage.readservice import ReadService
from monitor.storage.store import Store

SCENE = runpy.run_path(str(Path(__file__).with_name("dashboard_scene.py")))
ALERT = SCENE["ALERT"]
PATIENCE = 180  # seconds: a busy machine draws slowly


def settings_at(path: Path, **more: Any) -> Settings:
    """Settings of the scene, with a channel whose address holds a token."""
    feeds = [
        {"id": name, "url": f"https://{name}.example/rss", "name": name.replace("-", " ").title(), "publisher": name}
        for name in ("calm-wire", "sick-post")
    ]
    hook = {
        "type": "webhook",
        "name": "hook",
        "url": "http://127.0.0.1:9/hook?token=hidden-token",
        "secret": "env:SQUALL_TEST_HOOK",
        "allow_private_addresses": ["127.0.0.1"],
    }
    told = {"store": {"path": str(path)}, "watch": {"default_feeds": False}, "feeds": feeds, "channels": [hook], **more}
    return Settings.model_validate(told)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Store]]:
    """The scene with a read service that takes requests, as a daemon's does; call it with tables of settings."""
    monkeypatch.setenv("SQUALL_TEST_HOOK", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    path = tmp_path / "squall.duckdb"
    held: list[ReadService | Store] = []
    SCENE["fill"](path, datetime.now(UTC))

    def begin(**more: Any) -> Store:
        store = Store.open(path, datetime.now(UTC))
        acts = for_pages(settings_at(path, **more), store, clock, actions_of(store, clock))
        held.extend([ReadService(store, acts), store])
        return store

    yield begin
    for one in held:
        (one.stop if isinstance(one, ReadService) else one.close)()


def clock() -> datetime:
    return datetime.now(UTC)


def _page(store: str, module: str) -> None:
    import importlib
    from pathlib import Path

    from dashboard import frame

    frame.show(Path(store), importlib.import_module(f"dashboard.{module}").draw)


def opened(store: Path | Store, module: str, address: str = "", **asked: str) -> AppTest:
    """One page of the app, drawn for whoever sits at the machine, or for a visitor who signed in."""
    path = store.database.path if isinstance(store, Store) else store
    page = AppTest.from_function(_page, kwargs={"store": str(path), "module": module}, default_timeout=PATIENCE)
    page.user = {"is_logged_in": True, "email": address} if address else {}
    for name, value in asked.items():
        page.query_params[name] = value
    return page.run()


def said(page: AppTest) -> str:
    """Every word on the page outside tables."""
    kinds = ("markdown", "text", "caption", "success", "info", "warning", "error", "subheader", "metric", "code")
    words = [
        f"{getattr(each, 'label', '')} {each.value}"
        for kind in kinds
        for each in page.get(kind)
        if hasattr(each, "value")
    ]
    return "\n".join(words)


def buttons(page: AppTest) -> set[str]:
    return {one.label for one in page.button}


# Who may act


@pytest.mark.parametrize(
    ("user", "host", "role"),
    [
        ({}, "127.0.0.1", Role.ACTS),
        ({}, "localhost", Role.ACTS),
        ({}, "0.0.0.0", Role.LOOKS),  # noqa: S104 - the case of a page that is exposed
        ({}, "10.1.2.3", Role.LOOKS),
        ({"is_logged_in": False}, "127.0.0.1", Role.OUTSIDE),
        ({"is_logged_in": "yes"}, "127.0.0.1", Role.OUTSIDE),
        ({"is_logged_in": True}, "127.0.0.1", Role.LOOKS),
        ({"is_logged_in": True, "email": "ana"}, "127.0.0.1", Role.LOOKS),
        ({"is_logged_in": True, "email": "Ana@Desk.example", "email_verified": False}, "10.1.2.3", Role.LOOKS),
        ({"is_logged_in": True, "email": "Ana@Desk.example"}, "0.0.0.0", Role.ACTS),  # noqa: S104 - with a login
    ],
)
def test_the_role_of_a_visitor(user: dict[str, object], host: str, role: Role) -> None:
    found = visitor(user, host)
    assert found.role is role
    assert bool(found.reason) == (role is Role.LOOKS), "who may only look is told why"
    assert found.address == ("ana@desk.example" if role is Role.ACTS and user else "")


def test_somebody_who_may_only_look_must_be_told_why() -> None:
    with pytest.raises(ValueError, match="know why"):
        Visitor(Role.LOOKS)


@pytest.mark.parametrize(
    ("who", "may_act", "exposed", "acts"),
    [
        ("", (), False, True),
        ("", (), True, False),
        ("", ("ana@desk.example",), False, False),
        ("ana@desk.example", ("ana@desk.example",), True, True),
        ("Ana@Desk.Example", ("*@desk.example",), True, True),
        ("ana@desk.example", (" *@Desk.Example",), True, True),
        ("eve@evil.example", ("*@desk.example",), False, False),
        ("eve@desk.example.evil.example", ("*@desk.example",), False, False),
        ("ana@desk.example", (), False, False),
    ],
)
def test_whom_the_daemon_lets_act(who: str, may_act: tuple[str, ...], exposed: bool, acts: bool) -> None:
    words = objection(who, may_act, exposed=exposed)
    assert (words == "") is acts


@given(some.text(max_size=40), some.booleans())
def test_nobody_acts_by_a_name_that_is_not_listed(who: str, exposed: bool) -> None:
    asked: list[str] = []
    acts = guarded(
        {"remark": lambda body: asked.append("remark"), "settings": lambda body: asked.append("settings")},
        ("ana@desk.example",),
        exposed=exposed,
    )
    acts["settings"]({"visitor": who})
    if who.strip().lower() != "ana@desk.example":
        with pytest.raises(InputUnusable):
            acts["remark"]({"visitor": who})
        assert asked == ["settings"]


def test_the_owner_of_the_store_needs_no_name() -> None:
    heard: list[dict[str, object]] = []
    acts = guarded({"remark": heard.append}, ("ana@desk.example",), exposed=True)
    acts["remark"]({"alert": "a"})
    acts["remark"]({"alert": "b", "visitor": "ana@desk.example"})
    assert heard == [{"alert": "a"}, {"alert": "b"}], "what is done hears nothing of who asked"
    assert "remark" not in LOOKING


def test_with_a_login_nobody_sees_anything_before_they_sign_in(
    house: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["app.py", "--store", house().database.path])
    app = AppTest.from_file(str(Path(dashboard.app.__file__)), default_timeout=PATIENCE)
    app.user = {"is_logged_in": False}
    app.run()
    assert not app.exception
    assert buttons(app) == {"Sign in"}
    assert "Monitor" not in said(app)


# Alerts


def test_an_alert_is_taken_on_judged_and_noted_through_the_daemon(house: Callable[..., Store]) -> None:
    store = house()
    page = opened(store, "alert_page", alert=ALERT)
    assert not page.exception
    assert {"Acknowledge", "True alert", "False alert", "Send again"} <= buttons(page)
    page.button(key="alert_take_on").click().run()
    assert "It is yours" in said(page)
    assert "Give it back" in buttons(page), "what was done shows at once"
    page.button(key="alert_false").click().run()
    assert "judged **false**" in said(page)
    page.text_area(key="alert_note").input("a <b>test</b>")
    next(one for one in page.button if one.label == "Write it down").click().run()
    words = said(page)
    assert texts.literal("a <b>test</b>") in words
    assert "took it on" in words
    assert "judged it a false alert" in words
    told = Reader.open(store.database.path).query("alert_remarks", alert=ALERT)
    assert told["what"].to_list() == ["acknowledged", "false", "note"]


def test_a_series_is_silenced_and_the_silence_ended(house: Callable[..., Store]) -> None:
    store = house()
    page = opened(store, "alert_page", alert=ALERT)
    page.text_input(key="alert_silence_why").input("we know")
    next(one for one in page.button if one.label == "Silence").click().run()
    assert "Silenced" in said(page)
    listed = opened(store, "alert_page")
    assert "**theme\\:bank\\-stress** until" in said(listed)
    assert "we know" in said(listed)
    next(one for one in listed.button if one.label == "End it").click().run()
    assert "are sent again" in said(listed)
    assert "Silences" not in said(listed)


def test_what_was_given_up_is_sent_again_and_refusals_are_said(house: Callable[..., Store]) -> None:
    page = opened(house(), "alert_page", alert=ALERT)
    page.button(key="again_msg_chat").click().run()
    assert any("switched off" in one.value for one in page.error), "the receiver wants nothing more"


def test_who_may_only_look_gets_no_buttons_and_the_daemon_refuses_too(house: Callable[..., Store]) -> None:
    store = house(dashboard={"may_act": ["ana@desk.example"]})
    for module, asked in (("alert_page", {"alert": ALERT}), ("delivery_page", {}), ("feed_health", {})):
        page = opened(store, module, address="eve@desk.example", **asked)
        assert not page.exception
        assert "You may only look" in said(page), module
        # What a score was made of is looked at, not acted upon.
        assert buttons(page) <= {"All alerts", "Which words?", "No newer story"}, module
    with Reader.open(store.database.path) as reader:
        body = {"alert": ALERT, "what": "note", "who": "eve", "words": "x"}
        with pytest.raises(ServiceError, match="may only look"):
            reader.act("remark", visitor="eve@desk.example", **body)
        assert reader.query("alert_remarks", alert=ALERT).is_empty()
        reader.act("remark", visitor="ana@desk.example", **body)
        assert reader.query("alert_remarks", alert=ALERT).height == 1
    allowed = opened(store, "alert_page", address="ana@desk.example", alert=ALERT)
    assert "Acknowledge" in buttons(allowed)


def test_without_a_daemon_nothing_can_be_done(tmp_path: Path) -> None:
    path = tmp_path / "squall.duckdb"
    SCENE["fill"](path, datetime.now(UTC))
    for module in ("alert_page", "delivery_page", "feed_health", "model_page", "settings_page"):
        page = opened(path, module, **({"alert": ALERT} if module == "alert_page" else {}))
        assert not page.exception, module
        assert not page.error, module
        assert buttons(page) <= {"All alerts", "Try them"}, module
    assert "The monitor is not running" in said(page)


def test_filters_of_the_list() -> None:
    columns = ("severity", "state", "series", "fired_at", "judged")
    now = datetime(2026, 3, 10, tzinfo=UTC)
    rows = [
        ("critical", "firing", "theme:bank-stress", now, None),
        ("warning", "resolved", "company:GS", now, "false"),
        ("info", "resolved", "topic:Macro", None, None),
    ]
    every = pl.DataFrame(rows, schema=columns, orient="row")
    assert alert_page.filtered(every, [], [], [], []).height == 3
    assert alert_page.filtered(every, ["Critical"], [], [], [])["series"].to_list() == ["theme:bank-stress"]
    assert alert_page.filtered(every, [], ["Faded"], [], [])["series"].to_list() == ["topic:Macro"]
    assert alert_page.filtered(every, [], [], ["Company"], [])["judged"].to_list() == ["false"]
    assert alert_page.filtered(every, [], [], [], ["Not judged"]).height == 2
    assert alert_page.filtered(every, ["Info"], ["Firing"], [], []).is_empty()


def test_the_timeline_is_in_order_and_says_why_something_was_not_sent() -> None:
    now = datetime(2026, 3, 10, tzinfo=UTC)
    changes = pl.DataFrame(
        {
            "at": [now],
            "reason": ["fired"],
            "state_after": ["firing"],
            "severity": ["critical"],
            "observed": [9],
            "expected": [1.5],
        }
    )
    remarks = pl.DataFrame(
        {"at": [now + timedelta(hours=2)], "who": ["<i>eve</i>"], "what": ["assigned"], "words": ["bob"]}
    )
    decisions = pl.DataFrame(
        {"at": [now + timedelta(hours=1)], "channel": ["mail"], "choice": ["silenced"], "words": ["by ana"]}
    )
    steps = alert_detail.timeline(changes, remarks, decisions)
    assert [at for at, _, _ in steps] == sorted(at for at, _, _ in steps)
    assert "Not sent to **mail**: silenced" in steps[1][1]
    assert texts.literal("<i>eve</i>") in steps[2][1]


# Deliveries


def test_channels_are_shown_with_their_health_and_a_test_says_what_came_of_it(house: Callable[..., Store]) -> None:
    page = opened(house(), "delivery_page")
    words = said(page)
    assert not page.error
    assert "Switched off" in words or "Fails" in words
    assert "**hook** · webhook" in words
    page.button(key="test_hook").click().run(timeout=PATIENCE)
    assert "The test message did not arrive on hook" in texts_of(page)
    assert "hidden-token" not in said(page)


def texts_of(page: AppTest) -> str:
    return said(page).replace("\\", "")


def test_a_message_shows_every_attempt(house: Callable[..., Store]) -> None:
    store = house()
    page = opened(store, "delivery_page", delivery="msg_chat")
    assert "Fired on chat" in said(page)
    assert texts.literal("410: closed for good") in said(page)
    assert "No such message" in said(opened(store, "delivery_page", delivery="<b>"))


@pytest.mark.parametrize(
    ("counts", "trouble", "word"),
    [
        ({}, {}, "Never used"),
        ({"last_outcome": "delivered"}, {}, "Works"),
        ({"last_outcome": "unreachable"}, {}, "Fails"),
        ({"last_outcome": "delivered"}, {"state": "disabled"}, "Switched off"),
        ({"last_outcome": "unreachable"}, {"state": "well"}, "Fails"),
    ],
)
def test_the_health_of_a_channel(counts: dict[str, str], trouble: dict[str, str], word: str) -> None:
    assert delivery_page.health(counts, trouble).word == word


# Feeds


def test_feeds_are_listed_worst_first_and_can_be_muted(house: Callable[..., Store]) -> None:
    store = house()
    page = opened(store, "feed_health", feed="calm-wire")
    assert not page.error
    table = page.dataframe[0].value
    assert table["Feed"].to_list() == ["Sick Post", "Calm Wire"]
    assert "404: correct the url of sick-post" in table["Reason"][0]
    page.button(key="feed_mute_calm-wire").click().run()
    assert "Calm Wire is muted" in said(page)
    assert read_changes(changes_file(store.database.path)).muted == {"calm-wire"}
    assert list(page.dataframe[0].value["State"][1]) == ["Muted"]
    page.button(key="feed_hear_calm-wire").click().run()
    assert read_changes(changes_file(store.database.path)).muted == set()


def test_a_feed_is_checked_soon_but_not_against_its_servers_wish(house: Callable[..., Store]) -> None:
    store = house()
    before = store.feed_states()["calm-wire"].next_check_at
    page = opened(store, "feed_health", feed="calm-wire")
    page.button(key="feed_check_calm-wire").click().run()
    after = store.feed_states()["calm-wire"].next_check_at
    assert "It is checked within" in said(page)
    assert before is not None
    assert after is not None
    assert after < before


def test_an_address_that_is_no_feed_is_refused_in_words(house: Callable[..., Store]) -> None:
    store = house()
    page = opened(store, "feed_health")
    page.text_input(key="feeds_add_url").input("ftp://example.com/x")
    next(one for one in page.button if one.label == "Look and add").click().run(timeout=PATIENCE)
    assert any("web address" in one.value.replace("\\", "") for one in page.error)
    assert read_changes(changes_file(store.database.path)).added == ()


# Model


def test_the_model_page_shows_card_figures_and_drift(house: Callable[..., Store]) -> None:
    page = opened(house(), "model_page")
    assert not page.error
    words = texts_of(page)
    assert "scores, upon" in words
    assert "Which model scored what" in words
    held_out = next(one.value for one in page.dataframe if "Macro-F1" in one.value.columns)
    assert len(held_out) > 3


def test_words_are_coloured_and_stay_text() -> None:
    words = [
        {"word": "![x](http://a)", "weight": 0.9},
        {"word": "falls", "weight": -0.5},
        {"word": "and", "weight": 0.0},
    ]
    shown = headline_box.coloured(words, "negative")
    assert shown.startswith(":red-background[**\\!\\[x\\]")
    assert "~~falls~~" in shown
    assert shown.endswith(" and")


@given(some.text(max_size=60))
def test_no_word_leaves_its_colour(word: str) -> None:
    shown = headline_box.coloured([{"word": word, "weight": 1.0}], "negative")
    inner = shown.removeprefix(":red-background[**").removesuffix("**]")
    assert inner == texts.literal(word)


def test_no_page_brings_a_model_into_the_dashboard() -> None:
    pages = ", ".join(f"dashboard.{place.module}" for place in dashboard.app.PLACES)
    told = f"import sys, {pages}; print(sorted({{'torch', 'transformers', 'openvino', 'captum'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"


# Settings


def test_settings_are_shown_without_secrets(house: Callable[..., Store]) -> None:
    page = opened(house(), "settings_page")
    assert not page.error
    shown = "\n".join(str(one.value) for one in page.dataframe) + said(page)
    assert "env:SQUALL_TEST_HOOK" in shown
    assert "http://127.0.0.1:9/hook" in shown
    assert "hidden-token" not in shown
    assert "MfKQ9r8" not in shown


def test_settings_are_flat_and_inert() -> None:
    table = {"a": {"b": None, "c": [1, 2], "d": True}, "e": [{"name": "=x", "url": "=1+1"}]}
    rows = dict(settings_page.flat(table))
    assert rows == {"a.b": "–", "a.c": "1, 2", "a.d": "yes", "e[=x].name": "\u2060=x", "e[=x].url": "\u2060=1+1"}


def test_tried_rules_are_checked_as_settings_are() -> None:
    rules = Rules()
    other = rule_tuning.changed(rules, {"minimum_negative": 9, "false_alerts_per_week": 2.0})
    assert rule_tuning.settings_lines(rules, other) == "[rules]\nfalse_alerts_per_week = 2.0\nminimum_negative = 9"
    assert rule_tuning.settings_lines(rules, rules) == ""
    with pytest.raises(ValueError, match="critical_score"):
        rule_tuning.changed(rules, {"critical_score": 1.0})


def test_todays_rules_are_tried_as_soon_as_the_page_is_open(house: Callable[..., Store]) -> None:
    page = opened(house(), "settings_page")
    trial = page.session_state["rules_trial"]
    assert [*trial.rules] == [rule_tuning.NOW]
    assert trial.wait(PATIENCE), "a trial ends by itself"
    page.run()
    assert trial.fault == ""
    found = len(trial.found[rule_tuning.NOW].alerts)
    assert found > 1, "the scene has surges"
    assert f"**{rule_tuning.NOW}**: {found} alerts" in said(page)
    assert rule_tuning.TRIED not in said(page)
    assert page.session_state["rules_trial"] is trial, "a page that is drawn again begins no other"


def test_a_second_trial_waits_for_its_turn(house: Callable[..., Store]) -> None:
    store, rules, until = house(), Rules(), datetime.now(UTC)
    reader = Reader(Path(store.database.path))
    assert rule_trial._FREE.acquire(timeout=PATIENCE)
    try:
        waiting = rule_trial.begin(reader, {}, {rule_tuning.NOW: rules}, until, 1)
        impatient = rule_trial.begin(reader, {}, {rule_tuning.NOW: rules}, until, 1)
        impatient.stop()
        assert impatient.wait(PATIENCE)
        assert not impatient.found
        assert waiting.running
    finally:
        rule_trial._FREE.release()
    assert waiting.wait(PATIENCE)
    assert (waiting.fault, [*waiting.found]) == ("", [rule_tuning.NOW])


def test_a_trial_of_rules_says_what_they_would_have_given(house: Callable[..., Store]) -> None:
    page = opened(house(), "settings_page")
    page.number_input(key="rules_minimum_negative").set_value(900)
    next(one for one in page.button if one.label == "Try them").click().run()
    trial = page.session_state["rules_trial"]
    assert trial.wait(PATIENCE), "a trial ends by itself"
    page.run()
    words = said(page)
    assert trial.fault == ""
    assert f"**{rule_tuning.TRIED}**: 0 alerts" in words
    assert "minimum_negative = 900" in words
