"""Base training: from folders of photos and paintings to a checkpoint and a report."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from streamstyle.errors import SinkError
from streamstyle.nets.features import PerceptualFeatures
from streamstyle.train.checkpoint import load_checkpoint, save_checkpoint
from streamstyle.train.compute import Compute
from streamstyle.train.data import PictureFolder, draw_batch, draw_next_frame
from streamstyle.train.grow import grow_
from streamstyle.train.options import TrainConfig
from streamstyle.train.step import (
    GanState,
    train_step,
)
from streamstyle.train.style_targets import StyleTargets, resize_paintings
from streamstyle.train.training_report import RunReport

CHECKPOINT_NAME = "checkpoint.safetensors"
_FINAL_RATE = 0.05


@dataclass(frozen=True)
class TrainProgress:
    """Progress of `train_base`: finished steps, smoothed terms, seconds per step."""

    step: int
    steps: int
    terms: dict[str, float]
    seconds_per_step: float


def learning_rate_share(step: int, steps: int, warm_up_steps: int = 100) -> float:
    """Linear warm-up, then a cosine down to 5 % (Loshchilov and Hutter 2017, eq. 5)."""
    warm_up = min(1.0, (step + 1) / warm_up_steps)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))
    return warm_up * (_FINAL_RATE + (1 - _FINAL_RATE) * cosine)


def smooth_(smoothed: dict[str, float], terms: Mapping[str, float]) -> None:
    """Move running means towards this step's terms; a new term begins at its value."""
    for name, value in terms.items():
        smoothed[name] = 0.98 * smoothed.get(name, value) + 0.02 * value


def train_base(
    config: TrainConfig,
    photos: PictureFolder,
    paintings: Sequence[NDArray[np.uint8]],
    features: PerceptualFeatures,
    folder: Path,
    *,
    names: Sequence[str],
    report: Callable[[TrainProgress], None],
    report_every: int = 50,
    save_every: int = 200,
    sheet_photos: Sequence[NDArray[np.uint8]] = (),
    compute: Compute | None = None,
    start: Path | None = None,
    fresh_strokes: bool = False,
) -> GanState:
    """Train generator, codes and discriminator; resumes from `folder` where a checkpoint lies there.

    Data and noise are functions of (seed, step), so stopping and resuming changes nothing. names: one per
    painting. features: moved to the device. start, fresh_strokes: a checkpoint to `grow_` from, and how,
    where `folder` holds none.
    Every save writes the checkpoint, then what `RunReport` makes of `sheet_photos`. Of several processes the
    first alone reports and writes; their weights stay equal bit for bit. Raises StreamStyleError.
    """
    compute = compute or Compute()
    scaled = resize_paintings(paintings, config)
    features.to(compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    targets = StyleTargets(features, scaled, config, names)
    state = GanState.fresh(config, len(paintings), compute)
    options = {**config.to_json(), "styles": len(paintings)}
    checkpoint = folder / CHECKPOINT_NAME
    if start is not None and not checkpoint.exists():
        grow_(state, start, names=names, fresh_strokes=fresh_strokes)
    first = _resume(checkpoint, options, state)
    run_report = _open_report(folder, names, sheet_photos, first) if compute.rank == 0 else None
    smoothed: dict[str, float] = {}
    started = time.perf_counter()
    for step in range(first, config.steps):
        smooth_(smoothed, _step_(state, config, photos, scaled, features, targets, step=step))
        done = step + 1
        saving = done % save_every == 0 or done == config.steps
        if run_report is None or not (saving or done % report_every == 0):
            continue
        seconds = (time.perf_counter() - started) / (done - first)
        looked: dict[str, float] = {}
        if saving:
            save_checkpoint(checkpoint, done, options, state.modules(), state.optimizers())
            looked = run_report.look(done, state, scaled, targets, features)
        run_report.log(done, smoothed | looked)
        if saving:
            run_report.write(done)
        report(TrainProgress(done, config.steps, smoothed | looked, seconds))
    return state


def _step_(
    state: GanState,
    config: TrainConfig,
    photos: PictureFolder,
    paintings: tuple[NDArray[np.uint8], ...],
    features: PerceptualFeatures,
    targets: StyleTargets,
    *,
    step: int,
) -> dict[str, float]:
    """Draw what step `step` sees and train on it; returns its terms."""
    rng, device = state.compute.rng(config.seed, step), state.compute.device
    batch = draw_batch(
        photos, paintings, size=config.batch, crop=config.crop, noise_share=config.noise_share, rng=rng
    )
    change = draw_next_frame(1, config.crop, rng)
    state.set_learning_rate_(learning_rate_share(step, config.steps))
    return train_step(state, batch.to(device), change.to(device), features, targets, config, step=step)


def _resume(checkpoint: Path, options: dict[str, Any], state: GanState) -> int:
    """Load the checkpoint, if there is one; returns the number of finished steps."""
    first = 0
    if checkpoint.exists():
        defaults = TrainConfig().to_json()
        first = load_checkpoint(checkpoint, options, defaults, state.modules(), state.optimizers())
    state.compute.check_same_start(first)
    return first


def _open_report(
    folder: Path, names: Sequence[str], photos: Sequence[NDArray[np.uint8]], finished: int
) -> RunReport:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(f"cannot make the folder {folder}: {error.strerror}") from error
    return RunReport(folder, names, photos, finished=finished)
