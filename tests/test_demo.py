"""The demo's verdict, and the demo itself: the real path from the invented newsroom to both receivers."""

from __future__ import annotations

import asyncio
import json
import runpy
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from alerts.evidence import Evidence
from alerts.lifecycle import Change, ChangeReason, State
from alerts.sending.delivery import delivery_id
from alerts.sending.secrets import Secret
from alerts.sending.webhook import WebhookSettings
from models.adapters import SHIPPED
from monitor.demo.newsroom import Newsroom
from monitor.demo.play import STORE, demo_settings, play
from monitor.demo.receivers import Hook, Letter, Mailbox, Post, Verification
from monitor.demo.storyline import PUBLISHERS, storyline
from monitor.demo.verdict import BANK_SERIES, MAIL, WEBHOOK, Played, Shortcoming, judge
from monitor.errors import InputUnusable
from monitor.settings import ModelSettings

SCENE = runpy.run_path(str(Path(__file__).with_name("desk_scene.py")))
ENDS = datetime(2026, 3, 19, 17, tzinfo=UTC)
BREAKS = ENDS - timedelta(hours=30)
FIRED_AT = BREAKS + timedelta(hours=4)


def change(series: str = BANK_SERIES, at: datetime = FIRED_AT, reason: ChangeReason = ChangeReason.FIRED) -> Change:
    evidence = Evidence(
        1, "Halvern Bank shares plunge", ("quillon-wire",), "https://www.quillon-wire.example/1", at, 0.9
    )
    alert = SCENE["alert"](at, id=f"alert_{series}", series=series, hours=3, observed=5, evidence=(evidence,))
    return Change(alert, State.PENDING, reason, at)


def post(of: Change, verification: Verification = Verification.VERIFIED) -> Post:
    return Post(delivery_id(of.alert.id, of.reason.value, of.at, WEBHOOK), verification, {})


def letter(of: Change) -> Letter:
    id_ = delivery_id(of.alert.id, of.reason.value, of.at, MAIL)
    return Letter("squall@demo.example", ("desk@demo.example",), f"<{id_}@demo.example>", "Bank stress", "", "", ())


def played(*changes: Change) -> Played:
    told = [one for one in changes if one.notifies]
    return Played(
        seed=1,
        starts=ENDS - timedelta(days=21),
        breaks=BREAKS,
        ends=ENDS,
        published=1300,
        headlines=1300,
        scored=1300,
        stories=1000,
        checks=3024,
        failed_checks=0,
        changes=changes,
        posts=tuple(post(one) for one in told),
        letters=tuple(letter(one) for one in told),
        seconds=100.0,
    )


GOOD = played(change(reason=ChangeReason.OPENED), change())
CALM = change("market", at=BREAKS - timedelta(days=3))


def test_a_run_as_it_should_be_is_ok() -> None:
    result = judge(GOOD)
    assert result.ok
    assert result.reasons == ()
    assert [one.alert.series for one in result.fired] == [BANK_SERIES]
    assert result.calm_alerts == 0


@pytest.mark.parametrize(
    ("what", "seen"),
    [
        (Shortcoming.HEADLINES_LOST, replace(GOOD, headlines=1299, scored=1299)),
        (Shortcoming.UNSCORED, replace(GOOD, scored=1290)),
        (Shortcoming.FEED_FAILED, replace(GOOD, failed_checks=1)),
        (Shortcoming.CALM_ALERT, played(change(), CALM)),
        (Shortcoming.NO_BANK_ALERT, played()),
        (Shortcoming.NO_BANK_ALERT, played(change("market"))),
        (Shortcoming.NO_BANK_ALERT, played(change(reason=ChangeReason.OPENED))),
        (Shortcoming.UNVERIFIED, replace(GOOD, posts=(post(change(), Verification.WRONG_SIGNATURE),))),
        (Shortcoming.NOT_DELIVERED, replace(GOOD, posts=())),
        (Shortcoming.NOT_DELIVERED, replace(GOOD, letters=())),
        (Shortcoming.REPEATED, replace(GOOD, posts=(post(change()), post(change())))),
        (Shortcoming.REPEATED, replace(GOOD, letters=(letter(change()), letter(change())))),
        (Shortcoming.UNEXPECTED, replace(GOOD, posts=(post(change()), post(CALM)))),
        (Shortcoming.UNEXPECTED, replace(GOOD, letters=(letter(change()), letter(CALM)))),
    ],
)
def test_every_shortcoming_is_named(what: Shortcoming, seen: Played) -> None:
    result = judge(seen)
    assert not result.ok
    assert what in {finding.what for finding in result.findings}
    assert all(result.reasons)


def test_the_result_is_plain_json() -> None:
    said = json.loads(json.dumps(judge(GOOD).as_dict()))
    assert said["ok"] is True
    assert said["webhook"] == {"received": 1, "verified": 1, "ids": [post(change()).id]}
    assert said["mail"]["subjects"] == ["Bank stress"]
    assert said["alerts"][0]["evidence"][0]["publishers"] == ["quillon-wire"]


def test_the_settings_reach_nothing_but_loopback(tmp_path: Path) -> None:
    story = storyline(1, ENDS)
    (tmp_path / "webhook.secret").write_text("whsec_c2VjcmV0c2VjcmV0c2VjcmV0")
    with Newsroom(story) as newsroom, Hook("whsec_c2VjcmV0c2VjcmV0c2VjcmV0", ENDS) as hook, Mailbox() as mailbox:
        settings = demo_settings(tmp_path, newsroom, hook, mailbox, ModelSettings())
    assert not settings.watch.default_feeds
    assert [feed.publisher for feed in settings.feeds] == [publisher.id for publisher in PUBLISHERS]
    assert all(feed.url.startswith("http://127.0.0.1:") for feed in settings.feeds)
    webhook = next(channel for channel in settings.channels if isinstance(channel, WebhookSettings))
    assert webhook.url.startswith("http://127.0.0.1:")
    assert webhook.secret == Secret(f"file:{tmp_path / 'webhook.secret'}")
    assert "whsec_" not in settings.model_dump_json()


async def _played_in(folder: Path) -> None:
    await play(folder, seed=1, ends=ENDS, progress=lambda tick: None)


def test_the_store_of_an_earlier_demo_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / STORE).write_bytes(b"kept")
    with pytest.raises(InputUnusable, match="earlier demo"):
        asyncio.run(_played_in(tmp_path))
    assert (tmp_path / STORE).read_bytes() == b"kept"
    with pytest.raises(InputUnusable, match="no folder"):
        asyncio.run(_played_in(tmp_path / "nowhere"))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_whole_demo(tmp_path: Path) -> None:
    """The command a user types: silent calm, one alert on the bank run, told once on each channel."""
    if not (SHIPPED / "squall.json").is_file():
        pytest.skip(f"there is no adapter in {SHIPPED}; train one with `squall train`")
    command = [sys.executable, "-m", "monitor", "demo", "--headless", "--json", "--keep", str(tmp_path / "kept")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])
    assert done.stdout, done.stderr
    said = json.loads(done.stdout)
    assert (done.returncode, said["ok"], said["reasons"]) == (0, True, [])
    assert said["calm_alerts"] == 0
    bank = [alert for alert in said["alerts"] if alert["series"] == BANK_SERIES]
    assert len(bank) == 1
    assert len(bank[0]["evidence"]) >= 4
    assert said["webhook"]["verified"] == said["webhook"]["received"] == said["mail"]["received"] >= 1
    assert len(set(said["webhook"]["ids"])) == len(said["webhook"]["ids"])
    assert 0.9 < said["stories"] / storyline(said["seed"], datetime.fromisoformat(said["ends"])).stories < 1.1
    with duckdb.connect(tmp_path / "kept" / STORE, read_only=True) as kept:
        first = kept.execute("SELECT epoch(min(negative_at)) FROM sightings").fetchone()
    assert first is not None
    # Detection looks back over ten days: what it looks at was not forgotten on the way.
    assert datetime.fromtimestamp(first[0], UTC) < datetime.fromisoformat(said["ends"]) - timedelta(days=9)
