"""Files of headlines: what is read, what is written back, and what is said of files that are broken."""

from __future__ import annotations

import gzip
import io
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.score import Abstention, CompanyScore, Score
from monitor.errors import InputUnusable
from monitor.news.files import format_of, read_headlines, scored_frame, write_frame

NEGATIVE = Score(0.8, 0.15, 0.05, (("Financials", 0.7), ("Macro", 0.4)), "fast-1")
EMPTY = Score(0.2, 0.6, 0.2, (), "fast-1", Abstention.EMPTY_TEXT)


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_text_lines_keep_empty_ones(tmp_path: Path) -> None:
    frame, name = read_headlines(written(tmp_path / "a.txt", "first\n\nthird\r\n\n"))
    assert frame[name].to_list() == ["first", "", "third", ""]


@given(st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=20), min_size=1))
def test_every_line_is_one_row(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    """Also lines with U+2028, a form feed or a vertical tab, at which str.splitlines would cut."""
    path = tmp_path_factory.mktemp("lines") / "a.txt"
    path.write_text("\ufeff" + "\n".join(lines) + "\n", encoding="utf-8", newline="")
    assert read_headlines(path)[0]["text"].to_list() == lines


def test_bytes_that_are_no_text_do_not_stop_a_run(tmp_path: Path) -> None:
    frame, name = read_headlines(written(tmp_path / "a.txt", b"good\nbad \xff\xfe\n"))
    assert frame[name].to_list() == ["good", "bad \ufffd\ufffd"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"title,\xfcber\na,b\n", "in its header byte 0xFC is no UTF-8: convert it with iconv"),
        ("a.csv.gz", gzip.compress(b"title\na\n"), "it is compressed with gzip: unpack it"),
        ("a.txt", b"\x28\xb5\x2f\xfd rest", "it is compressed with zstd: unpack it"),
    ],
)
def test_what_would_be_read_as_what_it_is_not(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    with pytest.raises(InputUnusable, match=re.escape(said)):
        read_headlines(written(tmp_path / name, content))


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one\n\xff\n"), encoding="ascii"))
    frame, name = read_headlines(Path("-"))
    assert (name, frame[name].to_list()) == ("text", ["one", "\ufffd"])


@pytest.mark.parametrize("name", ["a.csv", "A.CSV"])
def test_csv_infers_nothing(tmp_path: Path, name: str) -> None:
    source = written(tmp_path / name, 'id,headline\n007,"Oil, gas ""up"""\n1e5,\n,100\n')
    frame, column = read_headlines(source)
    assert column == "headline"
    assert frame.to_dicts() == [
        {"id": "007", "headline": 'Oil, gas "up"'},
        {"id": "1e5", "headline": ""},
        {"id": None, "headline": "100"},
    ]


def test_json_lines_keep_a_column_that_appears_late(tmp_path: Path) -> None:
    rows = [{"title": f"t{number}"} for number in range(150)] + [{"title": "last", "extra": {"a": 1}}]
    source = written(tmp_path / "a.ndjson", "\n".join(json.dumps(row) for row in rows))
    frame, _ = read_headlines(source)
    assert frame["extra"].to_list()[-1] == {"a": 1}
    assert frame.height == 151


def test_the_first_known_column_or_the_named_one(tmp_path: Path) -> None:
    source = written(tmp_path / "a.csv", "text,body,title\na,b,c\n")
    assert read_headlines(source)[1] == "title"
    assert read_headlines(source, "body")[1] == "body"


@pytest.mark.parametrize(
    ("name", "content", "column", "words"),
    [
        ("none.csv", None, "", "there is no file"),
        ("none.parquet", None, "", "there is no file"),
        ("none.txt", None, "", "there is no file"),
        ("a.csv", "", "", "cannot be read"),
        ("a.csv", "title,x\na,1\nb,2,3\n", "", "cannot be read"),
        ("a.csv", b"title\n\xff\xfe\n", "", "cannot be read"),
        ("a.csv", "name,x\na,1\n", "", "lacks a column named title or headline or text; it has name, x"),
        ("a.csv", "title,x\na,1\n", "body", "lacks the column 'body'; it has title, x; name one with --column"),
        ("a.jsonl", '{"title": "a"}\nnot json\n', "", "cannot be read"),
        ("a.jsonl", "[1]\n", "", "cannot be read"),
        ("a.jsonl", '{"title": ["a", "b"]}\n', "", "'title' holds List"),
        ("a.parquet", b"PAR1 but not really", "", "cannot be read"),
        ("a.parquet", b"", "", "cannot be read"),
    ],
)
def test_broken_files_are_named_with_what_is_wrong(
    tmp_path: Path, name: str, content: str | bytes | None, column: str, words: str
) -> None:
    source = tmp_path / name
    if content is not None:
        written(source, content)
    with pytest.raises(InputUnusable) as told:
        read_headlines(source, column)
    assert words in str(told.value)
    assert str(source) in str(told.value)


@pytest.mark.parametrize("name", ["folder", "folder.csv", "folder.parquet", "folder.jsonl"])
def test_a_folder_is_no_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(InputUnusable, match="folder"):
        read_headlines(tmp_path / name)


def scored() -> pl.DataFrame:
    own = pl.DataFrame(
        {"text": ["a", ""], "tags": [["x", "y"], None], "source": [{"id": 1}, None], "sentiment": ["old", "old"]}
    )
    return scored_frame(own, [NEGATIVE, EMPTY])


def test_scores_stand_behind_own_columns_and_replace_old_scores() -> None:
    frame = scored()
    assert frame.columns == [
        *("text", "tags", "source", "sentiment"),
        *("negative", "neutral", "positive", "topics", "abstention", "model"),
    ]
    assert frame["sentiment"].to_list() == ["negative", "neutral"]
    assert frame["topics"].to_list() == [["Financials", "Macro"], []]
    assert frame["abstention"].to_list() == ["none", "empty_text"]
    assert scored_frame(pl.DataFrame({"text": []}, schema={"text": pl.String}), []).is_empty()


def test_opinions_of_companies_are_a_column_on_request(tmp_path: Path) -> None:
    told = replace(NEGATIVE, companies=(CompanyScore("UBS", 0.1, 0.2, 0.7), CompanyScore("Shell", 0.8, 0.1, 0.1)))
    frame = scored_frame(pl.DataFrame({"text": ["a", ""]}), [told, EMPTY], companies=True)
    found = frame["companies"].to_list()
    assert [(one["name"], one["sentiment"], one["positive"]) for one in found[0]] == [
        ("UBS", "positive", 0.7),
        ("Shell", "negative", 0.1),
    ]
    assert found[1] == []
    assert "companies" not in scored_frame(pl.DataFrame({"text": ["a"]}), [told]).columns
    write_frame(frame, tmp_path / "out.csv", "csv")
    assert json.loads(pl.read_csv(tmp_path / "out.csv")["companies"][0])[0]["name"] == "UBS"


@pytest.mark.parametrize("name", ["out.parquet", "out.jsonl"])
def test_nested_columns_survive(tmp_path: Path, name: str) -> None:
    write_frame(scored(), tmp_path / name, format_of(tmp_path / name))
    back = pl.read_parquet(tmp_path / name) if name.endswith("parquet") else pl.read_ndjson(tmp_path / name)
    assert back.to_dicts() == scored().to_dicts()


def test_csv_writes_lists_as_text_and_other_nested_values_as_json(tmp_path: Path) -> None:
    write_frame(scored(), tmp_path / "out.csv", "csv")
    back = pl.read_csv(tmp_path / "out.csv", infer_schema=False)
    assert back["topics"].to_list() == ["Financials; Macro", ""]
    assert back["tags"].to_list() == ["x; y", None]
    assert back["source"].to_list() == ['{"id": 1}', None]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.csv", "csv"), ("a.JSONL", "jsonl"), ("a.ndjson", "jsonl"), ("a.parquet", "parquet"), ("a.txt", "csv")],
)
def test_the_format_follows_the_name(name: str, expected: str) -> None:
    assert format_of(Path(name)) == expected
    assert format_of(None) == "csv"


@pytest.mark.parametrize("format_", ["csv", "jsonl", "parquet"])
def test_what_cannot_be_written_is_named(tmp_path: Path, format_: str) -> None:
    with pytest.raises(InputUnusable, match="cannot be written"):
        write_frame(scored(), tmp_path, format_)
