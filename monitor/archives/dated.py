"""Rows of a scored archive as rows of the store: many at once, and the same as one by one.

takes  a frame of a scored archive, and when it is taken in
gives  `Dated`: frames in the columns of tables `headlines` and `scores`, and how many rows were left out, by reason
never  differs from `monitor.news.headlines.headline` and `monitor.series.series_of`: tests hold one against the other

Most titles and links need no cleaning, which a regular expression tells for all of them at once; the others go through
the functions of the daemon one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

import polars as pl

from monitor.archives.bearers import told_apart
from monitor.feeds.habits import CLOCK_SLACK, OLDEST
from monitor.news.headlines import (
    ARCHIVE_AFTER,
    LONGEST_LINK,
    LONGEST_SUMMARY,
    LONGEST_TITLE,
    Standing,
    canonical_link,
    clean,
    name_of,
)
from monitor.news.outlets import feed_of
from monitor.series import MARKET, Kind, sector_of
from monitor.storage.rows import HEADLINES, SCORES, Schema

# What is dated later is a slip; and of the year 9999 no hour could be said to follow.
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
_INSTANT = pl.Datetime("us", "UTC")
# What `clean` leaves as it is: printable ASCII on one line, without markup, entities or double blanks.
_CLEAN = r"^[!-%'-;=-~]+(?: [!-%'-;=-~]+)*$"
# What `canonical_link` leaves as it is: no port, no query, no fragment, nothing to be encoded.
_PLAIN_LINK = r"^https?://[a-z0-9.-]+/[A-Za-z0-9/._~%!$&()*+,;=:@-]*$"
_WANTED = {"outlet": "", "title": "", "summary": "", "link": "", "guid": "", "language": "en"}


@dataclass(frozen=True, slots=True)
class Dated:
    """Rows ready for the store, in order of time; each headline once.

    Attributes:
        headlines, scores: columns of `HEADLINES` and `SCORES`; the story of each headline is its own id.
        left_out: rows that are not taken in, by reason: failed, untitled, repeated, future.
    """

    headlines: pl.DataFrame
    scores: pl.DataFrame
    left_out: Mapping[str, int]


def published_of(kind: pl.DataType) -> pl.Expr:
    """Column `published` as instants, UTC where it names no zone; null where it is none from `OLDEST` to `LATEST`."""
    column = pl.col("published")
    match kind:
        case pl.Datetime():
            at = column.cast(_INSTANT) if kind.time_zone else column.dt.replace_time_zone("UTC").cast(_INSTANT)
        case pl.Date():
            at = column.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        case _:
            at = _read(column.cast(pl.String).str.strip_chars())
    return pl.when(at.is_between(OLDEST, LATEST, closed="left")).then(at)


def instant_of(text: str) -> datetime | None:
    """ISO 8601 in any shape, UTC where it names no zone; None where it is no time from `OLDEST` to `LATEST`."""
    try:
        told = datetime.fromisoformat(text)
        at = told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return at if OLDEST <= at < LATEST else None


def _read(text: pl.Expr) -> pl.Expr:
    """ISO 8601: many at once in the shapes that most archives have, and what is none of these one by one."""
    even = text.str.replace(" ", "T", literal=True).str.replace("Z$", "+00:00")
    zoned = even.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%:z", time_unit="us", strict=False).dt.convert_time_zone("UTC")
    naive = [
        even.str.to_datetime(shape, time_unit="us", strict=False).dt.replace_time_zone("UTC")
        for shape in ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M")
    ]
    day = even.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    many = pl.coalesce(zoned, *naive, day)
    return pl.coalesce(many, pl.when(many.is_null()).then(text).map_batches(_one_by_one, return_dtype=_INSTANT))


def _one_by_one(texts: pl.Series) -> pl.Series:
    each = texts.drop_nulls().unique()
    return texts.replace_strict(each, [instant_of(text) for text in each], default=None, return_dtype=_INSTANT)


def dated(rows: pl.DataFrame, now: datetime, titles: Callable[[pl.Series], Mapping[int, str]] = lambda _: {}) -> Dated:
    """Make rows of the store.

    Args:
        rows: columns of a scored archive, `published` as instants without nulls.
        now: when they are taken in, aware UTC: none of them is fresh, and so none of them alerts.
        titles: of ids, those that are stored already, with their titles.
    """
    scored = rows.filter(pl.col("sentiment").is_not_null())
    known = scored.filter(pl.col("published") <= now + CLOCK_SLACK)
    texts = known.with_columns(
        (pl.col(name).cast(pl.String).fill_null(other) if name in known.columns else pl.lit(other)).alias(name)
        for name, other in _WANTED.items()
    ).select(*_WANTED, "published", *(name for name in SCORES if name in known.columns), "companies")
    told = texts.with_columns(
        _mended(texts["title"], _CLEAN, LONGEST_TITLE, lambda text: clean(text, LONGEST_TITLE)),
        _mended(texts["summary"], _CLEAN, LONGEST_SUMMARY, lambda text: clean(text, LONGEST_SUMMARY)),
        _mended(texts["link"], _PLAIN_LINK, LONGEST_LINK, canonical_link),
        *_houses(texts),
    ).filter(pl.col("title") != "")
    named = _apart(told.with_columns(_ids(told)).sort("published", "id", maintain_order=True), titles)
    once = named.unique("id", keep="first", maintain_order=True)
    headlines = once.select(
        "id",
        "feed",
        "publisher",
        "title",
        "summary",
        "link",
        "language",
        "published",
        fetched=pl.lit(now, _INSTANT),
        effective=pl.min_horizontal("published", pl.lit(now, _INSTANT)),
        standing=pl.when(pl.lit(now, _INSTANT) - pl.col("published") > ARCHIVE_AFTER)
        .then(pl.lit(Standing.ARCHIVE.value))
        .otherwise(pl.lit(Standing.FIRST_FETCH.value)),
        story="id",
        companies=pl.col("companies").list.eval(pl.element().struct.field("ticker")),
    )
    left_out = {
        "failed": rows.height - scored.height,
        "future": scored.height - known.height,
        "untitled": known.height - told.height,
        "repeated": told.height - once.height,
    }
    return Dated(_typed(headlines, HEADLINES), _scores(once, headlines), left_out)


def _typed(frame: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """The columns of the schema, in its order and types."""
    return frame.select(pl.col(name).cast(kind) for name, kind in schema.items())


def _mended(texts: pl.Series, fine: str, longest: int, mend: Callable[[str], str]) -> pl.Series:
    """The texts, those that are not fine as they stand mended one by one."""
    wrong = ~(texts.str.contains(fine) & (texts.str.len_chars() <= longest)) & (texts != "")
    places = wrong.arg_true()
    return texts.scatter(places, [mend(text) for text in texts.gather(places)]) if len(places) else texts


def _houses(texts: pl.DataFrame) -> list[pl.Series]:
    """The feed and the publisher of each row, which hang on the outlet's name and the link's host."""
    host = texts["link"].str.extract(r"^https?://([a-z0-9.-]+)/", 1)
    odd = (host.is_null() & (texts["link"] != "")).arg_true()
    host = host.fill_null("")
    if len(odd):
        host = host.scatter(odd, [_host(link) for link in texts["link"].gather(odd)])
    pairs = pl.DataFrame({"outlet": texts["outlet"], "host": host})
    each = pairs.unique()
    feeds = [feed_of(outlet, f"https://{at}/" if at else "") for outlet, at in each.iter_rows()]
    known = each.with_columns(
        pl.Series("feed", [feed.id for feed in feeds], pl.String),
        pl.Series("publisher", [feed.publisher for feed in feeds], pl.String),
    )
    joined = pairs.join(known, on=["outlet", "host"], how="left", maintain_order="left")
    return [joined["feed"], joined["publisher"]]


def _host(link: str) -> str:
    try:
        return urlsplit(link).hostname or ""
    except ValueError:
        return ""


def _ids(told: pl.DataFrame) -> pl.Series:
    """Identities as `headline` gives them: by the outlet's guid, else by the link, else by title and day."""
    columns = told.select("guid", "feed", "title", day=pl.col("published").dt.strftime("%Y-%m-%d"), link=pl.col("link"))
    found = []
    for guid, feed, title, day, link in columns.iter_rows():
        if guid:
            found.append(name_of("guid", feed, guid))
        elif link:
            found.append(name_of("link", link.partition("://")[2]))
        else:
            found.append(name_of("title", feed, title, day))
    return pl.Series("id", found, pl.UInt64)


def _apart(named: pl.DataFrame, titles: Callable[[pl.Series], Mapping[int, str]]) -> pl.DataFrame:
    """Rows in order of time, those that bear one guid or link, and are not alike, under ids of their own."""
    before = titles(named["id"])
    shared = named["id"].is_duplicated() | named["id"].is_in(pl.Series(list(before), dtype=pl.UInt64).implode())
    places = shared.arg_true()
    if not len(places):
        return named
    rows = []
    for own, guid, feed, link, title in named[places].select("id", "guid", "feed", "link", "title").iter_rows():
        exact = own
        if guid:
            exact = name_of("guid", feed, guid, link, title)
        elif link:
            exact = name_of("link", link.partition("://")[2], title)
        rows.append((own, exact, title, bool(link)))
    ids = pl.Series("id", told_apart(rows, before), pl.UInt64)
    return named.with_columns(named["id"].scatter(places, ids)).sort("published", "id", maintain_order=True)


def _scores(once: pl.DataFrame, headlines: pl.DataFrame) -> pl.DataFrame:
    """Rows of table `scores`: what `monitor.storage.rows.score_frame` makes of single headlines."""
    # Only a company that was asked about has an opinion of its own.
    asked = pl.element().filter(pl.element().struct.field("negative").is_not_null())
    sectors = pl.element().replace_strict(dict(sector_of()), default=None, return_dtype=pl.String).drop_nulls()
    tickers = headlines["companies"]
    frame = once.select(
        *(name for name in SCORES if name in once.columns),
        "companies",
        headline="id",
        effective=headlines["effective"],
        said=(pl.col("sentiment") == "negative") & (pl.col("abstention") == "none"),
        tone=pl.when(pl.col("abstention") == "none").then(_tone("positive", "negative")).otherwise(0.0),
    ).with_columns(
        pl.col("themes").fill_null([]),
        asked=pl.col("companies").list.eval(asked),
        series=pl.concat_list(
            pl.lit(MARKET),
            _called(pl.col("topics"), Kind.TOPIC),
            _called(pl.col("themes").fill_null([]), Kind.THEME),
            _called(pl.lit(tickers).list.eval(sectors), Kind.SECTOR),
            _called(pl.lit(tickers), Kind.COMPANY),
        ).list.unique(maintain_order=True),
    )
    frame = frame.with_columns(
        pl.col("asked").list.eval(pl.element().struct.field(field)).alias(name)
        for name, field in (("towards", "ticker"), ("towards_negative", "negative"), ("towards_positive", "positive"))
    )
    counted = _counted(frame)
    return _typed(frame.join(counted, on="headline", how="left", maintain_order="left"), SCORES)


def _called(names: pl.Expr, kind: Kind) -> pl.Expr:
    return names.list.eval(pl.concat_str(pl.lit(f"{kind}:"), pl.element()))


def _tone(positive: str, negative: str) -> pl.Expr:
    return pl.col(positive).cast(pl.Float64) - pl.col(negative).cast(pl.Float64)


def _counted(frame: pl.DataFrame) -> pl.DataFrame:
    """(headline, series_negative, series_tone): what each headline counts as in each of its series, in their order."""
    each = frame.select("headline", "series", "said", "tone").explode("series")
    opinions = frame.select("headline", "asked").explode("asked").drop_nulls().unnest("asked")
    towards = opinions.select(
        "headline",
        series=pl.concat_str(pl.lit(f"{Kind.COMPANY}:"), "ticker"),
        worst=(pl.col("negative") >= pl.col("neutral")) & (pl.col("negative") >= pl.col("positive")),
        towards=_tone("positive", "negative"),
    )
    joined = each.join(towards, on=["headline", "series"], how="left", maintain_order="left")
    return joined.group_by("headline", maintain_order=True).agg(
        series_negative=pl.coalesce("worst", "said"), series_tone=pl.coalesce("towards", "tone")
    )
