"""Networks as OpenVINO graphs: exported from torch, quantised to int8, and kept.

takes  an adapter or a bare encoder, and a cache
gives  a graph that `OpenVinoRuntime` compiles, with its outputs named
never  runs a headline; and once a graph is kept, never imports torch

Int8 ranges are measured on the examples of the shipped risk themes: headlines that lie in the package itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.adapters import CONFIG, Adapter, tasks_of
from models.encoder import Encoder
from models.errors import GraphUnusable
from models.running.batching import batches
from models.running.doubt import doubtful
from models.running.graph_cache import GraphCache
from models.running.openvino_library import open_nncf, open_openvino
from models.running.runtime import Padded
from models.running.tokens import Query, Tokens
from models.themes import default_themes

if TYPE_CHECKING:
    from torch import nn

log = logging.getLogger(__name__)

# Raise it when graphs of the same weights would come out differently.
_RECIPE = 3
_FAST, _SURE = "fast.xml", "sure.xml"
# How much of the activations' outliers is moved into the weights; .8 measured better than nncf's own .95 and than .5.
_SMOOTHING = 0.8
_CALIBRATION_TOKENS = 512
# Largest difference of a figure between torch and the exported graph, both in full precision.
_SAME = 5e-3
# Share of headlines whose label int8 may change at most, second look included.
_MOST_CHANGED = 0.01


@dataclass(frozen=True, slots=True)
class Graphs:
    """A network as paths of graphs that are kept, or as the graphs themselves where nothing can be kept.

    Attributes:
        sure: of a graph rounded to int8 the same without that rounding; else None.
    """

    fast: Path | Any
    sure: Path | Any | None


def scoring_graphs(adapter: Adapter, encoder: Encoder, precision: str, cache: GraphCache) -> Graphs:
    """Encoder, adapter and heads.

    Args:
        precision: `int8`, `bf16` or `fp32`.

    Raises:
        AdapterDamaged, EncoderMissing: see `models.running.torch_runtime.load_network`.
        GraphUnusable: when the network cannot be exported.
    """

    def make() -> Graphs:
        from models.running.torch_runtime import Scoring, load_network

        graph = _exported(Scoring(load_network(adapter, encoder)))
        if precision != "int8":
            return Graphs(graph, None)
        rows = _calibration(Tokens(encoder.folder, adapter.settings.longest), paired="company" in tasks_of(adapter))
        rounded = _quantised(graph.clone(), rows)
        _check_labels(rounded, graph, rows)
        return Graphs(rounded, graph)

    # The model's id does not cover how its weights are scaled; the configuration does.
    source = adapter.model.encode() + (adapter.folder / CONFIG).read_bytes()
    return _kept(cache, adapter.model, source, precision, make)


def embedding_graphs(encoder: Encoder, precision: str, cache: GraphCache) -> Graphs:
    """The bare encoder in `bf16` or `fp32`; errors as those of `scoring_graphs`."""

    def make() -> Graphs:
        from models.encoder import load_encoder
        from models.running.torch_runtime import Embedding

        return Graphs(_exported(Embedding(load_encoder(encoder)[0])), None)

    return _kept(cache, "encoder", encoder.sha256.encode(), precision, make)


def _kept(cache: GraphCache, name: str, source: bytes, precision: str, make: Callable[[], Graphs]) -> Graphs:
    versions = f"{_RECIPE} {version('openvino')} {version('nncf') if precision == 'int8' else ''}"
    key = f"{name}-{precision}-{hashlib.sha256(source + versions.encode()).hexdigest()[:10]}"
    found = cache.find(key)
    if found is None:
        log.info("preparing %s for this CPU, once", name)
        made = make()

        def write(folder: Path) -> None:
            half = precision != "fp32"
            open_openvino().save_model(made.fast, folder / _FAST, compress_to_fp16=half)
            if made.sure is not None:
                open_openvino().save_model(made.sure, folder / _SURE, compress_to_fp16=half)

        found = cache.keep(key, write)
        if found is None:
            return made
    return Graphs(found / _FAST, found / _SURE if (found / _SURE).is_file() else None)


def _exported(module: nn.Module) -> Any:
    import torch

    ids = torch.randint(1, 100, (3, 12))
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            # Tracing warns of every branch that it takes for good; that short, long and padded batches come out
            # right is tested.
            warnings.simplefilter("ignore")
            names = list(module(ids, torch.ones_like(ids)))
            graph = open_openvino().convert_model(
                module.eval(), example_input={"input_ids": ids, "attention_mask": torch.ones_like(ids)}
            )
    except Exception as error:
        # torch and openvino raise what they like here: an encoder that cannot be traced has no type of its own.
        raise GraphUnusable(
            f"the model cannot be exported to OpenVINO: {error}; set model.runtime to 'torch' to do without it"
        ) from error
    for name, output in zip(names, graph.outputs, strict=True):
        output.get_tensor().set_names({name})
    _check_figures(graph, module)
    return graph


def _check_figures(graph: Any, module: nn.Module) -> None:
    """Refuse a graph that took the shape of its example for good, as tracing does where a network counts in Python."""
    import torch

    compiled = open_openvino().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for texts, longest in ((1, 3), (2, 40), (5, 9)):
        ids = torch.randint(1, 100, (texts, longest))
        mask = torch.ones_like(ids)
        mask[0, longest // 2 :] = 0  # the first is half padding, unless it is alone
        mask[-1] = 1
        with torch.inference_mode():
            expected = list(module(ids, mask).values())
        found = compiled([ids.numpy(), mask.numpy()])
        for index, values in enumerate(expected):
            if not np.allclose(found[index], values.numpy(), atol=_SAME):
                raise GraphUnusable(
                    "the exported model gives other figures than torch; set model.runtime to 'torch' to do without it"
                )


def _check_labels(rounded: Any, exact: Any, rows: list[Padded]) -> None:
    """Refuse int8 that changes labels even where the difference is clear, and a second look would not help."""
    ov = open_openvino()
    changed = total = 0
    fast, sure = (ov.compile_model(one, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}) for one in (rounded, exact))
    names = [output.get_any_name() for output in exact.outputs]
    for row in rows:
        one, other = (
            [np.array(run([row.ids, row.mask])[index]) for index in range(len(names))] for run in (fast, sure)
        )
        place = names.index("sentiment")
        clear = ~doubtful({"sentiment": one[place]}, len(row.ids))
        changed += int((clear & (one[place].argmax(1) != other[place].argmax(1))).sum())
        total += len(row.ids)
    if changed >= _MOST_CHANGED * total:
        raise GraphUnusable(
            f"int8 changes the label of {changed} of {total} headlines; set model.precision to 'bf16' to do without it"
        )


def _quantised(graph: Any, rows: list[Padded]) -> Any:
    """Weights per channel and activations in int8; attention's core and the heads stay as they are."""
    nncf = open_nncf()
    # The heads are a thousandth of the work, and the last to speak.
    spared = [
        node.get_friendly_name()
        for node in graph.get_ops()
        if node.get_type_name() == "MatMul" and ".heads." in node.get_friendly_name()
    ]
    options = {
        "preset": nncf.QuantizationPreset.MIXED,
        "model_type": nncf.ModelType.TRANSFORMER,
        "subset_size": len(rows),
        "ignored_scope": nncf.IgnoredScope(names=spared),
        "advanced_parameters": nncf.AdvancedQuantizationParameters(
            smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=_SMOOTHING)
        ),
    }
    texts = nncf.Dataset(rows, lambda one: {"input_ids": one.ids, "attention_mask": one.mask})
    try:
        # nncf draws progress bars on standard output, where a command's answer belongs.
        with contextlib.redirect_stdout(io.StringIO()):
            return nncf.quantize(graph, texts, **options)
    except Exception as error:
        # nncf has errors of many kinds for a graph that it cannot take.
        raise GraphUnusable(
            f"the model cannot be quantised: {error}; set model.precision to 'bf16' to do without int8"
        ) from error


def _calibration(tokens: Tokens, *, paired: bool) -> list[Padded]:
    texts = [text for theme in default_themes() for text in (*theme.examples, *theme.counter_examples)]
    queries = [Query(text) for text in texts]
    if paired:
        queries += [Query(text, text.split()[0]) for text in texts[::3]]
    ids = tokens.ids(queries)
    return [tokens.padded(ids, batch) for batch in batches([len(one) for one in ids], _CALIBRATION_TOKENS)]
