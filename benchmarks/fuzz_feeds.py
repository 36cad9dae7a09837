"""A hundred thousand mutated feeds through the parser: no crash, no hang.

    python benchmarks/fuzz_feeds.py --data ../shared/data --count 100000

Seeds are feedparser's own test feeds. An input that takes longer than two seconds, or raises, is printed and counted.
"""

from __future__ import annotations

import argparse
import random
import signal
import tarfile
import time
import traceback
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from monitor.feeds.feed import Feed
from monitor.feeds.parsing import parse

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
FEED = Feed(id="fuzz", url="https://fuzz.example/rss", name="Fuzz", publisher="fuzz")
PIECES = (
    b"",
    b"<",
    b"&",
    b"]]>",
    b"<![CDATA[",
    b"\x00",
    b"\xff",
    b"<item>",
    b"</title>",
    b"<!DOCTYPE x [",
    b"&#x110000;",
)
TYPES = ("", "text/xml; charset=utf-16", "application/json", "text/html; charset=nonsense")
HANG_SECONDS = 2


class Hang(Exception):
    pass


def hang(*_: object) -> None:
    raise Hang


def mutated(body: bytes, other: bytes, random_: random.Random) -> bytes:
    for _ in range(random_.randint(1, 8)):
        at, length = random_.randrange(len(body) + 1), random_.randint(0, 60)
        match random_.randrange(4):
            case 0:
                piece = random_.choice(PIECES)
            case 1:
                start = random_.randrange(len(other) + 1)
                piece = other[start : start + length]
            case 2:
                piece = body[at : at + length] * random_.randint(2, 20)
            case _:
                piece = random_.randbytes(random_.randint(1, 4))
        body = body[:at] + piece + body[at + random_.choice((0, length)) :]
    return body


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    random_ = random.Random(asked.seed)
    with tarfile.open(asked.data / "feeds" / "feedparser_corpus.tar.gz") as archive:
        seeds = [file.read() for member in archive if (file := archive.extractfile(member)) is not None]
    seeds = [seed for seed in seeds if 0 < len(seed) < 20_000]
    signal.signal(signal.SIGALRM, hang)
    found, slowest, begun = Counter[str](), 0.0, time.perf_counter()
    for number in range(asked.count):
        body = mutated(random_.choice(seeds), random_.choice(seeds), random_)
        started = time.process_time()
        signal.alarm(HANG_SECONDS * 15)
        try:
            found[parse(body, random_.choice(TYPES), FEED, NOW).kind.value] += 1
        except Hang:
            found["HANG"] += 1
            print(f"hang at input {number}: {body[:200]!r}")
        except Exception:
            found["CRASH"] += 1
            traceback.print_exc()
        finally:
            signal.alarm(0)
        took = time.process_time() - started
        slowest = max(slowest, took)
        found["SLOW"] += took > HANG_SECONDS
    print(dict(found))
    print(f"{asked.count} inputs in {time.perf_counter() - begun:.0f} s, the slowest {slowest:.2f} s of processor time")


if __name__ == "__main__":
    main()
