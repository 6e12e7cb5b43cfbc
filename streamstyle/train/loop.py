"""Base training: from folders of photos and paintings to a checkpoint and a contact sheet."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamstyle.nets.features import SqueezeNetFeatures
from streamstyle.train.checkpoint import load_checkpoint, save_checkpoint
from streamstyle.train.data import PictureFolder, draw_batch, draw_next_frame
from streamstyle.train.options import TrainConfig
from streamstyle.train.report import contact_sheet, write_picture
from streamstyle.train.step import (
    GanState,
    StyleTargets,
    resize_paintings,
    train_step,
)

CHECKPOINT_NAME = "checkpoint.safetensors"
_WARM_UP_STEPS = 100
_FINAL_RATE = 0.05


@dataclass(frozen=True)
class TrainProgress:
    """What `train_base` reports: finished steps, smoothed terms, seconds per step."""

    step: int
    steps: int
    terms: dict[str, float]
    seconds_per_step: float


def learning_rate_share(step: int, steps: int) -> float:
    """Linear warm-up, then a cosine down to 5 % (Loshchilov and Hutter 2017, eq. 5)."""
    warm_up = min(1.0, (step + 1) / _WARM_UP_STEPS)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))
    return warm_up * (_FINAL_RATE + (1 - _FINAL_RATE) * cosine)


def train_base(
    config: TrainConfig,
    photos: PictureFolder,
    paintings: Sequence[NDArray[np.uint8]],
    features: SqueezeNetFeatures,
    folder: Path,
    *,
    report: Callable[[TrainProgress], None],
    report_every: int = 50,
    save_every: int = 200,
    sheet_photos: Sequence[NDArray[np.uint8]] = (),
) -> GanState:
    """Train generator, codes and discriminator; resumes from `folder` where a checkpoint lies there.

    Data and noise are functions of (seed, step), so stopping and resuming changes nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scaled = resize_paintings(paintings, config)
    targets = StyleTargets(features, scaled, config.style_layers)
    state = GanState(config, len(paintings))
    checkpoint = folder / CHECKPOINT_NAME
    options = {**config.to_json(), "styles": len(paintings)}
    first = 0
    if checkpoint.exists():
        first = load_checkpoint(checkpoint, options, state.modules(), state.optimizers())
    smoothed: dict[str, float] = {}
    log = folder / "losses.jsonl"
    started = time.perf_counter()
    for step in range(first, config.steps):
        rng = np.random.default_rng([config.seed, step])
        batch = draw_batch(
            photos, scaled, size=config.batch, crop=config.crop, noise_share=config.noise_share, rng=rng
        )
        change = draw_next_frame(1, config.crop, rng)
        state.set_learning_rate_(learning_rate_share(step, config.steps))
        terms = train_step(state, batch, change, features, targets, config, step=step)
        for name, value in terms.items():
            if not math.isnan(value):
                smoothed[name] = 0.98 * smoothed.get(name, value) + 0.02 * value
        done = step + 1
        if done % report_every == 0 or done == config.steps:
            seconds = (time.perf_counter() - started) / (done - first)
            report(TrainProgress(done, config.steps, dict(smoothed), seconds))
            with log.open("a") as file:
                file.write(json.dumps({"step": done, **smoothed}) + "\n")
        if done % save_every == 0 or done == config.steps:
            save_checkpoint(checkpoint, done, options, state.modules(), state.optimizers())
            if sheet_photos:
                sheet = contact_sheet(*state.averaged_network(), sheet_photos)
                write_picture(folder / "sheet.png", sheet)
    return state
