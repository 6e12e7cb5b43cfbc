"""The device of a training run, its precision and its fellow processes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, distributed, nn

from streamstyle.errors import ConfigError, StreamStyleError


@dataclass(frozen=True)
class Compute:
    """device: where the networks are. bf16: whether they run in bfloat16 autocast; weights, optimizers,
    statistics and losses are fp32 always. rank: this process, of `ranks` data-parallel ones.
    """

    device: torch.device = torch.device("cpu")
    bf16: bool = False
    rank: int = 0
    ranks: int = 1

    def autocast(self) -> torch.autocast:
        """The precision of a network's forward pass; losses belong outside."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16)

    def rng(self, seed: int, step: int) -> np.random.Generator:
        """The generator of one step's data: other data on every process, the same in every run.

        The first process draws what a single one does.
        """
        return np.random.default_rng([seed, step, self.rank])

    def average_gradients_(self, parameters: Sequence[nn.Parameter], loss: Tensor) -> Tensor:
        """Replace every gradient by its mean over the processes, in one all-reduce.

        Returns the mean of `loss` (), detached, so that all processes judge the step alike.
        """
        if self.ranks == 1:
            return loss.detach()
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([*(g.flatten() for g in gradients), loss.detach().reshape(1)])
        distributed.all_reduce(flat)
        flat /= self.ranks
        *means, mean_loss = torch.split(flat, [*(g.numel() for g in gradients), 1])
        for gradient, mean in zip(gradients, means, strict=True):
            gradient.copy_(mean.view_as(gradient))
        return mean_loss.reshape(())

    def check_same_start(self, step: int) -> None:
        """Raises ConfigError where the processes found checkpoints of different steps."""
        if self.ranks == 1:
            return
        found = torch.tensor([step, -step], device=self.device)
        distributed.all_reduce(found, distributed.ReduceOp.MAX)
        if int(found[0]) != -int(found[1]):
            raise ConfigError(
                "the processes do not see the same checkpoint; give -o a folder that all of them share"
            )


@contextmanager
def open_compute(device: str = "auto", precision: str = "auto") -> Iterator[Compute]:
    """Choose device and precision, and join the other processes where torchrun started several.

    device: auto, cpu or cuda; auto takes CUDA where there is one. precision: auto, fp32 or bf16; auto takes
    bfloat16 on CUDA and on CPUs with AMX, without which it is slower than fp32. Raises ConfigError.
    """
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    place = _device(device, int(os.environ.get("LOCAL_RANK", "0")))
    bf16 = precision == "bf16" or (precision == "auto" and _fast_bf16(place))
    if ranks == 1:
        yield Compute(place, bf16)
        return
    try:
        distributed.init_process_group("nccl" if place.type == "cuda" else "gloo")
    except (ValueError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(
            f"{ranks} processes did not find each other; start them with torchrun: {reason}"
        ) from error
    try:
        yield Compute(place, bf16, distributed.get_rank(), ranks)
    except RuntimeError as error:
        # A process that ended leaves the others in an all-reduce that cannot finish.
        if "gloo" in str(error).lower() or isinstance(error, distributed.DistBackendError):
            raise StreamStyleError("another process of this run has ended; see its message") from error
        raise
    finally:
        distributed.destroy_process_group()


def _device(name: str, local_rank: int) -> torch.device:
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ConfigError("there is no CUDA device here; use --device cpu")
    if local_rank >= torch.cuda.device_count():
        raise ConfigError(
            f"process {local_rank} has no GPU of its own; "
            f"give torchrun --nproc-per-node {torch.cuda.device_count()} or --device cpu"
        )
    device = torch.device("cuda", local_rank)
    torch.cuda.set_device(device)
    return device


def _fast_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return torch.cpu._is_amx_tile_supported()
