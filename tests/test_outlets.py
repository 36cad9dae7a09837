"""The house behind an outlet of an archive: by its link where there is one, else by its name."""

from __future__ import annotations

import pytest

from monitor.news.outlets import feed_of


@pytest.mark.parametrize(
    ("outlet", "link", "publisher"),
    [
        ("CNBC Markets", "https://www.cnbc.com/2023/1.html", "cnbc"),
        ("The Wire", "https://news.wire.co.uk/x", "wire.co.uk"),
        ("The Wire", "", "the-wire"),
        ("The Wire", "http://[broken", "the-wire"),
        ("The Wire", "not a link", "the-wire"),
        ("", "", "unknown"),
    ],
)
def test_the_house_behind_an_outlet(outlet: str, link: str, publisher: str) -> None:
    feed = feed_of(outlet, link)
    assert feed.publisher == publisher
    assert feed.name


def test_two_outlets_of_one_house_are_one_voice() -> None:
    assert feed_of("WSJ World", "https://www.wsj.com/a").publisher == feed_of("WSJ Tech", "https://wsj.com/b").publisher


def test_outlets_in_another_script_stay_apart() -> None:
    assert feed_of("新浪财经", "").publisher != feed_of("路透社", "").publisher
