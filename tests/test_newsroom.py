"""The newsroom serves real formats over real HTTP, and nothing before its time."""

from __future__ import annotations

import json
from calendar import timegm
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import feedparser
import httpx2
import pytest

from monitor.demo.newsroom import Newsroom, Served
from monitor.demo.storyline import FICTION, PUBLISHERS, Format, Item, Publisher, Storyline, storyline

ENDS = datetime(2026, 3, 19, 17, tzinfo=UTC)


@pytest.fixture(scope="module")
def story() -> Storyline:
    return storyline(7, ENDS)


@pytest.fixture
def newsroom(story: Storyline) -> Iterator[Newsroom]:
    with Newsroom(story) as open_newsroom:
        yield open_newsroom


@pytest.fixture
def client() -> Iterator[httpx2.Client]:
    with httpx2.Client(trust_env=False) as one:
        yield one


def expected(story: Storyline, publisher: Publisher, now: datetime) -> list[Item]:
    """What a feed carries at `now`, newest first."""
    return [item for item in story.items if item.publisher == publisher.id and item.at <= now][-40:][::-1]


@pytest.mark.parametrize("publisher", [p for p in PUBLISHERS if p.format is not Format.JSON], ids=lambda p: p.id)
def test_rss_and_atom_parse_without_complaint(
    story: Storyline, newsroom: Newsroom, client: httpx2.Client, publisher: Publisher
) -> None:
    newsroom.clock(ENDS)
    answer = client.get(newsroom.url(publisher.id))
    assert publisher.format.value in answer.headers["content-type"]
    parsed = feedparser.parse(answer.content, sanitize_html=False)
    assert not parsed.bozo
    assert parsed.version in {"rss20", "atom10"}
    assert FICTION in (parsed.feed.get("subtitle") or parsed.feed.get("description"))
    items = expected(story, publisher, ENDS)
    assert [entry.link for entry in parsed.entries] == [item.link for item in items]
    assert [entry.id for entry in parsed.entries] == [item.guid for item in items]
    published = [datetime.fromtimestamp(timegm(entry.published_parsed), UTC) for entry in parsed.entries]
    assert published == [item.at for item in items]


@pytest.mark.parametrize("publisher", [p for p in PUBLISHERS if p.format is Format.JSON], ids=lambda p: p.id)
def test_json_feeds_are_json_feeds(
    story: Storyline, newsroom: Newsroom, client: httpx2.Client, publisher: Publisher
) -> None:
    newsroom.clock(ENDS)
    answer = client.get(newsroom.url(publisher.id))
    assert answer.headers["content-type"].startswith("application/feed+json")
    feed = json.loads(answer.content)
    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert feed["description"] == FICTION
    assert [item["title"] for item in feed["items"]] == [item.title for item in expected(story, publisher, ENDS)]


def test_odd_titles_survive_the_wire(story: Storyline) -> None:
    odd = next(item for item in story.items if "<script>" in item.title)
    publisher = next(p for p in PUBLISHERS if p.id == odd.publisher)
    with Newsroom(story) as newsroom, httpx2.Client(trust_env=False) as client:
        newsroom.clock(odd.at)
        body = client.get(newsroom.url(publisher.id)).content
    assert b"<script>" not in body or publisher.format is Format.JSON
    assert odd.guid.encode() in body


def test_nothing_is_served_before_its_time(story: Storyline, newsroom: Newsroom, client: httpx2.Client) -> None:
    publisher = PUBLISHERS[0]
    first = expected(story, publisher, ENDS - timedelta(days=20))[-1]
    newsroom.clock(first.at - timedelta(seconds=1))
    assert first.guid not in client.get(newsroom.url(publisher.id)).text
    newsroom.clock(first.at)
    assert first.guid in client.get(newsroom.url(publisher.id)).text


def test_conditional_requests_are_honoured(story: Storyline, newsroom: Newsroom, client: httpx2.Client) -> None:
    url = newsroom.url(PUBLISHERS[2].id)
    newsroom.clock(ENDS - timedelta(days=5))
    full = client.get(url)
    tag, since = full.headers["etag"], full.headers["last-modified"]
    assert client.get(url, headers={"If-None-Match": tag}).status_code == 304
    assert client.get(url, headers={"If-None-Match": f"W/{tag}"}).status_code == 304
    assert client.get(url, headers={"If-Modified-Since": since}).status_code == 304
    assert client.get(url, headers={"If-None-Match": '"other"', "If-Modified-Since": since}).status_code == 200
    assert client.get(url, headers={"If-Modified-Since": "yesterday"}).status_code == 200
    newsroom.clock(ENDS)
    assert client.get(url, headers={"If-None-Match": tag, "If-Modified-Since": since}).status_code == 200
    assert newsroom.served == Served(full=4, unchanged=3)


def test_other_paths_are_not_found(newsroom: Newsroom, client: httpx2.Client) -> None:
    base = newsroom.url("quillon-wire").removesuffix("quillon-wire/feed")
    assert [client.get(base + path).status_code for path in ("", "nobody/feed", "quillon-wire")] == [404, 404, 404]
    assert newsroom.served.refused == 3


def test_the_port_is_free_again_after_closing(story: Storyline) -> None:
    with Newsroom(story) as newsroom:
        url = newsroom.url(PUBLISHERS[0].id)
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(url, trust_env=False)
