"""What a run learns from: all its texts, and those of each epoch as rows.

takes  a recipe, examples of all parts, the encoder before it is adapted
gives  the training part, sentences of the grammars, variants; and for each epoch its share of them, changed a little
never  touches a validation or test row
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from models.data.announcements import announcements, rivals
from models.data.augmentation import figures, other_companies, with_slips
from models.data.datasets import UNLABELLED, Example, Part, of_part, words_of
from models.data.rewording import neighbours, reworded, variants
from models.errors import DataUnusable
from models.training.recipes import Recipe
from models.training.rows import Row, Taught, Tokenizer, encoded
from models.training.teaching import without

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


def learned_from(
    recipe: Recipe, examples: Sequence[Example], base: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> list[Example]:
    """Every text that a run of the recipe learns from: the training part, sentences of the grammars, variants.

    A text of which a validation or test row is a copy is left out.

    Args:
        examples: of all parts, of the recipe's tasks.
        base: the encoder before it is adapted, whose word vectors tell which words are near.

    Raises:
        DataUnusable: when the recipe rewords texts without a teacher, who alone can judge the variants.
    """
    # A desk may have labelled, or brought as news, what a frozen set holds.
    held_out = {words_of(one.text) for one in examples if one.part is not Part.TRAIN}
    trained_on = [one for one in of_part(examples, Part.TRAIN) if words_of(one.text) not in held_out]
    rows = without(trained_on, recipe.left_out)
    names = sorted({one.company for one in rows if one.company})
    if "sentiment" in recipe.tasks:
        rows += figures(recipe.figures, names, recipe.seed)
        rows += announcements(recipe.announcements, names, recipe.seed)
    if "company" in recipe.tasks:
        rows += rivals(recipe.rivals, names, recipe.seed)
    if not recipe.reworded:
        return rows
    if not recipe.teachers:
        raise DataUnusable("the recipe rewords texts, which have no labels: name teachers, or leave reworded out")
    vectors = cast("nn.Embedding", base.get_input_embeddings()).weight.detach()
    near = neighbours(tokenizer.get_vocab(), vectors)
    known = [*trained_on, *(one for one in examples if one.part is not Part.TRAIN)]
    return rows + reworded(known, variants(recipe.reworded), near, recipe.seed)


class Epochs:
    """The rows of each epoch: its share of each task, companies renamed, keys slipped; the teachers' opinions stay."""

    def __init__(
        self, tokenizer: Tokenizer, labelled: Sequence[Example], taught: Sequence[Taught], recipe: Recipe
    ) -> None:
        """Encode every text once; only those that an epoch changes are encoded again.

        Args:
            taught: the teachers' opinion of each text, or nothing.

        Raises:
            DataUnusable: when no epoch would see a row.
        """
        self._tokenizer, self._labelled, self._recipe = tokenizer, labelled, recipe
        self._taught = taught or (Taught(),) * len(labelled)
        self._rows = encoded(tokenizer, labelled, recipe.longest, self._taught)
        self._shares = [_share(one, recipe) for one in labelled]
        self.rows_per_epoch = sum(min(1.0, share) for share in self._shares)
        if not self.rows_per_epoch:
            raise DataUnusable(
                "there is nothing to train on: no text of the recipe's tasks is of the training part, or shares are 0"
            )

    def epoch(self, number: int) -> list[Row]:
        """What that epoch sees: the same for the same number and seed."""
        recipe = self._recipe
        chance = random.Random(recipe.seed * 1009 + number)
        chosen = [index for index, share in enumerate(self._shares) if share >= 1 or chance.random() < share]
        plain = [self._labelled[index] for index in chosen]
        seen = other_companies(plain, recipe.renaming, chance.getrandbits(32))
        seen = with_slips(seen, recipe.slips, chance.getrandbits(32))
        rows = [self._rows[index] for index in chosen]
        changed = [place for place, one in enumerate(seen) if one is not plain[place]]
        taught = [self._taught[chosen[place]] for place in changed]
        again = encoded(self._tokenizer, [seen[place] for place in changed], recipe.longest, taught)
        for place, row in zip(changed, again, strict=True):
            rows[place] = row
        return rows


def _share(one: Example, recipe: Recipe) -> float:
    """The chance of an example to be seen in an epoch."""
    if one.label == UNLABELLED:
        return recipe.unlabelled_share
    shares = {"sentiment": recipe.sentiment_share, "topic": recipe.topic_share, "company": recipe.company_share}
    return shares[one.task]
