"""The NVIDIA GPU of this machine, and what stands in the way where there is none."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_DRIVER_VERSION = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True)
class Gpu:
    """index: of torch's device. sm: compute capability, as in "9.0". driver: its version. cuda: torch's."""

    index: int
    name: str
    sm: str
    driver: str
    cuda: str

    def to_json(self) -> dict[str, Any]:
        """The part that a compiled engine depends on: one GPU like another, wherever it is plugged in."""
        return {name: value for name, value in asdict(self).items() if name != "index"}


def find_gpu() -> Gpu | str:
    """The GPU that torch uses, or why there is none. Imports torch only where there is a driver."""
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
    """The kernel module's, or, where the system does not tell, the version of CUDA that the driver speaks."""
    try:
        return _DRIVER_VERSION.read_text(encoding="utf-8", errors="replace").splitlines()[0]
    except (OSError, IndexError):
        spoken = ctypes.c_int()
        driver.cuDriverGetVersion(ctypes.byref(spoken))
        return f"CUDA {spoken.value}"
