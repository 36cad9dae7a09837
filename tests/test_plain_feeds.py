"""The plain reader gives what feedparser gives, or leaves the document to it; neither hangs on anything."""

from __future__ import annotations

import io
import random
import tarfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import feedparser
import pytest

from monitor.feeds.feed import Entry, Feed
from monitor.feeds.parsing import Kind, Parsed, parse, parse_leniently, parse_quickly
from monitor.feeds.plain import read_plain
from monitor.news.headlines import clean

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
FEED = Feed(id="wire", url="https://wire.example/rss", name="Wire", publisher="house", language="en")
HEAD = b"<rss version='2.0'><channel><title>Wire</title><ttl>45</ttl>"
# Python's own URL parser refuses this guid, and feedparser drops it with the error.
OURS_IS_BETTER = {"item_guid_isPermaLink_ValueError.xml"}


def corpus(shared_data: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(shared_data / "feeds" / "feedparser_corpus.tar.gz") as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is not None:
                yield member.name, file.read()


def told(entry: Entry) -> tuple[str, ...]:
    published = entry.published.replace(microsecond=0).isoformat() if entry.published else ""
    texts = (clean(text, 5_000).replace(" ", "") for text in (entry.title, entry.summary))
    return (entry.guid, entry.link, *texts, published)


def test_the_corpus_is_read_as_feedparser_reads_it(shared_data: Path) -> None:
    """Each third file, lest it take long: entry by entry where the plain reader dares, and always their number."""
    plain = 0
    for number, (name, body) in enumerate(corpus(shared_data)):
        if number % 3 or Path(name).name in OURS_IS_BETTER:
            continue
        begun = time.monotonic()
        mine = parse(body, "", FEED, NOW)
        assert time.monotonic() - begun < 2, name
        assert len(mine.entries) == len(feedparser.parse(io.BytesIO(body), sanitize_html=False).entries), name
        if read_plain(body, 500) is not None:
            plain += 1
            theirs = parse_leniently(body, "", FEED, NOW, max_entries=500)
            assert [told(one) for one in mine.entries] == [told(one) for one in theirs.entries], name
    assert plain > 300


def quickly(body: bytes) -> Parsed | None:
    return parse_quickly(body, FEED, NOW, max_entries=50)


def test_title_and_ttl_of_the_feed() -> None:
    found = quickly(HEAD + b"<item><title>a</title></item></channel></rss>")
    assert found is not None
    assert (found.title, found.ttl and found.ttl.total_seconds()) == ("Wire", 45 * 60)


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE rss [<!ENTITY a 'b'>]>" + HEAD + b"<item><title>&a;</title></item></channel></rss>",
        HEAD + b"<item><title>unclosed",
        HEAD + b"<item><title>\xff\xfe</title></item></channel></rss>",
        b"<?xml version='1.0' encoding='utf-7'?>" + HEAD + b"</channel></rss>",
        HEAD + b"<item xml:base='http://other.example/'><link>a</link></item></channel></rss>",
        HEAD + b"<item><title type='application/octet-stream'>YQ==</title></item></channel></rss>",
        HEAD + b"<item>" + b"<b>" * 300 + b"</b>" * 300 + b"</item></channel></rss>",
        HEAD + b"<item><item><title>a</title></item></item></channel></rss>",
    ],
)
def test_what_is_not_plain_is_left_to_feedparser(body: bytes) -> None:
    assert quickly(body) is None
    assert parse(body, "", FEED, NOW).kind in {Kind.RSS, Kind.UNKNOWN}


def test_megabytes_of_entries_are_not_read_to_their_end() -> None:
    body = HEAD + b"<item><title>a</title></item>" * 400_000
    begun = time.monotonic()
    found = quickly(body)
    assert found is not None
    assert (len(found.entries), time.monotonic() - begun < 2) == (50, True)
    assert "more than 50 entries" in found.problems[0]


@pytest.mark.parametrize("unit", [b"<a b='c'/>", b"a &amp; ", b"<b>", b"<![CDATA[x]]>", b"<!-- -->"])
def test_ten_hostile_megabytes_take_seconds_at_most(unit: bytes) -> None:
    begun = time.monotonic()
    quickly(HEAD + b"<item><title>" + unit * (10 * 2**20 // len(unit)))
    assert time.monotonic() - begun < 10


def mutated(body: bytes, random_: random.Random) -> bytes:
    """The body with some of its bytes lost, doubled, swapped with others or replaced."""
    for _ in range(random_.randint(1, 6)):
        at, length = random_.randrange(len(body) + 1), random_.randint(0, 40)
        piece = random_.choice(
            (b"", b"<", b"&", b"]]>", b"<![CDATA[", b"\x00", b"\xff", b"<item>", b"</title>", body[:9])
        )
        body = body[:at] + piece + body[at + random_.choice((0, length)) :]
    return body


def test_mutated_feeds_neither_crash_nor_hang(shared_data: Path) -> None:
    """A small share of what benchmarks/fuzz_feeds.py does a hundred thousand times."""
    random_ = random.Random(7)
    seeds = [body for _, body in corpus(shared_data) if 0 < len(body) < 3_000]
    for _ in range(400):
        body = mutated(random_.choice(seeds), random_)
        begun = time.monotonic()
        found = parse(body, random_.choice(("", "text/xml; charset=utf-16")), FEED, NOW)
        assert found.kind in Kind
        assert time.monotonic() - begun < 2, body
