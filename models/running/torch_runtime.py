"""Forward passes by torch: on a GPU, in training's company, and on a CPU without OpenVINO.

takes  an adapter or a bare encoder, a device, a precision
gives  a `Runtime`: copies to and from a GPU overlap its work, a CPU runs one batch at a time
never  exports, quantises or tokenises
"""

from __future__ import annotations

import json
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.adapters import CONFIG, FULL, HEADS, WEIGHTS, Adapter, tasks_of
from models.encoder import Encoder, load_encoder
from models.errors import AdapterDamaged
from models.running.network import HeadlineNet, Heads, mean_pooled
from models.running.runtime import Done, Outputs, Padded, TooLarge, says_memory

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Measured on two cores with headlines of about 15 tokens; on a GPU larger batches pay.
_BUDGET = {"cpu": 4_096, "cuda": 65_536, "mps": 16_384}
_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
# Batches in flight on a GPU: one computes while the next is copied and the last is read.
_IN_FLIGHT = 2


class Scoring(nn.Module):
    """Logits of every head, float32, from an encoder that may compute in fewer bits."""

    def __init__(self, net: HeadlineNet, kind: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.encoder = net.encoder.to(kind)
        self.heads = net.heads.float()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """Logits by task."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        logits: dict[str, Tensor] = self.heads(mean_pooled(hidden.float(), attention_mask))
        return logits


class Embedding(nn.Module):
    """Unit vectors of an encoder alone, float32, under the name `embedding`."""

    def __init__(self, encoder: nn.Module, kind: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.encoder = encoder.to(kind)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """Vectors of length one."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return {"embedding": functional.normalize(mean_pooled(hidden.float(), attention_mask), dim=1)}


def load_network(adapter: Adapter, encoder: Encoder) -> HeadlineNet:
    """Encoder with the adapter merged into it, and its heads, float32 on the CPU.

    Raises:
        AdapterDamaged: when weights are broken, or do not fit the encoder.
        EncoderMissing: see `load_encoder`.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    base, _ = load_encoder(encoder)
    try:
        with warnings.catch_warnings():
            # peft asks transformers for an attribute that transformers is about to rename: nothing a user can mend.
            warnings.simplefilter("ignore", FutureWarning)
            merged = _adapted(base, adapter)
        # An adapter need not have a head for every task.
        heads = Heads(base.config.hidden_size, tasks_of(adapter))
        heads.load_state_dict(load_file(str(adapter.folder / HEADS)))
        net = HeadlineNet(merged, heads)
        if broken := [name for name, p in net.named_parameters() if not p.isfinite().all()]:
            raise ValueError(f"weights that are no numbers, first in {broken[0]}")
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        raise AdapterDamaged(
            f"the adapter in {adapter.folder} cannot be loaded: {error}; restore the folder or train it again"
        ) from error
    return net.eval()


def _adapted(base: PreTrainedModel, adapter: Adapter) -> nn.Module:
    """The encoder with the adapter merged into it, or with the weights that full fine-tuning put in their place."""
    from peft import PeftModel
    from safetensors.torch import load_file

    if json.loads((adapter.folder / CONFIG).read_text(encoding="utf-8"))["peft_type"] == FULL:
        base.load_state_dict(load_file(str(adapter.folder / WEIGHTS)))
        return base
    merged: nn.Module = PeftModel.from_pretrained(base, str(adapter.folder)).merge_and_unload()
    return merged


def scoring_runtime(net: HeadlineNet, device: torch.device, precision: str) -> TorchRuntime:
    """Runs encoder and heads."""
    return TorchRuntime(Scoring(net, _TYPES[precision]), device, precision)


def embedding_runtime(encoder: Encoder, device: torch.device, precision: str) -> TorchRuntime:
    """Runs the bare encoder.

    Raises:
        EncoderMissing: see `load_encoder`.
    """
    base, _ = load_encoder(encoder)
    return TorchRuntime(Embedding(base, _TYPES[precision]), device, precision)


@dataclass(frozen=True, slots=True)
class _Flying:
    """A batch whose outputs are on their way; `landed` is reached when they may be read."""

    padded: Padded
    outputs: dict[str, Tensor]
    landed: torch.cuda.Event | None


class TorchRuntime:
    """A torch module on one device, as a `Runtime`."""

    def __init__(self, module: nn.Module, device: torch.device, precision: str) -> None:
        """Move `module` to the device.

        Args:
            precision: what it computes in; part of the name.
        """
        self.name = f"torch {precision} on {device.type}"
        self.budget = _BUDGET.get(device.type, 4_096)
        self._module = nn.Module.to(module, device).eval()
        self._device = device
        self._ahead = _IN_FLIGHT if device.type == "cuda" else 0

    def run(self, work: Iterable[Padded]) -> Iterator[Done | TooLarge]:
        """Outcomes in order; on a GPU up to two batches are under way before the first is read."""
        flying: deque[_Flying] = deque()
        for padded in work:
            started = self._start(padded)
            if isinstance(started, TooLarge):
                # What is still under way holds memory too: let it land before anything is tried again.
                while flying:
                    yield self._finish(flying.popleft())
                yield started
                continue
            flying.append(started)
            while len(flying) > self._ahead:
                yield self._finish(flying.popleft())
        while flying:
            yield self._finish(flying.popleft())

    def _start(self, padded: Padded) -> _Flying | TooLarge:
        try:
            with torch.inference_mode():
                outputs = self._module(self._sent(padded.ids), self._sent(padded.mask))
                return self._fetched(padded, outputs)
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            return self._too_large(padded, error)

    def _sent(self, array: object) -> Tensor:
        tensor = torch.as_tensor(array)
        if self._device.type == "cuda":
            return tensor.pin_memory().to(self._device, non_blocking=True)
        return tensor.to(self._device)

    def _fetched(self, padded: Padded, outputs: dict[str, Tensor]) -> _Flying:
        if self._device.type != "cuda":
            return _Flying(padded, {name: one.cpu() for name, one in outputs.items()}, None)
        with torch.cuda.device(self._device):
            read = {
                name: torch.empty(one.shape, dtype=one.dtype, pin_memory=True).copy_(one, non_blocking=True)
                for name, one in outputs.items()
            }
            landed = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
            landed.record()
        return _Flying(padded, read, landed)

    def _finish(self, flying: _Flying) -> Done | TooLarge:
        try:
            if flying.landed is not None:
                flying.landed.synchronize()
        except (torch.OutOfMemoryError, RuntimeError) as error:
            return self._too_large(flying.padded, error)
        outputs: Outputs = {name: one.numpy() for name, one in flying.outputs.items()}
        return Done(flying.padded.batch, outputs)

    def _too_large(self, padded: Padded, error: Exception) -> TooLarge:
        """The batch as one that did not fit; any other failure is raised again."""
        if not (isinstance(error, torch.OutOfMemoryError) or says_memory(error)):
            raise error
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        return TooLarge(padded.batch, error)
