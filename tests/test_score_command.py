"""`squall score` and `squall evaluate`: every row is answered, whatever the file; what is wrong is said in words."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from models.score import SENTIMENTS

SCENE = runpy.run_path(str(Path(__file__).with_name("cli_scene.py")))
elsewhere, log_as_before = (SCENE[name] for name in ("elsewhere", "log_as_before"))
HEADLINES, ROOT, SENTIMENT, asked, ran = (SCENE[name] for name in ("HEADLINES", "ROOT", "SENTIMENT", "asked", "ran"))
told = SCENE["told"]

# Scoring


def test_score_text_lines_as_a_process(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("\n".join(HEADLINES) + "\n")
    done = ran("score", "in.txt", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    rows = pl.read_csv(done.stdout.encode(), infer_schema=False)
    assert rows.columns[:2] == ["text", "sentiment"]
    assert [text or "" for text in rows["text"]] == HEADLINES
    assert rows["sentiment"].to_list()[0] == "negative"
    assert rows["abstention"].to_list()[1] == "empty_text"
    assert len(set(rows["model"])) == 1


def test_score_standard_input_whose_reader_goes_away() -> None:
    """`squall score - | head -1`: nobody is left to be told."""
    many = "\n".join(f"Headline number {number} of a long list" for number in range(2_000)).encode()
    process = subprocess.Popen(
        [sys.executable, "-m", "monitor", "score", "-", "--quiet"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    process.stdin.write(many)
    process.stdin.close()
    assert process.wait(120) == 0
    assert process.stderr.read() == b""
    process.stderr.close()


def test_score_standard_input() -> None:
    result = asked("score", "--quiet", "--format", "jsonl", stdin="\n".join(HEADLINES) + "\n")
    rows = [json.loads(line) for line in result.output.splitlines()]
    assert [row["text"] for row in rows] == HEADLINES
    assert [row["sentiment"] for row in rows][::2] == SENTIMENT[::2]
    for row in rows:
        assert row["negative"] + row["neutral"] + row["positive"] == pytest.approx(1, abs=2e-4)


OWN = pl.DataFrame({"id": ["b", "a", "d", "c"], "headline": HEADLINES, "note": ["x", None, "y;z", "1"]})


def read(path: Path) -> pl.DataFrame:
    match path.suffix:
        case ".csv":
            return pl.read_csv(path, infer_schema=False)
        case ".jsonl":
            return pl.read_ndjson(path)
        case _:
            return pl.read_parquet(path)


@pytest.mark.parametrize("out", ["out.csv", "out.jsonl", "out.parquet"])
@pytest.mark.parametrize("source", ["in.csv", "in.jsonl", "in.parquet"])
def test_score_files_row_by_row(tmp_path: Path, source: str, out: str) -> None:
    match source:
        case "in.csv":
            OWN.write_csv(source)
        case "in.jsonl":
            OWN.write_ndjson(source)
        case _:
            OWN.write_parquet(source)
    result = asked("score", source, "--out", out, "--quiet")
    assert (result.exit_code, result.output) == (0, "")
    rows = read(tmp_path / out)
    assert rows.columns[:4] == [*OWN.columns, "sentiment"]
    assert rows["id"].to_list() == OWN["id"].to_list()
    assert rows["note"].to_list() == OWN["note"].to_list()
    assert [text or "" for text in rows["headline"]] == HEADLINES
    assert rows["sentiment"].to_list()[::2] == SENTIMENT[::2]
    assert rows["abstention"].to_list()[1] == "empty_text"
    assert isinstance(rows["topics"].to_list()[0], str if out.endswith("csv") else list)


def test_score_the_named_column() -> None:
    Path("in.csv").write_text("title,body\nAnnual general meeting,Bank collapses as depositors withdraw billions\n")
    result = asked("score", "in.csv", "--column", "body", "--quiet")
    assert pl.read_csv(result.output.encode())["sentiment"].to_list() == ["negative"]


@pytest.mark.parametrize(
    ("name", "content", "options", "words"),
    [
        ("none.txt", None, [], "there is no file none.txt"),
        ("a.csv", "name\nx\n", [], "lacks a column named title or headline or text; it has name"),
        ("a.csv", "title\nx\n", ["--column", "body"], "lacks the column 'body'"),
        ("a.csv", "title,x\na\nb,c,d\n", [], "a.csv cannot be read"),
        ("a.parquet", "no parquet", [], "a.parquet cannot be read"),
        ("a.txt", "x\n", ["--out", "no/such/out.csv"], "there is no folder no/such"),
    ],
)
def test_score_says_what_is_wrong(
    name: str,
    content: str | None,
    options: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if content is not None:
        Path(name).write_text(content)
    code, error = told(capsys, monkeypatch, "score", name, "--quiet", *options)
    assert code == 1
    assert words in error
    assert error.startswith("squall: ")


def test_an_adapter_that_is_not_there(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a.txt").write_text("x\n")
    monkeypatch.setenv("SQUALL_MODEL__ADAPTER", "nowhere")
    code, error = told(capsys, monkeypatch, "score", "a.txt", "--quiet")
    assert code == 1
    assert "there is no adapter in nowhere" in error


# Measuring


def test_evaluate_gives_figures() -> None:
    pl.DataFrame({"text": HEADLINES, "label": SENTIMENT}).write_csv("labels.csv")
    result = json.loads(asked("evaluate", "--data", "labels.csv", "--task", "sentiment", "--json").output)
    assert result["n"] == 4
    assert set(result["recall"]) == set(SENTIMENTS)
    assert 0.75 <= result["accuracy"] <= 1
    assert 0 <= result["macro_f1"] <= 1
    assert result["model"].startswith("fast-")
    words = asked("evaluate", "--data", "labels.csv").output
    assert "4 texts, accuracy" in words
    assert "recall negative" in words


def test_evaluate_topics() -> None:
    Path("topics.csv").write_text("text,label\nECB raises interest rates,Fed | Central Banks\nOil jumps,Energy | Oil\n")
    result = json.loads(asked("evaluate", "--data", "topics.csv", "--task", "topic", "--json").output)
    assert (result["task"], result["n"]) == ("topic", 2)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("text,label\na,bullish\n", "unknown sentiment label 'bullish'; known labels: negative, neutral, positive"),
        ("text,sentiment\na,neutral\n", "lacks the column label; it has text, sentiment"),
        ("text,label\n", "has no rows"),
        (None, "cannot be read"),
    ],
)
def test_evaluate_says_what_is_wrong(
    content: str | None, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if content is not None:
        Path("labels.csv").write_text(content)
    code, error = told(capsys, monkeypatch, "evaluate", "--data", "labels.csv", "--json")
    assert code == 1
    assert words in error
