"""Archives by the hundred thousand and by the million: what Ray costs, how both ways grow, what a backfill takes.

    python benchmarks/scale.py overhead --rows 100000      # the real model, Ray against local, in turns
                                                           # (Ray: started for the run, and a cluster that stands)
    python benchmarks/scale.py growth --rows 10000 100000 1000000   # a model that costs next to nothing
    python benchmarks/scale.py backfill --rows 10000000    # rows a second, peak memory, file size; with --kill, resumed

Everything lies under --folder and is left there for another go; figures are printed as JSON lines.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import runpy
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

ROOT = Path(__file__).parents[1]
SCENE = runpy.run_path(str(ROOT / "tests" / "archive_scene.py"))
REPLAY = ROOT.parent / "shared" / "data" / "replay" / "finance_2023q1.csv"
BATCH = 500_000


def told(**figures: object) -> None:
    print(json.dumps(figures), flush=True)


def real_headlines(rows: int) -> pl.DataFrame:
    """The replay's headlines over and over, each copy with a number: real lengths, and no two alike."""
    titles = pl.read_csv(REPLAY, infer_schema=False)["title"].drop_nulls()
    numbers = pl.Series("id", range(rows))
    return pl.DataFrame(
        {"id": numbers, "title": titles.gather(numbers % len(titles)) + " " + (numbers // len(titles)).cast(pl.String)}
    )


def squall(config: Path, *words: object, surroundings: Mapping[str, str]) -> tuple[float, float]:
    """Run a command to its end: seconds on the clock, and of the processors for it and all that it began."""
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "monitor", "--config", config, *words]
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL, cwd=ROOT, env=surroundings)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.monotonic() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def scored(
    config: Path, source: Path, out: Path, engine: str, surroundings: Mapping[str, str] = os.environ
) -> tuple[float, float]:
    shutil.rmtree(out, ignore_errors=True)
    words = ("score", source, "--engine", engine, "--lean", "--out", out, "--quiet")
    return squall(config, *words, surroundings=surroundings)


@contextmanager
def standing_cluster() -> Iterator[dict[str, str]]:
    """The environment of a command that finds a cluster: one node on loopback, with a token and all cores."""
    # Ray's sockets have names of at most 107 bytes.
    folder = tempfile.mkdtemp(prefix="squall-ray-")
    # Ray lets its workers run at niceness 15; beside a local run at 0 that would measure what else the machine does.
    with_token = dict(os.environ) | {"RAY_AUTH_MODE": "token", "RAY_worker_niceness": "0"}
    with_token["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    ray = Path(sys.executable).with_name("ray")
    words = ["start", "--block", "--head", "--disable-usage-stats", "--include-dashboard=false", f"--temp-dir={folder}"]
    with subprocess.Popen(
        [ray, *words, "--node-ip-address=127.0.0.1", "--port=6379"],
        env=with_token,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as head:
        try:
            for line in head.stdout or ():
                if "Ray runtime started" in line:
                    break
            else:
                raise SystemExit("no cluster could be started")
            yield with_token | {"RAY_ADDRESS": "127.0.0.1:6379"}
        finally:
            head.terminate()
            shutil.rmtree(folder, ignore_errors=True)


def steady(out: Path) -> float:
    """Seconds from the first part on disk to the last: without the start of model and cluster."""
    times = sorted(path.stat().st_mtime for path in out.glob("part-*.parquet"))
    return times[-1] - times[0]


def overhead(folder: Path, sizes: list[int], rounds: int) -> None:
    config = folder / "real.toml"
    config.write_text('[model]\ndevice = "cpu"\n')
    for rows in sizes:
        source, few = folder / f"real-{rows}.parquet", folder / "real-few.parquet"
        real_headlines(rows).write_parquet(source)
        real_headlines(1000).write_parquet(few)
        for _ in range(rounds):
            for engine in ("local", "ray", "standing"):
                out = folder / engine
                if engine == "standing":
                    with standing_cluster() as surroundings:
                        # For some seconds after its start a node is busy with itself.
                        scored(config, few, out, "ray", surroundings)
                        wall, cpu = scored(config, source, out, "ray", surroundings)
                else:
                    wall, cpu = scored(config, source, out, engine)
                told(what="overhead", engine=engine, rows=rows, seconds=wall, cpu=cpu, steady=steady(out))


def growth(folder: Path, sizes: list[int]) -> None:
    settings = SCENE["tiny_settings"](folder / "tiny")
    config = folder / "tiny.toml"
    config.write_text(SCENE["plain"](settings))
    for rows in sizes:
        source = folder / f"tiny-{rows}.parquet"
        SCENE["headlines"](rows).write_parquet(source)
        for engine in ("local", "ray"):
            wall, cpu = scored(config, source, folder / engine, engine)
            told(what="growth", engine=engine, rows=rows, seconds=wall, cpu=cpu, steady=steady(folder / engine))


# A backfill


def archive(folder: Path, rows: int) -> None:
    """Ten years of invented scored headlines, a fifth of them copies within two days, as `squall score` leaves them."""
    folder.mkdir(parents=True, exist_ok=True)
    from monitor.archives.opinions import OPINIONS

    first, step = datetime(2016, 1, 1, tzinfo=UTC), timedelta(days=3650) // rows // timedelta(microseconds=1)
    for start in range(0, rows, BATCH):
        number = pl.int_range(start, min(start + BATCH, rows), eager=True).alias("n")
        # A copy repeats the title of the headline before it.
        told_of = number - (number % 5 == 4).cast(pl.Int64)
        words = [(told_of * prime % 7919).cast(pl.String) for prime in (31, 8191, 104729)]
        sentiment = (number % 10).replace_strict({0: "negative", 1: "positive"}, default="neutral")
        bad = sentiment == "negative"
        # What repeats is made once and picked by number: millions of lists from Python would take longer than the run.
        topics = pl.Series([["Macro"], ["Earnings"], ["Markets", "Stock Movement"], ["Legal | Regulation"]])
        probabilities = pl.Series([[0.9], [0.9], [0.9, 0.9], [0.9]], dtype=OPINIONS["topic_probabilities"])
        themes = pl.Series([["fraud"], *[[]] * 19], dtype=pl.List(pl.String))
        company = {"ticker": "JPM", "name": "JPMorgan", "negative": 0.2, "neutral": 0.5, "positive": 0.3}
        companies = pl.Series([[company], [], [], []], dtype=OPINIONS["companies"])
        pl.DataFrame(
            {
                "published": (number * step + int(first.timestamp()) * 1_000_000).cast(pl.Datetime("us", "UTC")),
                "outlet": ("House " + (number % 60).cast(pl.String)),
                "title": "Firm w" + words[0] + " and lender x" + words[1] + " settle over case y" + words[2],
                "link": "https://house" + (number % 60).cast(pl.String) + ".example.org/news/" + number.cast(pl.String),
                "sentiment": sentiment,
                "negative": bad.cast(pl.Float32) * 0.7 + 0.1,
                "neutral": 0.9 - (bad.cast(pl.Float32) * 0.7 + 0.1),
                "positive": pl.Series([0.1], dtype=pl.Float32).new_from_index(0, len(number)),
                "topics": topics.gather(number % 4),
                "topic_probabilities": probabilities.gather(number % 4),
                "themes": themes.gather(number % 20),
                "companies": companies.gather(number % 4),
                "abstention": pl.Series(["none"]).new_from_index(0, len(number)),
                "model": pl.Series(["invented-1"]).new_from_index(0, len(number)),
            },
        ).write_parquet(folder / f"part-{start // BATCH:06d}.parquet", row_group_size=50_000)


def peak(process: subprocess.Popen[bytes]) -> Iterator[int]:
    """Its largest resident memory so far in bytes, while it runs."""
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        lines = status.read_text().splitlines() if status.exists() else []
        yield next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            continue


def backfill(folder: Path, sizes: list[int], stories: str, kill: int) -> None:
    for rows in sizes:
        source, store = folder / f"archive-{rows}", folder / f"store-{rows}.duckdb"
        if not source.is_dir():
            archive(source, rows)
        for path in folder.glob(f"{store.name}*"):
            path.unlink()
        config = folder / "backfill.toml"
        config.write_text(f'[store]\npath = "{store}"\n')
        words = [
            sys.executable,
            "-m",
            "monitor",
            "--config",
            config,
            "backfill",
            source,
            "--stories",
            stories,
            "--quiet",
        ]
        began, most, killed = time.monotonic(), 0, 0
        while True:
            with subprocess.Popen(list(map(str, words)), cwd=ROOT, stdout=subprocess.PIPE) as process:
                for seen in peak(process):
                    most = max(most, seen)
                    if killed < kill and time.monotonic() - began > 25 * (killed + 1):
                        process.send_signal(signal.SIGKILL)
                        killed += 1
                out = process.stdout.read() if process.stdout else b""
            if process.returncode == 0:
                break
            if process.returncode != -signal.SIGKILL:
                raise SystemExit(f"the backfill ended with {process.returncode}")
        seconds = time.monotonic() - began
        told(
            what="backfill",
            rows=rows,
            stories=stories,
            kills=killed,
            seconds=seconds,
            rows_a_second=rows / seconds,
            peak_bytes=most,
            file_bytes=store.stat().st_size,
            archive_bytes=sum(path.stat().st_size for path in source.iterdir()),
            said=out.decode().strip(),
        )
        check(store, rows)


def check(store: Path, rows: int) -> None:
    """Nothing is lost or doubled."""
    import duckdb

    with duckdb.connect(str(store), read_only=True) as connection:
        held = connection.execute(
            "SELECT (SELECT count(*) FROM headlines), (SELECT count(*) FROM scores), "
            "(SELECT sum(headlines) FROM rollups WHERE series = 'market')::BIGINT, (SELECT count(*) FROM backfills)"
        ).fetchone()
    assert held is not None
    told(what="held", headlines=held[0], scores=held[1], counted=held[2], stretches=held[3])
    assert held[0] == held[1] == held[2] == rows, held


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("overhead", "growth", "backfill"))
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--stories", choices=("words", "copies"), default="copies")
    parser.add_argument("--kill", type=int, default=0, help="Kill the backfill so often on its way.")
    parser.add_argument("--folder", type=Path, default=Path("runs/scale"))
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    folder = asked.folder.resolve()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if asked.what == "overhead":
        overhead(folder, asked.rows, asked.rounds)
    elif asked.what == "growth":
        growth(folder, asked.rows)
    else:
        backfill(folder, asked.rows, asked.stories, asked.kill)


if __name__ == "__main__":
    main()
