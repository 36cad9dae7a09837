"""`squall alerts` as people type it: see, acknowledge, judge, silence, send again; refusals say the way out."""

from __future__ import annotations

import json
import os
import runpy
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from models.score import Score
from monitor.cli import squall
from monitor.news.headlines import Headline, Standing
from monitor.storage.store import Batch, Scored, Store

SCENE = runpy.run_path(str(Path(__file__).with_name("desk_scene.py")))
House, hook, spike = (SCENE[name] for name in ("House", "hook", "spike"))


class Terminal:
    """A folder with settings and a store that holds one alert and one dead letter, and no daemon."""

    def __init__(self, folder: Path) -> None:
        self.now = datetime.now(UTC) - timedelta(hours=2)
        self.config = folder / "squall.toml"
        store = folder / "squall.duckdb"
        self.config.write_text(f'[store]\npath = "{store}"\n')
        with Store.open(store, self.now) as opened, hook() as desk:
            desk.status = 410
            house = House(opened, {"desk": desk})
            house.look(self.now, spike())
            house.send(self.now)
            self.alert = house.alert
            self.letter = house.query("deliveries", state="dead", limit=1)[0]["id"]

    def type(self, *words: str) -> Result:
        return CliRunner().invoke(squall, ["--config", str(self.config), "alerts", *words])

    def told(self, *words: str) -> str:
        result = self.type(*words)
        assert result.exit_code == 0, result.output
        return result.output

    def json(self, *words: str) -> Any:
        return json.loads(self.told(*words, "--json"))


@pytest.fixture(scope="module", autouse=True)
def _mask() -> Iterator[None]:
    """Commands keep what they write private, which is for their own process only."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(scope="module")
def _key() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SQUALL_HOOK", "a secret of sixteen bytes")
        yield


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory, _key: None) -> Terminal:
    return Terminal(tmp_path_factory.mktemp("desk"))


def test_what_people_say_is_shown_and_on_record(terminal: Terminal) -> None:
    alert = terminal.alert
    assert "acknowledged" in terminal.told("ack", alert, "--by", "ann", "--note", "on it")
    assert "noted" in terminal.told("note", alert, "statement", "at", "noon", "--assign", "bo", "--by", "ann")
    judged = terminal.told("judge", alert, "false", "--by", "bo")
    assert "0 judged true, 1 judged false, 0 not judged" in judged
    assert "[judged false] [ack ann]" in terminal.told("list")
    shown = terminal.told("show", alert)
    for words in ("assigned to bo", "acknowledged by ann", "judged false", "ann: note: statement at noon", "410"):
        assert words in shown, words
    steps = terminal.json("show", alert)["steps"]
    assert [step["what"] for step in steps if step["what"] == "remark"] == ["remark"] * 4
    assert "acknowledgement taken back" in terminal.told("ack", alert, "--undo", "--by", "ann")
    assert terminal.json("tally")["judged_false"] == 1
    assert terminal.json("tally", "--days", "1")["standing"] == "too_early"


@pytest.mark.usefixtures("_key")
def test_a_backlog_of_months_is_no_time_in_which_alerts_were_judged(tmp_path: Path) -> None:
    """Feeds and archives bring news of before the store; nothing of it ever alerts."""
    terminal = Terminal(tmp_path)
    at = terminal.now - timedelta(days=200)
    old = Headline(1, "f", "f", "Old", "", "https://x.test/1", "en", at, at, at, Standing.ARCHIVE, (), 1)
    with Store.open(tmp_path / "squall.duckdb", terminal.now) as store:
        store.append(Batch(headlines=[old], scores={1: Scored(Score(0.1, 0.8, 0.1, (), "m"))}), terminal.now)
    told = terminal.json("tally")
    assert (told["standing"], told["unjudged"]) == ("too_early", 1)
    assert told["weeks"] < 0.1


@pytest.mark.parametrize("words", [("alerts", "enable", "elsewhere"), ("rescore",)])
def test_what_writes_into_the_store_leaves_nothing_beside_it_for_others_to_read(
    terminal: Terminal, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store's log lies there while it is written, and stays when somebody kills the command."""
    monkeypatch.setenv("SQUALL_MODEL__ADAPTER", "none")
    os.umask(0o022)
    CliRunner().invoke(squall, ["--config", str(terminal.config), *words])
    assert os.umask(0o022) == 0o077


@pytest.mark.usefixtures("_key")
def test_a_test_message_that_arrives_sets_what_waits_on_its_way(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    with Store.open(tmp_path / "squall.duckdb", terminal.now) as store, hook() as desk:
        house = House(store, {"desk": desk})
        desk.status = 503
        begun = datetime.now(UTC) - timedelta(minutes=20)
        house.look(begun, spike(series="company:JPM"))
        for seconds in (0, 10, 60, 240, 900):
            house.send(begun + timedelta(seconds=seconds))
        (waits,) = house.query("deliveries", state="pending", limit=9)
    with hook() as desk:
        terminal.config.write_text(
            f'[store]\npath = "{tmp_path / "squall.duckdb"}"\n[[channels]]\ntype = "webhook"\nname = "desk"\n'
            f'url = "http://127.0.0.1:{desk.server_port}/"\nsecret = "env:SQUALL_HOOK"\n'
            'allow_private_addresses = ["127.0.0.1"]\n'
        )
        desk.status = 503
        assert terminal.type("test", "desk").exit_code == 1
        desk.status = 204
        assert "1 message that waits for it is tried again when the daemon runs" in terminal.told("test", "desk")
        assert "waits" not in terminal.told("test", "desk"), "it is due already"
    (due,) = [row for row in terminal.json("deliveries") if row["id"] == waits["id"]]
    assert datetime.fromisoformat(due["next_attempt_at"]) < waits["next_attempt_at"]


def test_silences_begin_are_listed_and_end(terminal: Terminal) -> None:
    made = terminal.told("silence", "company:*", "--for", "8h", "--why", "results", "--by", "ann")
    id_ = made.split(":")[0]
    assert "company:*" in terminal.told("silences")
    assert "notices of company:* are sent again" in terminal.told("unsilence", id_)
    assert "nothing is silenced" in terminal.told("silences")
    assert [row["id"] for row in terminal.json("silences", "--all")] == [id_]
    until = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    assert until.replace("T", " ") in terminal.told("silence", "market", "--until", until)


def test_a_dead_letter_is_sent_again_once_its_channel_is_on(terminal: Terminal) -> None:
    assert terminal.letter in terminal.told("deliveries", "--dead")
    refused = terminal.type("redeliver", terminal.letter)
    assert refused.exit_code != 0
    assert "squall alerts enable desk" in str(refused.exception)
    assert "desk is switched on" in terminal.told("enable", "desk")
    assert "1 message of desk is due again; it goes out when the daemon runs" in terminal.told(
        "redeliver", "--channel", "desk"
    )
    assert "no message was given up" in terminal.told("deliveries", "--dead")
    assert "every notice was sent" in terminal.told("deliveries", "--unsent")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("ack", "alert_none"), "there is no alert"),
        (("show", "alert_none"), "there is no alert"),
        (("note", "alert_none"), "write something"),
        (("silence", "market"), "say how long"),
        (("silence", "market", "--for", "soon"), "no length of time"),
        (("silence", "market", "--for", "900w"), "within a year"),
        (("silence", "market", "--until", "noon"), "no time"),
        (("silence", "market", "--until", "2020-01-01"), "after now"),
        (("silence", "market", "--until", "9999-12-31T23:59:00-12:00"), "no time"),
        (("why", "market", "--at", "0001-01-01"), "no news of the year 1"),
        (("unsilence", "silence_none"), "there is no silence"),
        (("redeliver",), "name either one delivery"),
        (("redeliver", "msg_1", "--channel", "desk"), "name either one delivery"),
        (("redeliver", "msg_none"), "there is no delivery"),
        (("redeliver", "--channel", "elsewhere"), "there is no channel 'elsewhere'; channels: desk"),
        (("enable", "elsewhere"), "not switched off"),
    ],
)
def test_refusals_say_the_way_out(terminal: Terminal, words: tuple[str, ...], said: str) -> None:
    result = terminal.type(*words)
    assert result.exit_code != 0
    assert said in f"{result.exception}{result.output}"


@pytest.mark.usefixtures("_key")
def test_what_a_channel_left_behind_is_shown_and_not_sent_to_nobody(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    with Store.open(tmp_path / "squall.duckdb", terminal.now) as store, hook() as desk:
        without, both = House(store, {"desk": desk}), House(store, {"desk": desk, "risk-desk": desk})
        both.look(terminal.now, spike(series="company:JPM"))
        without.oversee(terminal.now)
        House(store, {"desk": desk})
    assert "channel_removed" in terminal.told("deliveries", "--dead")
    assert "risk-desk was taken out of the settings" in terminal.told("deliveries", "--unsent")
    refused = terminal.type("redeliver", "--channel", "risk-desk")
    assert refused.exit_code != 0
    assert "channel risk-desk is not in the settings any more" in str(refused.exception)
    looked = CliRunner().invoke(squall, ["--config", str(terminal.config), "status"])
    assert "! channel risk-desk was taken out of the settings: 1 message" in looked.output
