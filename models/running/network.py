"""One encoder pass, three heads.

takes  token ids and attention mask, int64 [texts, tokens]
gives  logits: sentiment float32 [texts, 3], topic float32 [texts, 20], company float32 [texts, 3]
never  tokenises, batches or picks a device
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.score import TASKS as TASKS


def mean_pooled(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean of the hidden states of real tokens: [texts, tokens, width] and [texts, tokens] to [texts, width].

    The pooling that all-MiniLM-L6-v2 was trained with, hence the best start for heads and themes alike.
    """
    weight = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weight).sum(1) / weight.sum(1).clamp(min=1e-9)


class Heads(nn.Module):
    """A small classifier per task upon the pooled encoding: linear, GELU, linear."""

    def __init__(self, width: int, tasks: Collection[str] = tuple(TASKS)) -> None:
        """Heads of random weights for `tasks`, upon encodings of `width` numbers."""
        super().__init__()
        self.tasks = nn.ModuleDict(
            {
                task: nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, size))
                for task, size in TASKS.items()
                if task in tasks
            }
        )

    def forward(self, pooled: Tensor) -> dict[str, Tensor]:
        """Logits of every task, float32."""
        return {task: head(pooled).float() for task, head in self.tasks.items()}


class HeadlineNet(nn.Module):
    """Encoder and heads together."""

    def __init__(self, encoder: nn.Module, heads: Heads) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = heads

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """Logits of every task for one padded batch."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        logits: dict[str, Tensor] = self.heads(mean_pooled(hidden, attention_mask))
        return logits


def embedding(encoder: nn.Module, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
    """Unit vectors [texts, width] of the encoder alone."""
    hidden = encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
    return functional.normalize(mean_pooled(hidden, attention_mask).float(), dim=1)


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The forward pass's precision: `bf16` under autocast, or `fp32`."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
