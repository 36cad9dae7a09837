"""A batch is there whole or not at all: under an error, a full disk, a kill at any moment, and threads that read."""

from __future__ import annotations

import json
import random
import runpy
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from monitor.feeds.feed import Check, Feed, Outcome, unseen
from monitor.storage.store import Batch, Store

SCENE = runpy.run_path(str(Path(__file__).with_name("store_scene.py")))
NOON, append, headline, rows, scored = (SCENE[name] for name in ("NOON", "append", "headline", "rows", "scored"))

ROOT = Path(__file__).parents[1]


def test_an_error_in_the_middle_undoes_the_whole_batch(store: Store) -> None:
    append(store, (headline(1), scored()))
    feed = Feed(id="wire", url="https://news.example/rss", name="Wire", publisher="wire")
    impossible = Check("wire", NOON, Outcome.NEW, "", 2**40, 0, 0, (), unseen(feed, NOON))
    with pytest.raises((TypeError, OverflowError)):
        store.append(Batch([impossible], [headline(2)], {2: scored()}), NOON)
    assert store.counts().headlines == 1
    assert append(store, (headline(2), scored())) == (2,)


def test_readers_see_whole_batches_while_another_thread_writes(path: Path) -> None:
    with Store.open(path, NOON) as store, ThreadPoolExecutor(4) as threads:

        def write() -> None:
            for batch in range(20):
                append(store, *((headline(batch * 10 + n), scored()) for n in range(10)))

        def read() -> list[int]:
            return [store.counts().headlines for _ in range(20)]

        writing = threads.submit(write)
        seen = [threads.submit(read) for _ in range(3)]
        writing.result()
        for counts in (each.result() for each in seen):
            assert all(count % 10 == 0 for count in counts)
            assert counts == sorted(counts)
        assert store.counts().headlines == 200


# A full disk is played by a limit on the size of files: the kernel refuses to write beyond it, as it does there.
FULL_DISK = """
import json, resource, signal, sys
from datetime import UTC, datetime
from monitor.errors import StoreUnavailable
sys.path.insert(0, "tests")
from store_scene import NOON, append, headline, scored
from monitor.storage.store import Store

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
told = {"acknowledged": 0, "errors": []}
store = Store.open(sys.argv[1], NOON)

def fill(rounds, size=300):
    for _ in range(rounds):
        first = told["acknowledged"]
        append(store, *((headline(n, title="x" * 400), scored()) for n in range(first, first + size)))
        told["acknowledged"] += size

fill(3)
resource.setrlimit(resource.RLIMIT_FSIZE, (700_000, unlimited[1]))
for attempt in (lambda: fill(50), lambda: store.maintain(NOON), lambda: store.counts()):
    try:
        attempt()
    except StoreUnavailable as error:
        told["errors"].append(str(error))
resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
store.reopen()
told["stored"] = store.counts().headlines
fill(2)
told["stored_after"] = store.counts().headlines
told["faults"] = store.rollup_faults().height
print(json.dumps(told))
"""


def test_a_full_disk_is_told_and_survived_by_reopening(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert len(told["errors"]) >= 2
    assert all(str(path) in words and "has space" in words for words in told["errors"])
    assert told["stored"] == told["acknowledged"] - 600
    assert told["stored_after"] == told["acknowledged"]
    assert told["faults"] == 0


# Dying at any moment


WRITER = """
import random, sys
sys.path.insert(0, "tests")
from store_scene import HOUR, NOON, append, headline, scored
from datetime import timedelta
from monitor.news.headlines import Standing
from monitor.storage.store import Store

path, seed, first = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
dice = random.Random(seed)
store = Store.open(path, NOON)
print("open", flush=True)
for batch in range(10_000):
    ids = range(first + batch * 40, first + batch * 40 + 40)
    at = NOON + batch * timedelta(minutes=7)
    pairs = []
    for number in ids:
        story = dice.randrange(max(0, number - 200), number + 1)
        arrived = headline(
            number, at - timedelta(minutes=dice.randrange(180)), fetched=at, story=story,
            publisher=f"p{dice.randrange(5)}", companies=dice.choice([(), ("JPM",), ("C", "JPM")]),
            standing=dice.choice([Standing.FRESH, Standing.FRESH, Standing.ARCHIVE, Standing.UNDATED]),
        )
        pairs.append((arrived, scored(dice.choice([0.1, 0.9])) if dice.random() < 0.9 else None))
    append(store, *pairs, now=at)
    print("stored", ids[0], ids[-1], flush=True)
    if batch % 3 == 2:
        late = store.unscored(5)
        store.add_scores({each.id: scored(0.9) for each in late}, at)
        print("scored", *(each.id for each in late), flush=True)
    if batch % 5 == 4:
        store.maintain(at)
"""


def test_a_kill_at_any_moment_loses_nothing_and_doubles_nothing(path: Path) -> None:
    dice = random.Random(20260310)
    stored: set[int] = set()
    with_score: set[int] = set()
    for round_ in range(5):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(round_), str(round_ * 1_000_000)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == "open\n"
        lines = [writer.stdout.readline() for _ in range(dice.randrange(2, 14))]
        with suppress(subprocess.TimeoutExpired):  # it works on while we wait: the blow falls at any moment of its work
            writer.wait(timeout=dice.random() * 0.12)
        writer.send_signal(signal.SIGKILL)
        rest, _ = writer.communicate()
        assert writer.returncode == -signal.SIGKILL
        # The last line may have been cut by the kill.
        for line in "".join([*lines, rest]).split("\n")[:-1]:
            what, *numbers = line.split()
            if what == "stored":
                stored.update(range(int(numbers[0]), int(numbers[1]) + 1))
            else:
                with_score.update(map(int, numbers))
        with Store.open(path, NOON) as store:
            assert store.known(sorted(stored)) == stored
            ids = [row[0] for row in rows(store, "SELECT id FROM headlines")]
            assert len(ids) == len(set(ids))
            assert len(ids) % 40 == 0, "a batch is there whole or not at all"
            assert with_score <= {row[0] for row in rows(store, "SELECT headline FROM scores")}
            waiting = rows(store, "SELECT id FROM headlines ANTI JOIN scores ON headline = id ORDER BY id")
            assert rows(store, "SELECT headline FROM awaiting ORDER BY headline") == waiting
            assert store.rollup_faults().to_dicts() == []
    assert len(stored) >= 5 * 40
