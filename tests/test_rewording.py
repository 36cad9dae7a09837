"""Variants of training texts: near in meaning, for the teacher alone, and never of a text that measures."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import Embedding

from models.data.datasets import UNLABELLED, Example, Part
from models.data.rewording import REWORDED, neighbours, reworded, variants
from models.encoder import find_encoder, load_encoder
from models.errors import DataUnusable

NEAR = {"shares": ("stocks", "equity"), "fell": ("dropped", "rose"), "bank": ("lender",)}


def row(text: str, part: Part = Part.TRAIN, source: str = "tfns", company: str = "", label: int = 0) -> Example:
    return Example(text, label, "company" if company else "sentiment", source, part, company)


@pytest.fixture(scope="module")
def near() -> Mapping[str, tuple[str, ...]]:
    base, tokenizer = load_encoder(find_encoder())
    table = base.get_input_embeddings()
    assert isinstance(table, Embedding)
    return neighbours(tokenizer.get_vocab(), table.weight.detach())


def test_neighbours_are_of_the_same_field(near: Mapping[str, tuple[str, ...]]) -> None:
    assert "falling" in near["fell"]
    assert "banks" in near["bank"]
    assert all(word not in found for word, found in near.items())


def test_variants_carry_no_label_and_keep_the_shape_of_the_words() -> None:
    made = reworded([row("BANK Shares fell 5% on $SIVB news")], {"tfns": 40}, NEAR, 3)
    assert {(one.label, one.source, one.part) for one in made} == {(UNLABELLED, REWORDED, Part.TRAIN)}
    assert any("LENDER" in one.text for one in made)
    assert any("Stocks" in one.text or "Equity" in one.text for one in made)
    assert all(one.text.endswith("news") and "5% on $SIVB" in one.text for one in made)


@given(
    st.lists(st.sampled_from(["shares fell", "bank shares", "bank fell", "calm day"]), max_size=6), st.integers(0, 9)
)
def test_no_text_that_is_there_comes_again_and_none_comes_twice(texts: list[str], seed: int) -> None:
    examples = [row(text) for text in texts] + [row("lender fell", Part.TEST), row("stocks fell", Part.VALIDATION)]
    made = [one.text for one in reworded(examples, {"tfns": 9}, NEAR, seed)]
    assert len(set(made)) == len(made)
    assert not set(made) & {one.text for one in examples}
    assert made == [one.text for one in reworded(examples, {"tfns": 9}, NEAR, seed)]


@pytest.mark.parametrize(
    "quiet",
    [
        row("bank fell", Part.TEST),
        row("bank fell", Part.VALIDATION),
        row("bank fell", source="other"),
    ],
)
def test_only_training_texts_of_the_named_sources_are_reworded(quiet: Example) -> None:
    assert reworded([quiet], {"tfns": 20}, NEAR, 1) == []


def test_a_company_that_is_asked_about_keeps_its_name() -> None:
    made = reworded([row("Bank shares fell as bank fell", company="Bank")], {"tfns": 20}, NEAR, 1)
    assert {(one.task, one.company, one.source) for one in made} == {("company", "Bank", REWORDED)}
    assert all(one.text.startswith("Bank ") for one in made)
    assert any("lender" in one.text for one in made)


def test_a_variant_of_news_without_a_label_is_news_still() -> None:
    made = reworded([row("bank shares fell", source="unlabelled", label=UNLABELLED)], {"unlabelled": 9}, NEAR, 1)
    assert made
    assert {one.source for one in made} == {"unlabelled"}


def test_the_recipe_says_how_many() -> None:
    assert variants(("tfns:7", "tfnt:0")) == {"tfns": 7, "tfnt": 0}


@pytest.mark.parametrize("wrong", ["tfns", "tfns:", ":3", "tfns:many", "tfns:-1"])
def test_a_number_that_is_none_is_named(wrong: str) -> None:
    with pytest.raises(DataUnusable, match="no source and number"):
        variants((wrong,))
