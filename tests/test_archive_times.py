"""Times as archives write them: many at once are read as one by one, and what is no time is none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from monitor.archives.dated import instant_of, published_of


@pytest.mark.parametrize(
    ("told", "at"),
    [
        ("2026-01-05T10:00:00Z", datetime(2026, 1, 5, 10, tzinfo=UTC)),
        ("2026-01-05 10:00:00", datetime(2026, 1, 5, 10, tzinfo=UTC)),
        ("2026-01-05T10:00:00.25+02:00", datetime(2026, 1, 5, 8, 0, 0, 250_000, tzinfo=UTC)),
        ("2026-01-05T10:00", datetime(2026, 1, 5, 10, tzinfo=UTC)),
        (" 2026-01-05 ", datetime(2026, 1, 5, tzinfo=UTC)),
        ("2026-01-05T10:00+01:00", datetime(2026, 1, 5, 9, tzinfo=UTC)),
        ("2026-01-05T11:00Z", datetime(2026, 1, 5, 11, tzinfo=UTC)),
        ("2026-01-05T13:00:00+0200", datetime(2026, 1, 5, 11, tzinfo=UTC)),
        ("20260105T150000Z", datetime(2026, 1, 5, 15, tzinfo=UTC)),
        ("2026-01-05T16:00:00,5Z", datetime(2026, 1, 5, 16, 0, 0, 500_000, tzinfo=UTC)),
        ("05/01/2026", None),
        ("1767607200", None),
        ("1989-12-31T00:00:00Z", None),
        ("0001-01-01T00:00+05:00", None),
        ("2199-12-31T23:59:59Z", datetime(2199, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2200-01-01", None),
        ("9999-12-31T23:30-05:00", None),
    ],
)
def test_times_as_archives_write_them(told: str, at: datetime | None) -> None:
    """Beside another shape as alone, and as a CSV that is played has them."""
    frame = pl.DataFrame({"published": ["2026-01-05T09:00:00Z", told, None]})
    (_, found, none) = frame.select(published_of(frame.schema["published"])).to_series()
    assert (found, none) == (at, None)
    assert instant_of(told.strip()) == at


@hypothesis_settings(deadline=None)
@given(
    st.datetimes(
        datetime(1985, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
        datetime(2205, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
        timezones=st.one_of(
            st.none(), st.integers(-14 * 60, 14 * 60).map(lambda some: timezone(timedelta(minutes=some)))
        ),
    ),
    st.sampled_from(["hours", "minutes", "seconds", "milliseconds", "microseconds"]),
    st.sampled_from("T "),
    st.booleans(),
)
def test_many_times_at_once_are_read_as_one_by_one(at: datetime, exact: str, between: str, dense: bool) -> None:
    told = at.isoformat(between, exact)
    told = told.replace(":", "") if dense else told
    frame = pl.DataFrame({"published": [told]})
    assert frame.select(published_of(pl.String())).item() == instant_of(told)


def test_times_that_are_times_already() -> None:
    naive = datetime(2026, 1, 5, 10)  # noqa: DTZ001 - an archive's own column without a zone
    for series in (pl.Series("published", [naive]), pl.Series("published", [naive.replace(tzinfo=UTC)])):
        assert pl.select(pl.lit(series)).select(published_of(series.dtype)).item() == naive.replace(tzinfo=UTC)
    day = pl.Series("published", [naive.date()])
    assert day.to_frame().select(published_of(day.dtype)).item() == datetime(2026, 1, 5, tzinfo=UTC)
