"""OPML: round trip, files of other readers, and files that mean harm."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import FeedListUnusable
from monitor.feeds.feed import Feed
from monitor.feeds.lists import default_feeds, read_feed_list
from monitor.feeds.naming import family_of
from monitor.feeds.opml import read_opml, write_opml

OTHER = """<?xml version="1.0" encoding="ISO-8859-1"?>
<opml version="1.1"><head><title>mine</title></head><body>
  <outline text="Markets">
    <outline text="The Wire &amp; Co" type="rss" xmlUrl="https://feeds.wire.example/a.xml" htmlUrl="https://wire.example"/>
    <outline text="The Wire &amp; Co" type="rss" xmlUrl="https://www.wire.example/b.xml"/>
    <outline title="新闻" text="x" xmlUrl="https://news.example.cn/rss"/>
  </outline>
  <outline text="Loose" xmlUrl="http://loose.example/feed"/>
  <outline text="again" xmlUrl="http://loose.example/feed"/>
</body></opml>"""


def test_round_trip_loses_nothing() -> None:
    feeds = default_feeds()
    assert sorted(read_opml(write_opml(feeds)), key=lambda f: f.id) == sorted(feeds, key=lambda f: f.id)


names = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=30)


@given(st.lists(st.tuples(names, names, names, st.booleans()), min_size=1, max_size=5))
def test_round_trip_keeps_any_words(words: list[tuple[str, str, str, bool]]) -> None:
    feeds = [
        Feed(
            id=f"f{number}",
            url=f"https://h{number}.example/?a=1&b=<2>",
            name=name,
            publisher=publisher,
            category=category,
            enabled=enabled,
        )
        for number, (name, publisher, category, enabled) in enumerate(words)
    ]
    assert sorted(read_opml(write_opml(feeds)), key=lambda f: f.id) == feeds


def test_files_of_other_readers_are_read() -> None:
    feeds = read_opml(OTHER)
    assert [f.url for f in feeds] == [
        "https://feeds.wire.example/a.xml",
        "https://www.wire.example/b.xml",
        "https://news.example.cn/rss",
        "http://loose.example/feed",
    ]
    assert [f.id for f in feeds] == ["the-wire-co", "the-wire-co-2", "news-example-cn", "loose"]
    assert feeds[0].publisher == feeds[1].publisher
    assert [f.category for f in feeds] == ["Markets", "Markets", "Markets", "news"]


@pytest.mark.parametrize(
    ("url", "family"),
    [
        ("http://10.1.2.3/rss", "10.1.2.3"),
        ("http://10.9.9.9:8080/rss", "10.9.9.9"),
        ("http://[fd00::1]/rss", "fd00::1"),
        ("https://feeds.wire.example/rss", "wire"),
        ("http://news.desk.corp/rss", "desk"),
        ("https://feeds.bbci.co.uk/rss", "bbc"),
    ],
)
def test_feeds_of_two_machines_are_two_voices_and_those_of_one_domain_are_one(url: str, family: str) -> None:
    assert family_of(url) == family


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE opml [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + ']><opml><body><outline text="&j;" xmlUrl="https://a.example/"/></body></opml>'
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no OPML"),
        ("nonsense", "no OPML"),
        ("<rss><channel/></rss>", "begins with <rss>"),
        ("<opml><head/></opml>", "must hold"),
        ("<opml><body/></opml>", "names no feed"),
        ("<opml><body><outline xmlUrl='ftp://a.example/'/></body></opml>", "no web address"),
        ("<opml><body><outline xmlUrl='https://[bad/'/></body></opml>", "no web address"),
        (BOMB, "document type"),
        ('<!DOCTYPE opml SYSTEM "file:///etc/passwd"><opml/>', "document type"),
        ("\ud800", "no OPML"),
        (" " * 6_000_000, "million characters"),
    ],
)
def test_nonsense_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(FeedListUnusable, match=words):
        read_opml(text)


def test_deep_nesting_is_read() -> None:
    deep = "<outline text='x'>" * 5_000 + "<outline text='a' xmlUrl='https://a.example/'/>" + "</outline>" * 5_000
    assert len(read_opml(f"<opml><body>{deep}</body></opml>")) == 1


@given(st.text())
def test_any_text_is_feeds_or_refused(text: str) -> None:
    with contextlib.suppress(FeedListUnusable):
        assert read_opml(text)


def test_the_default_list_is_broad() -> None:
    enabled = [f for f in default_feeds() if f.enabled]
    assert len(enabled) >= 40
    assert len({f.publisher for f in enabled}) >= 25
    assert {f.language for f in enabled} == {"en"}
    assert len({f.url for f in default_feeds()}) == len(default_feeds())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("feeds = [", "no TOML"),
        ("", "at least one"),
        ("[[feeds]]\nid='a'\nurl='https://a.example'\nname='A'\n", "table 1 of the feed list: publisher"),
        ("[[feeds]]\nid='A b'\nurl='https://a.example'\nname='A'\npublisher='p'\n", "table 1 of the feed list: id"),
        ("[[feeds]]\nid='a'\nurl='https://a.example'\nname='A'\npublisher='p'\n" * 2, "two feeds have the id 'a'"),
    ],
)
def test_a_wrong_feed_list_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(FeedListUnusable, match=words):
        read_feed_list(text)
