"""Two nodes of Ray on this machine: an actor dies, then a node, and every headline is scored once, as it is alone."""

from __future__ import annotations

import contextlib
import os
import runpy
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import psutil
import pytest

from monitor.archives import manifest
from monitor.archives.places import Place
from monitor.archives.run import Wanted, score_archive
from monitor.settings import Settings

pytest.importorskip("ray", reason="ray is not installed: pip install 'squall[ray]'")
SCENE = runpy.run_path(str(Path(__file__).with_name("archive_scene.py")))
# benchmarks/scale.py asks for 50,000, and for the real model.
ROWS = int(os.environ.get("SQUALL_RAY_ROWS", "12000"))
PARTS = 40
# So long is waited for a node or a part, on however busy a machine.
PATIENCE = 400.0


@dataclass
class Nodes:
    """A cluster on loopback: `head` and `second`, each a process with its raylet and workers below it."""

    environment: dict[str, str]
    folder: Path
    port: int = 0
    running: dict[str, psutil.Popen] = field(default_factory=dict)

    def start(self, name: str, *options: str) -> None:
        command = ["start", "--block", "--disable-usage-stats", "--node-ip-address=127.0.0.1", "--num-cpus=1"]
        log = (self.folder / f"{name}.log").open("wb")
        self.running[name] = psutil.Popen(
            [Path(sys.executable).with_name("ray"), *command, "--object-store-memory=100000000", *options],
            env=self.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )

    def processes(self, name: str) -> list[psutil.Process]:
        """The node's own process and everything that it began."""
        try:
            return [self.running[name], *self.running[name].children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def actors(self, name: str) -> list[psutil.Process]:
        """Its processes that score parts."""
        found = []
        for one in self.processes(name):
            with contextlib.suppress(psutil.Error):
                if "PartScorer" in " ".join(one.cmdline()):
                    found.append(one)
        return found

    def kill(self, name: str) -> None:
        """All of a node at once, without a chance to say goodbye."""
        for one in reversed(self.processes(name)):
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        self.running.pop(name).wait(PATIENCE)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def until(true: Callable[[], object], job: subprocess.Popen[bytes] | psutil.Popen, what: str) -> None:
    """Wait while the job runs, and no longer than patience lasts."""
    for _ in range(int(PATIENCE / 0.1)):
        if true():
            return
        try:
            job.wait(0.1)
        except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
            continue
        pytest.fail(f"it ended before {what}")
    pytest.fail(f"{what} did not come")


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    # Ray's sockets have names of at most 107 bytes: pytest's own folders are too deep for them.
    folder = Path(tempfile.mkdtemp(prefix="squall-ray-"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")} | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
        # On a busy machine a node takes its time.
        "RAY_raylet_start_wait_time_s": "180",
        "RAY_health_check_period_ms": "1000",
        "RAY_health_check_failure_threshold": "8",
    }
    cluster = Nodes(environment, folder, free_port())
    try:
        cluster.start(
            "head", "--head", f"--port={cluster.port}", "--include-dashboard=false", f"--temp-dir={folder / 'ray'}"
        )
        head = cluster.running["head"]
        until(lambda: b"Ray runtime started" in (folder / "head.log").read_bytes(), head, "the head node")
        cluster.start("second", f"--address=127.0.0.1:{cluster.port}")
        second = cluster.running["second"]
        until(lambda: b"Ray runtime started" in (folder / "second.log").read_bytes(), second, "the second node")
        yield cluster
    finally:
        for name in list(cluster.running):
            cluster.kill(name)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made: Settings = SCENE["tiny_settings"](tmp_path)
    (tmp_path / "squall.toml").write_text(SCENE["plain"](made))
    return made


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_who_has_another_token_is_refused(nodes: Nodes, settings: Settings, tmp_path: Path) -> None:
    SCENE["headlines"](5).write_csv(tmp_path / "news.csv")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "monitor", "--config", tmp_path / "squall.toml", "score", tmp_path / "news.csv"),
            *("--engine", "ray", "--lean", "--out", tmp_path / "scored", "--quiet"),
        ],
        env=nodes.environment | {"RAY_ADDRESS": f"127.0.0.1:{nodes.port}", "RAY_AUTH_TOKEN": secrets.token_hex(32)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1
    assert "no Ray cluster answers" in done.stderr
    assert "RAY_AUTH_MODE" in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nothing_is_lost_or_doubled_when_an_actor_and_then_a_node_die(
    nodes: Nodes, settings: Settings, tmp_path: Path
) -> None:
    SCENE["headlines"](ROWS).write_csv(tmp_path / "news.csv")
    out, part_rows = tmp_path / "scored", ROWS // PARTS
    job = subprocess.Popen(
        [
            *(sys.executable, "-m", "monitor", "--config", tmp_path / "squall.toml", "score", tmp_path / "news.csv"),
            *("--engine", "ray", "--lean", "--out", out, "--part-rows", str(part_rows), "--quiet"),
        ],
        env=nodes.environment | {"RAY_ADDRESS": f"127.0.0.1:{nodes.port}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:

        def done() -> int:
            return len(list(out.glob("part-*.parquet")))

        until(lambda: done() >= 2 and nodes.actors("second"), job, "an actor on each node")
        victim = (nodes.actors("head") or nodes.actors("second"))[0]
        victim.kill()
        seen = done()
        until(lambda: done() >= min(seen + 3, PARTS), job, "a part after the actor's death")
        assert "second" in nodes.running
        nodes.kill("second")
        told, said = job.communicate(timeout=PATIENCE)
    finally:
        if job.poll() is None:
            job.send_signal(signal.SIGKILL)
            job.wait(PATIENCE)
    assert job.returncode == 0, said.decode()[-2000:]
    assert f"{ROWS} rows in {PARTS} parts".encode() in told

    scored = pl.concat([pl.read_parquet(path) for path in sorted(out.glob("part-*.parquet"))])
    assert scored["id"].to_list() == [str(number) for number in range(ROWS)]
    alone = tmp_path / "alone"
    wanted = Wanted((str(tmp_path / "news.csv"),), str(alone), lean=True, part_rows=part_rows)
    summary = score_archive(wanted, settings, lambda: datetime(2026, 3, 10, tzinfo=UTC))
    expected = pl.concat([pl.read_parquet(path) for path in sorted(alone.glob("part-*.parquet"))])
    figures = ["negative", "neutral", "positive"]
    assert scored.drop(figures, "topic_probabilities").equals(expected.drop(figures, "topic_probabilities"))
    assert (scored.select(figures) - expected.select(figures)).to_numpy().__abs__().max() < 1e-5
    assert scored["negative"].n_unique() > 100, "the model tells one headline from another"
    told_by_ray = manifest.read(Place(str(out)))
    assert told_by_ray is not None
    assert told_by_ray["done"]["rows"] == summary.rows == ROWS
    assert told_by_ray["done"]["engine"] == "ray"
    assert told_by_ray["order"]["model"] == summary.model
