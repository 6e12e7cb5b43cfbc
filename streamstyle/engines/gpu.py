"""The NVIDIA GPU of this machine, or the reason why there is none."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_DRIVER_VERSION = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU."""

    index: int
    """Index of torch's device."""
    name: str
    """Name of the GPU."""
    sm: str
    """Compute capability, such as "9.0"."""
    driver: str
    """Version of the driver."""
    cuda: str
    """Version of CUDA that torch was built for."""

    def to_json(self) -> dict[str, Any]:
        """The part that a compiled engine depends on: one GPU like another, wherever it is plugged in."""
        return {name: value for name, value in asdict(self).items() if name != "index"}


def find_gpu() -> Gpu | str:
    """The GPU that torch uses, or the reason why there is none. Imports torch only if there is a driver."""
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(library)
    except OSError:
        return "no NVIDIA driver on this machine"
    import torch

    if torch.version.cuda is None:
        return "this torch is built without CUDA; install one with it: see pytorch.org"
    if not torch.cuda.is_available():
        return "torch finds no NVIDIA GPU that it can use"
    index = torch.cuda.current_device()
    major, minor = torch.cuda.get_device_capability(index)
    name = torch.cuda.get_device_name(index)
    return Gpu(index, name, f"{major}.{minor}", _driver_version(driver), torch.version.cuda)


def _driver_version(driver: ctypes.CDLL) -> str:
    """Version of the kernel module or, if that is unknown, the CUDA version of the driver."""
    try:
        return _DRIVER_VERSION.read_text(encoding="utf-8", errors="replace").splitlines()[0]
    except (OSError, IndexError):
        spoken = ctypes.c_int()
        driver.cuDriverGetVersion(ctypes.byref(spoken))
        return f"CUDA {spoken.value}"
