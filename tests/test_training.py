"""Training, small: a BERT of two layers made on the spot, sixty headlines, and what comes out of it."""

from __future__ import annotations

import json
import re
import runpy
import shutil
from dataclasses import fields, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModel, BertConfig, BertModel

from models.adapters import SHIPPED, find_adapter
from models.data.datasets import CLASSES, Part
from models.encoder import find_encoder, load_encoder
from models.errors import AdapterDamaged, AdapterMissing, DataUnusable
from models.scorer import Scorer, load_scorer
from models.training.adapting import merge_in_weight_space
from models.training.card import card
from models.training.recipes import Recipe, load_recipe
from models.training.train import train
from models.trust.metrics import Metrics

SCENE = runpy.run_path(str(Path(__file__).with_name("tiny_model_scene.py")))
RECIPES = Path(__file__).parents[1] / "benchmarks" / "recipes"
TEACHES, labelled, tiny_bert = SCENE["TEACHES"], SCENE["labelled"], SCENE["tiny_bert"]


class Trained(NamedTuple):
    folder: Path
    results: dict[str, Metrics]
    lines: list[str]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tiny_bert(tmp_path_factory.mktemp("encoder") / "tiny-bert")
    return folder


@pytest.fixture(scope="module")
def trained(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("adapter") / "small"
    lines: list[str] = []
    recipe = replace(TEACHES, encoder=str(encoder))
    return Trained(folder, train(recipe, labelled(), folder, lines.append), lines)


def test_training_learns_what_the_words_mean(trained: Trained) -> None:
    """A subject that was never seen in training, and so nothing but the deed, decides."""
    assert trained.results["invented"].n == 18
    assert trained.results["invented"].accuracy > 0.8
    assert set(trained.results) == {"invented", "invented-topics"}


def test_a_student_learns_the_sentiment_that_its_teacher_sees(trained: Trained, encoder: Path, tmp_path: Path) -> None:
    """Its own labels say neutral of everything, and weigh nothing: what it knows, it has from the teacher."""
    neutral = CLASSES["sentiment"].index("neutral")
    mislabelled = [
        replace(one, label=neutral) if one.task == "sentiment" and one.part is Part.TRAIN else one for one in labelled()
    ]
    recipe = replace(TEACHES, encoder=str(encoder), teachers=(str(trained.folder),), teacher_weight=1.0, epochs=30)
    results = train(recipe, mislabelled, tmp_path / "student", lambda line: None)
    assert results["invented"].accuracy > 0.8
    written = (tmp_path / "student" / "metrics.json").read_text()
    assert json.loads(written)["recipe"]["teachers"] == ["small"]
    assert "the opinion of a larger model (`small`)" in (tmp_path / "student" / "README.md").read_text()


def test_a_teacher_that_is_not_there_names_the_way_out(encoder: Path, tmp_path: Path) -> None:
    recipe = replace(TEACHES, encoder=str(encoder), teachers=(str(tmp_path / "nobody"),))
    with pytest.raises(AdapterMissing, match=r"teacher is not in .*nobody; train it first with `make teacher`"):
        train(recipe, labelled(), tmp_path / "student", lambda line: None)


def test_training_says_how_it_goes(trained: Trained) -> None:
    assert trained.lines[0].startswith("36 training, 24 validation texts")
    assert sum(line.startswith("epoch ") for line in trained.lines) == TEACHES.epochs
    assert trained.lines[-1].startswith("test ")


def test_the_folder_holds_an_adapter_that_loads(trained: Trained) -> None:
    adapter = find_adapter(trained.folder)
    assert adapter.model.startswith("small-")
    scorer = load_scorer(trained.folder, device="cpu", precision="fp32")
    scores = scorer.score([example.text for example in labelled() if example.task == "sentiment"])
    wanted = [CLASSES["sentiment"][e.label] for e in labelled() if e.task == "sentiment"]
    right = sum(score.sentiment.value == label for score, label in zip(scores, wanted, strict=True))
    assert right / len(wanted) > 0.8
    assert {score.model for score in scores} == {adapter.model}


def test_batched_equals_single(trained: Trained) -> None:
    scorer = load_scorer(trained.folder, device="cpu", precision="fp32", budget=20)
    texts = [example.text for example in labelled()] + ["", "again " * 30, "bank"]
    together = scorer.probabilities(texts)
    for head, batched in enumerate(together):
        alone = np.concatenate([scorer.probabilities([text])[head] for text in texts])
        assert np.abs(batched - alone).max() < 1e-5


def test_figures_in_the_folder_are_those_that_were_measured(trained: Trained) -> None:
    metrics = json.loads((trained.folder / "metrics.json").read_text())
    adapter = find_adapter(trained.folder)
    assert metrics["model"] == adapter.model
    assert metrics["recipe"]["epochs"] == TEACHES.epochs
    assert metrics["test"] == {source: measured.as_dict() for source, measured in trained.results.items()}
    assert (trained.folder / "README.md").read_text() == card(adapter.settings, metrics)


def test_what_was_measured_is_what_the_loaded_adapter_does(trained: Trained) -> None:
    """The merged and saved weights are the ones whose figures are in the card."""
    scorer = load_scorer(trained.folder, device="cpu")
    tested = [e for e in labelled() if e.part is Part.TEST and e.task == "sentiment"]
    probabilities, _ = scorer.probabilities([example.text for example in tested])
    right = probabilities.argmax(1) == np.array([example.label for example in tested])
    assert float(right.mean()) == pytest.approx(trained.results["invented"].accuracy, abs=1 / len(tested))


def test_nothing_in_the_folder_is_pickled_or_names_this_machine(trained: Trained) -> None:
    names = {path.name for path in trained.folder.iterdir()}
    assert {"adapter_model.safetensors", "heads.safetensors", "squall.json", "metrics.json", "README.md"} <= names
    assert not {name for name in names if name.endswith((".bin", ".pt", ".pkl", ".pth"))}


def test_an_adapter_is_refused_when_its_encoder_changed(trained: Trained, tmp_path: Path) -> None:
    other = tiny_bert(tmp_path / "tiny-bert")
    BertModel(BertConfig.from_pretrained(other)).save_pretrained(other)
    folder = tmp_path / "moved"
    folder.mkdir()
    for file in trained.folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    settings = json.loads((folder / "squall.json").read_text()) | {"encoder": str(other)}
    (folder / "squall.json").write_text(json.dumps(settings))
    with pytest.raises(AdapterDamaged, match="trained on other weights"):
        load_scorer(folder)


def test_merging_in_weight_space_changes_nothing_but_the_cost(encoder: Path) -> None:
    """Same function and same gradients as peft's own three products."""
    base, tokenizer = load_encoder(find_encoder(str(encoder)))
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["query", "key", "value", "dense"], lora_dropout=0.0)
    adapted = get_peft_model(base, config)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    ids = torch.tensor(tokenizer(["bank collapses again", "oil soars again"])["input_ids"])

    def outcome() -> tuple[torch.Tensor, list[torch.Tensor]]:
        adapted.zero_grad()
        hidden = adapted(input_ids=ids).last_hidden_state
        hidden.square().sum().backward()
        return hidden.detach(), [w.grad.clone() for w in adapted.parameters() if w.grad is not None]

    adapted.eval()
    plain, plain_gradients = outcome()
    merge_in_weight_space(adapted)
    merged, merged_gradients = outcome()
    assert torch.allclose(plain, merged, atol=1e-5)
    assert len(plain_gradients) == len(merged_gradients) > 0
    for one, other in zip(plain_gradients, merged_gradients, strict=True):
        assert torch.allclose(one, other, atol=1e-3, rtol=1e-3)


# Recipes


def test_an_encoder_that_lies_in_half_precision_is_loaded_in_full(encoder: Path, tmp_path: Path) -> None:
    shutil.copytree(encoder, tmp_path / "half")
    AutoModel.from_pretrained(encoder).half().save_pretrained(tmp_path / "half")
    model, _ = load_encoder(find_encoder(str(tmp_path / "half")))
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_a_recipe_overrides_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('epochs = 2\nlora_rate = 1\ntargets = ["query"]\n')
    recipe = load_recipe(path)
    assert (recipe.epochs, recipe.lora_rate, recipe.targets) == (2, 1.0, ("query",))
    assert recipe.rank == Recipe().rank
    assert load_recipe(None) == Recipe()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epoch = 2\n", "unknown key 'epoch'; did you mean 'epochs'"),
        ('epochs = "two"\n', "epochs must be int, not str"),
        ("epochs = 2.5\n", "epochs must be int, not float"),
        ("[broken\n", "cannot be read"),
        (f"rank = {'9' * 5000}\n", "cannot be read"),
        ("batch_texts = 0\n", "batch_texts must be 1 to 65,536, not 0"),
        ("rank = 0\n", "rank must be 1 to 1,024, not 0"),
        ("epochs = -1\n", "epochs must be 1 to 10,000, not -1"),
        ("longest = 2\n", "longest must be 16 to 8,192, not 2"),
        ("slips = -1\n", "slips must be 0.0 to 1.0, not -1"),
        ("masking = nan\n", "masking must be 0.0 to 0.9, not nan"),
        ("warmup = 1\n", "warmup must be 0.0 to 0.9, not 1"),
        (f"lora_rate = {10**400}\n", "lora_rate must be 0.0 to 1.0"),
        ("lora_rate = true\n", "lora_rate must be float, not bool"),
        ("rank = true\n", "rank must be int, not bool"),
        ('method = "lorry"\n', "method must be one of lora, dora, adalora, full, not 'lorry'"),
        ('tasks = ["sentimnt"]\n', "tasks must be some of sentiment, topic, company, not ['sentimnt']"),
        ("tasks = []\n", "tasks must be some of"),
        ('tasks = "topic"\n', "tasks must be list, not str"),
        ("targets = [1]\n", "targets must be a list of texts in quotes, not [1]"),
        ("targets = []\n", "targets must be the names of one or more layers"),
        ("teacher_bias = [1, 2]\n", "teacher_bias must be 3 numbers from -20 to 20, not [1, 2]"),
        ("teacher_bias = [1, 2, nan]\n", "teacher_bias must be 3 numbers"),
        ("teacher_bias = [1, 2, true]\n", "teacher_bias must be 3 numbers"),
        (
            "sentiment_share = 0\ntopic_share = 0\ncompany_share = 0\nunlabelled_share = 0\n",
            "of sentiment_share, topic_share, company_share one must be above 0",
        ),
        ('tasks = ["topic"]\ntopic_share = 0\n', "of topic_share one must be above 0"),
        (None, "cannot be read"),
    ],
)
def test_a_recipe_that_means_nothing_is_refused(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "recipe.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataUnusable) as told:
        load_recipe(path)
    assert words in str(told.value)


def test_what_a_recipe_begins_with_is_taken_from_a_file(tmp_path: Path) -> None:
    """Every value of the default recipe, written down."""
    path = tmp_path / "recipe.toml"
    written = {field.name: getattr(Recipe(), field.name) for field in fields(Recipe)}
    path.write_text("\n".join(f"{key} = {json.dumps(value)}" for key, value in written.items()))
    assert load_recipe(path) == Recipe()


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_recipes_of_the_shipped_adapters_are_good(path: Path) -> None:
    assert load_recipe(path) != Recipe()


def test_a_file_is_laid_over_another_recipe(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text("epochs = 2\n")
    base = Recipe(epochs=3, rank=8, teachers=("elder",))
    assert load_recipe(path, base) == replace(base, epochs=2)
    assert load_recipe(None, base) == base


@pytest.mark.parametrize("method", ["lora", "adalora"])
@pytest.mark.parametrize(("targets", "words"), [(("query", "nope"), "no linear layer nope"), (("layer",), "layer")])
def test_layers_that_the_encoder_lacks_are_named(
    encoder: Path, tmp_path: Path, method: str, targets: tuple[str, ...], words: str
) -> None:
    recipe = replace(TEACHES, encoder=str(encoder), method=method, targets=targets)
    with pytest.raises(DataUnusable, match=f"targets: .*{words}.*name some of dense, key, query, value"):
        train(recipe, labelled(), tmp_path / "x", lambda line: None)


def test_training_on_nothing_says_so(encoder: Path, tmp_path: Path) -> None:
    recipe = replace(TEACHES, encoder=str(encoder), tasks=("company",))
    with pytest.raises(DataUnusable, match="nothing to train on"):
        train(recipe, labelled(), tmp_path / "x", lambda line: None)


# The shipped adapter


def test_the_shipped_card_states_the_shipped_figures() -> None:
    metrics = json.loads((SHIPPED / "metrics.json").read_text())
    adapter = find_adapter()
    assert metrics["model"].rpartition("-")[2] == adapter.model.rpartition("-")[2]
    assert (SHIPPED / "README.md").read_text() == card(adapter.settings, metrics)


def test_a_card_names_its_sets_and_leaves_out_what_was_not_measured() -> None:
    figures = {"n": 10, "accuracy": 0.5, "macro_f1": 0.4, "ece": 0.1}
    metrics = {
        "model": "fast-1",
        "recipe": {"teachers": ["elder"], "teacher_weight": 0.6},
        "test": {
            "tfns": figures | {"recall": {"negative": 0.75}},
            "tfnt": figures | {"recall": {"Macro": 0.3}, "f1": {"Macro": 0.25, "Energy | Oil": 1.0}},
        },
    }
    written = card(find_adapter().settings, metrics)
    assert "| Twitter Financial News Sentiment (MIT)" in written
    assert "| 10 | 0.500 | 0.400 | 0.750 | 0.100 |" in written
    assert "| 10 | 0.500 | 0.400 | – | 0.100 |" in written
    assert "| Energy / Oil | 1.00 |" in written
    assert "(`elder`, same data)" in written


def test_a_card_tells_of_texts_that_are_nobodys_but_the_desks() -> None:
    metrics = {"model": "mine-1", "test": {}, "recipe": {"start": "fast", "teachers": ["fast"], "teacher_weight": 0.5}}
    written = card(find_adapter().settings, metrics | {"texts": {"labels_sentiment": 40}})
    assert "40 rows of `labels_sentiment`" in written
    assert "SEntFiN" not in written
    assert "same data" not in written
    both = card(find_adapter().settings, metrics | {"texts": {"labels_topic": 3, "tfns": 7000}})
    assert "3 rows of `labels_topic`" in both
    assert "Trained on SEntFiN 1.0" in both


def test_the_shipped_adapter_was_measured_on_its_permissive_sets() -> None:
    metrics = json.loads((SHIPPED / "metrics.json").read_text())
    assert {"sentfin", "tfns", "tfnt"} <= set(metrics["test"])
    assert metrics["recipe"]["encoder"] == "embedded"
    shown = (SHIPPED / "README.md").read_text()
    for measured in metrics["test"].values():
        assert f"| {measured['n']} | {measured['accuracy']:.3f} | {measured['macro_f1']:.3f} |" in shown
    assert "Financial News" in shown


def test_the_shipped_adapter_names_no_place_of_a_machine() -> None:
    for path in SHIPPED.glob("*.json"):
        assert re.findall(r'"(?:/|[A-Z]:)[^"]*"', path.read_text()) == []
    assert isinstance(load_scorer(device="cpu"), Scorer)
