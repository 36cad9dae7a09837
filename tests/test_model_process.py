"""The model in a process of its own: it says what the model says, and what kills it, kills nothing else."""

from __future__ import annotations

import os
import runpy
import shutil
import signal
import socket
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.adapters import SHIPPED
from models.errors import ModelError
from models.themes import Theme, default_themes
from monitor.errors import ModelLost
from monitor.news.companies import CompanyMatcher
from monitor.news.headlines import Headline
from monitor.series import Scored
from monitor.service.model_process import ModelProcess
from monitor.service.opinions import LoadedModel, Question
from monitor.service.scoring import Scoring
from monitor.settings import ModelSettings

SCENE = runpy.run_path(str(Path(__file__).with_name("daemon_scene.py")))
NOW = SCENE["utc_now"]()
QUESTIONS = [
    Question("Ford shares plunge after fraud probe, GM gains", {"F": "Ford", "GM": "GM"}),
    Question(""),
    Question("Bank collapses after savers withdraw billions \N{EM DASH} „Panik“"),
]


def headlines(count: int) -> list[Headline]:
    return [SCENE["calm"](number, NOW) for number in range(count)]


@pytest.fixture(scope="module")
def own() -> Iterator[ModelProcess]:
    process = ModelProcess(ModelSettings(device="cpu"), default_themes())
    yield process
    process.close()


def test_it_says_what_the_model_says(own: ModelProcess) -> None:
    within = LoadedModel(ModelSettings(device="cpu"), default_themes())
    assert (own.id, own.runtime, own.folder) == (within.id, within.runtime, SHIPPED)
    here, there = within.answer(QUESTIONS), own.answer(QUESTIONS)
    for ours, theirs in zip(here, there, strict=True):
        assert (ours.themes, ours.score.topics, ours.score.abstention) == (
            theirs.themes,
            theirs.score.topics,
            theirs.score.abstention,
        )
        assert ours.score.negative == pytest.approx(theirs.score.negative, abs=1e-6)
        assert [ticker for ticker, _ in ours.towards] == [ticker for ticker, _ in theirs.towards]
    assert "bank-stress" in there[2].themes
    texts = ["one", "two", "three"]
    np.testing.assert_allclose(own.embed(texts), within.embed(texts), atol=1e-6)
    assert own.answer([]) == []


def test_a_model_that_is_not_there_is_told_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no adapter in"):
        ModelProcess(ModelSettings(adapter=tmp_path), ())


def test_a_model_does_not_outlive_its_daemon() -> None:
    process = ModelProcess(ModelSettings(device="cpu"), ())
    # What the system does for a daemon that was killed.
    process._socket.shutdown(socket.SHUT_RDWR)
    assert process._process.wait(60) == 0
    process.close()


@pytest.mark.parametrize("part", ["heads.safetensors", "squall.json"])
def test_a_damaged_model_file_is_named_with_the_way_out(tmp_path: Path, part: str) -> None:
    adapter = tmp_path / "adapter"
    shutil.copytree(SHIPPED, adapter)
    (adapter / part).write_bytes((adapter / part).read_bytes()[:20])
    scoring = Scoring(ModelSettings(adapter=adapter, device="cpu"), (), open_model=ModelProcess)
    assert scoring.score(headlines(2), NOW) == {}
    assert str(adapter) in scoring.fault
    assert "restore" in scoring.fault
    assert scoring.restarts == 0


def test_a_child_that_is_killed_or_hangs_is_begun_anew_and_what_waited_is_scored() -> None:
    opened: list[ModelProcess] = []

    def begin(settings: ModelSettings, themes: Sequence[Theme]) -> ModelProcess:
        opened.append(ModelProcess(settings, themes))
        return opened[-1]

    settings = ModelSettings(device="cpu", answer_seconds=60)
    scoring = Scoring(settings, default_themes(), companies=CompanyMatcher(), open_model=begin)
    try:
        waiting = headlines(3)
        assert len(scoring.score(waiting, NOW)) == 3
        os.kill(opened[0].pid, signal.SIGKILL)
        assert scoring.score(waiting, NOW) == {}
        assert "was killed" in scoring.fault
        assert scoring.score(waiting, NOW + timedelta(seconds=4)) == {}, "it is not begun anew at once"
        assert len(scoring.score(waiting, NOW + timedelta(seconds=5))) == 3
        assert (scoring.fault, scoring.restarts, len(opened)) == ("", 1, 2)
        # It stands still, as in a long collection of garbage, or on a device that hangs.
        os.kill(opened[1].pid, signal.SIGSTOP)
        opened[1]._seconds = 0.5
        assert scoring.score(waiting, NOW) == {}
        assert "did not answer within 0.5 s" in scoring.fault
        assert "model.answer_seconds" in scoring.fault
        # A clock that was set back in the meantime does not make the wait longer.
        assert len(scoring.score(waiting, NOW - timedelta(hours=1))) == 3
        assert (scoring.fault, scoring.restarts) == ("", 2)
    finally:
        scoring.close()
    assert all(process._process.returncode is not None for process in opened)


class Fragile:
    """A model whose process dies of one headline."""

    id, runtime, folder = "fragile-0", "nothing", SHIPPED

    memory_short = False

    def __init__(self, settings: ModelSettings, themes: Sequence[Theme]) -> None:
        """Nothing to load."""

    def answer(self, questions: Sequence[Question]) -> list[Scored]:
        if self.memory_short or any("number 300" in one.title for one in questions):
            raise ModelLost("the model's process died of SIGSEGV")
        return [SCENE["_score"](1) for _ in questions]

    def embed(self, texts: Sequence[str]) -> Any:
        raise ModelLost("the model's process died of SIGSEGV")

    def close(self) -> None:
        """Nothing to let go."""


def test_a_headline_that_kills_the_model_is_left_alone_and_the_others_are_scored() -> None:
    scoring = Scoring(ModelSettings(), (), open_model=Fragile)
    waiting, scored, now = headlines(600), set[int](), NOW
    for _ in range(20):
        left = [headline for headline in waiting if headline.id not in scored]
        scored |= scoring.score(left, now).keys()
        now += timedelta(minutes=1)
    assert scored == {headline.id for headline in waiting} - {301}
    assert scoring.fault == ""
    assert 0 < scoring.restarts < 15
    assert scoring.embed(["a"]) is None


class Short(Fragile):
    """Its process dies of everything, while the test says so; and of one headline always."""


def test_a_model_that_dies_of_everything_costs_no_headline_its_score() -> None:
    scoring = Scoring(ModelSettings(), (), open_model=Short)
    waiting, scored, now = headlines(310), set[int](), NOW
    for turn in range(400):
        # Two hours without memory, an hour with it, a moment without, and then all is well.
        Short.memory_short = turn < 120 or 180 <= turn < 182
        left = [headline for headline in reversed(waiting) if headline.id not in scored]
        scored |= scoring.score(left[:512], now).keys()
        now += timedelta(minutes=1)
        if turn == 119:
            assert scored == set()
    assert scored == {headline.id for headline in waiting} - {301}


def test_one_that_waits_alone_is_not_blamed_before_others_were_scored() -> None:
    scoring = Scoring(ModelSettings(), (), open_model=Fragile)
    deadly, *others = reversed(headlines(301))
    for minute in range(30):
        assert scoring.score([deadly], NOW + timedelta(minutes=minute)) == {}
    restarts = scoring.restarts
    assert restarts == 30, "it may be the machine, so it is tried again and again"
    later = NOW + timedelta(hours=1)
    assert len(scoring.score([deadly, *others], later)) == 300, "it does not keep the others waiting"
    assert scoring.restarts == restarts + 1
    assert len(scoring.score([deadly, *others], later + timedelta(minutes=1))) == 300
    assert (scoring.restarts, scoring.fault) == (restarts + 1, ""), "it is not asked about again"
