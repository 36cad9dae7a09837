"""Headlines in, `Score`s out, in the same order.

takes  any number of `str`
gives  as many `Score`s: pre (clean, tokenise, group by length), forward, post
never  raises on content, and never loses a text: a batch that does not fit in memory is halved and goes on
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.adapters import HEADS, Adapter, find_adapter
from models.batching import Batch, batches, halves
from models.encoder import find_encoder, load_encoder
from models.errors import AdapterDamaged
from models.network import HeadlineNet, Heads, autocast, embedding
from models.score import TOPICS, Abstention, Score
from models.text import readable

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

Probabilities = NDArray[np.float32]
# Measured on two cores with headlines of about 20 tokens; on a GPU larger batches pay.
_BUDGET = {"cpu": 4_096, "cuda": 65_536, "mps": 16_384}
# Tokenise this many texts at a time, so that an archive of any length is scored in bounded memory.
_CHUNK = 8_192


def pick_device(name: str) -> torch.device:
    """`auto` takes CUDA, then Apple's MPS, then the CPU; anything else is torch's own name for a device."""
    if name != "auto":
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def pick_precision(name: str, device: torch.device) -> str:
    """`auto` takes bf16 where the device multiplies it in hardware, else fp32."""
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    if device.type == "cpu":
        return "bf16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "fp32"
    return "fp32"


@dataclass(frozen=True, slots=True)
class _Tokens:
    """Token ids per text."""

    ids: list[list[int]]

    @property
    def counts(self) -> list[int]:
        return [max(1, len(one)) for one in self.ids]


class Scorer:
    """A loaded model: encoder with the adapter merged into it, heads, and the bare encoder for embeddings."""

    def __init__(self, adapter: Adapter, *, device: str = "auto", precision: str = "auto", budget: int = 0) -> None:
        """Load the model.

        Args:
            adapter: from `find_adapter`.
            device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
            precision: `auto`, `bf16` or `fp32`.
            budget: most padded tokens in one batch; 0 picks one for the device.

        Raises:
            EncoderMissing, EncoderDamaged: see `find_encoder`.
            AdapterDamaged: when weights do not fit the encoder they claim.
        """
        self.adapter = adapter
        self.device = pick_device(device)
        self.precision = pick_precision(precision, self.device)
        self._budget = budget or _BUDGET.get(self.device.type, 4_096)
        self._net, self._tokenizer = _loaded(adapter)
        self._net.to(self.device).eval()
        self._bare: PreTrainedModel | None = None

    @property
    def model(self) -> str:
        """The model id that every score carries."""
        return self.adapter.model

    def score(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> list[Score]:
        """Score every text, in order; an empty text gets an abstention.

        Args:
            texts: headlines, as published.
            progress: called with the number of texts just finished.
        """
        scores: list[Score] = []
        for start in range(0, len(texts), _CHUNK):
            chunk = [readable(text) for text in texts[start : start + _CHUNK]]
            sentiment, topic = self.probabilities(chunk, progress)
            scores.extend(self._score(text, s, t) for text, s, t in zip(chunk, sentiment, topic, strict=True))
        return scores

    def probabilities(
        self, texts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> tuple[Probabilities, Probabilities]:
        """Calibrated probabilities: sentiment [texts, 3] and topic [texts, 20]."""
        settings = self.adapter.settings
        tokens = self._tokens(texts)
        sentiment = np.empty((len(texts), 3), dtype=np.float32)
        topic = np.empty((len(texts), len(TOPICS)), dtype=np.float32)

        def forward(batch: Batch) -> None:
            with torch.inference_mode(), autocast(self.device, self.precision):
                logits = self._net(*self._tensors(tokens, batch))
            rows = list(batch.positions)
            sentiment[rows] = (logits["sentiment"] / settings.sentiment_temperature).softmax(1).cpu().numpy()
            topic[rows] = (logits["topic"] / settings.topic_temperature).softmax(1).cpu().numpy()
            if progress:
                progress(len(rows))

        self._run(tokens, forward)
        return sentiment, topic

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors [texts, width] of the base encoder without the adapter, for themes and stories."""
        bare = self._bare_encoder()
        clean = [readable(text) for text in texts]
        tokens = self._tokens(clean)
        vectors = np.empty((len(texts), bare.config.hidden_size), dtype=np.float32)

        def forward(batch: Batch) -> None:
            with torch.inference_mode(), autocast(self.device, self.precision):
                vectors[list(batch.positions)] = embedding(bare, *self._tensors(tokens, batch)).cpu().numpy()

        self._run(tokens, forward)
        return vectors

    def _bare_encoder(self) -> PreTrainedModel:
        if self._bare is None:
            encoder, _ = load_encoder(find_encoder(self.adapter.settings.encoder))
            self._bare = nn.Module.to(encoder, self.device)
        return self._bare

    def _tokens(self, texts: Sequence[str]) -> _Tokens:
        if not texts:
            return _Tokens([])
        longest = self.adapter.settings.longest
        return _Tokens(self._tokenizer(list(texts), truncation=True, max_length=longest)["input_ids"])

    def _tensors(self, tokens: _Tokens, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        ids = np.full((len(batch.positions), batch.longest), self._tokenizer.pad_token_id, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, position in enumerate(batch.positions):
            one = tokens.ids[position]
            ids[row, : len(one)] = one
            mask[row, : len(one)] = 1
        return torch.from_numpy(ids).to(self.device), torch.from_numpy(mask).to(self.device)

    def _run(self, tokens: _Tokens, forward: Callable[[Batch], None]) -> None:
        counts = tokens.counts
        waiting = batches(counts, self._budget)[::-1]
        while waiting:
            batch = waiting.pop()
            try:
                forward(batch)
            except (torch.OutOfMemoryError, MemoryError):
                if len(batch.positions) < 2:
                    raise
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()
                self._budget = max(batch.padded_tokens // 2, batch.longest)
                waiting.extend(halves(batch, counts))

    def _score(self, text: str, sentiment: Probabilities, topic: Probabilities) -> Score:
        settings = self.adapter.settings
        negative, neutral, positive = (float(p) for p in sentiment)
        if not text:
            return Score(negative, neutral, positive, (), self.model, Abstention.EMPTY_TEXT)
        order = np.argsort(-topic)
        topics = tuple(
            (TOPICS[i], float(topic[i]))
            for rank, i in enumerate(order)
            if rank == 0 or topic[i] >= settings.topic_threshold
        )
        unsure = max(negative, neutral, positive) < settings.abstain_below
        return Score(negative, neutral, positive, topics, self.model, Abstention.UNSURE if unsure else Abstention.NONE)


def load_scorer(
    folder: Path | None = None, *, device: str = "auto", precision: str = "auto", budget: int = 0
) -> Scorer:
    """The scorer of an adapter folder; without one, of the shipped adapter."""
    return Scorer(find_adapter(folder), device=device, precision=precision, budget=budget)


def _loaded(adapter: Adapter) -> tuple[HeadlineNet, PreTrainedTokenizerFast]:
    from peft import PeftModel
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    encoder = find_encoder(adapter.settings.encoder)
    if encoder.sha256 != adapter.settings.encoder_sha256:
        raise AdapterDamaged(
            f"the adapter in {adapter.folder} was trained on other weights than those of {encoder.name}; "
            "set model.encoder to the encoder named in its card, or train it again"
        )
    base, tokenizer = load_encoder(encoder)
    try:
        with warnings.catch_warnings():
            # peft asks transformers for an attribute that transformers is about to rename: nothing a user can mend.
            warnings.simplefilter("ignore", FutureWarning)
            merged = PeftModel.from_pretrained(base, str(adapter.folder)).merge_and_unload()
        heads = Heads(base.config.hidden_size)
        heads.load_state_dict(load_file(str(adapter.folder / HEADS)))
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise AdapterDamaged(
            f"the adapter in {adapter.folder} cannot be loaded: {error}; restore the folder or train it again"
        ) from error
    return HeadlineNet(merged, heads), tokenizer
