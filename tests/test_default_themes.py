"""The default themes: invented headlines that they must find or refuse, and judged real ones."""

from __future__ import annotations

import csv
import hashlib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from models.encoder import find_encoder, load_encoder
from models.running.network import embedding
from models.themes import ThemeMatcher, default_themes

DOCS = Path(__file__).parents[1] / "docs" / "themes.md"
JUDGEMENTS = Path(__file__).parent / "data" / "theme_judgements.csv"
HEADLINES = Path(__file__).parent / "data" / "theme_headlines.toml"
INVENTED: dict[str, dict[str, list[str]]] = tomllib.loads(HEADLINES.read_text(encoding="utf-8"))


class BareEncoder:
    """The embedded encoder as the scorer uses it for `embed`, in float32 and without an adapter."""

    def __init__(self) -> None:
        self.model, self.tokenizer = load_encoder(find_encoder())

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        import torch

        parts: list[NDArray[np.float32]] = []
        for start in range(0, len(texts), 128):
            chunk = list(texts[start : start + 128])
            tokens = self.tokenizer(chunk, truncation=True, max_length=128, padding=True, return_tensors="pt")
            with torch.inference_mode():
                parts.append(embedding(self.model, tokens["input_ids"], tokens["attention_mask"]).numpy())
        return np.concatenate(parts)


@pytest.fixture(scope="module")
def defaults() -> ThemeMatcher:
    return ThemeMatcher(default_themes(), BareEncoder())


class Row(NamedTuple):
    judged: int
    precision: float


def _documented() -> dict[str, Row]:
    """The rows `| bank-stress | matched | judged | precision | ...` of docs/themes.md."""
    cells = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in DOCS.read_text("utf-8").splitlines()
        if line[:1] == "|"
    ]
    ids = {one.id for one in default_themes()}
    return {
        row[0].strip("`"): Row(int(row[2]), float(row[3])) for row in cells if row[0].strip("`") in ids and len(row) > 5
    }


def test_default_themes_are_many_and_distinct() -> None:
    themes = default_themes()
    assert len(themes) >= 12
    assert len({one.id for one in themes}) == len(themes)
    assert all(8 <= len(one.examples) <= 14 for one in themes)
    assert {one.id for one in themes} == set(INVENTED)


def test_the_crisis_of_one_quarter_is_not_written_into_the_terms() -> None:
    names = ("silicon valley", "svb", "signature", "silvergate", "first republic", "credit suisse")
    for one in default_themes():
        words = " ".join((*one.strong_terms, *one.terms, *one.examples)).lower()
        assert not [name for name in names if name in words], one.id


@pytest.mark.parametrize("wanted", sorted(INVENTED))
def test_defaults_find_headlines_that_they_never_saw(defaults: ThemeMatcher, wanted: str) -> None:
    headlines = INVENTED[wanted]["found"]
    missed = [text for text, found in zip(headlines, defaults.match(headlines), strict=True) if wanted not in found]
    assert not missed
    examples = {text for one in default_themes() for text in one.examples}
    assert not examples & set(headlines)


@pytest.mark.parametrize("other", sorted(INVENTED))
def test_defaults_refuse_near_misses_that_they_never_saw(defaults: ThemeMatcher, other: str) -> None:
    headlines = INVENTED[other]["refused"]
    wrong = [text for text, found in zip(headlines, defaults.match(headlines), strict=True) if other in found]
    assert not wrong
    examples = {text for one in default_themes() for text in one.counter_examples}
    assert not examples & set(headlines)


@pytest.mark.slow
def test_judged_headlines_reproduce_the_documented_precision(defaults: ThemeMatcher, shared_data: Path) -> None:
    with JUDGEMENTS.open(encoding="utf-8", newline="") as file:
        judged = {(row["theme"], row["title_sha256"]): row["verdict"] for row in csv.DictReader(file)}
    wanted = {digest for _, digest in judged}
    with (shared_data / "replay" / "finance_2023q1.csv").open(encoding="utf-8", newline="") as file:
        digests = {hashlib.sha256(row["title"].encode()).hexdigest(): row["title"] for row in csv.DictReader(file)}
    titles = {digest: title for digest, title in digests.items() if digest in wanted}
    assert len(titles) == len(wanted)
    found = dict(zip(titles, defaults.match(list(titles.values())), strict=True))
    for one in default_themes():
        verdicts = [verdict for (of, digest), verdict in judged.items() if of == one.id and one.id in found[digest]]
        documented = _documented()[one.id]
        assert len(verdicts) == pytest.approx(documented.judged, abs=2), one.id
        precision = verdicts.count("yes") / len(verdicts)
        assert precision == pytest.approx(documented.precision, abs=0.03), one.id
        assert precision >= 0.85, one.id
    stress = [(digest, verdict) for (of, digest), verdict in judged.items() if of == "bank-stress" and verdict == "yes"]
    recall = sum("bank-stress" in found[digest] for digest, _ in stress) / len(stress)
    assert recall >= 0.48
