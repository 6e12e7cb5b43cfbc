"""Checkpoints: all tensors of a run in one safetensors file, written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from streamstyle.errors import ModelError
from streamstyle.files import make_folder, write_whole

CHECKPOINT_VERSION = 1


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file, whole or not at all. Raises SinkError."""
    # clone: safetensors refuses tensors that share memory.
    plain = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    make_folder(path.parent)
    write_whole(path, save(plain, metadata))


def _optimizer_tensors(optimizer: Optimizer, prefix: str) -> dict[str, Tensor]:
    state = optimizer.state_dict()["state"]
    return {
        f"{prefix}.{index}.{key}": torch.as_tensor(value)
        for index, slots in state.items()
        for key, value in slots.items()
    }


def _load_optimizer(optimizer: Optimizer, prefix: str, tensors: dict[str, Tensor]) -> None:
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(prefix + "."):
            index, key = name.removeprefix(prefix + ".").split(".", 1)
            slots.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": slots})


def save_checkpoint(
    path: Path,
    step: int,
    options: dict[str, Any],
    modules: dict[str, nn.Module],
    optimizers: dict[str, Optimizer],
) -> None:
    """Store modules and optimizers after `step` finished steps."""
    tensors = {f"{m}.{k}": v for m, module in modules.items() for k, v in module.state_dict().items()}
    for name, optimizer in optimizers.items():
        tensors |= _optimizer_tensors(optimizer, name)
    about = {"version": CHECKPOINT_VERSION, "step": step, "options": options}
    save_tensors(path, tensors, {"streamstyle": json.dumps(about)})


def _with_defaults(stored: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """`stored` with the keys that it lacks taken from `defaults`, groups inside as well."""
    filled = {**defaults, **stored}
    for key, default in defaults.items():
        if isinstance(default, dict) and isinstance(filled[key], dict):
            filled[key] = _with_defaults(filled[key], default)
    return filled


def read_checkpoint(path: Path, *, to: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The content of a checkpoint: {"version", "step", "options"} and the tensors by name.

    to: what for, in the error's words. Raises ModelError where the file is no checkpoint.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about: dict[str, Any] = json.loads((file.metadata() or {})["streamstyle"])
            return about, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except Exception as error:  # safetensors raises its own type, KeyError and OSError
        raise ModelError(f"cannot {to} {path}: {error}") from error


def load_checkpoint(
    path: Path,
    options: dict[str, Any],
    defaults: dict[str, Any],
    modules: dict[str, nn.Module],
    optimizers: dict[str, Optimizer],
) -> int:
    """Restore what `save_checkpoint` stored and return the number of finished steps.

    defaults: values of the options that a checkpoint may lack, being older than they are.
    Raises ModelError where the file is damaged or was written with other options.
    """
    about, tensors = read_checkpoint(path, to="resume from")
    try:
        version, written_with, step = about["version"], about["options"], int(about["step"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"cannot resume from {path}: {error}") from error
    if version != CHECKPOINT_VERSION or _with_defaults(written_with, defaults) != options:
        raise ModelError(f"{path} was written with other options; train into another folder")
    try:
        for name, module in modules.items():
            own = {k.removeprefix(name + "."): v for k, v in tensors.items() if k.startswith(name + ".")}
            module.load_state_dict(own)
        for name, optimizer in optimizers.items():
            _load_optimizer(optimizer, name, tensors)
    except (KeyError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"{path} is of another version of this program; train into another folder"
        ) from error
    return step
