"""Several teachers: their mean is learned, and of a labelled text only those speak that never saw its label."""

from __future__ import annotations

import json
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.adapters import METRICS, SHIPPED, find_adapter
from models.data.datasets import UNLABELLED, Example, Part, of_part
from models.encoder import find_encoder, load_encoder
from models.errors import DataUnusable
from models.scorer import Scorer
from models.training.recipes import Recipe
from models.training.teaching import taught_by, without
from models.training.texts import learned_from
from models.training.train import train

SCENE = runpy.run_path(str(Path(__file__).with_name("tiny_model_scene.py")))
NEWS = Example("bank collapses", UNLABELLED, "sentiment", "unlabelled", Part.TRAIN)


@pytest.fixture(scope="module")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two, each trained without one half of the labelled texts."""
    folder = tmp_path_factory.mktemp("teachers")
    encoder = SCENE["tiny_bert"](folder / "tiny-bert")
    made = [folder / f"teacher-{number}" for number in (1, 2)]
    for number, one in enumerate(made, 1):
        recipe = replace(SCENE["TEACHES"], encoder=str(encoder), epochs=2, left_out=f"{number}/2", seed=number)
        train(recipe, SCENE["labelled"](), one, lambda _: None)
    return made


def asks(teachers: list[Path], rows: list[Example], softness: float = 1.0) -> list[tuple[float, ...]]:
    recipe = Recipe(
        teachers=tuple(map(str, teachers)),
        teacher_encoder=str(teachers[0].parent / "tiny-bert"),
        teacher_softness=softness,
    )
    return [one.sentiment for one in taught_by(recipe, rows, lambda _: None)]


def says(teacher: Path, text: str) -> tuple[float, ...]:
    scorer = Scorer(find_adapter(teacher, str(teacher.parent / "tiny-bert")), runtime="torch")
    return tuple(scorer.probabilities([text])[0][0].tolist())


def test_what_a_frozen_set_holds_is_not_learned_from(tmp_path: Path) -> None:
    """A desk that labels a headline of a frozen set does not teach it."""
    encoder = find_encoder(str(SCENE["tiny_bert"](tmp_path / "tiny-bert")))
    labels = [
        Example(text, 0, "sentiment", "labels_sentiment", Part.TRAIN) for text in ("Oil soars, again", "oil moves")
    ]
    frozen = Example("oil soars again", 2, "sentiment", "tfns", Part.TEST)
    rows = learned_from(SCENE["TEACHES"], [*labels, frozen], *load_encoder(encoder))
    assert rows == labels[1:]


def test_every_labelled_text_is_left_out_by_one_of_the_parts() -> None:
    rows = of_part(SCENE["labelled"](), Part.TRAIN)
    kept = [without(rows, f"{number}/3") for number in (1, 2, 3)]
    assert all(0 < len(one) < len(rows) for one in kept)
    assert all(sum(row in one for one in kept) == 2 for row in rows)
    assert without(rows, "") == rows


def test_a_text_is_left_out_with_all_its_companies_and_news_never() -> None:
    pair = Example("bank wins, miner defaults", 0, "company", "sentfin_companies", Part.TRAIN, "bank")
    rows = [pair, replace(pair, company="miner", label=2), NEWS]
    assert sorted(len(without(rows, f"{number}/2")) for number in (1, 2)) == [1, 3]


def test_unlabelled_news_is_taught_the_mean_of_all(teachers: list[Path]) -> None:
    (found,) = asks(teachers, [NEWS])
    each = [says(one, NEWS.text) for one in teachers]
    assert each[0] != each[1]
    assert np.allclose(found, np.mean(each, axis=0), atol=1e-5)


def test_a_labelled_text_is_taught_by_those_alone_that_never_saw_its_label(teachers: list[Path]) -> None:
    rows = [one for one in of_part(SCENE["labelled"](), Part.TRAIN) if one.task == "sentiment"]
    learned = [without(rows, f"{number}/2") for number in (1, 2)]
    for row, found in zip(rows, asks(teachers, rows), strict=True):
        stranger = teachers[0] if row not in learned[0] else teachers[1]
        assert np.allclose(found, says(stranger, row.text), atol=1e-4)


def test_who_left_nothing_out_is_asked_about_everything(teachers: list[Path], tmp_path: Path) -> None:
    """An adapter without metrics, as one made elsewhere may be, left out nothing that anybody knows of."""
    rows = [one for one in of_part(SCENE["labelled"](), Part.TRAIN) if one.task == "sentiment"]
    plain = teachers[0].parent / "plain"
    plain.mkdir()
    for file in teachers[0].iterdir():
        if file.name != METRICS:
            (plain / file.name).write_bytes(file.read_bytes())
    assert all(asks([plain], rows))


def test_teachers_may_rest_on_two_encoders(teachers: list[Path]) -> None:
    """The recipe's place is for the larger one; the shipped adapter brings its encoder along."""
    (found,) = asks([teachers[0], SHIPPED], [NEWS])
    shipped = Scorer(find_adapter(SHIPPED), runtime="torch").probabilities([NEWS.text])[0][0]
    assert np.allclose(found, (np.array(says(teachers[0], NEWS.text)) + shipped) / 2, atol=1e-5)


@pytest.mark.parametrize("wrong", ["2", "3/2", "0/2", "a/b", "1/"])
def test_a_part_that_is_none_is_named(wrong: str) -> None:
    with pytest.raises(DataUnusable, match=r"left_out .* is no part of a whole"):
        without([], wrong)


def test_a_teacher_that_does_not_say_what_it_left_out_is_named(teachers: list[Path]) -> None:
    broken = teachers[0].parent / "broken"
    broken.mkdir()
    (broken / METRICS).write_text(json.dumps({"recipe": None}))
    with pytest.raises(DataUnusable, match="does not say how the teacher was trained"):
        asks([broken], [NEWS])
