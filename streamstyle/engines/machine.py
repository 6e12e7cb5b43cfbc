"""What the processor of this machine is and how much of it is ours."""

from __future__ import annotations

import os
import platform
from pathlib import Path

_VECTORS = ("sse", "avx", "amx", "fma", "f16c", "asimd", "sve", "bf16", "i8mm")
_CPUINFO = Path("/proc/cpuinfo")


def usable_cpus() -> int:
    """Processors that this process may run on; systems without affinity: all of them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def instruction_sets() -> str:
    """The processor's vector instructions, by Linux' names; elsewhere what the platform calls the processor.

    Processors of one model name differ in them: virtual machines hide some.
    """
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return " ".join(sorted(flag for flag in flags.split() if flag.startswith(_VECTORS)))
