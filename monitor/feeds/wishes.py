"""What a server asks for in the headers of its answer.

takes  headers, and `now`
gives  how long to leave it alone, and for how long the answer is good
never  raises on a header, and never takes the server's clock for ours
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

_MAX_AGE = re.compile(r"(?:^|[\s,])max-age\s*=\s*\"?(\d+)")


def retry_after(header: str | None, now: datetime, date: str | None = None) -> timedelta | None:
    """The wait that a Retry-After header asks for (seconds or a date); None when absent, unreadable or past.

    Args:
        now: aware UTC.
        date: the answer's Date header. A date is compared with the server's own clock, where it tells it: one that
            runs an hour ahead does not make us wait an hour longer.
    """
    text = (header or "").strip()
    # Whole ones (RFC 9110, 10.2.3), but some say halves: who asks for them wants to be left alone as well.
    whole, _, part = text.partition(".")
    seconds = _seconds(whole) if not part or _seconds(part) is not None else None
    if seconds is not None:
        return seconds
    moment = _moment(text)
    if moment is None:
        return None
    wait = moment - (_moment(date or "") or now)
    return wait if wait > timedelta(0) else None


def fresh_for(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """For how long an answer is good: the longer of Cache-Control max-age (less Age) and Expires; None when unsaid.

    Args:
        headers: of the answer, names in any case as httpx2 gives them.
        now: aware UTC; Expires is compared with the answer's own Date where there is one.
    """
    told: list[timedelta] = []
    control = headers.get("cache-control", "").lower()
    if "no-cache" in control or "no-store" in control:
        return None
    if found := _MAX_AGE.search(control):
        age = _seconds(headers.get("age", "").strip()) or timedelta(0)
        told.append(timedelta(seconds=int(found.group(1)[:10])) - age)
    expires = _moment(headers.get("expires", "").strip())
    if expires is not None:
        told.append(expires - (_moment(headers.get("date", "")) or now))
    longest = max(told, default=timedelta(0))
    return longest if longest > timedelta(0) else None


def _seconds(text: str) -> timedelta | None:
    # isdecimal() alone also accepts digits of other scripts; ten digits are 300 years.
    return timedelta(seconds=int(text[:10])) if text.isascii() and text.isdecimal() else None


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
