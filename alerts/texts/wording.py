"""Numbers, times and series in words, for people who read mail and chat.

takes  single values
gives  short English text
never  decides what is said, and never emits markup
"""

from __future__ import annotations

import math
import unicodedata
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

NEXT_TO_NOTHING = 0.05  # an expected count below it is not worth a figure
_MOST_TITLE = 300
_MOST_LINK = 2000
# Characters that reorder or hide text (bidirectional controls, zero width): a title could pretend to be another.
_HIDDEN = frozenset(
    chr(c) for c in (*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF, 0x00AD)
)
_SCALES = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"))


def one_line(text: str) -> str:
    """Text on one line without control or hidden characters, at most 300 characters."""
    kept = "".join(
        " " if c.isspace() or unicodedata.category(c) in ("Cc", "Cs") else c for c in text if c not in _HIDDEN
    )
    flat = " ".join(kept.split())
    return flat if len(flat) <= _MOST_TITLE else flat[: _MOST_TITLE - 1].rstrip() + "…"


def web_link(link: str) -> str:
    """The link when it is plain http or https, else "": a javascript: or data: link is not passed on to anyone."""
    if len(link) > _MOST_LINK or any(c.isspace() or c in "<>\"'`\\" or not c.isprintable() for c in link):
        return ""
    try:
        parts = urlsplit(link)
    except ValueError:
        return ""
    return link if parts.scheme in ("http", "https") and parts.hostname else ""


def alert_page(dashboard_url: str, alert: str) -> str:
    """The page of one alert on the dashboard; "" when there is no dashboard."""
    return f"{dashboard_url.rstrip('/')}/alerts?alert={alert}" if dashboard_url else ""


def series_kind(series: str) -> str:
    """What sort of thing a series watches: "market", "topic", "theme", "company"."""
    return one_line(series.partition(":")[0])


def series_name(series: str) -> str:
    """A series key as a name: "theme:bank-stress" is "Bank stress", "market" is "The whole market"."""
    kind, _, key = series.partition(":")
    if kind == "market":
        return "The whole market"
    if kind == "theme":
        words = key.replace("-", " ").replace("_", " ").strip()
        return one_line(words[:1].upper() + words[1:])
    return one_line(key or series)


def count(number: float) -> str:
    """An expected count: one decimal below ten, none above; what is nearly nothing is not called nothing."""
    if 0 < number < NEXT_TO_NOTHING:
        return "under 0.1"
    return f"{number:.1f}".removesuffix(".0") if number < 10 else f"{number:,.0f}"


def stories(number: int) -> str:
    """ "1 negative story", "37 negative stories"."""
    return f"{number:,} negative {'story' if number == 1 else 'stories'}"


def seen(series: str, number: int) -> str:
    """What an alert of this series counts: "37 negative stories"; of a breaking story "4 publishers"."""
    if is_story(series):
        return f"{number:,} {'publisher' if number == 1 else 'publishers'}"
    return stories(number)


def is_story(series: str) -> bool:
    """Whether the series is one breaking story, of which the publishers that carry it are counted."""
    return series.startswith("story:")


def hours(number: int) -> str:
    """ "1 hour", "24 hours", "3 days"."""
    if number > 24 and number % 24 == 0:
        return f"{number // 24} days"
    return "1 hour" if number == 1 else f"{number} hours"


def chance(p_value: float) -> str:
    """A p-value as odds: "about 1 in 20,000"."""
    if not math.isfinite(p_value) or p_value <= 1e-15:
        return "less than 1 in a million billion"
    odds = 1 / min(p_value, 1.0)
    digits = 1 if odds >= 1000 else 2
    odds = round(odds, digits - 1 - math.floor(math.log10(odds)))
    for size, word in _SCALES:
        if odds >= size:
            return f"about 1 in {odds / size:,.0f} {word}"
    return f"about 1 in {odds:,.0f}"


def times_as_many(observed: int, expected: float) -> str:
    """How far above the usual: "9 times the usual number", "" when that says nothing."""
    if expected < NEXT_TO_NOTHING or observed < 1.5 * expected:
        return ""
    return f"{count(round(observed / expected, 1))} times the usual number"


def moment(at: datetime) -> str:
    """ "10 Mar 2026, 14:05 UTC"."""
    utc = at.astimezone(UTC)
    return f"{utc.day} {utc:%b %Y, %H:%M} UTC"


def length(span: timedelta) -> str:
    """A duration in its two largest units: "2 days 3 hours", "40 minutes"."""
    minutes = max(0, round(span.total_seconds() / 60))
    parts = ((minutes // 1440, "day"), (minutes // 60 % 24, "hour"), (minutes % 60, "minute"))
    words = [f"{n} {word}{'' if n == 1 else 's'}" for n, word in parts if n]
    return " ".join(words[:2]) or "less than a minute"
