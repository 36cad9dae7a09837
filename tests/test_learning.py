"""What training can do beyond one run from nothing: companies, methods, unlabelled texts, resuming, going on."""

from __future__ import annotations

import json
import runpy
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import RobertaConfig, RobertaModel

from models.adapters import AdapterSettings, find_adapter, tasks_of
from models.data.datasets import CLASSES, UNLABELLED, Example, Part
from models.errors import AdapterDamaged, DataUnusable, TrainingDiverged
from models.scorer import load_scorer
from models.training.adapting import check_length, shaped_like
from models.training.recipes import Recipe
from models.training.train import Step, train

SCENE = runpy.run_path(str(Path(__file__).with_name("tiny_model_scene.py")))
labelled, towards = SCENE["labelled"], SCENE["towards"]


@pytest.fixture(scope="module")
def teaches(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    encoder: Path = SCENE["tiny_bert"](tmp_path_factory.mktemp("encoder") / "tiny-bert")
    recipe: Recipe = replace(SCENE["TEACHES"], encoder=str(encoder))
    return recipe


@pytest.fixture(scope="module")
def trained(teaches: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapter") / "small"
    train(teaches, labelled(), folder, lambda line: None)
    return folder


class Cut(Exception):
    """The power fails."""


def quiet(line: str) -> None:
    """Nobody listens."""


def test_of_two_companies_each_gets_its_own_sentiment(teaches: Recipe, tmp_path: Path) -> None:
    recipe = replace(teaches, epochs=25, tasks=("company",), longest=32)
    results = train(recipe, towards(), tmp_path / "pairs", quiet)
    assert results["towards"].accuracy > 0.9
    adapter = find_adapter(tmp_path / "pairs")
    assert tasks_of(adapter) == {"company"}


@pytest.mark.parametrize("method", ["dora", "adalora", "full"])
def test_other_methods_learn_too(teaches: Recipe, tmp_path: Path, method: str) -> None:
    recipe = replace(teaches, method=method, tasks=("sentiment", "topic"))
    results = train(recipe, labelled(), tmp_path / method, quiet)
    assert results["invented"].accuracy > 0.6
    found, _ = load_scorer(tmp_path / method, device="cpu").probabilities(["bank collapses", "bank soars"])
    assert found.argmax(1).tolist() == [0, 2]
    # Who goes on from it begins where it stood: steps of no length change nothing.
    still = replace(
        recipe, start=str(tmp_path / method), method="lora", rank=1, epochs=1, lora_rate=0.0, heads_rate=0.0
    )
    on = shaped_like(still, tmp_path / method)
    assert (on.method, on.rank) == (method, 1 if method == "full" else recipe.rank)
    train(on, labelled(), tmp_path / "on", quiet)
    again, _ = load_scorer(tmp_path / "on", device="cpu").probabilities(["bank collapses", "bank soars"])
    assert np.abs(again - found).max() < 1e-4
    # AdaLoRA's pattern is of the last step: with it peft would cut off what the best epoch uses.
    assert not json.loads((tmp_path / method / "adapter_config.json").read_text()).get("rank_pattern")


def test_a_method_that_is_none_names_those_that_are(teaches: Recipe, tmp_path: Path) -> None:
    with pytest.raises(DataUnusable, match="'lorry' is none of lora, dora, adalora, full"):
        train(replace(teaches, method="lorry"), labelled(), tmp_path / "x", quiet)


def test_unlabelled_headlines_carry_the_teachers_opinion(teaches: Recipe, trained: Path, tmp_path: Path) -> None:
    """Its own rows show one class only; the other two it can have from nowhere but the teacher."""
    neutral = CLASSES["sentiment"].index("neutral")
    rows = [
        replace(one, label=UNLABELLED, source="unlabelled") if one.part is Part.TRAIN and one.label != neutral else one
        for one in labelled()
        if one.task == "sentiment"
    ]
    recipe = replace(teaches, teachers=(str(trained),), teacher_weight=0.8, tasks=("sentiment",))
    assert train(recipe, rows, tmp_path / "student", quiet)["invented"].accuracy > 0.7


@pytest.mark.parametrize(
    ("at", "method", "taught"),
    [(0.625, "lora", False), (0.625, "adalora", False), (0.9, "adalora", False), (0.1, "lora", True)],
)
def test_a_run_that_was_cut_off_ends_as_if_it_had_not_been(
    teaches: Recipe, trained: Path, tmp_path: Path, at: float, method: str, taught: bool
) -> None:
    """Also in what chance hides, in AdaLoRA's ranks, and where a teacher's opinion is kept; the last epoch counts."""
    tasks, teachers = ("sentiment", "topic"), (str(trained),) if taught else ()
    recipe = replace(
        teaches, epochs=4, tasks=tasks, teachers=teachers, method=method, masking=0.2, dropout=0.1, averaging=0.0
    )
    rows = [one for one in labelled() if one.part is not Part.VALIDATION]
    whole = train(recipe, rows, tmp_path / "whole", quiet)

    def cut(step: Step) -> None:
        if step.number == int(step.total * at):
            raise Cut

    with pytest.raises(Cut):
        train(recipe, rows, tmp_path / "parts", quiet, cut)
    assert not (tmp_path / "parts" / "squall.json").exists()
    lines: list[str] = []
    resumed = train(recipe, rows, tmp_path / "parts", lines.append, resume=True)
    assert (f"going on after epoch {int(4 * at)}" in lines) == (at > 0.25)
    assert resumed == whole
    texts = ["bank collapses", "miner again", "oil soars"]
    one, other = (load_scorer(tmp_path / name, device="cpu", precision="fp32") for name in ("whole", "parts"))
    assert np.abs(one.probabilities(texts)[0] - other.probabilities(texts)[0]).max() < 1e-4
    assert not (tmp_path / "parts.run").exists()


def test_a_kept_state_is_one_file_and_a_damaged_one_is_named(teaches: Recipe, tmp_path: Path) -> None:
    def cut(step: Step) -> None:
        if step.number > step.total // 2:
            raise Cut

    recipe = replace(teaches, epochs=2)
    with pytest.raises(Cut):
        train(recipe, labelled(), tmp_path / "run", quiet, cut)
    # Nothing that a kill between two steps of writing could leave without the rest.
    (state,) = (tmp_path / "run.run").iterdir()
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(DataUnusable, match=r"run\.run cannot be read: .*; remove it to begin anew"):
        train(recipe, labelled(), tmp_path / "run", quiet, resume=True)


def test_a_run_that_diverges_says_so_at_that_step_and_keeps_the_last_whole_epoch(
    teaches: Recipe, trained: Path, tmp_path: Path
) -> None:
    folder, steps = tmp_path / "small", list[Step]()

    def cut(step: Step) -> None:
        if step.number > step.total // 2:
            raise Cut

    shutil.copytree(trained, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    recipe = replace(teaches, epochs=4)
    with pytest.raises(Cut):
        train(recipe, labelled(), folder, quiet, cut)
    # Weights as large as steps that were far too long leave them: what is computed with them overflows.
    state = tmp_path / "small.run" / "state.safetensors"
    with safe_open(str(state), framework="pt") as file:
        tensors, facts = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118 - safe_open is no mapping
    save_file({name: one * 1e30 if name.startswith("net/") else one for name, one in tensors.items()}, state, facts)
    kept = state.read_bytes()
    with pytest.raises(
        TrainingDiverged, match=r"diverged in epoch 3, at step \d+.*epoch 2 stays kept in .*small\.run.*lower lora_rate"
    ):
        train(recipe, labelled(), folder, quiet, steps.append, resume=True)
    assert steps == []
    assert state.read_bytes() == kept
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_run_that_fails_when_it_is_measured_leaves_the_adapter_before_it(
    teaches: Recipe, trained: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "small"
    shutil.copytree(trained, folder)
    (folder / "notes.txt").write_text("mine")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    recipe = replace(teaches, epochs=1)
    unmeasurable = Example("bank soars high", "positive", "sentiment", "odd", Part.TEST)  # type: ignore[arg-type]  # what no measure knows
    with pytest.raises(ValueError, match="positive"):
        train(recipe, [*labelled(), unmeasurable], folder, quiet)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    train(recipe, labelled(), folder, quiet, resume=True)
    assert find_adapter(folder).model != find_adapter(trained).model
    assert json.loads((folder / "metrics.json").read_text())["model"] == find_adapter(folder).model
    assert (folder / "notes.txt").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def test_texts_longer_than_the_encoder_reads_are_refused(teaches: Recipe, tmp_path: Path) -> None:
    with pytest.raises(DataUnusable, match="longest is 65, and the encoder reads 64 tokens at most"):
        train(replace(teaches, longest=65), labelled(), tmp_path / "run", quiet)
    # Of its kin some begin to count behind the place of padding.
    config = RobertaConfig(vocab_size=16, hidden_size=8, num_hidden_layers=1, num_attention_heads=1)
    config.intermediate_size, config.max_position_embeddings, config.pad_token_id = 8, 66, 1
    roberta = RobertaModel(config)
    check_length(roberta, replace(teaches, longest=64))
    assert roberta(torch.full((1, 64), 5)).last_hidden_state.shape[1] == 64
    with pytest.raises(DataUnusable, match="reads 64 tokens"):
        check_length(roberta, replace(teaches, longest=65))


def test_a_kept_run_of_another_recipe_is_refused(teaches: Recipe, tmp_path: Path) -> None:
    def cut(step: Step) -> None:
        if step.number == step.total // 2 + 1:
            raise Cut

    with pytest.raises(Cut):
        train(replace(teaches, epochs=2), labelled(), tmp_path / "run", quiet, cut)
    with pytest.raises(DataUnusable, match="another recipe or other data; remove it, or name another --out"):
        train(replace(teaches, epochs=3), labelled(), tmp_path / "run", quiet, resume=True)


def test_a_teacher_is_asked_once_however_often_a_run_is_cut_off(teaches: Recipe, trained: Path, tmp_path: Path) -> None:
    recipe = replace(teaches, teachers=(str(trained),), epochs=2)

    def cut(step: Step) -> None:
        raise Cut

    lines: list[str] = []
    with pytest.raises(Cut):
        train(recipe, labelled(), tmp_path / "student", lines.append, cut)
    train(recipe, labelled(), tmp_path / "student", lines.append, resume=True)
    assert sum(line.startswith("asking the teacher") for line in lines) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["student"]


def test_another_teacher_in_the_same_folder_is_asked_anew(teaches: Recipe, trained: Path, tmp_path: Path) -> None:
    teacher = tmp_path / "teacher"
    shutil.copytree(trained, teacher)
    recipe = replace(teaches, teachers=(str(teacher),), epochs=1)

    def cut(step: Step) -> None:
        raise Cut

    with pytest.raises(Cut):
        train(recipe, labelled(), tmp_path / "student", quiet, cut)
    settings = json.loads((teacher / "squall.json").read_text())
    (teacher / "squall.json").write_text(json.dumps(settings | {"sentiment_temperature": 2.5}))
    lines: list[str] = []
    with pytest.raises(Cut):
        train(recipe, labelled(), tmp_path / "student", lines.append, cut)
    assert lines[0].startswith("asking the teacher")


def test_patience_ends_a_run_that_no_longer_improves(teaches: Recipe, tmp_path: Path) -> None:
    lines: list[str] = []
    train(replace(teaches, epochs=60, patience=2), labelled(), tmp_path / "run", lines.append)
    epochs = sum(line.startswith("epoch ") for line in lines)
    assert epochs < 60
    assert "no better for 2 epochs: enough" in lines

    def cut(line: str) -> None:
        if line.endswith("enough"):
            raise Cut

    # Who is cut off when it was enough has had enough when going on, too.
    with pytest.raises(Cut):
        train(replace(teaches, epochs=60, patience=2), labelled(), tmp_path / "parts", cut)
    lines = []
    train(replace(teaches, epochs=60, patience=2), labelled(), tmp_path / "parts", lines.append, resume=True)
    assert lines[0] == f"going on after epoch {epochs}"
    assert not any(line.startswith("epoch ") for line in lines)


def test_going_on_learns_a_new_word_and_keeps_the_old_ones(teaches: Recipe, trained: Path, tmp_path: Path) -> None:
    """`meets` was neutral; a desk calls it negative. What was known of the other words stays."""
    corrections = [
        Example(f"{subject} meets", 0, "sentiment", "labels_sentiment", Part.TRAIN) for subject in SCENE["SUBJECTS"]
    ] * 4
    known = [one for one in labelled() if "meets" not in one.text]
    recipe = replace(
        teaches, start=str(trained), teachers=(str(trained),), teacher_weight=0.3, teacher_softness=1.0, epochs=8
    )
    results = train(recipe, known + corrections, tmp_path / "next", quiet)
    assert results["invented"].accuracy > 0.8
    found, _ = load_scorer(tmp_path / "next", device="cpu").probabilities(["airline meets", "airline soars"])
    assert found.argmax(1).tolist() == [0, 2]


def test_going_on_with_a_few_labels_keeps_what_the_start_was_calibrated_to(
    teaches: Recipe, trained: Path, tmp_path: Path
) -> None:
    """Three rows are nothing to validate or calibrate with: the last epoch counts, temperatures stay."""
    few = [Example("bank meets", 0, "sentiment", "labels_sentiment", Part.TRAIN)] * 3
    recipe = shaped_like(replace(teaches, start=str(trained), rank=1, epochs=2), trained)
    assert (recipe.rank, recipe.alpha) == (teaches.rank, teaches.alpha)
    train(recipe, few, tmp_path / "next", quiet)
    before, after = find_adapter(trained).settings, find_adapter(tmp_path / "next").settings
    assert after == before


def test_a_start_of_another_shape_is_refused(teaches: Recipe, trained: Path, tmp_path: Path) -> None:
    with pytest.raises(AdapterDamaged, match="does not fit this recipe"):
        train(replace(teaches, start=str(trained), rank=2), labelled(), tmp_path / "next", quiet)


def test_an_adapter_can_name_the_published_encoder_and_lie_elsewhere(teaches: Recipe, tmp_path: Path) -> None:
    """What is shipped names a hub id; who cannot reach the hub names a folder with the same weights."""
    train(replace(teaches, epochs=1, encoder_id="squall-tests/tiny-bert"), labelled(), tmp_path / "run", quiet)
    settings = AdapterSettings(**json.loads((tmp_path / "run" / "squall.json").read_text()))
    assert settings.encoder == settings.encoder_name == "squall-tests/tiny-bert"
    adapter = find_adapter(tmp_path / "run", teaches.encoder)
    assert adapter.settings.encoder == teaches.encoder
    assert adapter.model == find_adapter(tmp_path / "run").model


def test_steps_are_told_to_whoever_watches(teaches: Recipe, tmp_path: Path) -> None:
    steps: list[Step] = []
    train(replace(teaches, epochs=2), labelled(), tmp_path / "run", quiet, steps.append)
    assert [step.number for step in steps] == list(range(1, steps[-1].total + 1))
    assert all(step.loss > 0 and step.texts_per_second > 0 for step in steps)
