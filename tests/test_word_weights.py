"""Explanations of scores: words with weights that add up to what they explain."""

from __future__ import annotations

import json
import math
import shutil

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.numpy import load_file, save_file

from models.adapters import SHIPPED
from models.errors import AdapterDamaged
from models.explanation.explaining import Explanation, Method, explain
from models.explanation.surrogate import Linear
from models.score import Sentiment
from models.scorer import Scorer, load_scorer
from models.text import LONGEST_NAME, readable
from monitor.cli import squall
from monitor.commands.explain import _painted
from monitor.errors import InputUnusable

# One word alone says it: where any of several would do, methods share the weight out differently.
HEADLINE = "Bank collapses on Monday as summit begins"


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return load_scorer(device="cpu")


@pytest.fixture(scope="module")
def of_companies(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    """The shipped adapter, its sentiment head serving for companies too."""
    folder = tmp_path_factory.mktemp("adapters") / "companies"
    shutil.copytree(SHIPPED, folder)
    weights = load_file(folder / "heads.safetensors")
    weights |= {name.replace("sentiment", "company"): value for name, value in weights.items() if "sentiment" in name}
    save_file(weights, folder / "heads.safetensors")
    return load_scorer(folder, device="cpu", precision="fp32")


def heaviest(told: Explanation, count: int) -> set[str]:
    return {one.word for one in sorted(told.words, key=lambda word: -word.weight)[:count]}


@pytest.mark.parametrize("method", list(Method))
def test_the_word_that_makes_it_negative_weighs_most(scorer: Scorer, method: Method) -> None:
    told = explain(scorer, HEADLINE, method=method)
    assert [one.word for one in told.words] == HEADLINE.split()
    assert told.target is Sentiment.NEGATIVE
    assert "collapses" in heaviest(told, 2)


@pytest.mark.parametrize("method", [Method.INTEGRATED_GRADIENTS, Method.KERNEL_SHAP])
def test_words_add_up_to_what_they_changed(scorer: Scorer, method: Method) -> None:
    told = explain(scorer, HEADLINE, method=method)
    assert told.probability > told.baseline
    assert abs(told.delta) < 0.03
    assert sum(one.weight for one in told.words) == pytest.approx(told.probability - told.baseline + told.delta)


def test_the_same_headline_is_explained_the_same_way_twice(scorer: Scorer) -> None:
    explain(scorer, HEADLINE)  # the network is loaded now, which draws random weights before it reads the real ones
    before = torch.random.get_rng_state()
    told = [explain(scorer, HEADLINE, method=Method.LIME).words for _ in range(2)]
    assert told[0] == told[1]
    assert torch.equal(torch.random.get_rng_state(), before)


def test_another_label_can_be_explained(scorer: Scorer) -> None:
    told = explain(scorer, HEADLINE, target=Sentiment.POSITIVE)
    assert told.target is Sentiment.POSITIVE
    assert told.probability == pytest.approx(scorer.score([HEADLINE])[0].positive, abs=0.05)


def test_a_company_is_asked_about_by_name_and_stays_when_words_are_hidden(of_companies: Scorer) -> None:
    told = explain(of_companies, "UBS gains as Credit Suisse sinks", "UBS")
    assert told.company == "UBS"
    assert [one.word for one in told.words] == ["UBS", "gains", "as", "Credit", "Suisse", "sinks"]
    asked = of_companies.company_probabilities(["UBS gains as Credit Suisse sinks"], ["UBS"])
    assert told.probability == pytest.approx(float(asked.max()), abs=1e-3)
    assert abs(told.delta) < 0.03


def test_a_long_name_is_cut_alike_where_it_is_scored_and_where_it_is_explained(of_companies: Scorer) -> None:
    name = "The Amalgamated Mutual Savings, Loans, Reinsurance and General Hardship Company of the Northern Isles"
    name += " plc crash"
    assert len(name) > LONGEST_NAME > len(name) - 20
    told = explain(of_companies, "A lender gains as others sink", name)
    assert len(told.company) <= LONGEST_NAME
    asked = of_companies.company_probabilities(["A lender gains as others sink"], [name])
    assert told.probability == pytest.approx(float(asked.max()), abs=1e-3)


def test_words_add_up_for_a_company_that_is_named_alone(of_companies: Scorer) -> None:
    text = "Credit Suisse finds weaknesses in its reporting"
    told = explain(of_companies, text, "Credit Suisse", alone=True)
    ((score,),) = [one.companies for one in of_companies.score([text], [["Credit Suisse"]])]
    chances = {"negative": score.negative, "neutral": score.neutral, "positive": score.positive}
    assert told.target.value == max(chances, key=lambda label: chances[label])
    assert told.probability == pytest.approx(chances[told.target.value], abs=1e-3)
    assert abs(told.delta) < 0.03
    other = explain(of_companies, text, "Credit Suisse", target=told.target)
    assert other.probability != pytest.approx(told.probability, abs=1e-3)


def test_a_company_needs_a_head_for_it(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scorer, "tasks", frozenset({"sentiment", "topic"}))
    with pytest.raises(AdapterDamaged, match="not trained on the task company"):
        explain(scorer, HEADLINE, "UBS")


@pytest.mark.parametrize("text", ["", "\x00", "🚀 🚀", "x" * 100_000, "市场 恐慌", "oil " * 500])
def test_any_text_is_explained(scorer: Scorer, text: str) -> None:
    told = explain(scorer, text)
    assert [one.word for one in told.words] == readable(text).split()
    assert all(math.isfinite(one.weight) for one in told.words)
    # What the model never read has no part in what it said.
    assert all(one.weight == 0 for one in told.words[100:])


def test_the_stand_in_finds_the_line_that_made_its_data() -> None:
    generator = np.random.default_rng(1)
    features = torch.from_numpy(generator.integers(0, 2, (200, 3)).astype(np.float32))
    true = torch.tensor([0.5, -0.25, 0.0])
    model = Linear()
    model.fit([(features, features @ true + 0.3, torch.ones(200))])
    assert torch.allclose(model.representation(), true, atol=1e-3)
    assert torch.allclose(model(features), features @ true, atol=1e-2)


def test_the_command_answers_in_json() -> None:
    done = CliRunner().invoke(squall, ["explain", HEADLINE, "--json"])
    told = json.loads(done.stdout)
    assert (told["label"], told["method"], told["company"]) == ("negative", "integrated-gradients", "")
    assert [one["word"] for one in told["words"]] == HEADLINE.split()
    total = sum(one["weight"] for one in told["words"])
    assert total == pytest.approx(told["probability"] - told["without_words"] + told["delta"], abs=0.01)


def test_a_company_that_the_headline_does_not_name_is_refused() -> None:
    done = CliRunner().invoke(squall, ["explain", HEADLINE, "--company", "Nowhere Plc"])
    assert isinstance(done.exception, InputUnusable)
    assert "the headline does not name 'Nowhere Plc'" in str(done.exception)


def test_the_command_answers_in_words() -> None:
    done = CliRunner().invoke(squall, ["explain", HEADLINE])
    assert done.exit_code == 0
    assert HEADLINE in done.stdout
    assert "collapses" in done.stdout.splitlines()[2]
    assert "without any words" in done.stdout
    assert "no words to explain" in CliRunner().invoke(squall, ["explain", " "]).stdout


def test_what_speaks_for_the_label_is_painted_in_its_colour(scorer: Scorer) -> None:
    painted = _painted(explain(scorer, HEADLINE))
    assert painted.plain == HEADLINE
    assert any("red" in str(span.style) for span in painted.spans)
