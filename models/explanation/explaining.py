"""Which words made the model say what it said.

takes  a scorer, a headline, and on request a company and a method
gives  `Explanation`: the headline's words, each with what it added to the probability of the label
never  changes a score; and where words do not add up to the probability, it says by how much

A word's part is measured against the same headline with that word hidden behind the mask token, which the model has
met in training. Integrated gradients: Sundararajan, Taly, Yan 2017. Kernel SHAP: Lundberg, Lee 2017. LIME: Ribeiro,
Singh, Guestrin 2016. All three are captum's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from models.adapters import Adapter
from models.encoder import find_encoder
from models.errors import AdapterDamaged
from models.running.tokens import Framed, Query, Tokens
from models.score import SENTIMENTS, Sentiment
from models.text import company_name, readable

if TYPE_CHECKING:
    import torch

    from models.running.network import HeadlineNet
    from models.scorer import Scorer

# Steps along the path from the masked headline to the whole one: words then add up to within about .01.
_STEPS = 64
_ROWS = 16  # forward passes that share a batch
# Perturbed headlines per word and at least, which LIME and Kernel SHAP learn from.
_SAMPLES_PER_WORD, _LEAST_SAMPLES = 24, 256
_SEED = 8


class Method(StrEnum):
    """How a word's part is measured."""

    INTEGRATED_GRADIENTS = "integrated-gradients"
    KERNEL_SHAP = "kernel-shap"
    LIME = "lime"


@dataclass(frozen=True, slots=True)
class WordWeight:
    """One word as it stands in the headline, and what it added to the probability of the label; may be negative."""

    word: str
    weight: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a headline got its label.

    Attributes:
        words: of the clean headline, in order; those past the model's length have weight 0.
        target: the label that is explained, the most probable one unless another was asked for.
        company: towards whom; empty for the headline's own sentiment.
        probability: of the label, as the network in full precision gives it.
        baseline: the same with every word hidden.
        delta: what the words' weights miss of `probability - baseline`; near 0 when they add up.
    """

    words: tuple[WordWeight, ...]
    target: Sentiment
    delta: float
    method: Method
    company: str = ""
    probability: float = 0.0
    baseline: float = 0.0


def explain(
    scorer: Scorer,
    text: str,
    company: str = "",
    method: Method = Method.INTEGRATED_GRADIENTS,
    target: Sentiment | None = None,
    *,
    alone: bool = False,
) -> Explanation:
    """Explain the sentiment of a headline, or its sentiment towards a company.

    Args:
        text: a headline, as published.
        company: by the name that the headline uses; empty for the headline's own sentiment.
        alone: whether the headline names no other company: then its own sentiment has a part in what is said of this
            one (`AdapterSettings.headline_share`), and in the explanation.
        target: the label to explain; the most probable one when None.

    Raises:
        AdapterDamaged: when a company is named and the adapter has no head for companies.
        EncoderMissing, EncoderDamaged: when the encoder's weights cannot be loaded.
    """
    task = "company" if company else "sentiment"
    if task not in scorer.tasks:
        raise AdapterDamaged(f"the adapter in {scorer.adapter.folder} was not trained on the task {task}")
    network = _network(scorer.adapter)
    line = readable(text)
    query = Query(line, company_name(company))
    share = scorer.adapter.settings.headline_share if company and alone else 0.0
    if not share:
        return network.explained(query, task, method, target)
    if target is None:
        both = (1 - share) * network.chances(query, task) + share * network.chances(Query(line), "sentiment")
        target = SENTIMENTS[int(both.argmax())]
    parts = network.explained(query, task, method, target), network.explained(Query(line), "sentiment", method, target)
    return _joined(*parts, share)


def _joined(towards: Explanation, own: Explanation, share: float) -> Explanation:
    """Of a weighed mean of two probabilities: whatever adds up to each of them adds up to it, weighed alike."""

    def mean(one: float, other: float) -> float:
        return (1 - share) * one + share * other

    pairs = zip(towards.words, own.words, strict=True)
    return replace(
        towards,
        words=tuple(WordWeight(one.word, mean(one.weight, other.weight)) for one, other in pairs),
        delta=mean(towards.delta, own.delta),
        probability=mean(towards.probability, own.probability),
        baseline=mean(towards.baseline, own.baseline),
    )


@lru_cache(maxsize=1)
def _network(adapter: Adapter) -> _Explainable:
    from models.running.torch_runtime import load_network

    encoder = find_encoder(adapter.settings.encoder)
    return _Explainable(load_network(adapter, encoder), Tokens(encoder.folder, adapter.settings.longest), adapter)


class _Explainable:
    """The network in full precision under torch, which alone has gradients; loaded once for many headlines."""

    def __init__(self, net: HeadlineNet, tokens: Tokens, adapter: Adapter) -> None:
        self._net, self._tokens = net, tokens
        self._temperatures = {
            "sentiment": adapter.settings.sentiment_temperature,
            "company": adapter.settings.company_temperature,
        }

    def explained(self, query: Query, task: str, method: Method, target: Sentiment | None) -> Explanation:
        import torch

        framed = self._tokens.framed(query)
        words = [match.span() for match in re.finditer(r"\S+", query.text)]
        owners = _owners(framed, words)
        ids = torch.tensor([framed.ids])
        hidden = ids.masked_fill(torch.tensor([[owner >= 0 for owner in owners]]), self._tokens.mask)
        with torch.inference_mode():
            both = self._probabilities(torch.cat([ids, hidden]), task)
        label = SENTIMENTS[int(both[0].argmax())] if target is None else target
        column = SENTIMENTS.index(label)
        whole, masked = float(both[0, column]), float(both[1, column])
        # Words past the model's length own no token, and have no part.
        read = max(owners, default=-1) + 1
        parts = _METHODS[method](self, ids, hidden, owners, read, task, column) if read else []
        parts += [0.0] * (len(words) - read)
        weights = tuple(
            WordWeight(query.text[start:end], part) for (start, end), part in zip(words, parts, strict=True)
        )
        delta = sum(parts) - (whole - masked)
        return Explanation(weights, label, delta, method, query.company, whole, masked)

    def chances(self, query: Query, task: str) -> torch.Tensor:
        """Probabilities of a task's labels: [3]."""
        import torch

        with torch.inference_mode():
            return self._probabilities(torch.tensor([self._tokens.framed(query).ids]), task)[0]

    def _probabilities(self, ids: torch.Tensor, task: str) -> torch.Tensor:
        import torch

        logits = self._net(ids, torch.ones_like(ids))[task]
        probabilities: torch.Tensor = (logits / self._temperatures[task]).softmax(1)
        return probabilities

    def _forward(self, task: str, column: int) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda ids: self._probabilities(ids, task)[:, column]

    def integrated(
        self, ids: torch.Tensor, hidden: torch.Tensor, owners: list[int], words: int, task: str, column: int
    ) -> list[float]:
        """Gradients along the straight path between the embeddings of the masked and the whole headline."""
        from captum.attr import LayerIntegratedGradients

        table = self._net.encoder.get_input_embeddings()  # type: ignore[operator]  # every encoder of transformers has it
        found = LayerIntegratedGradients(self._forward(task, column), table).attribute(
            ids, baselines=hidden, n_steps=_STEPS, internal_batch_size=_ROWS
        )
        return _summed(found.sum(-1)[0].tolist(), owners, words)

    def perturbed(
        self,
        ids: torch.Tensor,
        hidden: torch.Tensor,
        owners: list[int],
        words: int,
        task: str,
        column: int,
        *,
        shap: bool,
    ) -> list[float]:
        """Weights of a linear model of what happens when words are hidden at random."""
        import torch

        from models.explanation.surrogate import kernel_shap, lime

        # What no word owns (special tokens, the company) is a feature more, and hiding it changes nothing.
        features = torch.tensor([[owner if owner >= 0 else words for owner in owners]])
        samples = max(_LEAST_SAMPLES, _SAMPLES_PER_WORD * words)
        # The perturbations are drawn from torch's generator: the same headline is explained the same way twice.
        with torch.random.fork_rng(devices=[]), torch.inference_mode():
            torch.manual_seed(_SEED)
            method = (kernel_shap if shap else lime)(self._forward(task, column))
            found = method.attribute(
                ids,
                baselines=hidden,
                feature_mask=features,
                n_samples=samples,
                perturbations_per_eval=_ROWS,
                return_input_shape=False,
            )
        return [float(one) for one in found.flatten()[:words]]


_METHODS: dict[Method, Callable[..., list[float]]] = {
    Method.INTEGRATED_GRADIENTS: _Explainable.integrated,
    Method.KERNEL_SHAP: lambda *given: _Explainable.perturbed(*given, shap=True),
    Method.LIME: lambda *given: _Explainable.perturbed(*given, shap=False),
}


def _owners(framed: Framed, words: list[tuple[int, int]]) -> list[int]:
    """For each token the word that it is a piece of; -1 for special tokens and the company."""
    owners = []
    for sequence, (start, end) in zip(framed.sequences, framed.offsets, strict=True):
        owner = -1
        if sequence == 0 and end > start:
            owner = next((index for index, (first, last) in enumerate(words) if first <= start < last), -1)
        owners.append(owner)
    return owners


def _summed(parts: list[float], owners: list[int], words: int) -> list[float]:
    sums = [0.0] * words
    for part, owner in zip(parts, owners, strict=True):
        if owner >= 0:
            sums[owner] += part
    return sums
