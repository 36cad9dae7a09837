"""A moving average of weights, which generalises better than the last step's.

takes  a network, step by step
gives  the average, put in the place of the live weights for a while
never  touches weights that are not trained
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Average:
    """Exponential moving average of the trained weights, with the live ones put aside while it is applied."""

    def __init__(self, net: nn.Module, decay: float) -> None:
        self._decay, self._steps = decay, 0
        self._shadow = {name: p.detach().clone() for name, p in net.named_parameters() if p.requires_grad}
        self._live: dict[str, Tensor] = {}

    def update(self, net: nn.Module) -> None:
        """Move the average a little towards the live weights, after each step."""
        self._steps += 1
        # A young average follows quickly, so that the random start does not linger in it.
        decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
        with torch.no_grad():
            for name, p in net.named_parameters():
                if p.requires_grad:
                    self._shadow[name].lerp_(p.detach(), 1 - decay)

    def state(self) -> dict[str, Tensor]:
        """A copy of the averaged weights, by name."""
        return {name: value.clone() for name, value in self._shadow.items()}

    @property
    def steps(self) -> int:
        """Updates so far."""
        return self._steps

    def bring_back(self, state: dict[str, Tensor], steps: int) -> None:
        """Go on from an average that was kept, after that many updates."""
        self._shadow = {name: state[name].to(value.device) for name, value in self._shadow.items()}
        self._steps = steps

    def load(self, net: nn.Module, state: dict[str, Tensor]) -> None:
        """Put the live weights aside and these in their place."""
        self._live = {name: p.detach().clone() for name, p in net.named_parameters() if p.requires_grad}
        self._copy(net, state)

    def restore(self, net: nn.Module) -> None:
        """Bring back the live weights that `load` put aside."""
        self._copy(net, self._live)

    def applied(self, net: nn.Module) -> _Applied:
        """The average in the place of the live weights, for the length of a `with` block."""
        return _Applied(self, net)

    @staticmethod
    def _copy(net: nn.Module, state: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, p in net.named_parameters():
                if p.requires_grad:
                    p.copy_(state[name])


class _Applied:
    def __init__(self, average: Average, net: nn.Module) -> None:
        self._average, self._net = average, net

    def __enter__(self) -> None:
        self._average.load(self._net, self._average.state())

    def __exit__(self, *_: object) -> None:
        self._average.restore(self._net)
