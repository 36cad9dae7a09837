"""The shipped model: scores in order, whatever the text and however batched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.adapters import SHIPPED, find_adapter
from models.errors import AdapterDamaged, AdapterMissing, EncoderMissing
from models.score import TOPICS, Abstention, Score, Sentiment
from models.scorer import Scorer, load_scorer
from models.text import readable

PLAIN = [
    ("Bank collapses after depositors withdraw billions", Sentiment.NEGATIVE),
    ("Company reports record profit and raises its dividend", Sentiment.POSITIVE),
    ("Shares plunge 20% after profit warning", Sentiment.NEGATIVE),
    ("Annual general meeting to be held on 12 May", Sentiment.NEUTRAL),
]


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return load_scorer(device="cpu")


def test_plain_headlines_get_the_sentiment_that_anyone_would_give(scorer: Scorer) -> None:
    scores = scorer.score([text for text, _ in PLAIN])
    assert [score.sentiment for score in scores] == [sentiment for _, sentiment in PLAIN]
    assert {score.model for score in scores} == {scorer.model}


def test_topics_are_known_and_sorted(scorer: Scorer) -> None:
    (score,) = scorer.score(["ECB raises interest rates by 50 basis points"])
    assert score.topics[0][0] == "Fed | Central Banks"
    probabilities = [probability for _, probability in score.topics]
    assert probabilities == sorted(probabilities, reverse=True)
    assert {name for name, _ in score.topics} <= set(TOPICS)


def test_batched_equals_single(scorer: Scorer) -> None:
    texts = [text for text, _ in PLAIN] + ["Oil", "A much longer headline " * 6]
    together, _ = scorer.probabilities(texts)
    alone = np.concatenate([scorer.probabilities([text])[0] for text in texts])
    assert np.abs(together - alone).max() < (0.03 if scorer.precision == "bf16" else 1e-4)
    assert (together.argmax(1) == alone.argmax(1)).all()


ODD = [
    "",
    " ",
    "\x00\x01",
    "🚀" * 50,
    "x" * 100_000,
    "<b>bold</b> &amp; &lt;script&gt;",
    "市场恐慌",
    "\ud800",
    "a\u202eb",
]


def test_odd_texts_get_a_score_or_an_abstention(scorer: Scorer) -> None:
    scores = scorer.score(ODD)
    assert len(scores) == len(ODD)
    assert scores[0].abstention is Abstention.EMPTY_TEXT
    assert not scores[0].counts_as_negative
    assert all(np.isclose(score.negative + score.neutral + score.positive, 1, atol=1e-3) for score in scores)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(max_size=80), max_size=8))
def test_any_text_keeps_its_place(scorer: Scorer, texts: list[str]) -> None:
    scores = scorer.score(texts)
    assert len(scores) == len(texts)
    for text, score in zip(texts, scores, strict=True):
        assert (score.abstention is Abstention.EMPTY_TEXT) == (readable(text) == "")


def test_a_batch_that_does_not_fit_is_halved_not_lost(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The device's own memory is out of a test's reach, so the network refuses large batches as CUDA would."""
    small = Scorer(scorer.adapter, device="cpu")
    forward = small._net.forward
    refused: list[int] = []

    def cramped(ids: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
        if len(ids) > 3:
            refused.append(len(ids))
            raise torch.OutOfMemoryError("too large")
        return forward(ids, mask)

    monkeypatch.setattr(small._net, "forward", cramped)
    texts = [f"Company {index} reports results" for index in range(20)]
    scores = small.score(texts)
    assert refused
    expected = scorer.score(texts)
    assert [score.sentiment for score in scores] == [score.sentiment for score in expected]


def test_embeddings_are_unit_vectors_of_the_bare_encoder(scorer: Scorer) -> None:
    vectors = scorer.embed(["bank run", "run on a bank", "quarterly dividend declared"])
    assert vectors.shape == (3, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-2)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]


def test_progress_counts_every_text(scorer: Scorer) -> None:
    done: list[int] = []
    scorer.score([text for text, _ in PLAIN] * 3, done.append)
    assert sum(done) == len(PLAIN) * 3


def test_a_missing_adapter_names_the_folder_and_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(AdapterMissing, match=r"no adapter in .*squall train"):
        load_scorer(tmp_path / "nothing")


def damaged(tmp_path: Path, part: str, content: bytes) -> Path:
    folder = tmp_path / "damaged"
    folder.mkdir()
    for file in SHIPPED.iterdir():
        (folder / file.name).write_bytes(content if file.name == part else file.read_bytes())
    return folder


@pytest.mark.parametrize("part", ["adapter_model.safetensors", "heads.safetensors", "squall.json"])
def test_a_damaged_adapter_says_so(tmp_path: Path, part: str) -> None:
    with pytest.raises(AdapterDamaged, match="damaged"):
        load_scorer(damaged(tmp_path, part, b"broken"))


def test_an_adapter_for_other_weights_is_refused(tmp_path: Path) -> None:
    settings_text = (SHIPPED / "squall.json").read_text().replace(find_adapter().settings.encoder_sha256, "0" * 64)
    with pytest.raises(AdapterDamaged, match="trained on other weights"):
        load_scorer(damaged(tmp_path, "squall.json", settings_text.encode()))


def test_an_encoder_that_is_nowhere_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    text = (SHIPPED / "squall.json").read_text().replace('"embedded"', f'"{tmp_path / "none"}"')
    with pytest.raises(EncoderMissing, match="work offline"):
        load_scorer(damaged(tmp_path, "squall.json", text.encode()))


def test_scores_refuse_nonsense() -> None:
    with pytest.raises(ValueError, match="sum to one"):
        Score(0.5, 0.5, 0.5, (), "m")
    with pytest.raises(ValueError, match="finite"):
        Score(float("nan"), 0.5, 0.5, (), "m")
