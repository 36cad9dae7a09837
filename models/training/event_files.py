"""Training as TensorBoard shows it.

takes  a folder, and steps
gives  event files
never  is needed for training: TensorBoard is installed by those who want it
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import DataUnusable

if TYPE_CHECKING:
    from models.training.train import Step

_EVERY = 10


class EventFiles:
    """Loss and speed of a run, every ten steps.

    Raises:
        DataUnusable: when TensorBoard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise DataUnusable("event files need TensorBoard: pip install tensorboard") from None
        self._writer = SummaryWriter(str(folder))

    def add(self, step: Step) -> None:
        """Note a step, if it is one of those that are noted."""
        if step.number % _EVERY == 0 or step.number == step.total:
            self._writer.add_scalar("loss", step.loss, step.number)
            self._writer.add_scalar("texts_per_second", step.texts_per_second, step.number)

    def close(self) -> None:
        """Write what is still in memory."""
        self._writer.close()
