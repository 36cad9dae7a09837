"""The instant that a feed's date means.

takes  a date as a feed writes it
gives  aware UTC, or None; whether a list of dates begins with the oldest
never  guesses: what is not understood whole, or means one thing here and another there, is no date

Understood are RFC 822 and its relatives, ISO 8601, asctime, and seconds or milliseconds since 1970. A time without a
zone is taken as UTC, as other readers take it. A day without a time is taken as its beginning: that is wrong by less
than a headline stays fresh, where a month or a year alone would be wrong by more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

_LONGEST_DATE = 200
_NONE = timedelta(0)
# No place on earth is further from Greenwich: more is a slip of somebody's pen.
_FURTHEST = timedelta(hours=14)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Nearly every date is in one of these two forms, and is read without trying any other.
_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_RFC822 = re.compile(
    r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), )?(\d{1,2}) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) (\d{4})"
    r" (\d\d):(\d\d):(\d\d) (?:GMT|UTC|Z|([+-])(\d\d)(\d\d))",
    re.ASCII,
)

_MONTHS = {
    name: n
    for n, name in enumerate(
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], start=1
    )
}
_WEEKDAY = r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?[.,]{0,2} ?)?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th|\.)?"
# English names only, whole or as they are shortened: "mar" is November to a Finn.
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,]\d{1,9})?)?"
# What follows the time, to the end, must be a zone: `_ahead` says which.
_TIME = _CLOCK + r"(?: ?(?P<half>[ap])\.?m\.?)?(?: ?(?P<zone>[a-z+-].*))?"
_AND_TIME = rf"(?:,? (?:at )?{_TIME})?"
_FORMS = tuple(
    re.compile(form, re.ASCII | re.IGNORECASE)
    for form in (
        rf"{_WEEKDAY}{_DAY}[ -]{_MONTH},?[ -](?P<year>\d{{4}}|\d\d){_AND_TIME}",
        rf"{_WEEKDAY}{_MONTH} {_DAY},? (?P<year>\d{{4}}){_AND_TIME}",
        rf"{_WEEKDAY}{_MONTH} {_DAY} {_CLOCK}(?: (?P<zone>\S+))? (?P<year>\d{{4}})",
        # The year first: what comes before it could be a month here and a day there.
        rf"{_WEEKDAY}(?P<year>\d{{4}})([-/.])(?P<month>\d{{1,2}})\2(?P<day>\d{{1,2}})(?:(?: ?T ?|,? (?:at )?){_TIME})?",
        r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)"
        r"(?:T?(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)?(?: ?(?P<zone>[a-z+-].*))?)?",
    )
)
_SINCE_1970 = re.compile(r"(\d{10})(?:\.\d{1,9})?|(\d{13})(?:\.\d{1,9})?", re.ASCII)

# Minutes ahead of UTC. EST to PDT are defined by RFC 822, whoever else uses their letters: a Chinese CST comes out as
# a date ahead, and is seen as one. The others mean this in every place where the tz database uses them today; SGT and
# MEST it no longer uses. IST is India, Ireland and Israel, and is left out.
_AHEAD = {
    name: timedelta(minutes=minutes)
    for minutes, names in {
        0: "UT UTC GMT Z WET",
        60: "BST CET MET WAT WEST",
        120: "CAT CEST EET MEST SAST",
        180: "EAT EEST MSK",
        300: "PKT",
        420: "WIB",
        480: "AWST HKT SGT WITA",
        540: "JST KST WIT",
        570: "ACST",
        600: "AEST",
        630: "ACDT",
        660: "AEDT",
        720: "NZST",
        780: "NZDT",
        -150: "NDT",
        -180: "ADT",
        -210: "NST",
        -240: "AST EDT",
        -300: "EST CDT",
        -360: "CST MDT",
        -420: "MST PDT",
        -480: "PST AKDT",
        -540: "AKST HDT",
        -600: "HST",
    }.items()
    for name in names.split()
}
# What Americans write all year round, summer time or not.
_REGIONS = {"ET": "America/New_York", "CT": "America/Chicago", "MT": "America/Denver", "PT": "America/Los_Angeles"}
_REGION = re.compile(r"[A-Za-z]{2,20}(?:/[A-Za-z_-]{2,30}){1,2}", re.ASCII)
# `+02:00`, `+0200`, `-5`, `+530`, `UTC+2`, `-0400 EDT`: where hours and a name are told, the hours hold.
_HOURS = re.compile(r"(?:UTC|GMT|UT)? ?([+-])(\d{1,2})(?::?(\d\d))?(?: [A-Z]{1,5})?", re.ASCII | re.IGNORECASE)
_REMARK = re.compile(r"(?<=\w) ?(?:\([^()]*\)|\[[^\[\]]*\])\Z")


def moment_of(text: str) -> datetime | None:
    """The instant that a date means, aware UTC; None when it is not understood."""
    if not text or len(text) > _LONGEST_DATE:
        return None
    # A day that does not exist, an hour past midnight, a year past the calendar: ValueError and OverflowError.
    with suppress(ValueError, OverflowError):
        if _ISO.fullmatch(text):
            moment = datetime.fromisoformat(text)
            return moment.astimezone(UTC) if abs(moment.utcoffset() or _NONE) <= _FURTHEST else None
        if plain := _RFC822.fullmatch(text):
            day, name, year, hour, minute, second, sign, hours, minutes = plain.groups()
            local = datetime(int(year), _MONTHS[name], int(day), int(hour), int(minute), int(second), tzinfo=UTC)
            ahead = _hours(sign, hours, minutes) if sign else _NONE
            return None if ahead is None else local - ahead
        return _rarer(" ".join(text.split()))
    return None


def oldest_first(dates: Iterable[datetime | None]) -> bool:
    """Whether most of these follow an earlier one; those that are None say nothing. One that is pinned to the top of a
    list does not turn it round."""
    steps = list(pairwise(date for date in dates if date is not None))
    return sum(one < other for one, other in steps) > sum(one > other for one, other in steps)


def _rarer(text: str) -> datetime | None:
    if since := _SINCE_1970.fullmatch(text):
        seconds, millis = since.groups()
        return _EPOCH + (timedelta(seconds=int(seconds)) if seconds else timedelta(milliseconds=int(millis)))
    found = next(filter(None, (form.fullmatch(text) for form in _FORMS)), None)
    if found is None:
        return None
    parts = found.groupdict()
    hour = _hour(int(parts["hour"] or 0), (parts.get("half") or "").lower())
    if hour is None:
        return None
    year, month = _year(parts["year"]), _month(parts["month"])
    local = datetime(
        year, month, int(parts["day"]), hour, int(parts["minute"] or 0), int(parts["second"] or 0), tzinfo=UTC
    )
    ahead = _ahead(parts["zone"] or "", local)
    return None if ahead is None else local - ahead


def _year(digits: str) -> int:
    # Two digits, as RFC 822 has them: read as RFC 2822 says.
    year = int(digits)
    return year if len(digits) == 4 else year + (2000 if year < 50 else 1900)


def _month(told: str) -> int:
    return int(told) if told.isdecimal() else _MONTHS[told[:3].title()]


def _hour(hour: int, half: str) -> int | None:
    """The hour of the day; None when it is told by halves and is none of a half."""
    if not half:
        return hour
    return hour % 12 + (12 if half == "p" else 0) if 1 <= hour <= 12 else None


def _ahead(zone: str, local: datetime) -> timedelta | None:
    """How far a zone's clocks are ahead of UTC; None when it is none that is known for sure.

    Args:
        local: what its clocks show.
    """
    zone = _REMARK.sub("", zone)
    if not zone:
        return _NONE
    if (known := _AHEAD.get(zone.upper())) is not None:
        return known
    if told := _HOURS.fullmatch(zone):
        return _hours(told[1], told[2], told[3] or "0")
    region = _REGIONS.get(zone.upper(), zone)
    if _REGION.fullmatch(region) is None:
        return None
    # A name that no zone bears, or the name of a folder of zones.
    with suppress(KeyError, ValueError, OSError):
        return local.replace(tzinfo=ZoneInfo(region)).utcoffset()
    return None


@lru_cache(maxsize=200)
def _hours(sign: str, hours: str, minutes: str) -> timedelta | None:
    ahead = timedelta(hours=int(hours), minutes=int(minutes))
    if ahead > _FURTHEST or int(minutes) > 59:
        return None
    return -ahead if sign == "-" else ahead
