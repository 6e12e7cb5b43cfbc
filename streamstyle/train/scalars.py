"""Curves for TensorBoard. Importing this module needs the package tensorboard."""

from __future__ import annotations

from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from streamstyle.train.loop import TrainProgress


class TensorBoardLog:
    """Event files in `folder`: one scalar per term of a run."""

    def __init__(self, folder: Path) -> None:
        self._writer = SummaryWriter(folder)

    def write(self, progress: TrainProgress) -> None:
        """Add every term at the step of `progress`."""
        for name, value in progress.terms.items():
            self._writer.add_scalar(name, value, progress.step)
        self._writer.flush()
