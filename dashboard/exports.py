"""Headlines as a file to take away: CSV for spreadsheets, Parquet for programs.

takes  headlines (query `latest`)
gives  bytes
never  lets a cell of a CSV file begin as a formula does, nor changes a title in Parquet, where nothing is a formula
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import polars as pl

_COLUMNS = (
    "id", "effective", "published", "fetched", "title", "link", "publisher", "feed", "language", "standing", "story",
    "companies", "sentiment", "abstention", "negative", "neutral", "positive", "topics", "themes", "model", "towards",
    "towards_negative", "towards_positive",
)  # fmt: skip
# What a spreadsheet takes for a formula at the start of a cell, full-width forms among them; after blanks too.
_FORMULA = r"^[\s\x00-\x1f]*[=+\-@\t\r\uFF1D\uFF0B\uFF0D\uFF20]"
# Half of the world's spreadsheets part cells at semicolons, whatever the file says.
_INNER_FORMULA = r"(;\s*)([=+\-@\uFF1D\uFF0B\uFF0D\uFF20])"
_SEPARATOR = "; "


def table(found: pl.DataFrame) -> pl.DataFrame:
    """The columns of an export; ids as text, which no program rounds."""
    return found.select(_COLUMNS).with_columns(pl.col("id", "story").cast(pl.String))


def parquet(found: pl.DataFrame) -> bytes:
    """Parquet, typed, lists as lists, times in UTC."""
    file = io.BytesIO()
    table(found).write_parquet(file)
    return file.getvalue()


def csv(found: pl.DataFrame) -> bytes:
    """CSV in UTF-8 with its mark, which spreadsheets look for: times in ISO 8601 (UTC), lists with `; ` between."""
    told = table(found)
    instants = [name for name, kind in told.schema.items() if isinstance(kind, pl.Datetime)]
    lists = [name for name, kind in told.schema.items() if isinstance(kind, pl.List)]
    flat = told.with_columns(
        *(pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%SZ") for name in instants),
        *(pl.col(name).cast(pl.List(pl.String)).list.join(_SEPARATOR) for name in lists),
    )
    words = [name for name, kind in flat.schema.items() if kind == pl.String]
    return harmless(flat, words).write_csv(include_bom=True, quote_style="non_numeric").encode()


def harmless(frame: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Cells that a spreadsheet would run as a formula, begun with an apostrophe; NUL characters taken out.

    So is what stands behind a semicolon within a cell: it may become a cell of its own.
    """
    bare = frame.with_columns(
        pl.col(*columns).str.replace_all("\x00", "", literal=True).str.replace_all(_INNER_FORMULA, "${1}'${2}")
    )
    return bare.with_columns(
        pl.when(pl.col(name).str.contains(_FORMULA)).then("'" + pl.col(name)).otherwise(pl.col(name)).alias(name)
        for name in columns
    )
