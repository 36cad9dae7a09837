"""What people read: payloads keep their form, words are right, and nothing that a stranger wrote becomes markup."""

from __future__ import annotations

import io
import json
import logging
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import apprise
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from alerts.evidence import Evidence
from alerts.lifecycle import Alert, Change, ChangeReason, Severity, State
from alerts.sending import delivery as delivering
from alerts.sending.channels import ChannelSettings, open_channel
from alerts.sending.chat import inert, named_host
from alerts.sending.delivery import Attempt, AttemptOutcome
from alerts.texts import messages, prose, wording
from alerts.texts.mail_page import colour_of, html_page
from alerts.texts.messages import Message, alert_message, read_message
from alerts.texts.picture import picture

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
DASHBOARD = "http://127.0.0.1:8501/alerts"


def story(
    number: int = 1,
    title: str = "Depositors queue at regional bank",
    link: str = "https://example.com/1",
    **more: object,
) -> Evidence:
    facts: dict[str, object] = {
        "publishers": ("ft", "dow-jones"),
        "at": NOW - timedelta(hours=20 - min(number, 19)),
        "negative": 0.9,
    }
    return Evidence(story=number, title=title, link=link, **{**facts, **more})  # type: ignore[arg-type] # a table of keyword arguments


def message(
    reason: ChangeReason = ChangeReason.FIRED, *evidence: Evidence, name: str = "Bank stress", **more: object
) -> Message:
    resolved = reason is ChangeReason.RESOLVED
    facts: dict[str, object] = {
        "id": "alert_00ff",
        "series": "theme:bank-stress",
        "state": State.RESOLVED if resolved else State.FIRING,
        "severity": Severity.CRITICAL,
        "opened_at": NOW - timedelta(hours=4),
        "fired_at": NOW - timedelta(hours=4),
        "last_spike_at": NOW + timedelta(hours=30) if resolved else NOW,
        "resolved_at": NOW + timedelta(hours=42) if resolved else None,
        "hours": 24,
        "observed": 37,
        "expected": 4.21,
        "p_value": 4.9e-5,
        "peak_observed": 61,
        "peak_expected": 4.4,
        "peak_p_value": 3.2e-8,
        "peak_at": NOW + timedelta(hours=9),
        "evidence": evidence or (story(),),
    }
    alert = Alert(**{**facts, **more})  # type: ignore[arg-type] # a table of keyword arguments
    change = Change(alert=alert, before=State.PENDING, reason=reason, at=NOW)
    return alert_message(change, names={"theme:bank-stress": name}, dashboard_url=DASHBOARD)


def test_the_payload_of_version_1_keeps_its_form() -> None:
    evidence = story(2**64 - 1, at=NOW - timedelta(hours=5))
    assert json.loads(message(ChangeReason.FIRED, evidence).model_dump_json()) == {
        "type": "squall.alert.fired",
        "version": 1,
        "timestamp": "2026-03-10T12:00:00Z",
        "data": {
            "alert": "alert_00ff",
            "series": "theme:bank-stress",
            "kind": "theme",
            "name": "Bank stress",
            "state": "firing",
            "severity": "critical",
            "window_hours": 24,
            "now": {"observed": 37, "expected": 4.21, "p_value": 4.9e-5, "at": "2026-03-10T12:00:00Z"},
            "peak": {"observed": 61, "expected": 4.4, "p_value": 3.2e-8, "at": "2026-03-10T21:00:00Z"},
            "since": "2026-03-10T07:00:00Z",
            "opened_at": "2026-03-10T08:00:00Z",
            "fired_at": "2026-03-10T08:00:00Z",
            "last_surge_at": "2026-03-10T12:00:00Z",
            "resolved_at": None,
            "publishers": 2,
            "stories": [
                {
                    "id": "18446744073709551615",
                    "title": "Depositors queue at regional bank",
                    "publishers": ["ft", "dow-jones"],
                    "link": "https://example.com/1",
                    "at": "2026-03-10T07:00:00Z",
                    "negative": 0.9,
                }
            ],
            "dashboard_url": DASHBOARD,
        },
    }


@pytest.mark.parametrize("reason", [ChangeReason.FIRED, ChangeReason.ESCALATED, ChangeReason.RESOLVED])
def test_a_payload_reads_back_as_it_was_written(reason: ChangeReason) -> None:
    written = message(reason)
    assert read_message(written.model_dump_json()) == written


def test_a_payload_with_new_fields_still_reads_and_one_of_another_version_does_not() -> None:
    payload = json.loads(message().model_dump_json())
    assert read_message(json.dumps({**payload, "mood": "calm", "data": {**payload["data"], "mood": 1}})) == message()
    with pytest.raises(ValidationError, match="version"):
        read_message(json.dumps({**payload, "version": 2}))


def test_the_text_tells_what_how_much_how_likely_since_when_and_what_next() -> None:
    text = prose.plain_text(
        message(ChangeReason.FIRED, story(1), story(2, "Shares halted", "", publishers=("ap", "cnbc", "ft")))
    )
    assert text == (
        "Bank stress: a surge of negative news.\n"
        "\n"
        "In the last 24 hours there were 37 negative stories; about 4.2 would be usual, "
        "so 8.8 times the usual number.\n"
        "If nothing unusual were going on, a count this high would come up about once in 20,000 looks.\n"
        "Since 9 Mar 2026, 17:00 UTC, from 4 publishers.\n"
        "\n"
        "The stories, most widely carried first\n"
        "  1. Shares halted\n"
        "     ap, cnbc, ft · 9 Mar 2026, 18:00 UTC\n"
        "  2. Depositors queue at regional bank\n"
        "     ft, dow-jones · 9 Mar 2026, 17:00 UTC\n"
        "     https://example.com/1\n"
        "     and 35 more\n"
        "\n"
        "What to do next\n"
        "  - Read the stories and judge whether they concern you: Squall counts stories, it does not weigh them.\n"
        "  - To stop reminders, acknowledge it: squall alerts ack alert_00ff\n"
        "  - You will hear again if this grows, from time to time while it lasts, and once when it is over.\n"
        f"  - Dashboard: {DASHBOARD}\n"
        "\n"
        "Alert alert_00ff · theme:bank-stress\n"
    )


def test_a_resolve_tells_length_and_peak() -> None:
    resolved = message(ChangeReason.RESOLVED)
    assert prose.subject(resolved) == "[resolved] Bank stress: over after 2 days 1 hour, peak 61 negative stories"
    text = prose.plain_text(resolved)
    assert "It lasted 2 days 1 hour: from 9 Mar 2026, 17:00 UTC to 11 Mar 2026, 18:00 UTC" in text
    assert "At its peak, 10 Mar 2026, 21:00 UTC, there were 61 negative stories; about 4.4 would be usual" in text
    assert "about once in 30 million looks" in text


def test_a_breaking_story_counts_publishers_and_leaves_no_story_out() -> None:
    told = message(series="story:95d422cdbf428548", observed=5, expected=1.2, hours=6)
    text = prose.plain_text(told)
    assert "5 publishers in 6 hours" in prose.subject(told)
    assert "5 publishers carried it; about 1.2 would be usual" in text
    assert "one negative story that unusually many publishers carry." in text
    assert "negative stories" not in text + html_page(told)
    assert "and 4 more" not in text
    over = prose.plain_text(message(ChangeReason.RESOLVED, series="story:95d422cdbf428548"))
    assert "it is no longer carried by unusually many publishers." in over
    assert "61 publishers carried it" in over


def test_what_is_nearly_nothing_is_not_called_nothing() -> None:
    told = message(expected=0.019)
    assert prose.subject(told).endswith("usual under 0.1")
    assert ">under 0.1<" in html_page(told, "")
    assert prose.subject(message(expected=0.12)).endswith("usual 0.1")


def test_an_escalation_says_that_it_is_one() -> None:
    assert "Bank stress: the surge of negative news has grown and is now critical." in prose.plain_text(
        message(ChangeReason.ESCALATED)
    )


def test_a_payload_stays_small_and_says_how_many_stories_it_leaves_out() -> None:
    many = message(ChangeReason.FIRED, *(story(n) for n in range(200)), observed=200)
    assert many.data is not None
    assert len(many.data.stories) == messages.MOST_STORIES
    assert "and 190 more" in prose.plain_text(many)
    assert "and 190 more" in html_page(many)


@pytest.mark.parametrize(
    ("p_value", "words"),
    [
        (1.0, "about 1 in 1"),
        (0.04, "about 1 in 25"),
        (0.0066, "about 1 in 150"),
        (4.9e-5, "about 1 in 20,000"),
        (9.6e-6, "about 1 in 100,000"),
        (3.2e-8, "about 1 in 30 million"),
        (5e-11, "about 1 in 20 billion"),
        (1e-13, "about 1 in 10 trillion"),
        (1e-16, "less than 1 in a million billion"),
        (0.0, "less than 1 in a million billion"),
        (math.nan, "less than 1 in a million billion"),
    ],
)
def test_chances_are_odds(p_value: float, words: str) -> None:
    assert wording.chance(p_value) == words


@pytest.mark.parametrize(
    ("series", "name"),
    [
        ("market", "The whole market"),
        ("theme:bank-stress", "Bank stress"),
        ("topic:M&A | Investments", "M&A | Investments"),
        ("company:JPM", "JPM"),
        ("oddity", "oddity"),
    ],
)
def test_series_have_names(series: str, name: str) -> None:
    assert wording.series_name(series) == name


@pytest.mark.parametrize(
    ("link", "kept"),
    [
        ("https://example.com/a?b=c&d=e#f", True),
        ("http://example.com", True),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("//example.com", False),
        ("https://", False),
        ('https://e.com/" onclick="x', False),
        ("https://e.com/\nSet-Cookie: x", False),
        ("https://[e.com", False),
        ("https://e.com/" + "x" * 3000, False),
        ("", False),
    ],
)
def test_only_web_links_are_passed_on(link: str, kept: bool) -> None:
    assert wording.web_link(link) == (link if kept else "")


class Reading(HTMLParser):
    """Collects the tags, links and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)
        self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.text += data


KNOWN = Reading(html_page(message()))
hostile = st.text() | st.sampled_from(
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=x>',
        "&lt;b&gt;",
        "<!--",
        "]]>",
        "\u202eevil",
        "a\r\nBcc: x@y.z",
        "javascript:x",
    ]
)


@settings(deadline=None)
@given(hostile, hostile, hostile, hostile)
def test_nothing_that_a_stranger_wrote_becomes_markup(title: str, publisher: str, link: str, name: str) -> None:
    told = message(ChangeReason.FIRED, story(1, title, link, publishers=(publisher,)), name=name)
    page = Reading(html_page(told))
    assert page.tags <= KNOWN.tags
    assert page.attributes <= KNOWN.attributes
    assert all(found.startswith(("http://", "https://")) for found in page.links)
    assert wording.one_line(title) in page.text
    assert "\n" not in prose.subject(told)
    assert "\r" not in prose.plain_text(told)


def test_a_picture_shows_the_last_days_and_is_said_in_words() -> None:
    told = message()
    assert told.data is not None
    assert picture(told.data, "#b42318") is None
    counts = (*(0,) * 50, 1, 2, 9, 9, 7, 5)
    trend = messages.Trend(since=NOW - timedelta(days=7), hours_per_bar=3, negative=counts)
    with_trend = told.model_copy(update={"data": told.data.model_copy(update={"trend": trend})})
    assert read_message(with_trend.model_dump_json()) == with_trend
    drawn = picture(with_trend.data, colour_of(with_trend))  # type: ignore[arg-type]  # it has data
    assert drawn is not None
    image = Image.open(io.BytesIO(drawn)).convert("RGB")
    assert image.size == (1072, 240)
    red = sum(count for count, colour in image.getcolors(1 << 20) or [] if colour == (0xB4, 0x23, 0x18))
    assert 2_000 < red < 40_000, "the surge's bars are drawn in the colour of its severity"
    assert len(drawn) < 20_000
    page = Reading(html_page(with_trend, "cid:trend@example.com"))
    assert page.tags - KNOWN.tags == {"img"}
    assert "at most 9, last 5" in html_page(with_trend, "cid:trend@example.com")


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=60), st.floats(0.001, 1e6))
@settings(max_examples=25, deadline=None)
def test_any_counts_can_be_drawn(counts: list[int], expected: float) -> None:
    told = message(expected=expected)
    assert told.data is not None
    trend = messages.Trend(since=NOW - timedelta(days=7), hours_per_bar=3, negative=tuple(counts))
    assert picture(told.data.model_copy(update={"trend": trend}), "#b42318")


def test_a_page_loads_nothing_and_runs_nothing() -> None:
    assert KNOWN.tags.isdisjoint({"script", "img", "link", "iframe", "form", "object", "base"})
    assert not any(name.startswith("on") or name == "src" for name in KNOWN.attributes)
    assert KNOWN.links == ["https://example.com/1", DASHBOARD]


@given(st.text(max_size=2000))
def test_text_on_one_line_is_on_one_line_short_and_settled(text: str) -> None:
    line = wording.one_line(text)
    assert line.splitlines() in ([line], [])
    assert len(line) <= 300
    assert wording.one_line(line) == line
    line.encode()


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(0), "less than a minute"),
        (timedelta(minutes=-5), "less than a minute"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(hours=25), "1 day 1 hour"),
        (timedelta(days=3, hours=2, minutes=59), "3 days 2 hours"),
    ],
)
def test_lengths_in_words(span: timedelta, words: str) -> None:
    assert wording.length(span) == words


# Chat


class ChatService(BaseHTTPRequestHandler):
    """A chat service as Apprise's json:// form speaks to one; silent until `leave` is set when its status is 0."""

    server: ChatServer

    def do_POST(self) -> None:
        self.server.taken.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        if self.server.status == 0:
            self.server.leave.wait(30)
            return
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class ChatServer(ThreadingHTTPServer):
    def __init__(self, status: int) -> None:
        super().__init__(("127.0.0.1", 0), ChatService)
        self.status = status
        self.leave = threading.Event()
        self.taken: list[dict[str, str]] = []


@contextmanager
def chat_server(status: int) -> Iterator[ChatServer]:
    server = ChatServer(status)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.leave.set()
        server.shutdown()
        thread.join()
        server.server_close()


def chat_attempt(monkeypatch: pytest.MonkeyPatch, port: int) -> Attempt:
    monkeypatch.setenv("SQUALL_CHAT", f"json://127.0.0.1:{port}/t0ken")
    table = {"type": "chat", "name": "room", "url": "env:SQUALL_CHAT", "timeout_seconds": 1}
    allowed = {"allow_private_addresses": ["127.0.0.1"]}
    channel = open_channel(TypeAdapter(ChannelSettings).validate_python({**table, **allowed}))
    return channel.send(delivering.test_delivery("room", NOW), NOW)


@pytest.fixture
def root_log() -> Iterator[io.StringIO]:
    """What an application's log shows at its most talkative. Not caplog: that listens to muted loggers too."""
    kept, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(kept), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield kept
    root.setLevel(level)
    root.removeHandler(handler)


@pytest.mark.parametrize(
    ("status", "outcome", "word"),
    [
        (200, AttemptOutcome.DELIVERED, ""),
        (
            404,
            AttemptOutcome.REFUSED,
            "the chat service of room answered 404: see whether the address in env:SQUALL_CHAT",
        ),
        (429, AttemptOutcome.THROTTLED, "answered 429: too many messages"),
        (0, AttemptOutcome.TIMED_OUT, "did not answer within 1 s"),
    ],
)
def test_chat_tells_how_it_went_without_the_address(
    monkeypatch: pytest.MonkeyPatch, root_log: io.StringIO, status: int, outcome: AttemptOutcome, word: str
) -> None:
    with chat_server(status) as server:
        attempt = chat_attempt(monkeypatch, server.server_port)
    assert (attempt.outcome, word in attempt.reason) == (outcome, True)
    assert attempt.millis < 3000
    assert len(server.taken) == 1
    assert server.taken[0]["title"] == "[Squall] Test notification"
    assert server.taken[0]["message"].startswith("This channel works.")
    assert "t0ken" not in attempt.reason + root_log.getvalue()


def test_a_chat_service_that_is_away_is_a_value(monkeypatch: pytest.MonkeyPatch, root_log: io.StringIO) -> None:
    with chat_server(200) as server:
        port = server.server_port
    attempt = chat_attempt(monkeypatch, port)
    assert (attempt.outcome, "could not be reached" in attempt.reason) == (AttemptOutcome.UNREACHABLE, True)
    assert "t0ken" not in attempt.reason + root_log.getvalue()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.0.0.9", "169.254.169.254"])
def test_a_chat_address_with_a_private_host_is_refused(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    with chat_server(200) as server:
        monkeypatch.setenv("SQUALL_CHAT", f"json://{host}:{server.server_port}/t0ken")
        table = {"type": "chat", "name": "room", "url": "env:SQUALL_CHAT", "timeout_seconds": 1}
        channel = open_channel(TypeAdapter(ChannelSettings).validate_python(table))
        attempt = channel.send(delivering.test_delivery("room", NOW), NOW)
    assert attempt.outcome is AttemptOutcome.MISCONFIGURED
    assert "unless allow_private_addresses names its host" in attempt.reason
    assert server.taken == []


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("json://127.0.0.1:80/x", "127.0.0.1"),
        ("ntfy://alerts.corp.example/topic", "alerts.corp.example"),
        ("ntfy://topic", ""),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#c", ""),
        ("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js", ""),
        ("mailto://user:pass@gmail.com", "smtp.gmail.com"),
        ("gotify://10.0.0.1/token1234567890a", "10.0.0.1"),
    ],
)
def test_the_host_of_a_chat_address_is_known_where_it_names_one(address: str, host: str) -> None:
    service = apprise.Apprise()
    assert service.add(address)
    assert named_host(service[0]) == host


def test_a_headline_in_chat_calls_nobody_and_disguises_no_link() -> None:
    said = inert("@everyone <!channel> [your bank](https://evil.example) <b>x</b>")
    for live in ("@e", "<", ">", "]("):
        assert live not in said
    assert "everyone" in said
    assert "https://evil.example" in said
