"""The networks of one model, ready to run: encoder with heads, and the bare encoder.

takes  an adapter, its encoder, and the `Place` where it should run
gives  `Runtime`s
never  decides which place is best; it only falls back to torch where OpenVINO cannot take a model
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Protocol

from models.adapters import Adapter
from models.encoder import Encoder
from models.errors import GraphUnusable
from models.running.devices import Place, pick_device, pick_precision
from models.running.graph_cache import GraphCache, default_folder
from models.running.runtime import Runtime

log = logging.getLogger(__name__)


class Networks(Protocol):
    """What opens the networks of a model in one place.

    Attributes:
        device, precision: where they run and what they compute in, `auto` resolved.
    """

    device: str
    precision: str

    def scoring(self) -> tuple[Runtime, Runtime | None]:
        """Encoder and heads; and, where these are rounded so far that labels may differ, an exacter runtime beside."""
        ...

    def embedding(self) -> Runtime:
        """The bare encoder."""
        ...


def open_networks(place: Place, adapter: Adapter, encoder: Encoder, cache: Path | None) -> Networks:
    """The networks in their place.

    Args:
        cache: where graphs for OpenVINO are kept; None means the user's cache folder.

    Raises:
        GraphUnusable: when OpenVINO was asked for by name and cannot run this model; otherwise torch takes its place.
    """
    if place.runtime == "openvino":
        try:
            return OpenVinoNetworks(adapter, encoder, place.precision, GraphCache(cache or default_folder()))
        except GraphUnusable as error:
            if place.fixed:
                raise
            log.warning("torch runs the model, because %s", error)
    precision = "auto" if place.precision == "int8" else place.precision
    return TorchNetworks(adapter, encoder, place.device, precision)


class TorchNetworks:
    """Networks run by torch."""

    def __init__(self, adapter: Adapter, encoder: Encoder, device: str, precision: str) -> None:
        self._adapter, self._encoder = adapter, encoder
        self._device = pick_device(device)
        self.device, self.precision = str(self._device), pick_precision(precision, self._device)

    def scoring(self) -> tuple[Runtime, Runtime | None]:
        """Encoder and heads, alone."""
        from models.running.torch_runtime import load_network, scoring_runtime

        return scoring_runtime(load_network(self._adapter, self._encoder), self._device, self.precision), None

    def embedding(self) -> Runtime:
        """The bare encoder."""
        from models.running.torch_runtime import embedding_runtime

        return embedding_runtime(self._encoder, self._device, self.precision)


class OpenVinoNetworks:
    """Networks run by OpenVINO on the CPU; the graphs are prepared when they are not yet kept."""

    def __init__(self, adapter: Adapter, encoder: Encoder, precision: str, cache: GraphCache) -> None:
        from models.running.openvino_graphs import scoring_graphs
        from models.running.openvino_runtime import OpenVinoRuntime

        self.device, self.precision = "cpu", precision
        self._encoder, self._cache = encoder, cache
        graphs = scoring_graphs(adapter, encoder, precision, cache)
        self._fast = OpenVinoRuntime(graphs.fast, precision)
        self._sure = OpenVinoRuntime(graphs.sure, "bf16") if graphs.sure is not None else None

    def scoring(self) -> tuple[Runtime, Runtime | None]:
        """Encoder and heads; beside int8 the same in bf16."""
        return self._fast, self._sure

    def embedding(self) -> Runtime:
        """The bare encoder."""
        from models.running.openvino_graphs import embedding_graphs
        from models.running.openvino_runtime import OpenVinoRuntime

        # Themes compare similarities with thresholds, and there is no second look to mend what int8 rounds.
        precision = "bf16" if self.precision == "int8" else self.precision
        return OpenVinoRuntime(embedding_graphs(self._encoder, precision, self._cache).fast, precision)
