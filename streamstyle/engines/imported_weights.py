"""Foreign PyTorch weights of the classic network, made safetensors.

The files are pickles: they are read with `weights_only=True`, which builds nothing but tensors and plain
containers, and only in the child process that `imported_examine` starts and limits.
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Mapping
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from streamstyle.errors import ModelError
from streamstyle.nets.transformer import transformer_shapes

MAX_BYTES = 256 << 20
_NORM_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
_LAYERS_ABOVE = ("state_dict", "model", "model_state_dict", "generator", "net")


def is_torch_file(data: bytes) -> bool:
    """True if it begins like a file of torch.save: a zip archive, or a pickle of before torch 1.6."""
    return data.startswith((b"PK\x03\x04", b"\x80\x02"))


def convert_state_dict(data: bytes) -> bytes:
    """The file of torch.save as safetensors with the names of `TransformerNet`, fp32.

    Raises ModelError for anything but weights of that network.
    """
    tensors = _named_tensors(_loaded(data))
    expected = transformer_shapes()
    unknown = [name for name in tensors if name not in expected]
    missing = [name for name in expected if name not in tensors]
    if unknown or missing:
        raise ModelError(
            "the weights are not those of the classic TransformerNet: "
            + "; ".join(
                f"{what} {_some(names)}"
                for what, names in (("unknown", unknown), ("missing", missing))
                if names
            )
        )
    for name, tensor in tensors.items():
        # Before anything is copied: a tensor of a terabyte may lie in a file of a kilobyte.
        if (
            tuple(tensor.shape) != expected[name]
            or not tensor.is_floating_point()
            or tensor.layout != torch.strided
        ):
            raise ModelError(
                f"the weights are not those of the classic TransformerNet: {name} is {tensor.dtype} of shape "
                f"{list(tensor.shape)}, not floats of shape {list(expected[name])}"
            )
    plain = {name: tensor.detach().float().contiguous().clone() for name, tensor in tensors.items()}
    if not all(bool(tensor.isfinite().all()) for tensor in plain.values()):
        raise ModelError("the weights hold values that are not finite; download or train them again")
    return save(plain)


def _loaded(data: bytes) -> Any:
    if data.startswith(b"PK"):
        _check_archive(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old formats; nothing that the user could do about it
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    # A damaged pickle can fail with any error at all.
    except Exception as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        if named:
            raise ModelError(
                f"the file holds more than weights ({named[1]}), and reading that could run a program; "
                "ask its author for torch.save(model.state_dict(), FILE)"
            ) from error
        raise ModelError(
            "the PyTorch file is damaged or holds more than weights; download it again"
        ) from error


def _check_archive(data: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, UnicodeDecodeError, OSError) as error:
        raise ModelError("the PyTorch file is damaged or cut off; download it again") from error
    if unpacked > MAX_BYTES:
        raise ModelError(f"the PyTorch file unpacks to {unpacked >> 20} MB; {MAX_BYTES >> 20} MB is the most")


def _named_tensors(loaded: Any) -> dict[str, Tensor]:
    """The tensors by bare name, without the statistics that instance norms of before torch 0.4 saved."""
    for _ in range(3):
        inner = [loaded[key] for key in _LAYERS_ABOVE if isinstance(loaded, Mapping) and key in loaded]
        if not inner:
            break
        loaded = inner[0]
    if not isinstance(loaded, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in loaded.items()
    ):
        raise ModelError("the PyTorch file holds no state_dict: names and tensors")
    bare = {name.removeprefix("module."): tensor for name, tensor in loaded.items()}
    return {name: t for name, t in bare.items() if name.rpartition(".")[2] not in _NORM_STATISTICS}


def _some(names: list[str]) -> str:
    shown = ", ".join(name[:60] for name in names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
