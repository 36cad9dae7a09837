"""Heads of themes: what they learn, what they refuse to learn from, and the theme that uses one."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.data.datasets import of_theme
from models.encoder import EMBEDDED_SHA256
from models.errors import DataUnusable
from models.theme_heads import LEAST, ThemeHead, _best_threshold, fitted, load_head, save_head
from models.themes import Reason, Theme, ThemeMatcher
from monitor.cli import squall
from monitor.settings_file import load_settings

GRID = [
    f"{who} {what}"
    for who in ("Grid operator", "Power network", "National grid", "Regional utility", "Electricity board")
    for what in (
        "warns of rolling blackouts",
        "cuts supply as demand peaks",
        "struggles after substation fire",
        "rations power",
    )
]
OTHER = [
    f"{who} {what}"
    for who in ("Carmaker", "Retailer", "Airline", "Chipmaker", "Brewer")
    for what in ("reports record profit", "names new finance chief", "buys smaller rival", "opens plant in Mexico")
]


def cloud(count: int, seed: int, apart: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors of two kinds, `apart` along the first of eight dimensions."""
    chance = np.random.default_rng(seed)
    labels = np.arange(count) % 2 == 0
    vectors = chance.normal(0, 0.5, (count, 8))
    vectors[:, 0] += np.where(labels, apart, -apart)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), labels


def test_a_head_tells_apart_what_can_be_told_apart() -> None:
    head = fitted(*cloud(80, 1), "some-encoder")
    vectors, labels = cloud(400, 2)
    assert ((head.probabilities(vectors) >= head.threshold) == labels).mean() > 0.97
    assert (head.positives, head.negatives, head.encoder) == (40, 40, "some-encoder")
    assert head.precision > 0.95


def test_no_threshold_parts_headlines_of_one_probability() -> None:
    """Ten of the theme and ten others are equally likely: a threshold takes all twenty of them, or none."""
    labels = np.array([True] * 10 + [False] * 10 + [True] * 10 + [False] * 10)
    threshold, precision, recall = _best_threshold(np.repeat([0.9, 0.5, 0.1], [20, 10, 10]), labels)
    assert threshold == pytest.approx(0.3)
    assert (precision, recall) == (20 / 30, 1.0)


def test_what_cannot_be_told_apart_is_said_to_be_so() -> None:
    """Precision and recall are of headlines left out of the fit: a head that only remembers shows it."""
    vectors, labels = cloud(200, 3, apart=0.0)
    head = fitted(vectors, labels, "")
    assert head.precision < 0.75


@given(st.integers(0, 40), st.integers(0, 40))
def test_a_few_headlines_are_refused(positives: int, negatives: int) -> None:
    labels = np.array([True] * positives + [False] * negatives, dtype=np.bool_)
    vectors = np.ones((len(labels), 3), dtype=np.float32)
    if min(positives, negatives) >= LEAST:
        assert fitted(vectors, labels, "").positives == positives
        return
    with pytest.raises(DataUnusable, match=f"at least {LEAST} of each"):
        fitted(vectors, labels, "")


def test_the_order_of_the_labels_hardly_matters() -> None:
    vectors, labels = cloud(120, 4)
    mixed = np.random.default_rng(5).permutation(len(labels))
    one, other = fitted(vectors, labels, ""), fitted(vectors[mixed], labels[mixed], "")
    np.testing.assert_allclose(one.weights, other.weights, atol=1e-3)


def test_a_head_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    head = fitted(*cloud(60, 6), EMBEDDED_SHA256)
    save_head(head, tmp_path / "new" / "fire.json")
    assert load_head(tmp_path / "new" / "fire.json") == head
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["fire.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"weights": ["a"]}', '{"weights": [1], "bias": NaN}'])
def test_a_damaged_head_is_named_with_the_way_out(tmp_path: Path, text: str) -> None:
    file = tmp_path / "fire.json"
    file.write_text(text)
    with pytest.raises(DataUnusable, match=r"fire\.json holds no head.*squall themes fit"):
        load_head(file)


class Letters:
    """Text as the shares of its letters: embeds without a model."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        counts = np.array([[text.lower().count(letter) + 1e-3 for letter in "abcdefgh"] for text in texts]).reshape(
            -1, 8
        )
        shares: NDArray[np.float32] = (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype(np.float32)
        return shares


def learned(tmp_path: Path, encoder: str = EMBEDDED_SHA256, **more: object) -> Theme:
    """A theme of texts that are full of the letter a."""
    weights = (4.0, *[-4.0] * 7)
    save_head(ThemeHead(weights, 0.0, 0.6, encoder, 16, 16, 1.0, 1.0), tmp_path / "a.json")
    told = {"id": "a", "name": "A", "description": "Full of a.", "learned": str(tmp_path / "a.json")}
    return Theme.model_validate(told | more)


def test_a_learned_theme_follows_its_head_and_strong_and_excluded_terms_go_first(tmp_path: Path) -> None:
    theme = learned(tmp_path, strong_terms=("bell",), excluded_terms=("banana",), needs_term=True)
    matcher = ThemeMatcher((theme,), Letters())
    texts = ["aaaa", "bbbb", "bell bbbb", "banana aaaa"]
    reasons = [Reason.LEARNED, Reason.LEARNED_OTHERWISE, Reason.STRONG_TERM, Reason.EXCLUDED_TERM]
    assert [matcher.explain(text)[0].reason for text in texts] == reasons
    assert matcher.match(texts) == [("a",), (), ("a",), ()]
    assert matcher.explain("aaaa")[0].needed == 0.6


def test_a_head_of_another_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataUnusable, match="another encoder"):
        ThemeMatcher((learned(tmp_path, encoder="x"),), Letters())


def labels_file(folder: Path, positives: list[str], negatives: list[str]) -> Path:
    file = folder / "labels.csv"
    with file.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows(
            [("text", "label"), *((t, "yes") for t in positives), *((t, "No") for t in negatives)]
        )
    return file


def test_labels_that_are_neither_yes_nor_no_are_named(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("text,label\nGrid fails,perhaps\n")
    with pytest.raises(DataUnusable, match="yes or no, not 'perhaps'"):
        of_theme(file)


def test_fit_learns_from_a_desk_and_its_head_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole command with the shipped model: fitted on half of the headlines, tried on one of the other half."""
    monkeypatch.chdir(tmp_path)
    file = labels_file(tmp_path, GRID[:-1], OTHER[:-1])
    done = CliRunner().invoke(squall, ["themes", "fit", "supply-disruption", str(file)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "fitted on 19 headlines of the theme and 19 others" in done.output
    settings = load_settings(tmp_path / "squall.toml", {})
    assert settings.themes[0].learned == "data/themes/supply-disruption.json"
    for headline, mark in ((GRID[-1], "yes"), (OTHER[-1], "no ")):
        shown = CliRunner().invoke(squall, ["themes", "test", headline], catch_exceptions=False).output
        (line,) = [one for one in shown.splitlines() if "supply-disruption" in one]
        assert line.startswith(mark)
        assert "learned" in line
        assert "probability" in line


def test_fit_refuses_a_theme_that_nobody_watches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = labels_file(tmp_path, GRID, OTHER)
    done = CliRunner().invoke(squall, ["themes", "fit", "no-such", str(file)])
    assert done.exit_code != 0
    assert "no theme 'no-such' is watched" in str(done.exception)
