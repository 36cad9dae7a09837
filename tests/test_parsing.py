"""Parsing: every form of feed, web pages in their place, broken and hostile bytes."""

from __future__ import annotations

import json
import re
import tarfile
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.feeds.feed import Feed
from monitor.feeds.moments import moment_of
from monitor.feeds.parsing import Kind, Parsed, parse, parse_leniently, parse_quickly
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


BASED = "xml:base='https://bank.example/news/'"


@pytest.mark.parametrize(
    "body",
    [
        f"<feed xmlns='http://www.w3.org/2005/Atom' {BASED}><entry><title>t</title><link href='1.html'/></entry>"
        "</feed>",
        f"<rss version='2.0' {BASED}><channel><item><title>t</title><link>1.html</link></item></channel></rss>",
        f"<rss version='2.0'><channel {BASED}><item><title>t</title><link>1.html</link></item></channel></rss>",
        f"<rss version='2.0'><channel><item {BASED}><title>t</title><link>1.html</link></item></channel></rss>",
    ],
)
def test_a_relative_link_is_relative_to_what_the_document_says(body: str) -> None:
    (only,) = read(body.encode()).entries
    assert only.link == "https://bank.example/news/1.html"


def test_a_document_with_a_base_and_whole_links_is_read_quickly() -> None:
    item = "<item><title>t</title><link>https://wire.example/1</link></item>"
    body = f"<rss version='2.0' {BASED}><channel>{item}</channel></rss>".encode()
    parsed = parse_quickly(body, FEED, NOW, max_entries=9)
    assert parsed is not None
    assert parsed.entries[0].link == "https://wire.example/1"


@pytest.mark.parametrize(
    ("guid", "link"),
    [
        ("/news/1.html", "https://wire.example/news/1.html"),
        ("?p=77", "https://wire.example/rss?p=77"),
        ("//cdn.example/x", "https://cdn.example/x"),
        ("www.wire.example/a", "https://www.wire.example/a"),
        ("wire.example/a", "https://wire.example/a"),
        ("HTTP://WIRE.example/1", "HTTP://WIRE.example/1"),
        *((name, "") for name in ("12345", "a1b2-c3d4", "abc def", "tag:wire,2026:1/2", "urn:uuid:1", "on 3/4 or 5?")),
    ],
)
def test_a_guid_that_is_no_address_makes_up_no_link(guid: str, link: str) -> None:
    """A guid is a link by the default of isPermaLink, which publishers of numbers and names do not know of."""
    body = f"<rss version='2.0'><channel><item><title>t</title><guid>{guid}</guid></item></channel></rss>".encode()
    for parsed in (read(body), parse_leniently(body, "", FEED, NOW, max_entries=9)):
        (only,) = parsed.entries
        assert (only.guid, only.link) == (guid, link)


@pytest.mark.parametrize("before", ["", "<!-- &nbsp; -->\n<!DOCTYPE rss [<!ENTITY nbsp ' '>]>"])
@pytest.mark.parametrize("link", ["<link></link>GUID", "GUID<link/>", "GUID"])
def test_an_address_for_a_guid_stands_in_for_a_link_that_is_not_there(before: str, link: str) -> None:
    item = f"<item><title>t</title>{link}</item>".replace("GUID", "<guid>https://wire.example/1</guid>")
    (only,) = read(f"{before}<rss version='2.0'><channel>{item}</channel></rss>".encode()).entries
    assert only.link == "https://wire.example/1"
    items = [{"id": "https://wire.example/2", "title": "t"}, {"id": "x", "title": "t"}]
    told = read(json.dumps({"version": "https://jsonfeed.org/version/1", "items": items}).encode())
    assert [one.link for one in told.entries] == ["https://wire.example/2", ""]


@pytest.mark.parametrize("told", ["utf-16", "UTF-16LE", "ISO-10646-UCS-2", "utf-32"])
@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf", b"\n"])
def test_a_document_that_calls_itself_utf16_and_is_not_is_read(told: str, before: bytes) -> None:
    """As programs write it that put text together in UTF-16 and send it as UTF-8."""
    body = f"<?xml version='1.0' encoding='{told}'?><rss><channel><item><title>Größe</title></item></channel></rss>"
    (only,) = read(before + body.encode()).entries
    assert only.title == "Größe"


def test_a_bare_ampersand_is_one() -> None:
    """feedparser makes `AT&T;` of it. In CDATA, and where something is referred to, nothing is changed."""
    titles = ["AT&T and S&P 500", "M&A & R&D", "Caf&eacute; &amp; &#66;ank", "<![CDATA[Q&A <b>now</b>]]>", "A&T; & B"]
    items = "".join(f"<item><title>{title}</title></item>" for title in titles)
    told = [one.title for one in read(f"<rss version='2.0'><channel>{items}</channel></rss>".encode()).entries]
    assert told == ["AT&T and S&P 500", "M&A & R&D", "Café & Bank", "Q&A <b>now</b>", "A&T; & B"]


def test_a_feed_of_which_no_entry_can_be_read_is_not_an_empty_one() -> None:
    parsed = read(b"<?xml version='1.0' encoding='cp037'?><rss><channel><item><title>t</title></item></channel></rss>")
    assert (parsed.kind, parsed.entries) == (Kind.UNKNOWN, ())
    assert parsed.problems[0].startswith("none of its entries can be read: it is not well-formed")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_byte_order_mark_counts_for_more_than_what_a_document_calls_itself(encoding: str) -> None:
    rss = "<?xml version='1.0' encoding='utf-8'?><rss><channel><item><title>Größe</title></item></channel></rss>"
    told = json.dumps({"version": "https://jsonfeed.org/version/1", "items": [{"title": "Größe"}]}, ensure_ascii=False)
    for body in (rss, told):
        assert [one.title for one in read(f"\ufeff{body}".encode(encoding)).entries] == ["Größe"]
    # A mark that is none.
    assert [one.title for one in read("\ufeff".encode(encoding) + rss.encode()).entries] == ["Größe"]


def test_json_with_something_behind_it_or_breaks_in_its_texts_is_read() -> None:
    document = json.dumps({"version": "https://jsonfeed.org/version/1.1", "items": [{"id": "1", "title": "A B"}]})
    parsed = read(f"\n{document.replace('A B', 'A' + chr(10) + 'B')}\n<!-- cached -->\n".encode())
    assert [one.title for one in parsed.entries] == ["A\nB"]
    assert parsed.problems == ("something stands behind its end",)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_of_what_broke_off_the_last_entry_is_left_for_the_next_answer(encoding: str) -> None:
    items = "".join(f"<item><title>Bank {n} in trouble</title><guid>{n}</guid></item>" for n in range(9))
    body = f"<?xml version='1.0' encoding='{encoding}'?><rss version='2.0'><channel>{items}</channel></rss>"
    whole = parse_leniently(body.encode(encoding), "", FEED, NOW, max_entries=50)
    broken = read(body[: body.index("trouble</title><guid>7")].encode(encoding))
    assert (len(whole.entries), whole.whole) == (9, True)
    assert ([one.title for one in broken.entries], broken.whole) == ([f"Bank {n} in trouble" for n in range(7)], False)
    assert read(RDF.replace(b"</item></rdf:RDF>", b"")).whole is False
    assert read(RSS.replace(b"Undated", b"&nbsp;") + b"<!-- " + b"cached " * 5_000 + b"-->").whole


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


def newest_of(order: list[int]) -> list[list[int]]:
    """What each reader keeps of fifty entries of one feed, one a minute, in this order."""

    def at(n: int) -> str:
        return (NOW + timedelta(minutes=n)).isoformat()

    rss = "".join(f"<item><guid>{n}</guid><pubDate>{at(n)}</pubDate></item>" for n in order)
    items = [{"id": n, "date_modified": at(n)} for n in order]
    bodies = [
        f"<rss version='2.0'><channel>{rss}</channel></rss>",
        f"<rss version='2.0'><channel>&nbsp;{rss}</channel></rss>",
        json.dumps({"version": "https://jsonfeed.org/version/1.1", "items": items}),
    ]
    read_ = [parse(body.encode(), "", FEED, NOW, max_entries=10) for body in bodies]
    assert all("more than 10 entries" in one.problems[-1] for one in read_)
    return [[int(entry.guid) for entry in one.entries] for one in read_]


def test_of_too_many_entries_the_newest_are_kept_whichever_end_they_stand_at() -> None:
    rising = list(range(50))
    assert newest_of(rising) == [rising[-10:]] * 3
    assert newest_of(rising[::-1]) == [rising[:-11:-1]] * 3
    assert newest_of([0, *rising[:0:-1]]) == [[0, *rising[:-10:-1]]] * 3


DECLARATIONS = [
    '<!ENTITY a "unfolded"><!ENTITY j "&a;">',
    '<!ENTITY j "unfolded">',
    '\n<!ENTITY j "unfolded">\n',
    "<!ENTITY j 'unfolded <![CDATA[>]]> once'>",
    '<!-- <rss> ]> -->\n<!ENTITY j "unfolded">\n',
    '<!ENT<!ENTITY x "">ITY j "unfolded">',
    "<!ENTITY % p \"<!ENTITY j 'unfolded'>\">%p;",
]


@pytest.mark.parametrize("declared", DECLARATIONS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp037", "utf-7"])
@pytest.mark.parametrize("title", ["&j;", "&j; & co"])  # the second is not well-formed
@pytest.mark.parametrize("gap", ["", "\n"])
def test_entities_do_not_unfold(declared: str, encoding: str, title: str, gap: str) -> None:
    opening = f'<?xml version="1.0" encoding="{encoding}"?>'
    document = f"{gap}<!DOCTYPE rss [{declared}]>\n" + ONE_TITLE.replace("TITLE", title)
    body = opening.encode() + document.encode("utf-7").replace(b"<", b"+ADw-") if encoding == "utf-7" else b""
    parsed = read(body or (opening + document).encode(encoding))
    assert parsed.kind is Kind.RSS
    assert "unfolded" not in repr(parsed.entries)


def test_a_bomb_of_entities_is_read_at_once() -> None:
    declared = "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    bomb = f'<!DOCTYPE rss [<!ENTITY a "ha">{declared}]>' + ONE_TITLE.replace("TITLE", "&e;")
    assert [one.title for one in read(bomb.encode()).entries] == ["&e;"]


def test_a_document_whose_entities_nobody_uses_is_read_as_any_other() -> None:
    body = b'<!DOCTYPE rss [<!ENTITY a "ha">]>' + ONE_TITLE.replace("TITLE", "Bank &amp; run").encode()
    assert (read(body).problems, [one.title for one in read(body).entries]) == ((), ["Bank & run"])


def test_external_entities_are_not_opened(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("tell-no-one")
    body = f'<!DOCTYPE rss [<!ENTITY x SYSTEM "{secret.as_uri()}">]>' + ONE_TITLE.replace("TITLE", "&x;")
    assert "tell-no-one" not in repr(read(body.encode()))
    assert "tell-no-one" not in repr(read(str(secret).encode()))


# Broken characters

OPENING = '<?xml version="1.0" encoding="utf-8"?>'
NEWS = "<rss version='2.0'><channel><item><title>Apple’s profit: €5bn</title><description>Société CUT</description>"
TORN = "é".encode()[:1]


def news(opening: str = OPENING, end: str = "</item></channel></rss>") -> bytes:
    return (opening + NEWS + end).encode().replace(b"CUT", TORN)


@pytest.mark.parametrize("opening", [OPENING, "\ufeff", "<!-- “” -->"])
@pytest.mark.parametrize("content_type", ["", "text/xml", "application/rss+xml; charset=UTF-8"])
@pytest.mark.parametrize("end", ["</item></channel></rss>", ""])
def test_one_broken_character_hides_nothing_else(opening: str, content_type: str, end: str) -> None:
    """Read by the plain reader, and by the lenient one where the document is broken off."""
    parsed = read(news(opening, end), content_type)
    assert [(one.title, one.summary) for one in parsed.entries] == [("Apple’s profit: €5bn", "Société \ufffd")]
    assert "broken UTF-8" in parsed.problems[0]


def test_what_is_whole_is_read_by_the_plain_reader_after_all() -> None:
    quick = parse_quickly(news(), FEED, NOW, max_entries=9, content_type="text/xml; charset=utf-8")
    lenient = parse_leniently(news(), "text/xml; charset=utf-8", FEED, NOW, max_entries=9)
    assert quick is not None
    assert quick.entries == lenient.entries


def test_a_quotation_mark_out_of_windows_stays_one() -> None:
    end = "</item></channel></rss>"
    body = (OPENING + NEWS + end).encode().replace(b"CUT", b"Ford\x92s")
    assert read(body).entries[0].summary == "Société Ford’s"


@pytest.mark.parametrize(
    ("opening", "content_type", "encoding", "title"),
    [
        ("", "", "windows-1252", "Apple’s profit: “€5bn”, Société Générale"),
        ("", "text/xml", "iso-8859-1", "Société Générale à Zürich"),
        (OPENING, "application/rss+xml; charset=utf-8", "windows-1252", "Apple’s profit: “€5bn”, Société Générale"),
        ("", "text/xml; charset=windows-1251", "windows-1251", "Акции «Газпрома» упали"),
        ('<?xml version="1.0" encoding="windows-1251"?>', "text/xml", "windows-1251", "Акции «Газпрома» упали"),
        ('<?xml version="1.0" encoding="gb2312"?>', "text/xml", "gbk", "中国股市下跌"),
        ('<?xml version="1.0" encoding="Shift_JIS"?>', "text/xml; charset=utf-8", "shift_jis", "日本株が急落"),
        ('<?xml version="1.0" encoding="utf-16"?>', "", "utf-16", "Société Générale"),
    ],
)
def test_a_document_in_another_encoding_is_still_read_in_it(
    opening: str, content_type: str, encoding: str, title: str
) -> None:
    body = (opening + ONE_TITLE.replace("TITLE", title)).encode(encoding)
    assert [one.title for one in read(body, content_type).entries] == [title]


def test_broken_characters_in_a_json_feed() -> None:
    def titled(title: bytes, content_type: str = "") -> list[str]:
        made = b'{"version": "https://jsonfeed.org/version/1.1", "items": [{"id": 1, "title": "%b"}]}' % title
        return [one.title for one in read(made, content_type).entries]

    assert titled("Apple’s €5bn ".encode() + TORN) == ["Apple’s €5bn \ufffd"]
    assert titled(b"\xed\xa0\xbd Z\xc3\xbcrich") == ["? Zürich"]  # half of a character, as some programs write it
    assert titled("Zürich".encode("latin-1")) == ["Zürich"]
    assert titled("Акции".encode("cp1251"), "application/json; charset=windows-1251") == ["Акции"]
    assert titled("Акции".encode("cp1251"), "application/json; charset=nonsense") == []


# Dates


@pytest.mark.parametrize(
    "text",
    [
        "Tue, 10 Mar 2026 11:30:00 GMT",
        "Tue, 10 Mar 2026 12:30:00 +0100",
        "Tue, 10 Mar 2026 12:30:00 CET",
        "Tue, 10 Mar 2026 13:30:00 CEST",
        "Tue, 10 Mar 2026 12:30:00 BST",
        "Tue, 10 Mar 2026 20:30:00 JST",
        "Tue, 10 Mar 2026 19:30:00 HKT",
        "Tue, 10 Mar 2026 21:30:00 AEST",
        "Tue, 10 Mar 2026 06:30:00 EST",
        "Tue, 10 Mar 2026 7:30:00 AM EDT",
        # Summer time had begun in America two days before, and would in Europe in three weeks.
        "Tue, 10 Mar 2026 07:30:00 ET",
        "Tue, 10 Mar 2026 11:30:00 Europe/London",
        "Tue, 10 Mar 2026 13:30:00 UTC+02:00",
        "Tue, 10 Mar 2026 13:30:00 GMT+2",
        "Tue, 10 Mar 2026 13:30:00 +2",
        "Tue, 10 Mar 2026 13:30:00 +200",
        "Tue, 10 Mar 2026 17:00:00 +530",
        "Tue, 10 Mar 2026 17:00:00 +05:30",
        "Tue, 10 Mar 2026 07:30:00 -0400 EDT",
        "Tue, 10 Mar 2026 12:30:00 +0100 (CET)",
        "Tue, 10 Mar 2026 11:30:00",
        "Tue,10 Mar 2026 11:30 GMT",
        "Tuesday, 10-Mar-26 11:30:00 GMT",
        "10. March 2026 11:30",
        "March 10th, 2026 at 11:30 a.m.",
        "Mar 10, 2026 6:30 am EST",
        "Tue Mar 10 11:30:00 2026",
        "Tue Mar 10 07:30:00 EDT 2026",
        "Tue Mar 10 2026 12:30:00 GMT+0100 (Central European Standard Time)",
        "2026-03-10T11:30:00Z",
        "2026-03-10T11:30:00.000Z",
        "2026-03-10T17:00:00+0530",
        "2026-03-10T08:00:00-0330",
        "2026-03-10T12:30+01",
        "2026-03-10t11:30:00.123456789z",
        "2026-03-10T07:30:00-04:00[America/New_York]",
        "2026-03-10T11:30:00Z[UTC]",
        "2026-03-10 11:30:00",
        "2026-03-10 11:30:00 UTC",
        "2026-03-10 06:30:00 EST",
        "2026/03/10 11:30:00",
        "Tue, 2026/03/10 07:30:00 EDT",
        "20260310T113000Z",
        "20260310113000",
        "1773142200",
        "1773142200.5",
        "1773142200000",
        "  Tue,  10 Mar 2026\n11:30:00  GMT ",
    ],
)
def test_one_instant_in_every_form(text: str) -> None:
    """Alike in the plain reader, in the lenient one, and in a JSON feed."""
    meant = datetime(2026, 3, 10, 11, 30, tzinfo=UTC)
    body = ONE_TITLE.replace("</title>", f"</title><pubDate>{text}</pubDate>").encode()
    made = {"version": "https://jsonfeed.org/version/1.1", "items": [{"title": "t", "date_published": text}]}
    lenient = parse_leniently(body, "", FEED, NOW, max_entries=9)
    for parsed in (read(body), lenient, read(json.dumps(made).encode())):
        published = parsed.entries[0].published
        assert published is not None
        assert timedelta(0) <= published - meant < timedelta(seconds=1)


@pytest.mark.parametrize(
    "text",
    [
        "Tue, 10 Mar 2026 11:30:00 IST",  # India, Ireland or Israel
        "Tue, 10 Mar 2026 11:30:00 XYZ",
        "Tue, 10 Mar 2026 11:30:00 Europe/Atlantis",
        "Tue, 10 Mar 2026 11:30:00 America/Argentina",  # a folder of zones
        "Tue, 10 Mar 2026 11:30:00 (EST)",
        "Tue, 10 Mar 2026 11:30:00 +2000",
        "Tue, 10 Mar 2026 11:30:00 +0175",
        "2026-03-10T11:30:00+20:00",
        "2026-03-10T11:30:00[Europe/Paris]",
        "Tue, 10 Mar 2026 13:30:00 PM GMT",
        "Tue, 31 Feb 2026 11:30:00 GMT",
        "Tue, 10 Mar 2026 25:30:00 GMT",
        "10 marraskuu 2026 11:30:00",
        "03/10/2026 11:30:00",  # the tenth of March, or the third of October
        "2026-03",
        "2026",
        "17731422",
        "177314220",
        "0001-01-01T00:00:00+05:00",
        "9999-12-31T23:59:59-05:00",
        "soon",
        "1773142200" * 21,
    ],
)
def test_what_is_not_understood_whole_is_no_date(text: str) -> None:
    assert moment_of(text) is None
    body = ONE_TITLE.replace("</title>", f"</title><pubDate>{text}</pubDate>").encode()
    assert [one.published for one in parse_leniently(body, "", FEED, NOW, max_entries=9).entries] == [None]


def test_a_day_is_its_beginning_and_a_number_in_json_is_a_time() -> None:
    assert moment_of("2026-03-10") == moment_of("Tue, 10 Mar 2026") == datetime(2026, 3, 10, tzinfo=UTC)
    for number in (1773142200, 1773142200.0, 1773142200000, 1773142200000.0):
        made = {"version": "https://jsonfeed.org/version/1.1", "items": [{"title": "t", "date_published": number}]}
        assert read(json.dumps(made).encode()).entries[0].published == datetime(2026, 3, 10, 11, 30, tzinfo=UTC)


def test_zones_mean_what_the_tz_database_means_by_them() -> None:
    """Every abbreviation that it uses this year: understood as it means it, or not at all where it means several."""
    meanings: dict[str, set[timedelta]] = defaultdict(set)
    for zone in map(ZoneInfo, available_timezones()):
        for month in (1, 7):
            local = datetime(2026, month, 1, tzinfo=zone)
            if (name := local.tzname() or "").isalpha() and (ahead := local.utcoffset()) is not None:
                meanings[name].add(ahead)
    defined = {"EST", "EDT", "CST", "CDT", "MST", "MDT", "PST", "PDT"}  # by RFC 822
    assert len(meanings) > 30
    for name, aheads in meanings.items():
        found = moment_of(f"Tue, 10 Mar 2026 11:30:00 {name}")
        ahead = None if found is None else datetime(2026, 3, 10, 11, 30, tzinfo=UTC) - found
        assert ahead is None or ahead in aheads, name
        assert len(aheads) == 1 or ahead is None or name in defined, name


@given(st.integers(600_000_000, 4_000_000_000), st.integers(-14 * 60, 14 * 60))
def test_any_instant_is_read_as_it_was_written(seconds: int, minutes: int) -> None:
    meant = datetime.fromtimestamp(seconds, UTC)
    local = meant + timedelta(minutes=minutes)
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    for form in ("%a, %d %b %Y %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y/%m/%d %H:%M:%S", "%B %d, %Y %I:%M:%S %p"):
        for zone in (f"{sign}{hours:02}{rest:02}", f"{sign}{hours:02}:{rest:02}", f" UTC{sign}{hours}:{rest:02}"):
            text = f"{local:{form}}{'' if 'T' in form else ' '}{zone}"
            assert moment_of(text) == meant, text


@given(st.text(max_size=250) | st.from_regex(r"[0-9A-Za-z:/+., -]{1,60}", fullmatch=True))
def test_any_text_is_a_date_or_none(text: str) -> None:
    found = moment_of(text)
    assert found is None or found.utcoffset() == timedelta(0)


# Anything at all


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
