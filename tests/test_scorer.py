"""The shipped model: scores in order, whatever the text and however batched."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from models.adapters import SHIPPED, find_adapter
from models.errors import AdapterDamaged, AdapterMissing, EncoderMissing
from models.running.runtime import Done, Padded, Runtime, TooLarge
from models.running.tokens import Query
from models.score import TOPICS, Abstention, CompanyScore, Score, Sentiment
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
    assert np.abs(together - alone).max() < (1e-4 if scorer.precision == "fp32" else 0.03)
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


class Cramped:
    """A runtime with little memory: the device's own is out of a test's reach, so large batches are refused here."""

    def __init__(self, real: Runtime, most: int) -> None:
        self.name, self.budget = real.name, real.budget
        self.refused: list[int] = []
        self._real, self._most = real, most

    def run(self, work: Iterable[Padded]) -> Iterator[Done | TooLarge]:
        for padded in work:
            if len(padded.ids) > self._most:
                self.refused.append(len(padded.ids))
                yield TooLarge(padded.batch, MemoryError("too large"))
            else:
                yield from self._real.run([padded])


def test_a_batch_that_does_not_fit_is_halved_not_lost(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"Company {index} reports results" for index in range(20)]
    expected = scorer.score(texts)
    cramped = Cramped(scorer._net, 3)
    monkeypatch.setattr(scorer, "_net", cramped)
    monkeypatch.setattr(scorer, "_budget", 4096)
    assert [score.sentiment for score in scorer.score(texts)] == [score.sentiment for score in expected]
    assert cramped.refused
    assert scorer._budget < 4096


def test_a_single_text_that_does_not_fit_is_an_error_not_a_loop(
    scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scorer, "_net", Cramped(scorer._net, 0))
    monkeypatch.setattr(scorer, "_budget", 4096)
    with pytest.raises(MemoryError, match="too large"):
        scorer.score(["Bank collapses", "Bank opens"])


def test_embeddings_are_unit_vectors_of_the_bare_encoder(scorer: Scorer) -> None:
    vectors = scorer.embed(["bank run", "run on a bank", "quarterly dividend declared"])
    assert vectors.shape == (3, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-2)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
    assert scorer.embed([]).shape == (0, 384)


@pytest.fixture(scope="module")
def of_companies(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    """The shipped adapter, its sentiment head serving for companies too: what it says of them is not the point here."""
    folder = tmp_path_factory.mktemp("adapters") / "companies"
    shutil.copytree(SHIPPED, folder)
    weights = load_file(folder / "heads.safetensors")
    weights |= {name.replace("sentiment", "company"): value for name, value in weights.items() if "sentiment" in name}
    save_file(weights, folder / "heads.safetensors")
    return load_scorer(folder, device="cpu", precision="fp32")


def test_each_named_company_gets_a_score_in_its_place(of_companies: Scorer) -> None:
    texts = ["UBS gains as Credit Suisse sinks", "", "Oil falls", "Fox News sues \x00"]
    named = [["UBS", "Credit Suisse"], ["UBS"], [], ["Fox\x00 News", " "]]
    scores = of_companies.score(texts, named)
    assert [[one.name for one in score.companies] for score in scores] == [
        ["UBS", "Credit Suisse"],
        [],
        [],
        ["Fox News"],
    ]
    asked = of_companies.company_probabilities(
        [texts[0], texts[0], texts[3]], ["UBS", "Credit Suisse", "Fox News"], [False, False, True]
    )
    told = [(c.negative, c.neutral, c.positive) for score in scores for c in score.companies]
    assert np.abs(np.array(told) - asked).max() < 1e-4
    assert np.abs(asked[0] - asked[1]).max() > 1e-3


def test_what_is_said_of_a_company_named_alone_is_half_the_headlines_own(of_companies: Scorer) -> None:
    text = "Tesla cuts prices again"
    assert of_companies.adapter.settings.headline_share == 0.5
    (towards,) = of_companies.company_probabilities([text], ["Tesla"])
    alone, among = of_companies.score([text, text], [["Tesla"], ["Tesla", "Ford"]])
    own = np.array([alone.negative, alone.neutral, alone.positive])
    (told,) = alone.companies
    assert np.abs(np.array([told.negative, told.neutral, told.positive]) - (towards + own) / 2).max() < 1e-4
    # Bad news as a headline, half as bad for the company: a text on which both readings agree would show nothing.
    assert np.abs(towards - own).max() > 1e-2
    assert abs(among.companies[0].negative - towards[0]) < 1e-4


def test_companies_leave_the_score_of_the_headline_alone(of_companies: Scorer) -> None:
    (alone,) = of_companies.score(["UBS gains as Credit Suisse sinks"])
    (asked,) = of_companies.score(["UBS gains as Credit Suisse sinks"], [["UBS", "Credit Suisse"]])
    assert (alone.sentiment, alone.topics[0][0]) == (asked.sentiment, asked.topics[0][0])
    assert abs(alone.negative - asked.negative) < 1e-4
    assert alone.companies == ()


def test_an_adapter_without_a_head_for_companies_says_nothing_of_them(tmp_path: Path) -> None:
    weights = {name: value for name, value in load_file(SHIPPED / "heads.safetensors").items() if "company" not in name}
    folder = tmp_path / "plain"
    shutil.copytree(SHIPPED, folder)
    save_file(weights, folder / "heads.safetensors")
    plain = load_scorer(folder, device="cpu")
    assert plain.tasks == {"sentiment", "topic"}
    (score,) = plain.score(["UBS gains"], [["UBS"]])
    assert score.companies == ()
    with pytest.raises(AdapterDamaged, match="not trained on companies"):
        plain.company_probabilities(["UBS gains"], ["UBS"])


def test_a_name_without_end_leaves_room_for_its_headline(of_companies: Scorer) -> None:
    (score,) = of_companies.score(["UBS gains " * 50], [["🚀" * 5_000]])
    assert len(score.companies) == 1
    assert len(of_companies._tokens.ids([Query("oil " * 500, "x " * 500)])[0]) == of_companies.adapter.settings.longest


def test_an_archive_comes_in_portions_and_in_order(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"Company {index} {'collapses' if index % 3 else 'reports record profit'}" for index in range(10)]
    expected = [score.sentiment for score in scorer.score(texts)]
    monkeypatch.setattr("models.scorer.PORTION", 4)
    portions = list(scorer.portions(texts))
    assert [len(portion) for portion in portions] == [4, 4, 2]
    assert [score.sentiment for portion in portions for score in portion] == expected


def test_names_and_texts_must_be_as_many(scorer: Scorer) -> None:
    with pytest.raises(ValueError, match="2 texts came with names for 1"):
        scorer.score(["Oil", "Gas"], [[]])


def test_progress_counts_every_text(scorer: Scorer) -> None:
    done: list[int] = []
    scorer.score([text for text, _ in PLAIN] * 3, progress=done.append)
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
    with pytest.raises(ValueError, match="sum to one"):
        CompanyScore("UBS", 0.5, 0.5, 0.5)


def test_towards_a_company_the_most_probable_sentiment_counts() -> None:
    score = CompanyScore("UBS", 0.1, 0.2, 0.7)
    assert score.sentiment is Sentiment.POSITIVE
    assert score.tone == pytest.approx(0.6)
