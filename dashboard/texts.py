"""Words for people: names of series, times, chances and states; and text that stays text.

takes  values as the store holds them
gives  plain strings, or Markdown in which what came from outside is escaped
never  asks for the time, and never lets a title become markup
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from urllib.parse import urlsplit

from monitor.news.companies import gazetteer

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
# Streamlit makes links of bare addresses, arrows of -> and a picture of :streamlit: after escapes were resolved;
# an invisible word joiner between the characters stops it.
_JOINED = re.compile(r"(?<=:)(?=//|streamlit:)|(?<=www)(?=\.)|(?<=[^\s])(?=@)|(?<=[<>-])(?=[<>-])", re.IGNORECASE)
_WORD_JOINER = "\u2060"
# Signs that turn the direction of what follows them; and letters that are written from right to left.
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_LEFTWARDS = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]")
_ISOLATED = "\u2068{}\u2069"
# Where a spreadsheet would begin a formula: some part cells at semicolons, some take full-width signs.
_FORMULA = re.compile(r"(^|;\s*)(?=[=+\-@\uFF1D\uFF0B\uFF0D\uFF20])")


@dataclass(frozen=True, slots=True)
class Look:
    """How a state is shown: its word, a colour that Streamlit knows, a Material icon, and what it means."""

    word: str
    colour: str
    icon: str
    meaning: str = ""

    @property
    def badge(self) -> str:
        """The state as a Markdown badge."""
        return f":{self.colour}-badge[:material/{self.icon}: {self.word}]"


# The list of alerts by this name; the overview leads to it.
OPEN_NOW = "Open now"
STATES: dict[str, Look] = {
    "pending": Look("Pending", "yellow", "hourglass_top", "a surge was seen; it fires when it lasts"),
    "firing": Look("Firing", "red", "notifications_active", "the surge goes on"),
    "recovering": Look("Recovering", "blue", "trending_down", "no surge at the moment; it resolves when that lasts"),
    "no_data": Look("No data", "violet", "signal_disconnected", "no news is seen, so nobody knows whether it goes on"),
    "error": Look("Not tested", "violet", "error", "detection fails, so nobody knows whether it goes on"),
    "resolved": Look("Resolved", "green", "check_circle", "the surge is over"),
    "learning": Look("Learning", "gray", "school", "the usual rate is not known yet"),
    "quiet": Look("Quiet", "green", "check", "nothing unusual"),
    "faded": Look("Faded", "gray", "blur_on", "the surge ended before it fired"),
}
SEVERITIES: dict[str, Look] = {
    "critical": Look("Critical", "red", "crisis_alert"),
    "warning": Look("Warning", "orange", "warning"),
    "info": Look("Info", "blue", "info"),
}
DELIVERY_STATES: dict[str, Look] = {
    "pending": Look("Waiting", "yellow", "schedule_send"),
    "delivered": Look("Delivered", "green", "check_circle"),
    "dead": Look("Given up", "red", "cancel"),
    "bundled": Look("Bundled", "blue", "stacks", "it goes, or went, together with others"),
    "withdrawn": Look("Withdrawn", "gray", "undo", "it was held back, and something later took its place"),
}
_OUTCOMES = {
    "new": "Answers",
    "unchanged": "Answers, nothing new",
    "empty": "Answers, but is empty",
    "not_found": "Not found (404)",
    "gone": "Gone for good (410)",
    "forbidden": "Forbidden",
    "throttled": "Asks to slow down",
    "http_error": "Refuses",
    "server_error": "Server error",
    "html_page": "A web page, no feed",
    "not_a_feed": "Not a feed",
    "too_large": "Too large",
    "timeout": "Did not answer in time",
    "timed_out": "Did not answer in time",
    "no_such_host": "No such host",
    "unreachable": "Unreachable",
    "refused_address": "Leads into a private network",
    "bad_redirect": "Bad redirect",
    "bad_answer": "Broken answer",
}
_CHANGES = {
    "opened": "Surge seen, waiting whether it lasts",
    "fired": "Fired",
    "escalated": "Grew graver",
    "continued": "Goes on",
    "eased": "Eased",
    "returned": "Came back",
    "resolved": "Resolved",
    "faded": "Faded before it fired",
    "lost": "Lost sight: no news came",
    "regained": "News is seen again",
    "reminded": "Reminder: it still fires",
}
TONES: dict[str, Look] = {
    "negative": Look("Negative", "red", "sentiment_dissatisfied"),
    "neutral": Look("Neutral", "gray", "sentiment_neutral"),
    "positive": Look("Positive", "green", "sentiment_satisfied"),
    "unsure": Look("Unsure", "yellow", "question_mark", "the model gave no opinion"),
}
_KINDS = {"market": "Market", "topic": "Topic", "theme": "Theme", "company": "Company", "sector": "Sector"}


def alert_look(state: str, *, fired: bool) -> Look:
    """How to show an alert: one that was over before it fired is kept as resolved, and shown as faded."""
    return look(STATES, "faded" if state == "resolved" and not fired else state)


def look(looks: dict[str, Look], state: str) -> Look:
    """How to show `state`; a state that this page does not know is shown by its own name."""
    return looks.get(state, Look(sentence_case(state), "gray", "circle"))


def outcome(name: str | None) -> str:
    """The outcome of a check or an attempt, in words."""
    return "Not checked yet" if not name else _OUTCOMES.get(name, sentence_case(name))


def change(reason: str) -> str:
    """Why an alert changed, in words."""
    return _CHANGES.get(reason, sentence_case(reason))


def sentence_case(name: str) -> str:
    """`one_publisher` or `bank-stress` as people write it: One publisher, Bank stress."""
    words = re.sub(r"[-_\s]+", " ", name).strip()
    return words[:1].upper() + words[1:]


def sentence(words: str) -> str:
    """Words of an error as a sentence: a capital first, a full stop at the end."""
    flat = words.strip()
    return flat[:1].upper() + flat[1:] + ("" if not flat or flat[-1] in ".!?" else ".")


def series_kind(series: str) -> str:
    """Market, Topic, Theme or Company."""
    kind = series.partition(":")[0]
    return _KINDS.get(kind, sentence_case(kind))


def series_name(series: str) -> str:
    """The series for people: `theme:bank-stress` is Bank stress, `company:GS` is Goldman Sachs (GS)."""
    kind, _, name = series.partition(":")
    if not name:
        return "Whole market" if kind == "market" else sentence_case(kind)
    if kind == "company":
        known = _companies().get(name)
        return name if known is None else f"{known} ({name})"
    if kind == "story":
        # Its id says nothing to people; which story it is stands in the evidence.
        return "Breaking story"
    # A theme is known by its slug; topics are written as they are.
    return sentence_case(name) if kind == "theme" else name.replace(" | ", " / ")


def series_title(series: str) -> str:
    """Name and kind: `Bank stress (theme)`; a company shows what it is by its ticker."""
    name, kind = series_name(series), series_kind(series)
    return name if kind in {"Market", "Company", "Story"} else f"{name} ({kind.lower()})"


def alert_title(series: str, headline: str | None) -> str:
    """What an alert is about: `Bank stress (theme)`; of a breaking story its headline, since all bear one name."""
    return f"{series_name(series)}: {headline}" if headline and series_kind(series) == "Story" else series_title(series)


@cache
def _companies() -> dict[str, str]:
    return {company.ticker: company.name for company in gazetteer()}


def shortened(text: str, most: int = 80) -> str:
    """`text`, cut at a word where it is longer, with a sign of it."""
    flat = " ".join(text.split())
    if len(flat) <= most:
        return flat
    cut = flat[:most]
    return f"{cut.rpartition(' ')[0] if ' ' in cut[most // 2 :] else cut}…"


def literal(text: str) -> str:
    """Markdown that shows `text` as it stands: no link, image, formula, emoji or HTML comes of it.

    What is written from right to left keeps to itself: a time behind it would change places with it.
    """
    flat = _TURNS.sub("", " ".join(text.split()))
    escaped = _PUNCTUATION.sub(r"\\\1", _JOINED.sub(_WORD_JOINER, flat))
    return _ISOLATED.format(escaped) if _LEFTWARDS.search(flat) else escaped


def cell(text: str) -> str:
    """`text` for a table's cell: shown as it stands, and no formula when the table is saved and opened elsewhere."""
    return _FORMULA.sub(rf"\1{_WORD_JOINER}", _TURNS.sub("", " ".join(text.split())))


def web_link(url: str) -> str | None:
    """`url` when it is an http(s) address with a host, else None."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in {"http", "https"} and parts.netloc and not re.search(r"\s", url) else None


def linked(text: str, url: str) -> str | None:
    """Markdown of a link to `url` that shows `text` as it stands; None when `url` is no web address."""
    if not (target := web_link(url)):
        return None
    quoted = re.sub(r"[^A-Za-z0-9:/?#@!&+,;=%._~-]", lambda found: _percent(found[0]), target)
    return f"[{literal(text) or 'untitled'}](<{quoted}>)"


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "replace"))


def utc(at: datetime | None) -> str:
    """`Fri 10 Mar 2023, 14:05 UTC`; `never` for None."""
    return "never" if at is None else f"{at.astimezone(UTC):%a %-d %b %Y, %H:%M} UTC"


def clock(at: datetime) -> str:
    """`10 Mar, 14:05 UTC`."""
    return f"{at.astimezone(UTC):%-d %b, %H:%M} UTC"


def span(length: timedelta) -> str:
    """A length of time in its largest one or two units: `3 d 2 h`, `14 min`, `less than a minute`."""
    minutes = int(abs(length.total_seconds()) // 60)
    if minutes < 1:
        return "less than a minute"
    if minutes < 60:
        return f"{minutes} min"
    hours = minutes // 60
    if hours < 24:
        return f"{hours} h {minutes % 60} min" if hours < 6 and minutes % 60 else f"{hours} h"
    days = hours // 24
    return f"{days} d {hours % 24} h" if days < 4 and hours % 24 else f"{days:,} d"


def ago(at: datetime | None, now: datetime) -> str:
    """`14 min ago`, `in 3 min`, `just now` or `never`."""
    if at is None:
        return "never"
    if abs(now - at) < timedelta(minutes=1):
        return "just now"
    return f"{span(now - at)} ago" if at <= now else f"in {span(at - now)}"


def count(number: int, one: str, many: str = "") -> str:
    """`1 story`, `1,204 stories`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def amount(number: float | None) -> str:
    """A count that may be a fraction: `0.4`, `3.4`, `27`, `<0.1` (which is not nothing), `0`; `unknown` for None."""
    if number is None or not math.isfinite(number):
        return "unknown"
    if number == 0:
        return "0"
    if 0 < number < 0.05:
        return "<0.1"
    return f"{number:.1f}" if number < 10 else f"{number:,.0f}"


def times(observed: float, expected: float | None) -> str:
    """How many times the usual: `7.4 times the usual`; empty when the usual is not known."""
    if expected is None or not math.isfinite(expected):
        return ""
    if expected < 0.05:
        return "usually none"
    ratio = observed / expected
    return f"{ratio:.1f} times the usual" if ratio < 10 else f"{ratio:,.0f} times the usual"


def chance(p_value: float) -> str:
    """A p-value as odds: `1 in 4,300`, `1 in 43 million`, `less than 1 in a trillion`."""
    if not math.isfinite(p_value) or p_value <= 1e-12:
        return "less than 1 in a trillion"
    if p_value > 0.5:
        return "more likely than not"
    odds = 1 / p_value
    for size, word in ((1e9, " billion"), (1e6, " million"), (1, "")):
        if odds >= size:
            scaled = odds / size
            digits = max(0, int(math.log10(scaled)) - 1)
            return f"1 in {round(scaled, -digits):,.0f}{word}"
    return "certain"


def counted(series: str, number: int) -> str:
    """What an alert of this series counts: negative stories; of a breaking story the publishers that carry it."""
    if series_kind(series) == "Story":
        return count(number, "publisher")
    return count(number, "negative story", "negative stories")


def surge(series: str, observed: int, expected: float, hours: int) -> str:
    """What was seen, in one sentence."""
    more = times(observed, expected)
    return f"{counted(series, observed)} in {hours} h, where {amount(expected)} would be usual" + (
        f" ({more})" if "times" in more else ""
    )
