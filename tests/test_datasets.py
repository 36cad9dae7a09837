"""Labelled data: parts that keep near-duplicates together, and files that are refused with a reason."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data.datasets import (
    CLASSES,
    Example,
    Part,
    apart,
    labelled_csv,
    of_part,
    part_of,
    phrasebank,
    sentfin,
    tfns,
    tfnt,
    training_sets,
    words_of,
)
from models.errors import DataUnusable


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def row(text: str, group: int, **entities: str) -> str:
    told = ", ".join(f'"{name}": "{label}"' for name, label in entities.items())
    return f'{{"id": 1, "group": {group}, "text": "{text}", "entities": {{{told}}}}}'


@given(st.text(max_size=8), st.integers(0, 10**6))
def test_the_part_of_a_group_never_changes(source: str, group: int) -> None:
    assert part_of(source, group) is part_of(source, group)


def test_parts_are_as_the_shipped_adapter_was_split() -> None:
    """The frozen test parts: were this to change, the shipped adapter would have seen its test rows."""
    tested = {
        source: [group for group in range(50) if part_of(source, group) is Part.TEST]
        for source in ("sentfin", "tfns", "tfnt")
    }
    assert tested == {
        "sentfin": [0, 5, 9, 11, 13, 18, 22, 28, 31, 45, 46],
        "tfns": [1, 20, 21, 47],
        "tfnt": [5, 16, 35, 37, 42, 46],
    }


def test_shares_are_eight_one_one() -> None:
    parts = [part_of("any", group) for group in range(10_000)]
    assert 0.78 < parts.count(Part.TRAIN) / 10_000 < 0.82
    assert 0.09 < parts.count(Part.VALIDATION) / 10_000 < 0.11
    assert 0.09 < parts.count(Part.TEST) / 10_000 < 0.11


@given(st.lists(st.tuples(st.text("ab cé", min_size=1, max_size=6), st.integers(0, 5)), min_size=1, max_size=30))
def test_no_group_is_in_two_parts(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int]]) -> None:
    path = tmp_path_factory.mktemp("tfns") / "tfns.csv"
    texts, groups = zip(*rows, strict=True)
    pl.DataFrame({"text": texts, "label": ["neutral"] * len(rows), "group": groups}).write_csv(path)
    examples = tfns(path)
    parts: dict[int, set[Part]] = defaultdict(set)
    for group, example in zip(groups, examples, strict=True):
        parts[group].add(example.part)
    assert all(len(found) == 1 for found in parts.values())


def test_of_what_is_trained_on_no_copy_is_measured() -> None:
    def one(text: str, part: Part) -> Example:
        return Example(text, 0, "topic", "tfnt", part)

    rows = [
        one("$AAPL - India confirms iPhone exports", Part.TRAIN),
        one("India confirms: iPhone EXPORTS", Part.TEST),
        one("India denies iPhone exports", Part.TEST),
        one("$AAPL $TSLA", Part.TRAIN),
        one("$TSLA $MSFT", Part.VALIDATION),
    ]
    assert apart(rows) == [rows[0], rows[2], rows[3], rows[4]]
    assert words_of("") != words_of("!?")


def test_sentfin_takes_headlines_with_one_label(tmp_path: Path) -> None:
    lines = [
        row("A up", 1, A="positive"),
        row("A up, B down", 2, A="positive", B="negative"),
        row("A and B up", 3, A="positive", B="positive"),
        row("nobody", 4),
        "",
    ]
    found = sentfin(written(tmp_path / "sentfin.jsonl", "\n".join(lines)))
    assert [(one.text, CLASSES["sentiment"][one.label]) for one in found] == [
        ("A up", "positive"),
        ("A and B up", "positive"),
    ]


def test_phrasebank_is_for_measurement_only(tmp_path: Path) -> None:
    """Latin-1, with U+0085 within a sentence, which str.splitlines would take for its end."""
    path = written(
        tmp_path / "fpb.txt", "Sales rose @ 5 % in Malmö\x85 again .@positive\r\nFlat .@neutral\n".encode("latin-1")
    )
    found = phrasebank(path)
    assert [(one.text, one.part) for one in found] == [
        ("Sales rose @ 5 % in Malmö again .", Part.TEST),
        ("Flat .", Part.TEST),
    ]
    assert of_part(found, Part.TRAIN) == []


def test_texts_are_read_as_the_model_reads_them(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", 'label,text\nnegative,"A &amp; B  https://t.co/x"\nneutral,100\npositive,\n')
    assert [one.text for one in labelled_csv(path, "sentiment")] == ["A & B", "100", ""]
    assert {one.part for one in labelled_csv(path, "sentiment")} == {Part.TEST}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("text,label\na,neutral\nb,bullish\n", "unknown sentiment label 'bullish'; known labels: negative, neutral"),
        ("text,label\na,neutral\nb,\n", "unknown sentiment label ''"),
        ("text,sentiment\na,neutral\n", "lacks the column label; it has text, sentiment"),
        ("text,label\n", "has no rows"),
        ("", "cannot be read as CSV"),
        (b"text,label\n\xff,neutral\n", "cannot be read as CSV"),
        ("text,label\na,neutral,x\n", "cannot be read as CSV"),
    ],
)
def test_a_file_that_cannot_be_measured_says_why(tmp_path: Path, content: str | bytes, words: str) -> None:
    path = written(tmp_path / "a.csv", content)
    with pytest.raises(DataUnusable) as told:
        labelled_csv(path, "sentiment")
    assert words in str(told.value)
    assert str(path) in str(told.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataUnusable, match=r"none\.csv cannot be read"):
        labelled_csv(tmp_path / "none.csv", "topic")
    with pytest.raises(DataUnusable, match=r"sentfin\.jsonl cannot be read"):
        training_sets(tmp_path)


@pytest.mark.parametrize("line", ["not json", "[]", '{"text": "a"}', '{"text": "a", "entities": [], "group": 1}'])
def test_broken_rows_of_sentfin_are_named_by_line(tmp_path: Path, line: str) -> None:
    path = written(tmp_path / "sentfin.jsonl", row("fine", 1, A="neutral") + "\n" + line + "\n")
    with pytest.raises(DataUnusable, match="line 2"):
        sentfin(path)


def test_a_group_that_is_no_number(tmp_path: Path) -> None:
    with pytest.raises(DataUnusable, match="the group 'x' is no whole number"):
        tfns(written(tmp_path / "a.csv", "text,label,group\na,neutral,x\n"))


# With the public sets


@pytest.fixture(scope="module")
def sets(shared_data: Path) -> list[Example]:
    return training_sets(shared_data)


def test_the_public_sets_have_all_parts_and_classes(sets: list[Example]) -> None:
    for source in ("sentfin", "tfns", "tfnt"):
        mine = [example for example in sets if example.source == source]
        task = mine[0].task
        for part in Part:
            labels = {example.label for example in of_part(mine, part)}
            assert labels == set(range(len(CLASSES[task]))), (source, part)


def test_groups_of_the_public_sets_never_cross_parts(shared_data: Path) -> None:
    """By the group column of the files, read here a second time."""
    for read, file in ((tfns, "sentiment/tfns.csv"), (tfnt, "topic/tfnt.csv")):
        groups = pl.read_csv(shared_data / file)["group"].to_list()
        mine = read(shared_data / file)
        parts = defaultdict(set)
        for group, example in zip(groups, mine, strict=True):
            parts[group].add(example.part)
        assert len(parts) > 1_000
        assert all(len(found) == 1 for found in parts.values())


def test_nothing_measured_is_a_copy_of_what_is_trained_on(sets: list[Example]) -> None:
    """Tweets that differ in a link alone, or in a tag, stand in different groups of the files."""
    trained = {words_of(one.text) for one in of_part(sets, Part.TRAIN)}
    measured = [one for one in sets if one.part is not Part.TRAIN]
    assert len(measured) > 8_000
    assert not [one.text for one in measured if words_of(one.text) in trained]


def test_no_phrasebank_sentence_may_be_trained_on(shared_data: Path, sets: list[Example]) -> None:
    assert {example.source for example in sets} == {"sentfin", "sentfin_companies", "tfns", "tfnt"}
    for file in (shared_data / "sentiment").glob("fpb_*.txt"):
        rows = phrasebank(file)
        assert len(rows) > 2_000
        assert {example.part for example in rows} == {Part.TEST}
