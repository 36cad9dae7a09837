"""When stages run, which of them is late, and what the service manager hears."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import strategies as st

from monitor.errors import ServiceError
from monitor.service.allowances import allowance
from monitor.service.metrics import Metrics
from monitor.service.notifying import service_manager
from monitor.service.pipeline import Pipeline
from monitor.service.rounds import Rounds
from monitor.service.schedule import Schedule
from monitor.service.scoring import Scoring
from monitor.service.stages import Stages
from monitor.service.supervision import Allowance, Lateness, Supervisor
from monitor.service.threads import Threads
from monitor.service.turns import JUMP_FROM, Bell, ClockWatch, Job, SetBack, Turns
from monitor.settings import ModelSettings, Settings, StoreSettings, WatchSettings
from monitor.storage.store import Store

SECONDS = st.floats(0.1, 10_000)
MOMENTS = st.floats(0, 1e7)


# Turns


def test_a_job_runs_at_once_then_when_its_bell_rings_and_never_twice_at_a_time() -> None:
    async def scene() -> list[str]:
        bell, turns, said = Bell(), Turns(), list[str]()
        began, go_on, ended = asyncio.Semaphore(0), asyncio.Semaphore(0), asyncio.Semaphore(0)

        async def work() -> None:
            said.append("in")
            began.release()
            await go_on.acquire()
            said.append("out")
            ended.release()

        bell.ring()  # nobody hears it yet
        turns.begin([(Job("poll", work, 3_600), bell)])
        for _ in range(3):
            await began.acquire()
            bell.ring()  # it is at work: this is no second run
            for _ in range(20):
                await asyncio.sleep(0)
            go_on.release()
            await ended.acquire()
            for _ in range(20):
                await asyncio.sleep(0)  # until the scheduler knows that it has ended
            bell.ring()
        await began.acquire()
        turns.cancel()
        bell.ring()  # it takes no turns any more
        go_on.release()
        await ended.acquire()
        turns.close()
        return said

    assert asyncio.run(asyncio.wait_for(scene(), 60)) == ["in", "out"] * 4


def test_another_list_of_jobs_takes_the_place_of_the_one_before() -> None:
    async def scene() -> list[str]:
        turns, said, over = Turns(), list[str](), asyncio.Semaphore(0)

        def saying(word: str) -> Job:
            async def work() -> None:
                said.append(word)
                over.release()

            return Job(word, work, 3_600)

        old, new = Bell(), Bell()
        turns.begin([(saying("old"), old)])
        await over.acquire()
        turns.begin([(saying("new"), new)])
        await over.acquire()
        old.ring()
        new.ring()
        await over.acquire()
        turns.close()
        return said

    assert asyncio.run(asyncio.wait_for(scene(), 60)) == ["old", "new", "new"]


@asynccontextmanager
async def scheduled(folder: Path) -> AsyncIterator[tuple[Schedule, Rounds, Metrics]]:
    now = datetime(2026, 3, 10, 12, tzinfo=UTC)
    settings = Settings(
        store=StoreSettings(path=folder / "squall.duckdb"),
        watch=WatchSettings(companies=("JPM",), default_feeds=False),
    )
    with Store.open(settings.store.path, now) as store:
        scoring, stages, supervisor = Scoring(settings.model, ()), Stages(), Supervisor(time.monotonic)
        metrics = Metrics("1", "1")
        rounds = Rounds(Pipeline(settings, store, scoring=scoring), scoring, lambda: now, stages, supervisor, metrics)
        schedule = Schedule(rounds, stages, supervisor, metrics, lambda: now, store.reopen)
        yield schedule, rounds, metrics
        await schedule.finish(10)
        await rounds.pipeline.aclose()
        rounds.threads.close()


@pytest.mark.parametrize(("fails", "runs"), [(False, 2), (True, 1)], ids=["well", "failed"])
def test_a_ring_that_nobody_heard_at_work_is_taken_up_at_the_end_unless_the_run_failed(
    fails: bool, runs: int, tmp_path: Path
) -> None:
    async def scene(schedule: Schedule, rounds: Rounds) -> int:
        begun: list[str] = []
        ended = asyncio.Semaphore(0)

        async def work() -> None:
            begun.append("detect")
            ended.release()
            if len(begun) == 1:
                rounds.bell("detect").ring()
                for _ in range(50):
                    await asyncio.sleep(0)  # the turn comes, and is in vain
                if fails:
                    raise ServiceError("it rained")

        schedule.begin({"detect": (work, Allowance(3_600, 60))})
        for _ in range(runs):
            await ended.acquire()
        for _ in range(50):
            await asyncio.sleep(0)  # whatever else would begin
        return len(begun)

    async def play() -> int:
        async with scheduled(tmp_path) as (schedule, rounds, _):
            return await scene(schedule, rounds)

    assert asyncio.run(asyncio.wait_for(play(), 60)) == runs


def test_a_run_that_ends_after_its_stage_left_the_settings_leaves_no_numbers_behind(tmp_path: Path) -> None:
    """A channel that hangs is the one that is taken out."""

    async def play() -> str:
        async with scheduled(tmp_path) as (schedule, _, metrics):
            at_work, go_on, over = asyncio.Event(), asyncio.Event(), asyncio.Event()

            async def deliver() -> None:
                at_work.set()
                await go_on.wait()
                over.set()
                raise ServiceError("nobody answers")

            async def detect() -> None:
                return

            jobs = {"deliver:old": (deliver, Allowance(3_600, 60)), "detect": (detect, Allowance(3_600, 60))}
            schedule.begin(jobs)
            await at_work.wait()
            schedule.begin({"detect": jobs["detect"]})
            go_on.set()
            await over.wait()
            for _ in range(50):
                await asyncio.sleep(0)  # until the run has ended
            return metrics.page("")[0].decode()

    page = asyncio.run(asyncio.wait_for(play(), 60))
    assert 'stage="detect"' in page
    assert 'stage="deliver:old"' not in page


def test_an_interval_is_longer_than_zero() -> None:
    with pytest.raises(ValueError, match="poll must be longer than zero"):
        Job("poll", lambda: asyncio.sleep(0), 0)


# The machine's clock


def test_a_clock_that_was_set_and_a_machine_that_slept_are_noticed() -> None:
    at = datetime(2026, 3, 10, 12, tzinfo=UTC)
    watch = ClockWatch(at, 100.0)
    second = timedelta(seconds=1)
    assert not watch.jump(at + 5 * second, 105.0)
    assert watch.jump(at + timedelta(hours=-1, seconds=10), 110.0) == timedelta(hours=-1)
    # It is told once, and what follows is measured from there.
    assert not watch.jump(at + timedelta(hours=-1, seconds=15), 115.0)
    assert watch.jump(at + timedelta(days=1, hours=-1, seconds=20), 120.0) == timedelta(days=1)
    # NTP pulls it straight in small steps.
    assert not watch.jump(at + timedelta(days=1, hours=-1, seconds=25) + JUMP_FROM / 2, 125.0)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
def test_summer_time_is_no_jump(zone: str) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    watch = ClockWatch(start.astimezone(ZoneInfo(zone)), 0.0)
    hours = range(0, 366 * 24, 3)
    assert not any(
        watch.jump((start + timedelta(hours=hour)).astimezone(ZoneInfo(zone)), hour * 3_600.0) for hour in hours
    )


def test_a_clock_that_was_set_back_is_put_right_at_a_later_look_where_it_could_not_be_at_once(tmp_path: Path) -> None:
    """The disk is full, and then nothing may be at work, because the settings are exchanged."""
    full = [True]
    put_right: list[bool] = []

    async def play() -> list[bool]:
        async with scheduled(tmp_path) as (schedule, rounds, _):

            async def work() -> None:
                put_right.append(not full[0])
                if full[0]:
                    raise ServiceError("the disk is full")

            back = SetBack(lambda: schedule.run_once("clock", work))
            heard = [await back.heed(timedelta(hours=-1)), await back.heed(timedelta(0))]
            full[0], rounds.resting = False, True
            heard.append(await back.heed(timedelta(0)))
            rounds.resting = False
            return [*heard, await back.heed(timedelta(0)), await back.heed(timedelta(0))]

    assert asyncio.run(asyncio.wait_for(play(), 60)) == [True, False, False, True, False]
    assert put_right == [False, False, True]


# Supervision


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def watched(hand: Hand, fed: list[float]) -> Supervisor:
    found = Supervisor(hand, lambda: fed.append(hand.at))
    found.expect({"poll": Allowance(20, 60, vital=True), "deliver:desk": Allowance(5, 30)})
    return found


def test_a_stage_that_hangs_is_named_with_what_to_look_at_and_the_watchdog_is_fed_on() -> None:
    hand, fed = Hand(), list[float]()
    stages = watched(hand, fed)
    stages.began("deliver:desk")
    hand.at = 31
    (late,) = stages.late()
    assert (late.stage, late.lateness, late.vital) == ("deliver:desk", Lateness.STUCK, False)
    assert "at work for 31 s" in late.words
    assert "other channels are not held up" in late.words
    stages.began("poll")
    stages.ended("poll")
    assert fed == [31]
    stages.moved("deliver:desk")
    assert stages.late() == ()


def test_the_watchdog_starves_while_a_vital_stage_hangs_and_eats_again_when_it_gets_on() -> None:
    hand, fed = Hand(), list[float]()
    stages = watched(hand, fed)
    stages.began("poll")
    hand.at = 50
    stages.moved("poll")
    hand.at = 105
    assert not [one for one in stages.late() if one.vital], "it got on 55 s ago"
    hand.at = 111
    stages.moved("deliver:desk")
    assert fed == [50], "what others do does not hide that polling hangs"
    stages.ended("poll")
    assert fed == [50, 111]


def test_a_turn_that_nobody_took_is_late_too() -> None:
    hand = Hand()
    stages = watched(hand, [])
    hand.at = 20 + 61
    (late,) = [one for one in stages.late() if one.vital]
    assert (late.lateness, round(late.seconds)) == (Lateness.MISSED, 61)
    assert "has not begun" in late.words


def test_what_is_not_expected_any_more_is_not_late_and_a_run_in_hand_goes_on() -> None:
    hand = Hand()
    stages = watched(hand, [])
    stages.began("poll")
    hand.at = 40
    stages.expect({"poll": Allowance(20, 60, vital=True)})
    stages.ended("deliver:desk")
    hand.at = 61
    assert [(one.stage, round(one.seconds)) for one in stages.late()] == [("poll", 61)]


@pytest.mark.parametrize(("every", "patience"), [(0, 1), (1, 0), (-1, 1)])
def test_an_allowance_is_longer_than_zero(every: float, patience: float) -> None:
    with pytest.raises(ValueError, match="longer than zero"):
        Allowance(every, patience)


def test_a_model_that_can_be_ended_is_not_vital_and_polling_always_is() -> None:
    own, within = ModelSettings(), ModelSettings(own_process=False)
    assert not allowance("score", 20, own).vital
    assert allowance("score", 20, within).vital
    assert allowance("score", 20, ModelSettings(answer_seconds=3_600)).patience > 3_600
    assert allowance("poll", 3_600, own).vital
    assert allowance("poll", 3_600, own).patience > 3_600, "a round lasts until the next"
    assert not allowance("deliver:desk", 5, own).vital


def test_a_thread_that_hangs_hangs_alone() -> None:
    async def scene() -> str:
        import threading

        threads, never = Threads(), threading.Event()
        hanging = asyncio.ensure_future(threads.run("deliver:desk", never.wait))
        done = await threads.run("deliver:mail", lambda: threading.current_thread().name)
        never.set()
        assert await hanging
        threads.close()
        return done

    assert asyncio.run(scene()).startswith("deliver:mail")


# The service manager


@pytest.fixture
def notified(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as found:
        found.bind(str(tmp_path / "notify"))
        found.settimeout(5)
        yield found


def test_systemd_hears_what_it_waits_for(notified: socket.socket) -> None:
    manager = service_manager({"NOTIFY_SOCKET": notified.getsockname()})
    manager.ready("watching 3 feeds")
    assert notified.recv(1_000) == b"READY=1\nSTATUS=watching 3 feeds"
    manager.reloading()
    reloading, at = notified.recv(1_000).decode().split("\n")
    assert (reloading, at.partition("=")[0], int(at.partition("=")[2]) > 0) == ("RELOADING=1", "MONOTONIC_USEC", True)
    manager.getting_on()
    manager.getting_on()  # spared: a sign of life a second is enough
    manager.stopping()
    assert notified.recv(1_000) == b"WATCHDOG=1"
    assert notified.recv(1_000).startswith(b"STOPPING=1\n")
    manager.close()
    manager.ready("to nobody")


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/nowhere/at/all"}])
def test_without_a_service_manager_nobody_is_told(environment: dict[str, str]) -> None:
    manager = service_manager(environment)
    manager.ready("well")
    manager.getting_on()
    manager.close()


def test_an_abstract_socket_is_found() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as found:
        found.bind("")  # the system chooses an abstract name
        name = found.getsockname()
        found.settimeout(5)
        manager = service_manager({"NOTIFY_SOCKET": "@" + name[1:].decode()})
        manager.status("well")
        assert found.recv(100) == b"STATUS=well"
        manager.close()
