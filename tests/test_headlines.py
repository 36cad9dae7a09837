"""Headlines: clean text, canonical links, identity and standing, for anything that a feed may carry."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.feeds.feed import Entry
from monitor.news.headlines import LONGEST_POST, LONGEST_TITLE, Headline, Standing, canonical_link, clean, headline

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
MARKUP = re.compile(r"<[a-zA-Z/!?]")


class NamesNone:
    def match(self, title: str) -> tuple[str, ...]:
        return ()


def entry(**changes: object) -> Entry:
    plain = Entry(
        feed="wire",
        publisher="house",
        language="en",
        guid="",
        link="https://news.example/a",
        title="Bank fails",
        summary="",
        published=NOW - timedelta(hours=1),
        fetched=NOW,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # field values as the tests name them


def made(**changes: object) -> Headline:
    return headline(entry(**changes), NOW, first_fetch=False, companies=NamesNone())


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("AT&amp;T falls", "AT&T falls"),
        ("AT&amp;amp;T falls", "AT&T falls"),
        ("<b>Bank</b> fails", "Bank fails"),
        ("&lt;b&gt;Bank&lt;/b&gt; fails", "Bank fails"),
        ("&amp;lt;b&amp;gt;Bank&amp;lt;/b&amp;gt; fails", "Bank fails"),
        ("<![CDATA[Bank <i>fails</i>]]>", "Bank fails"),
        ("a < b and <3", "a < b and <3"),
        ("P/E < 5 &amp; yield > 3%", "P/E < 5 & yield > 3%"),
        ("one<br/>two<p>three</p>", "one two three"),
        ("  Bank \n\t fails\u2028now ", "Bank fails now"),
        ("Bank\u200b fa\u202eils\x00\x1b[31m", "Bank fails[31m"),
        ("x<script>alert(1)</script>y", "xy"),
        ("<img src=x onerror=alert(1)", "img src=x onerror=alert(1)"),
        ("<\u200bscript>alert(1)</script>", "alert(1)"),
        ("<!-- hidden -->seen", "seen"),
        ("Crédit Agricole – 中国 📉", "Crédit Agricole – 中国 📉"),
        ("", ""),
    ],
)
def test_titles_are_text(raw: str, expected: str) -> None:
    assert clean(raw, LONGEST_TITLE) == expected


def test_a_long_title_is_cut_with_a_mark() -> None:
    title = made(title="word " * 1_000).title
    assert len(title) <= LONGEST_TITLE
    assert title.endswith("…")


@given(st.text())
def test_no_text_comes_out_as_markup(raw: str) -> None:
    text = clean(raw, LONGEST_TITLE)
    assert not MARKUP.search(text)
    assert text.isprintable()
    assert len(text) <= LONGEST_TITLE


@given(
    st.lists(st.sampled_from(["<", ">", "&lt;", "&amp;", "lt;", "b", "/", "!", "--", "script", " ", "\u200b", "&#60;"]))
)
def test_no_play_with_markup_comes_out_as_markup(pieces: list[str]) -> None:
    assert not MARKUP.search(clean("".join(pieces), LONGEST_TITLE))


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("HTTPS://News.Example/A?b=1#top", "https://news.example/A?b=1"),
        ("https://news.example:443/a", "https://news.example/a"),
        ("http://news.example:8080/a", "http://news.example:8080/a"),
        ("https://news.example/a?utm_source=x&id=7&fbclid=y&mod=rss", "https://news.example/a?id=7"),
        ("https://news.example", "https://news.example/"),
        ("https://news.example/a?cmpid=rss", "https://news.example/a"),
        ("https://user:word@news.example/a", "https://news.example/a"),
        ("https://news.example/a b<c>", "https://news.example/a%20b%3Cc%3E"),
        ("https://[2001:db8::1]/a", "https://[2001:db8::1]/a"),
        ("javascript:alert(1)", ""),
        ("data:text/html,x", ""),
        ("//news.example/a", ""),
        ("https://[broken/a", ""),
        ("https://news.example:99999/a", ""),
        ("not a link", ""),
        ("", ""),
    ],
)
def test_links_are_canonical(link: str, expected: str) -> None:
    assert canonical_link(link) == expected


@given(st.text() | st.from_regex(r"https?://[a-z.:0-9]{1,20}/[^#]{0,20}\?.{0,30}", fullmatch=True))
def test_a_canonical_link_stays_as_it_is(link: str) -> None:
    once = canonical_link(link)
    assert canonical_link(once) == once
    assert once == "" or re.match(r"https?://[^\s<>\"']+$", once)


# One field more than a query may have, and as many as it may.
@example("://news.example/a?id=7", ["&a=1"] * 100)
@example("://news.example/a?id=7", ["&a=1"] * 99)
@given(
    st.sampled_from(
        ["://news.example", "://news.example/a", "://news.example/a%2f;b?id=7", "://news.example.:80/", "://a--b"]
    ),
    st.lists(
        st.sampled_from(
            ["/", "?", "&", "=", "#", "a", "&id=7", "q=a+b", "%c3%a9", "&utm_source=x", "&ref=y", "~", "é", " "]
        )
    ),
)
def test_a_link_that_is_nearly_canonical_is_read_as_any_other(place: str, rest: list[str]) -> None:
    link = place + "".join(rest)
    # In capitals it is none that is nearly canonical.
    assert canonical_link(f"https{link}") == canonical_link(f"HTTPS{link}")


def test_the_guid_names_the_headline_within_its_feed() -> None:
    first = made(guid="1", title="Bank fails", link="https://news.example/a")
    assert made(guid="1", title="Bank fails: update", link="https://news.example/b").id == first.id
    assert made(guid="2").id != first.id
    assert made(guid="1", feed="other").id != first.id


def test_without_guid_the_link_names_it_across_feeds() -> None:
    first = made(link="https://news.example/a?utm_source=rss")
    assert made(link="https://NEWS.example/a#x", feed="other", title="changed").id == first.id
    assert made(link="https://news.example/b").id != first.id


def test_without_guid_and_link_title_and_day_name_it() -> None:
    first = made(link="")
    assert made(link="", published=NOW - timedelta(hours=2)).id == first.id
    assert made(link="", published=NOW - timedelta(days=1)).id != first.id
    assert made(link="", title="Bank saved").id != first.id


def test_identity_is_the_same_in_every_process() -> None:
    assert made(guid="1").id == 6349206919623850533
    assert made(guid="1").story == made(guid="1").id


@pytest.mark.parametrize(
    ("published", "first_fetch", "standing", "effective"),
    [
        (NOW - timedelta(hours=1), False, Standing.FRESH, NOW - timedelta(hours=1)),
        (NOW - timedelta(hours=1), True, Standing.FIRST_FETCH, NOW - timedelta(hours=1)),
        (NOW - timedelta(hours=48), False, Standing.FRESH, NOW - timedelta(hours=48)),
        (NOW - timedelta(hours=48, seconds=1), False, Standing.ARCHIVE, NOW - timedelta(hours=48, seconds=1)),
        (NOW - timedelta(days=9), True, Standing.ARCHIVE, NOW - timedelta(days=9)),
        (NOW + timedelta(minutes=15), False, Standing.FRESH, NOW),
        (NOW + timedelta(minutes=16), False, Standing.FUTURE, NOW),
        (NOW + timedelta(days=400), True, Standing.FUTURE, NOW),
        (None, False, Standing.UNDATED, NOW),
        (None, True, Standing.UNDATED, NOW),
        (datetime(1970, 1, 1, tzinfo=UTC), False, Standing.UNDATED, NOW),
    ],
)
def test_standing_and_effective_time(
    published: datetime | None, first_fetch: bool, standing: Standing, effective: datetime
) -> None:
    result = headline(entry(published=published), NOW, first_fetch=first_fetch, companies=NamesNone())
    assert (result.standing, result.effective) == (standing, effective)


def test_an_unset_clock_is_no_date() -> None:
    assert made(published=datetime(1970, 1, 1, tzinfo=UTC)).published is None


def test_a_post_without_a_title_goes_by_the_beginning_of_its_text() -> None:
    post = made(title="", summary="<p>Acme Bank halts withdrawals.</p> Customers queue.")
    assert post.title == "Acme Bank halts withdrawals. Customers queue."
    long = made(title=" <br> ", summary="word " * 400).title
    assert (len(long), long[-1]) == (LONGEST_POST, "…")
    assert made(title="", summary="").title == ""


def test_the_title_is_matched_clean() -> None:
    class Sees:
        def match(self, title: str) -> tuple[str, ...]:
            return (title,)

    assert headline(entry(title="<b>AT&amp;T</b>"), NOW, first_fetch=False, companies=Sees()).companies == ("AT&T",)


@given(
    guid=st.text(),
    link=st.text(),
    title=st.text(),
    summary=st.text(),
    published=st.none() | st.datetimes(timezones=st.just(UTC)),
    first_fetch=st.booleans(),
)
def test_any_entry_makes_a_headline(
    guid: str, link: str, title: str, summary: str, published: datetime | None, first_fetch: bool
) -> None:
    raw = entry(guid=guid, link=link, title=title, summary=summary, published=published)
    result = headline(raw, NOW, first_fetch=first_fetch, companies=NamesNone())
    assert 0 <= result.id < 2**64
    assert result.effective <= NOW
    assert not MARKUP.search(result.title + " " + result.summary)
    assert result == headline(raw, NOW, first_fetch=first_fetch, companies=NamesNone())


def test_nonsense_is_refused() -> None:
    good = made()
    with pytest.raises(ValueError, match="64-bit"):
        replace(good, id=-1)
    with pytest.raises(ValueError, match="aware UTC"):
        replace(good, published=datetime(2026, 3, 10))  # noqa: DTZ001  # a naive time is what is refused
    with pytest.raises(ValueError, match="before it was fetched"):
        replace(good, effective=NOW + timedelta(seconds=1))
