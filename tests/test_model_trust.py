"""The parts around a model: behaviour tests, calibration, augmentation, labels, promotions."""

from __future__ import annotations

import math
import random
import re
import runpy
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from transformers import AutoTokenizer

from models.data.augmentation import figures, misspelt, other_companies, with_slips
from models.data.datasets import CLASSES, Example, Part
from models.data.labels import Label, add_label, examples, labels_of, read_labels
from models.errors import DataUnusable
from models.training.calibration import abstention, fitted_temperature
from models.training.rows import encoded, hidden, padded
from models.trust.behaviours import Behaviour, Kind, behaviours, bias, noisy, passed, reworded
from models.trust.metrics import Metrics
from models.trust.promotion import Objection, judged

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


class WordReader:
    """Negative when a text says `falls`, positive when it says `rises`, and biased against one name."""

    def probabilities(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rows = []
        for text in texts:
            negative = 0.8 if "falls" in text else 0.2 + 0.3 * ("Wirecard" in text)
            positive = (1 - negative) * (0.9 if "rises" in text else 0.2)
            rows.append((negative, 1 - negative - positive, positive))
        return np.array(rows, dtype=np.float32), np.zeros((len(rows), 20), dtype=np.float32)


# Behaviours


def test_behaviours_count_what_passes_and_keep_what_does_not() -> None:
    tests = [
        Behaviour("a", Kind.LABEL, "profit falls", label="negative"),
        Behaviour("a", Kind.LABEL, "profit slides", label="negative"),
        Behaviour("b", Kind.SAME, "profit falls", other="PROFIT FALLS"),
        Behaviour("b", Kind.WORSE, "profit falls", other="profit rises"),
        Behaviour("b", Kind.WORSE, "profit rises", other="profit falls"),
    ]
    found = passed(WordReader(), tests)
    assert {name: (one.tests, one.passed) for name, one in found.items()} == {"a": (2, 1), "b": (3, 1)}
    assert found["a"].rate == 0.5
    assert [one.text for one in found["a"].failures] == ["profit slides"]


def test_the_shipped_behaviours_cover_what_the_card_promises() -> None:
    tests = behaviours()
    categories = {one.category for one in tests}
    wanted = {"negation", "direction", "risk", "relief", "neutral", "questions", "hedging", "typos", "case", "tickers"}
    assert wanted | {"names", "wording"} == categories
    assert len(tests) == len({(one.text, one.other) for one in tests}) > 80


def test_bias_finds_the_name_that_weighs() -> None:
    gaps = bias(WordReader())
    assert gaps[0].most == "Wirecard"
    assert gaps[0].shift == pytest.approx(0.3, abs=1e-3)
    assert [gap.shift for gap in gaps] == sorted((gap.shift for gap in gaps), reverse=True)


def test_a_behaviour_that_means_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown label"):
        Behaviour("a", Kind.LABEL, "text", label="bad")
    with pytest.raises(ValueError, match="nothing to be compared with"):
        Behaviour("a", Kind.WORSE, "text")


def test_noise_changes_words_and_rewording_keeps_length() -> None:
    texts = ["Harrow Bank shares plunge after warning", "Oil up"]
    assert noisy(texts, 2, 1) != texts
    assert noisy(texts, 2, 1) == noisy(texts, 2, 1)
    assert noisy(["Oil up"], 3, 1) == ["Oil up"]
    assert reworded(["Profit falls at Acme"]) == ["earnings drops at Acme"]


# Augmentation


def example(text: str, company: str = "", label: int = 0) -> Example:
    return Example(text, label, "company" if company else "sentiment", "s", Part.TRAIN, company)


def test_renaming_moves_the_name_in_text_and_question_alike() -> None:
    rows = [example("Acme sinks as Borealis gains", "Acme"), example("Borealis gains", "Borealis", 2)] * 20
    renamed = other_companies(rows, 1.0, 3)
    assert all(one.company in one.text for one in renamed)
    assert [one.label for one in renamed] == [one.label for one in rows]
    assert {one.company for one in renamed} == {"Acme", "Borealis"}
    assert other_companies(rows, 0.0, 3) == rows


@pytest.mark.parametrize(
    ("text", "company", "expected"),
    [
        ("Coca-Cola sues Ola", "Ola", "Coca-Cola sues Xyz"),
        ("İş Bank profit falls, says Acme", "Acme", "İş Bank profit falls, says Xyz"),
        ("C.O.P (a+b) sinks", "c.o.p (A+B)", "Xyz sinks"),
        ("Solar sinks", "Sol", "Solar sinks"),
    ],
)
def test_renaming_changes_the_name_and_nothing_else(text: str, company: str, expected: str) -> None:
    rows = [example(text, company), example("Xyz", "Xyz")]
    # By chance its name is the same again.
    own = re.sub(r"\bXyz\b", company, expected)
    seen = {other_companies(rows, 1.0, seed)[0].text for seed in range(20)}
    assert seen == {expected, own}


def test_of_a_pair_the_headline_alone_is_hidden(tmp_path: Path) -> None:
    scene = runpy.run_path(str(Path(__file__).with_name("tiny_model_scene.py")))
    tokenizer = AutoTokenizer.from_pretrained(scene["tiny_bert"](tmp_path / "tiny-bert"))
    rows = encoded(tokenizer, [example("bank collapses again", "bank maker"), example("bank soars")], 64)
    ids, _ = padded(rows, tokenizer.pad_token_id, torch.device("cpu"))
    shown = [tokenizer.convert_ids_to_tokens(one) for one in hidden(rows, ids, tokenizer.mask_token_id, 1.0)]
    assert shown[0] == ["[CLS]", *["[MASK]"] * 3, "[SEP]", "bank", "maker", "[SEP]"]
    assert shown[1] == ["[CLS]", *["[MASK]"] * 2, "[SEP]", *["[PAD]"] * 4]


@given(st.text("abcdefghijklmnopqrstuvwxyz", min_size=3, max_size=12), st.integers(0, 1000))
def test_a_slip_keeps_the_ends_of_a_word(word: str, seed: int) -> None:
    slipped = misspelt(word, random.Random(seed))
    assert slipped[0] == word[0]
    assert abs(len(slipped) - len(word)) <= 1


def test_slips_leave_the_company_that_is_asked_about_whole() -> None:
    rows = [example("Borealis shares tumble sharply today", "Borealis")] * 30
    assert all("Borealis" in one.text for one in with_slips(rows, 1.0, 5))
    assert any(one.text != rows[0].text for one in with_slips(rows, 1.0, 5))


def test_figures_are_balanced_say_which_way_they_go_and_hang_on_the_seed() -> None:
    rows = figures(300, ["Acme"], 1)
    assert rows == figures(300, ["Acme"], 1) != figures(300, ["Acme"], 2)
    assert [sum(one.label == label for one in rows) for label in range(3)] == [100, 100, 100]
    assert {one.part for one in rows} == {Part.TRAIN}
    assert not [one.text for one in rows if "{" in one.text or "  " in one.text]
    negative = [one.text for one in rows if one.label == 0]
    assert not [text for text in negative if "net profit" in text and " rose " in text]


# Calibration


def test_the_temperature_undoes_what_was_multiplied() -> None:
    torch.manual_seed(1)
    logits = torch.randn(4000, 3) * 2
    labels = torch.multinomial(logits.softmax(dim=1), 1).flatten()
    assert fitted_temperature(logits, labels) == pytest.approx(1.0, abs=0.1)
    assert fitted_temperature(logits * 2, labels) == pytest.approx(2.0, abs=0.2)


def test_abstention_begins_where_predictions_are_mostly_wrong() -> None:
    sure = np.tile([[0.8, 0.1, 0.1]], (80, 1))
    unsure = np.tile([[0.45, 0.3, 0.25]], (20, 1))
    probabilities = np.vstack([sure, unsure])
    wrong_when_unsure = np.array([0] * 80 + [2] * 20)
    assert 0.45 < abstention(probabilities, wrong_when_unsure) <= 0.60
    assert abstention(probabilities, np.zeros(100, dtype=int)) == 0.34


# Labels


def test_labels_are_kept_and_the_latest_counts(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "labels.jsonl"
    assert read_labels(file, begins=True) == []
    with pytest.raises(DataUnusable, match=r"there is no file .*labels\.jsonl"):
        read_labels(file)
    add_label(file, Label("Acme sinks", "sentiment", "neutral"), NOW)
    add_label(file, Label("Acme sinks", "company", "negative", "Acme"), NOW)
    add_label(file, Label("Acme sinks", "sentiment", "negative"), NOW)
    assert [(one.task, one.label) for one in read_labels(file)] == [("sentiment", "negative"), ("company", "negative")]
    rows = examples(read_labels(file))
    assert [(one.task, CLASSES[one.task][one.label], one.company) for one in rows] == [
        ("sentiment", "negative", ""),
        ("company", "negative", "Acme"),
    ]
    # A text and its copies in other letters are in one part for ever.
    assert len({one.part for one in rows}) == 1


def test_two_ways_to_write_a_headline_are_one_headline(tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    for text, label in (("P&amp;G  sinks", "neutral"), ("P&G sinks https://example.org/1", "negative")):
        add_label(file, Label(text, "sentiment", label), NOW)
    assert [(one.text, one.label) for one in read_labels(file)] == [("P&G sinks", "negative")]


def test_a_label_behind_half_a_line_begins_its_own(tmp_path: Path) -> None:
    """Other programs leave out the last break of a file, and a full disk cuts a line off."""
    file = tmp_path / "labels.jsonl"
    file.write_text('{"text": "Acme soars", "task": "sentiment", "label": "positive"}')
    add_label(file, Label("Acme sinks", "sentiment", "negative"), NOW)
    add_label(file, Label("Acme sinks again", "sentiment", "negative"), NOW)
    assert [one.text for one in read_labels(file)] == ["Acme soars", "Acme sinks", "Acme sinks again"]
    file.write_bytes(file.read_bytes() + b'{"text": "Acme so')
    add_label(file, Label("Acme meets", "sentiment", "neutral"), NOW)
    with pytest.raises(DataUnusable, match="line 4"):
        read_labels(file)
    assert file.read_text().splitlines()[4].startswith('{"text": "Acme meets"')


SCARCE = """
import resource, sys
from datetime import UTC, datetime
from pathlib import Path
from models.data.labels import Label, add_label
from models.errors import DataUnusable

file = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 20, resource.RLIM_INFINITY))
try:
    add_label(file, Label("Acme sinks again", "sentiment", "negative"), datetime(2026, 3, 10, tzinfo=UTC))
except DataUnusable as error:
    print(error)
"""


def test_a_label_for_which_there_is_no_room_is_refused_whole(tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    add_label(file, Label("Acme sinks", "sentiment", "negative"), NOW)
    before = file.read_bytes()
    told = subprocess.run([sys.executable, "-c", SCARCE, str(file)], capture_output=True, text=True, check=True)
    assert "cannot be written" in told.stdout
    assert file.read_bytes() == before


def test_of_two_files_the_later_verdict_counts(tmp_path: Path) -> None:
    mine, theirs = tmp_path / "mine.jsonl", tmp_path / "theirs.jsonl"
    add_label(mine, Label("Acme sinks", "sentiment", "negative"), NOW + timedelta(days=1))
    add_label(theirs, Label("Acme sinks", "sentiment", "neutral"), NOW)
    add_label(theirs, Label("Acme soars", "sentiment", "positive"), NOW)
    for files in ([mine, theirs], [theirs, mine]):
        assert {one.text: one.label for one in labels_of(files)} == {"Acme sinks": "negative", "Acme soars": "positive"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"text": "a", "task": "mood", "label": "x"}', "unknown task 'mood'"),
        ('{"text": "a", "task": "sentiment", "label": "bad"}', "unknown sentiment label 'bad'"),
        ('{"text": "a", "task": "company", "label": "negative"}', "names the company"),
        ('{"text": " ", "task": "sentiment", "label": "negative"}', "needs a text"),
        ("{", "line 2"),
        ('{"headline": "a"}', "line 2"),
        ('{"text": 7, "task": "sentiment", "label": "negative"}', "line 2: text must be text in quotes"),
        ('{"text": "a", "task": "sentiment", "label": ["negative"]}', "line 2: label must be text in quotes"),
    ],
)
def test_a_line_that_is_no_label_is_named(tmp_path: Path, line: str, words: str) -> None:
    file = tmp_path / "labels.jsonl"
    add_label(file, Label("Acme sinks", "sentiment", "negative"), NOW)
    file.write_text(file.read_text() + line + "\n")
    with pytest.raises(DataUnusable) as told:
        read_labels(file)
    assert words in str(told.value)


def test_labels_in_another_encoding_name_the_line(tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    add_label(file, Label("Acme sinks", "sentiment", "negative"), NOW)
    later = '{"text": "Société sinks", "task": "sentiment", "label": "negative"}\n'
    file.write_bytes(file.read_bytes() + later.encode("cp1252"))
    with pytest.raises(DataUnusable, match=r"labels\.jsonl, line 2: .*save the file as UTF-8"):
        read_labels(file)
    with pytest.raises(DataUnusable, match="cannot be read"):
        read_labels(tmp_path, begins=True)


# Promotion


def metrics(f1: float, negative: float) -> Metrics:
    return Metrics(100, f1, f1, 0.02, {"negative": negative, "positive": 0.9}, {"negative": f1, "positive": f1})


def test_a_better_challenger_is_promoted_and_small_losses_are_forgiven() -> None:
    assert judged({"a": metrics(0.8, 0.8)}, {"a": metrics(0.85, 0.9), "b": metrics(0.1, 0.1)}, 0.01).promoted
    assert judged({"a": metrics(0.8, 0.8)}, {"a": metrics(0.795, 0.795)}, 0.01).promoted


def test_a_challenger_is_refused_for_every_reason_it_gives() -> None:
    champion = {"a": metrics(0.8, 0.8), "b": metrics(0.8, 0.8), "c": metrics(0.8, 0.8)}
    verdict = judged(champion, {"a": metrics(0.9, 0.7), "b": metrics(0.7, 0.9)}, 0.01)
    assert [(one.objection, one.source) for one in verdict.findings] == [
        (Objection.NEGATIVE_RECALL, "a"),
        (Objection.MACRO_F1, "b"),
        (Objection.UNMEASURED, "c"),
    ]
    assert str(verdict.findings[0]) == "negative recall drops on a: 0.800 to 0.700"
    assert not judged({}, {}, 0.01).promoted
    with pytest.raises(ValueError, match="margin"):
        judged(champion, champion, -0.1)
    with pytest.raises(ValueError, match="margin"):
        judged(champion, champion, math.nan)
