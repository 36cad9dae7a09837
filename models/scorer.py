"""Headlines in, `Score`s out, in the same order.

takes  any number of `str`, and the companies that each of them names
gives  as many `Score`s: pre (clean, tokenise, group by length), forward, post
never  raises on content, and never loses a text: a batch that does not fit in memory is halved and goes on
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.adapters import Adapter, find_adapter, tasks_of
from models.encoder import Encoder, find_encoder
from models.errors import AdapterDamaged
from models.running.batching import Batch, batches, halves
from models.running.chances import Probabilities, learned, of_one_alone, softmax, stacked
from models.running.devices import pick_device as pick_device
from models.running.devices import pick_place
from models.running.devices import pick_precision as pick_precision
from models.running.doubt import doubtful
from models.running.networks import open_networks
from models.running.runtime import Padded, Runtime, TooLarge
from models.running.tokens import Query, TokenIds, Tokens
from models.score import SENTIMENTS, TOPICS, Abstention, CompanyScore, Score
from models.text import company_name, readable

# So many texts are in hand at a time, so that an archive of any length is scored in bounded memory.
PORTION = 8_192


@dataclass(frozen=True, slots=True)
class _Portion:
    """Texts read and tokenised, ready for their forward passes.

    Attributes:
        texts: clean.
        named: the clean names asked about in each.
        ids: of the texts themselves, then of one pair per text and name.
    """

    texts: list[str]
    named: list[list[str]]
    ids: TokenIds


class Scorer:
    """A loaded model: encoder with the adapter merged into it, heads, and the bare encoder for embeddings.

    Attributes:
        tasks: what it can tell: `sentiment`, `topic`, `company`; an adapter need not have all of them.
        device, precision: where it runs and what it computes in: `cpu`, `int8`.
        runtime: what carries it out, for people: `openvino int8 on cpu`.
    """

    def __init__(
        self,
        adapter: Adapter,
        *,
        device: str = "auto",
        precision: str = "auto",
        runtime: str = "auto",
        budget: int = 0,
        cache: Path | None = None,
    ) -> None:
        """Load the model.

        Args:
            adapter: from `find_adapter`.
            device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
            precision: `auto`, `int8`, `bf16`, `fp16` or `fp32`.
            runtime: `auto`, `openvino` or `torch`; see `pick_place`.
            budget: most padded tokens in one batch; 0 picks one for the device.
            cache: where graphs for OpenVINO are kept; None means squall/graphs in the user's cache folder.

        Raises:
            EncoderMissing, EncoderDamaged: see `find_encoder`.
            AdapterDamaged: when weights do not fit the encoder they claim.
            RuntimeMissing: when device, precision and runtime do not go together, or are not to be had here.
            GraphUnusable: when OpenVINO was asked for by name and cannot run this model.
        """
        self.adapter = adapter
        self._alike = partial(Scorer, device=device, precision=precision, runtime=runtime, budget=budget, cache=cache)
        self.tasks = tasks_of(adapter)
        self._encoder = _encoder_of(adapter)
        self._tokens = Tokens(self._encoder.folder, adapter.settings.longest)
        self._networks = open_networks(pick_place(runtime, device, precision), adapter, self._encoder, cache)
        self.device, self.precision = self._networks.device, self._networks.precision
        self._net, self._sure = self._networks.scoring()
        self.runtime = self._net.name
        self._budget = budget or self._net.budget

    @property
    def model(self) -> str:
        """The model id that every score carries."""
        return self.adapter.model

    def beside(self, adapter: Adapter) -> Scorer:
        """The scorer of another adapter, opened as this one was; errors as those of opening."""
        return self._alike(adapter)

    def score(
        self,
        texts: Sequence[str],
        named: Sequence[Sequence[str]] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> list[Score]:
        """Score every text, in order; an empty text gets an abstention.

        Args:
            texts: headlines, as published.
            named: for each text the companies to ask about, by the names that the text uses.
            progress: called with the number of texts just finished.

        Raises:
            ValueError: when there are not as many lists of names as texts.
        """
        return list(chain.from_iterable(self.portions(texts, named, progress)))

    def portions(
        self,
        texts: Sequence[str],
        named: Sequence[Sequence[str]] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[list[Score]]:
        """As `score`, a portion at a time: for archives whose scores need not all be held at once."""
        for portion in self._read(texts, named):
            found = self._logits(portion.ids, progress, len(portion.texts))
            yield self._scores(portion, found)

    def probabilities(
        self, texts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> tuple[Probabilities, Probabilities]:
        """Calibrated probabilities: sentiment [texts, 3] and topic [texts, 20]; NaN for a task that was not learned."""
        found = [self._logits(one.ids, progress, len(one.texts)) for one in self._read(texts, None)]
        settings = self.adapter.settings
        return (
            stacked([learned(one, "sentiment", settings.sentiment_temperature) for one in found], len(SENTIMENTS)),
            stacked([learned(one, "topic", settings.topic_temperature) for one in found], len(TOPICS)),
        )

    def company_probabilities(
        self, texts: Sequence[str], names: Sequence[str], alone: Sequence[bool] = ()
    ) -> Probabilities:
        """Calibrated probabilities of the sentiment towards one company per text: [texts, 3].

        Args:
            alone: whether the text names no other company, as `score` knows by itself; empty takes the reading
                towards the company by itself, as if all named others.

        Raises:
            ValueError: when there are not as many names as texts.
            AdapterDamaged: when the adapter has no head for companies.
        """
        if "company" not in self.tasks:
            raise AdapterDamaged(
                f"the adapter in {self.adapter.folder} was not trained on companies; use the shipped one, or train it"
            )
        found = [
            self._logits(self._tokens.ids([Query(readable(t), company_name(n)) for t, n in pairs]))
            for pairs in _cut(list(zip(texts, names, strict=True)))
        ]
        temperature = self.adapter.settings.company_temperature
        towards = stacked([softmax(one["company"], temperature) for one in found], len(SENTIMENTS))
        places = [place for place, yes in zip(range(len(texts)), alone, strict=False) if yes]
        if places and self.adapter.settings.headline_share:
            own, _ = self.probabilities([texts[place] for place in places])
            towards[places] = of_one_alone(towards[places], own, self.adapter.settings.headline_share)
        return towards

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors [texts, width] of the base encoder without the adapter, for themes and stories."""
        if not texts:
            # The width is known by asking.
            return self.embed([""])[:0]
        found = [self._forward(self._bare, portion.ids) for portion in self._read(texts, None)]
        return np.concatenate([one["embedding"] for one in found])

    @cached_property
    def _bare(self) -> Runtime:
        return self._networks.embedding()

    # --- pre ------------------------------------------------------------------------------------------------

    def _read(self, texts: Sequence[str], named: Sequence[Sequence[str]] | None) -> Iterator[_Portion]:
        """Portions of texts; the next is cleaned and tokenised while the caller computes the last."""
        if named is not None and len(named) != len(texts):
            raise ValueError(f"{len(texts)} texts came with names for {len(named)}")
        starts = range(0, len(texts), PORTION)
        with ThreadPoolExecutor(1, thread_name_prefix="squall-read") as ahead:
            waiting = None
            for start in starts:
                names = named[start : start + PORTION] if named is not None else None
                following = ahead.submit(self._portion, texts[start : start + PORTION], names)
                if waiting is not None:
                    yield waiting.result()
                waiting = following
            if waiting is not None:
                yield waiting.result()

    def _portion(self, texts: Sequence[str], named: Sequence[Sequence[str]] | None) -> _Portion:
        lines = [readable(text) for text in texts]
        names: list[list[str]] = [[] for _ in lines]
        if named is not None and "company" in self.tasks:
            names = [
                [clean for clean in map(company_name, some) if clean] if line else []
                for line, some in zip(lines, named, strict=True)
            ]
        queries = [Query(line) for line in lines]
        queries += [Query(line, name) for line, some in zip(lines, names, strict=True) for name in some]
        return _Portion(lines, names, self._tokens.ids(queries))

    # --- forward --------------------------------------------------------------------------------------------

    def _logits(
        self, ids: TokenIds, progress: Callable[[int], None] | None = None, counted: int = 0
    ) -> dict[str, NDArray[np.float32]]:
        """Logits by task; rows whose label hangs on the rounding of a fast runtime come from the exacter one."""
        found = self._forward(self._net, ids, progress, counted)
        if self._sure is not None and ids:
            rows = np.flatnonzero(doubtful(found, counted))
            again = self._forward(self._sure, [ids[row] for row in rows])
            for name, values in again.items():
                found[name][rows] = values
        return found

    def _forward(
        self, runtime: Runtime, ids: TokenIds, progress: Callable[[int], None] | None = None, counted: int = 0
    ) -> dict[str, NDArray[np.float32]]:
        """Outputs by name, rows in the order of `ids`; `progress` hears of those before position `counted`."""
        counts = [max(1, len(one)) for one in ids]
        waiting = batches(counts, self._budget)[::-1]
        found: dict[str, NDArray[np.float32]] = {}
        while waiting:
            for outcome in runtime.run(self._drawn(ids, waiting)):
                if isinstance(outcome, TooLarge):
                    waiting.extend(self._smaller(outcome, counts))
                    continue
                rows = list(outcome.batch.positions)
                for name, values in outcome.outputs.items():
                    if name not in found:
                        found[name] = np.empty((len(ids), values.shape[1]), dtype=np.float32)
                    found[name][rows] = values
                if progress:
                    progress(sum(row < counted for row in rows))
        return found

    def _drawn(self, ids: TokenIds, waiting: list[Batch]) -> Iterator[Padded]:
        while waiting:
            yield self._tokens.padded(ids, waiting.pop())

    def _smaller(self, refused: TooLarge, counts: Sequence[int]) -> tuple[Batch, ...]:
        """Halves of a batch that did not fit, and from now on a budget that does; a single text cannot be halved."""
        if len(refused.batch.positions) < 2:
            raise refused.error
        self._budget = max(min(self._budget, refused.batch.padded_tokens // 2), refused.batch.longest)
        return halves(refused.batch, counts)

    # --- post -----------------------------------------------------------------------------------------------

    def _scores(self, portion: _Portion, found: dict[str, NDArray[np.float32]]) -> list[Score]:
        settings, size = self.adapter.settings, len(portion.texts)
        if "sentiment" not in found:
            raise AdapterDamaged(f"the adapter in {self.adapter.folder} was not trained on sentiment: it cannot score")
        sentiment = softmax(found["sentiment"][:size], settings.sentiment_temperature)
        topic = learned(found, "topic", settings.topic_temperature)[:size]
        towards: Iterator[list[float]] = iter(())
        if "company" in found:
            named = softmax(found["company"][size:], settings.company_temperature)
            # Each row of `named` is of one text, and so is whatever else that text names.
            texts = [place for place, names in enumerate(portion.named) for _ in names]
            lone = [row for row, place in enumerate(texts) if len(portion.named[place]) == 1]
            named[lone] = of_one_alone(named[lone], sentiment[[texts[row] for row in lone]], settings.headline_share)
            towards = iter(named.tolist())
        companies = [tuple(CompanyScore(name, *next(towards)) for name in names) for names in portion.named]
        rows = zip(portion.texts, sentiment.tolist(), topic, companies, strict=True)
        return [self._score(*row) for row in rows]

    def _score(
        self, text: str, sentiment: list[float], topic: Probabilities, companies: tuple[CompanyScore, ...]
    ) -> Score:
        settings = self.adapter.settings
        negative, neutral, positive = sentiment
        if not text:
            return Score(negative, neutral, positive, (), self.model, Abstention.EMPTY_TEXT)
        above = np.flatnonzero(topic >= settings.topic_threshold)
        likeliest = [topic.argmax()] if "topic" in self.tasks else []
        order = sorted(above if len(above) else likeliest, key=lambda index: -topic[index])
        topics = tuple((TOPICS[index], float(topic[index])) for index in order)
        unsure = max(sentiment) < settings.abstain_below
        abstention = Abstention.UNSURE if unsure else Abstention.NONE
        return Score(negative, neutral, positive, topics, self.model, abstention, companies)


def load_scorer(
    folder: Path | None = None,
    *,
    device: str = "auto",
    precision: str = "auto",
    runtime: str = "auto",
    budget: int = 0,
    cache: Path | None = None,
) -> Scorer:
    """The scorer of an adapter folder; without one, of the shipped adapter."""
    return Scorer(find_adapter(folder), device=device, precision=precision, runtime=runtime, budget=budget, cache=cache)


def _encoder_of(adapter: Adapter) -> Encoder:
    encoder = find_encoder(adapter.settings.encoder)
    if encoder.sha256 != adapter.settings.encoder_sha256:
        raise AdapterDamaged(
            f"the adapter in {adapter.folder} was trained on other weights than those of {encoder.name}; "
            "set model.encoder to the encoder named in its card, or train it again"
        )
    return encoder


def _cut(rows: list[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    for start in range(0, len(rows), PORTION):
        yield rows[start : start + PORTION]
