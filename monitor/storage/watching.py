"""Which series are watched, and since when each is counted without a gap.

takes  the series that the settings name, and now
gives  rows of the table `series`
never  forgets a series: one that left and comes back within a day goes on as it was

A company that may not alert is counted all the same, so it knows what is usual when it may. What left the settings,
such as a theme, is counted nowhere: after more than a day it learns anew, lest silence that nobody listened to be
taken for calm.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl

from monitor.storage.database import Database

# A daemon that was started with a mistyped file must not forget weeks; a day of them missing tells next to nothing.
GRACE = timedelta(days=1)

# Rows of the table `series` that may alert.
WATCHED = "left_at IS NULL AND NOT silent"

_LEAVE = "UPDATE series SET left_at = $now WHERE left_at IS NULL AND series NOT IN (SELECT series FROM named)"
_RETURN = """
    UPDATE series SET since = if(left_at < $latest, $now, since), left_at = NULL
    WHERE left_at IS NOT NULL AND series IN (SELECT series FROM named)
"""
_BEGIN = "INSERT INTO series BY NAME SELECT series, $now AS since FROM named ON CONFLICT DO NOTHING"
_SPEAK = "UPDATE series SET silent = named.silent FROM named WHERE series.series = named.series"


def watch(database: Database, watched: Sequence[str], now: datetime) -> None:
    """Watch these series beside what is watched already; each begins now, unless it has begun."""
    _keep(database, watched, (), now, leave=False)


def watch_only(database: Database, watched: Sequence[str], silent: Sequence[str], now: datetime) -> None:
    """Watch these series, and from now on no others.

    Args:
        silent: further series in which headlines are counted, and which may not alert.
        now: aware UTC.
    """
    _keep(database, watched, silent, now, leave=True)


def _keep(database: Database, watched: Sequence[str], silent: Sequence[str], now: datetime, *, leave: bool) -> None:
    told = dict.fromkeys(silent, True) | dict.fromkeys(watched, False)
    named = pl.DataFrame(
        {"series": list(told), "silent": list(told.values())}, schema={"series": pl.String, "silent": pl.Boolean}
    )
    with database.writing(named=named) as connection:
        if leave:
            connection.execute(_LEAVE, {"now": now})
        connection.execute(_RETURN, {"now": now, "latest": now - GRACE})
        connection.execute(_BEGIN, {"now": now})
        connection.execute(_SPEAK)
