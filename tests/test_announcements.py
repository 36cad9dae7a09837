"""Sentences of the grammar of announcements: whole, of known meaning, and learned from without a teacher."""

from __future__ import annotations

import random
import re
import runpy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.data.announcements import ANNOUNCED, announcements, filled, rivals
from models.data.datasets import UNLABELLED, Example, Part
from models.score import SENTIMENTS
from models.training.objective import class_weights, objective
from models.training.recipes import Recipe
from models.training.rows import Row, Taught
from models.training.teaching import taught_by
from models.training.train import train

SCENE = runpy.run_path(str(Path(__file__).with_name("tiny_model_scene.py")))
NAMES = ("Alpha", "Beta Works", "Gamma {Holdings}", "Alpha Bank", "Delta")
NEGATIVE, NEUTRAL, POSITIVE = range(3)
FEW = {"announcements": 30, "rivals": 10}


def test_sentences_are_whole_and_a_third_is_of_each_sentiment() -> None:
    made = announcements(1500, NAMES, 3)
    assert {(one.task, one.source, one.part) for one in made} == {("sentiment", ANNOUNCED, Part.TRAIN)}
    assert len({one.text for one in made}) == len(made) > 1200
    counts = [sum(one.label == label for one in made) for label in range(len(SENTIMENTS))]
    assert min(counts) > 350
    for one in made:
        plain = one.text.replace("Gamma {Holdings}", "Gamma")
        assert not re.search(r"[\[\]{}|=]", plain), plain
        assert "  " not in plain
        assert plain == plain.strip(" ,")
        assert not plain[0].islower()


def test_of_two_companies_each_is_asked_about() -> None:
    made = rivals(600, NAMES, 4)
    assert {(one.task, one.source, one.part) for one in made} == {("company", ANNOUNCED, Part.TRAIN)}
    assert all(one.company in one.text for one in made)
    verdicts: dict[str, dict[str, int]] = {}
    for one in made:
        verdicts.setdefault(one.text, {})[one.company] = one.label
    assert {len(each) for each in verdicts.values()} == {2}
    pairs = {tuple(each.values()) for each in verdicts.values()}
    # The same words stand for both, so no company can be told without reading which word is whose.
    assert {(NEGATIVE, POSITIVE), (POSITIVE, NEGATIVE), (NEGATIVE, NEGATIVE), (NEUTRAL, NEGATIVE)} <= pairs


@pytest.mark.parametrize("make", [announcements, rivals])
def test_the_same_seed_makes_the_same_rows(make: type) -> None:
    assert make(40, NAMES, 5) == make(40, NAMES, 5)
    assert make(40, NAMES, 5) != make(40, NAMES, 6)
    assert make(0, NAMES, 5) == []
    # Without names of companies it invents its own.
    assert len(make(9, (), 5)) >= 9


def test_choices_are_drawn_from_within() -> None:
    chance = random.Random(1)
    found = {filled("{n} [[a|b] c|d] {o}[| e]", ("One", "Two"), chance) for _ in range(200)}
    assert found == {f"One {middle} Two{end}" for middle in ("a c", "b c", "d") for end in ("", " e")}


def test_no_teacher_is_asked_what_is_known(tmp_path: Path) -> None:
    encoder = SCENE["tiny_bert"](tmp_path / "tiny")
    recipe = replace(SCENE["TEACHES"], encoder=str(encoder))
    train(recipe, SCENE["labelled"](), tmp_path / "teacher", lambda _: None)
    asked = Example("lenders fail", UNLABELLED, "sentiment", "unlabelled", Part.TRAIN)
    known = [*announcements(3, NAMES, 1), *rivals(2, NAMES, 1)]
    student = Recipe(teachers=(str(tmp_path / "teacher"),), teacher_encoder=str(encoder))
    first, *others = taught_by(student, [asked, *known], lambda _: None)
    assert first.sentiment
    assert others == [Taught()] * len(known)


def test_a_label_without_a_teacher_weighs_as_much_as_a_label_with_one() -> None:
    """Half of the batch was judged by a teacher who is sure of the label: both halves pull alike."""
    text = Example("it fell", NEGATIVE, "sentiment", "some", Part.TRAIN)
    plain = Recipe(smoothing=0.0, teacher_weight=0.75, teacher_softness=1.0, balance=0.0)
    logits = torch.tensor([[0.3, 0.1, -0.2], [0.3, 0.1, -0.2]], requires_grad=True)
    rows = [Row((1,), text, taught=Taught(sentiment=(1.0, 0.0, 0.0))), Row((1,), text)]
    weights = {"sentiment": class_weights([text], "sentiment", 0.0)}
    loss = objective({"sentiment": logits}, rows, weights, plain, torch.device("cpu"))
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
    assert logits.grad is not None
    assert torch.allclose(logits.grad[0], logits.grad[1], atol=1e-6)


def test_a_recipe_trains_on_them(tmp_path: Path) -> None:
    encoder = SCENE["tiny_bert"](tmp_path / "tiny")
    said: list[str] = []
    without = replace(SCENE["TEACHES"], encoder=str(encoder), epochs=1, figures=0, tasks=("sentiment", "company"))
    for name, recipe in (("without", without), ("with", replace(without, **FEW))):
        train(recipe, [*SCENE["labelled"](), *SCENE["towards"]()], tmp_path / name, said.append)
    seen = [int(line.split()[0]) for line in said if "training," in line]
    names = sorted({one.company for one in SCENE["towards"]()})
    made = [*announcements(30, names, without.seed), *rivals(10, names, without.seed)]
    assert seen[1] - seen[0] == len(made) > 30
    assert "announcements" in (tmp_path / "with" / "README.md").read_text()
    assert "announcements" not in (tmp_path / "without" / "README.md").read_text()
