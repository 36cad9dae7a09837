"""Naming several series at once.

takes  a pattern with `*` and `?`, and a series
gives  whether the pattern covers it
never  reads brackets as sets: a series may hold them
"""

from __future__ import annotations

from fnmatch import fnmatchcase


def covers(pattern: str, series: str) -> bool:
    """Whether `company:*` covers `company:JPM`; case counts, as in the series themselves."""
    return fnmatchcase(series, pattern.replace("[", "[[]"))
