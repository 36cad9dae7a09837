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
        # Listed once: walking through all modules at each step takes longer than the arithmetic does on a GPU.
        self._trained = {name: p for name, p in net.named_parameters() if p.requires_grad}
        self._shadow = {name: p.detach().clone() for name, p in self._trained.items()}
        self._live: dict[str, Tensor] = {}

    def update(self) -> None:
        """Move the average a little towards the live weights, after each step."""
        self._steps += 1
        # A young average follows quickly, so that the random start does not linger in it.
        decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
        live = [p.detach() for p in self._trained.values()]
        torch._foreach_lerp_([self._shadow[name] for name in self._trained], live, 1 - decay)

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

    def load(self, state: dict[str, Tensor]) -> None:
        """Put the live weights aside and these in their place."""
        self._live = {name: p.detach().clone() for name, p in self._trained.items()}
        self._copy(state)

    def restore(self) -> None:
        """Bring back the live weights that `load` put aside."""
        self._copy(self._live)

    def applied(self) -> _Applied:
        """The average in the place of the live weights, for the length of a `with` block."""
        return _Applied(self)

    def _copy(self, state: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, p in self._trained.items():
                p.copy_(state[name])


class _Applied:
    def __init__(self, average: Average) -> None:
        self._average = average

    def __enter__(self) -> None:
        self._average.load(self._average.state())

    def __exit__(self, *_: object) -> None:
        self._average.restore()
