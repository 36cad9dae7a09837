"""Parsing: every form of feed, web pages in their place, broken and hostile bytes."""

from __future__ import annotations

import json
import re
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.feeds.feed import Feed
from monitor.feeds.parsing import Kind, Parsed, parse
from monitor.news.headlines import LONGEST_TITLE, clean

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
FEED = Feed(id="wire", url="https://wire.example/rss", name="Wire", publisher="house", language="en")

RSS = b"""<?xml version="1.0"?><rss version="2.0"><channel><title>Wire</title>
<item><title>Bank &amp;amp; run</title><link>/a?utm_source=x</link><guid>1</guid>
<pubDate>Tue, 10 Mar 2026 06:30:00 -0500</pubDate><description>&lt;b&gt;why&lt;/b&gt;</description></item>
<item><title>Undated</title><link>https://wire.example/b</link></item></channel></rss>"""
ATOM = b"""<feed xmlns="http://www.w3.org/2005/Atom"><title>Wire</title><entry><id>urn:1</id>
<title type="html">Bank &lt;i>run&lt;/i></title>
<link href="https://wire.example/a"/><updated>2026-03-10T11:30:00Z</updated><summary>why</summary></entry></feed>"""
RDF = b"""<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
xmlns="http://purl.org/rss/1.0/"
xmlns:dc="http://purl.org/dc/elements/1.1/">
<channel><title>Wire</title></channel><item rdf:about="https://wire.example/a"><title>Bank run</title><link>https://wire.example/a</link>
<dc:date>2026-03-10T11:30:00+00:00</dc:date></item></rdf:RDF>"""
JSON = json.dumps(
    {
        "version": "https://jsonfeed.org/version/1.1",
        "items": [
            {
                "id": 7,
                "title": "Bank run",
                "url": "/a",
                "summary": "why",
                "date_published": "2026-03-10T06:30:00-05:00",
            },
            "nonsense",
            {"id": "8", "title": None, "content_html": "<p>x</p>", "date_published": "someday"},
        ],
    }
).encode()

ONE_TITLE = '<rss version="2.0"><channel><item><title>TITLE</title></item></channel></rss>'


def read(body: bytes, content_type: str = "") -> Parsed:
    return parse(body, content_type, FEED, NOW)


def test_rss() -> None:
    parsed = read(RSS, "application/rss+xml; charset=utf-8")
    assert (parsed.kind, parsed.problems) == (Kind.RSS, ())
    first, second = parsed.entries
    assert (first.guid, first.title, first.link) == ("1", "Bank &amp; run", "https://wire.example/a?utm_source=x")
    assert first.summary == "<b>why</b>"
    assert first.published == datetime(2026, 3, 10, 11, 30, tzinfo=UTC)
    assert (first.feed, first.publisher, first.language, first.fetched) == ("wire", "house", "en", NOW)
    assert (second.published, second.guid, second.summary) == (None, "", "")


@pytest.mark.parametrize(("body", "kind"), [(ATOM, Kind.ATOM), (RDF, Kind.RDF), (JSON, Kind.JSON)])
def test_the_other_forms(body: bytes, kind: Kind) -> None:
    parsed = read(body)
    assert parsed.kind is kind
    entry = parsed.entries[0]
    assert clean(entry.title, LONGEST_TITLE) == "Bank run"
    assert entry.link == "https://wire.example/a"
    assert entry.published == datetime(2026, 3, 10, 11, 30, tzinfo=UTC)


def test_json_feed_oddities() -> None:
    parsed = read(JSON)
    assert [(e.guid, e.title, e.summary, e.published is None) for e in parsed.entries] == [
        ("7", "Bank run", "why", False),
        ("8", "", "<p>x</p>", True),
    ]
    assert parsed.problems == ("some of its items are no objects",)


def test_a_web_page_is_named_and_the_feed_it_offers() -> None:
    page = b"""<!DOCTYPE html><html><head><title>Wire: sign in</title>
    <link rel="alternate" type="application/rss+xml" href="/feed.xml"></head><body>hello</body></html>"""
    parsed = read(page, "application/rss+xml")
    assert (parsed.kind, parsed.entries) == (Kind.HTML, ())
    assert "Wire: sign in" in parsed.problems[0]
    assert "https://wire.example/feed.xml" in parsed.problems[0]


@pytest.mark.parametrize(
    "body",
    [b"", b"   ", b"nope", b"\x89PNG\r\n\x1a\n\x00\x00", b"{", b"[]", b'{"items": []}', b"[" * 100_000, b"<a><b/></a>"],
)
def test_garbage_is_no_feed(body: bytes) -> None:
    parsed = read(body)
    assert (parsed.kind, parsed.entries) == (Kind.UNKNOWN, ())
    assert parsed.problems[0]


def test_a_truncated_feed_keeps_what_came() -> None:
    parsed = read(RSS[: RSS.index(b"<item><title>Undated") + 30])
    assert parsed.kind is Kind.RSS
    assert parsed.entries[0].guid == "1"
    assert "not well-formed" in parsed.problems[0]


def test_entries_are_capped() -> None:
    items = b"".join(b"<item><title>t%d</title></item>" % n for n in range(50))
    parsed = parse(b"<rss version='2.0'><channel>" + items + b"</channel></rss>", "", FEED, NOW, max_entries=10)
    assert [e.title for e in parsed.entries] == [f"t{n}" for n in range(10)]
    assert "more than 10 entries" in parsed.problems[0]


def test_entities_do_not_unfold() -> None:
    declared = "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    bomb = f'<!DOCTYPE rss [<!ENTITY a "ha">{declared}]>' + ONE_TITLE.replace("TITLE", "&j;")
    assert all(len(e.title) <= 10_000 for e in read(bomb.encode()).entries)


def test_external_entities_are_not_opened(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("tell-no-one")
    body = f'<!DOCTYPE rss [<!ENTITY x SYSTEM "{secret.as_uri()}">]>' + ONE_TITLE.replace("TITLE", "&x;")
    assert "tell-no-one" not in repr(read(body.encode()))
    assert "tell-no-one" not in repr(read(str(secret).encode()))


@given(st.binary(max_size=400), st.sampled_from(["", "text/xml; charset=utf-16", "text/html; charset=nonsense"]))
def test_any_bytes_are_read(body: bytes, content_type: str) -> None:
    assert read(body, content_type).kind in Kind


@given(
    st.lists(st.tuples(st.integers(0, len(RSS)), st.binary(max_size=3)), max_size=8),
    st.sampled_from([RSS, ATOM, RDF, JSON]),
)
def test_any_damage_is_read(damages: list[tuple[int, bytes]], body: bytes) -> None:
    for place, damage in damages:
        body = body[:place] + damage + body[place + len(damage) :]
    parsed = read(body)
    assert all(e.published is None or e.published.utcoffset() is not None for e in parsed.entries)


def test_the_corpus_of_feedparser(shared_data: Path) -> None:
    """Every file of feedparser's own tests: 2,105 feeds, well formed and not, in every encoding."""
    read_files = titles = 0
    with tarfile.open(shared_data / "feeds" / "feedparser_corpus.tar.gz") as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is None:
                continue
            read_files += 1
            for entry in read(file.read()).entries:
                titles += 1
                assert not re.search(r"<[a-zA-Z/!?]", clean(entry.title, LONGEST_TITLE)), member.name
    assert read_files > 2_000
    assert titles > 1_000
